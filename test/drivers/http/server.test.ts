import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { HttpAnswer } from '../../../drivers/http/http-answer.ts';
import { HttpServer, type Route } from '../../../drivers/http/server.ts';
import { systemRandom } from '../../../drivers/system-time.ts';
import { LatchkeyError } from '../../../src/core/errors.ts';
import { LIMITS } from '../../../src/core/limits.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';

const open: HttpServer[] = [];

afterEach(async () => {
  for (const server of open.splice(0)) await server.close(100);
});

async function serve(
  routes: readonly Route[],
  log = new QuietLog(),
): Promise<{ origin: string; port: number; server: HttpServer }> {
  const server = new HttpServer({
    routes,
    log,
    random: systemRandom,
    connections: { overall: 16, perNetwork: 16 },
  });
  open.push(server);
  const port = await server.listen({ host: '127.0.0.1', port: 0 });
  return { origin: `http://127.0.0.1:${port}`, port, server };
}

const route = (method: Route['method'], path: string, handle: Route['handle'], bodyBytes = 0): Route => ({
  method,
  path,
  handle,
  bodyBytes,
});

/** What the server answers to bytes as they stand, until it closes the connection. */
async function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(text);
  await once(socket, 'close');
  return Buffer.concat(chunks).toString();
}
const failing = (error: Error) => route('POST', '/x', () => Promise.reject(error));

describe('HttpServer', () => {
  test('tells those that are still waiting at the end of the grace that it stops', async () => {
    let late: (answer: HttpAnswer) => void = () => undefined;
    const hanging = new Promise<HttpAnswer>((resolve) => {
      late = resolve;
    });
    let asked: () => void = () => undefined;
    const underWay = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const slow = route('GET', '/slow', () => {
      asked();
      return hanging;
    });
    const { origin, server } = await serve([slow]);
    const answer = fetch(`${origin}/slow`);
    await underWay;
    const closing = server.close(50);
    const response = await answer;
    expect(response.status).toBe(503);
    expect(response.headers.get('connection')).toBe('close');
    expect(await response.json()).toMatchObject({ code: 'shutting_down' });
    await closing;
    // An answer that comes after all harms nothing.
    late({ status: 200, body: {} });
    await hanging;
  });

  test('hands a route its decoded parameters, body and an id that the answer repeats', async () => {
    const { origin } = await serve([
      route(
        'POST',
        '/devices/:id/coap/*',
        async ({ body, id, parameters, peer }): Promise<HttpAnswer> => ({
          status: 200,
          body: { id, parameters, peer, length: body.length },
        }),
        4,
      ),
    ]);
    const answer = await fetch(`${origin}/devices/tube%201/coap/a/b`, { method: 'POST', body: 'four' });
    const body = (await answer.json()) as { id: string };
    expect(body).toMatchObject({ parameters: { id: 'tube 1', '*': 'a/b' }, peer: '127.0.0.1', length: 4 });
    expect(answer.headers.get('x-request-id')).toBe(body.id);
    expect(answer.headers.get('content-length')).toBe(String(JSON.stringify(body).length));
  });

  test('refuses an unknown path with not_found', async () => {
    const { origin } = await serve([]);
    const answer = await fetch(`${origin}/nowhere`);
    expect(answer.status).toBe(404);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(await answer.json()).toMatchObject({ code: 'not_found', type: 'urn:latchkey:error:not_found', status: 404 });
  });

  test('refuses a known path with another method', async () => {
    const log = new QuietLog();
    const { origin } = await serve([failing(new Error('never'))], log);
    const answer = await fetch(`${origin}/x?y=1`);
    expect(await answer.json()).toMatchObject({ code: 'method_not_allowed', status: 405 });
    expect(answer.headers.get('allow')).toBe('POST');
    expect(log.lines.at(-1)?.fields).toMatchObject({ method: 'GET', path: '/x', code: 'method_not_allowed' });
  });

  test('refuses a body past the limit with 413 that the sender gets to read', async () => {
    const { origin } = await serve([route('POST', '/x', async () => ({ status: 200 }), 8_192)]);
    const answer = await fetch(`${origin}/x`, { method: 'POST', body: 'x'.repeat(8_193) });
    expect(await answer.json()).toMatchObject({ code: 'request_too_large', status: 413 });
  });

  test('refuses a body that is declared too large before any of it comes, and closes', async () => {
    const { port } = await serve([route('POST', '/x', async () => ({ status: 200 }), 8_192)]);
    const answer = await raw(port, 'POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toMatch(/connection: close/i);
  });

  test('takes a body in several reads', async () => {
    const { port } = await serve([route('POST', '/x', async ({ body }) => ({ status: 200, body }), 8)]);
    const socket = connect(port, '127.0.0.1').setNoDelay();
    socket.write('POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\nconnection: close\r\n\r\nabc');
    await new Promise((resolve) => setTimeout(resolve, 20));
    const answer = once(socket, 'data');
    socket.write('def');
    await expect(answer.then(([chunk]) => String(chunk))).resolves.toMatch(/^HTTP\/1\.1 200 [\s\S]*abcdef$/);
    socket.destroy();
  });

  test.each([['with a length', 'content-length: 4\r\n\r\nfour']])(
    'refuses a body %s where none is taken',
    async (_name, rest) => {
      const { port } = await serve([route('POST', '/x', async () => ({ status: 200 }))]);
      const answer = await raw(port, `POST /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${rest}`);
      expect(answer).toContain('"code":"request_invalid"');
    },
  );

  test.each(['http://127.0.0.1/x', 'http://evil.example/x', 'x', '*', '?/x'])(
    'refuses the request target %s, which is no path',
    async (target) => {
      const { port } = await serve([route('GET', '/x', async () => ({ status: 200 }))]);
      const method = target === '*' ? 'OPTIONS' : 'GET';
      const answer = await raw(port, `${method} ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    },
  );

  test('refuses more requests at once than one connection may carry, and answers the others', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let waiting = 0;
    const { port } = await serve([
      route('GET', '/x', async () => {
        waiting += 1;
        if (waiting === LIMITS.requestsPerConnection) setImmediate(release);
        await held;
        return { status: 200 };
      }),
    ]);
    const one = 'GET /x HTTP/1.1\r\nhost: x\r\n';
    const many = Array.from({ length: LIMITS.requestsPerConnection }, () => `${one}\r\n`).join('');
    const answer = await raw(port, `${many}${one}connection: close\r\n\r\n`);
    expect([...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1])).toEqual([
      ...Array.from({ length: LIMITS.requestsPerConnection }, () => '200'),
      '503',
    ]);
    expect(answer).toContain('"code":"hub_busy"');
  });

  test('answers a path with broken percent-encoding without failing inside', async () => {
    const { origin } = await serve([route('GET', '/devices/:id', async () => ({ status: 200 }))]);
    expect((await fetch(`${origin}/devices/%zz`)).status).toBeGreaterThanOrEqual(400);
    expect((await fetch(`${origin}/devices/ok`)).status).toBe(200);
  });

  test('tells the peer the code and never the detail', async () => {
    const refusing = failing(new LatchkeyError('jwt_signature_invalid', 'canary-detail'));
    const { origin } = await serve([{ ...refusing, onRefusal: () => ({ 'dpop-nonce': 'fresh' }) }]);
    const answer = await fetch(`${origin}/x`, { method: 'POST' });
    const text = await answer.text();
    expect(text).toContain('jwt_signature_invalid');
    expect(text).not.toContain('canary-detail');
    expect(answer.headers.get('www-authenticate')).toBe('DPoP error="invalid_token", algs="ES256 EdDSA"');
    expect(answer.headers.get('dpop-nonce')).toBe('fresh');
  });

  test('asks for a nonce in the words of RFC 9449', async () => {
    const { origin } = await serve([failing(new LatchkeyError('proof_nonce_required'))]);
    const answer = await fetch(`${origin}/x`, { method: 'POST' });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toContain('error="use_dpop_nonce"');
  });

  test('answers a defect as internal, and logs it with the id that the peer got', async () => {
    const log = new QuietLog();
    const { origin } = await serve([failing(new TypeError('canary-defect'))], log);
    const body = (await (await fetch(`${origin}/x`, { method: 'POST' })).json()) as { id: string; code: string };
    expect(body.code).toBe('internal');
    expect(log.lines.some((line) => line.fields.request === body.id && line.fields.code === 'internal')).toBe(true);
    expect(JSON.stringify(body)).not.toContain('canary-defect');
  });

  test('goes on serving after a sender that left in the middle of its body, and says so in the log', async () => {
    const log = new QuietLog();
    const { origin, port } = await serve([route('POST', '/x', async () => ({ status: 200 }), 100)], log);
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write('POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf');
    socket.destroy();
    await once(socket, 'close');
    await expect
      .poll(() => log.lines)
      .toContainEqual(expect.objectContaining({ fields: expect.objectContaining({ code: 'request_invalid' }) }));
    expect((await fetch(`${origin}/x`, { method: 'POST' })).status).toBe(200);
  });

  test('close waits for a request under way', async () => {
    let finish: () => void = () => undefined;
    let begin: () => void = () => undefined;
    const started = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const { origin, server } = await serve([
      route('POST', '/x', async () => {
        begin();
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        return { status: 200, body: { done: true } };
      }),
    ]);
    const answer = fetch(`${origin}/x`, { method: 'POST' });
    await started;
    const closed = server.close(5_000);
    finish();
    expect(await (await answer).json()).toEqual({ done: true });
    await closed;
  });
});
