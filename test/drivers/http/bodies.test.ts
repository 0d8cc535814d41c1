/** The body of a request costs the hub no more than its length: neither in memory, nor in events, nor in reads. */
import { once } from 'node:events';
import { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { announcedBody, readBody } from '../../../drivers/http/body.ts';
import { HttpServer, type Route } from '../../../drivers/http/server.ts';
import { systemRandom } from '../../../drivers/system-time.ts';
import { LIMITS } from '../../../src/core/limits.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';
import { tlsFile } from '../../fixtures/faulty-server.ts';

const closers: (() => unknown)[] = [];

afterEach(async () => {
  vi.restoreAllMocks();
  for (const close of closers.splice(0).reverse()) await close();
});

const echo: Route = {
  method: 'POST',
  path: '/x',
  bodyBytes: 32_768,
  handle: async ({ body }) => ({ status: 200, body: { length: body.length } }),
};
const keys: Route = { method: 'GET', path: '/jwks', handle: async () => ({ status: 200, body: { keys: [] } }) };

async function serve() {
  const server = new HttpServer({
    routes: [echo, keys],
    log: new QuietLog(),
    random: systemRandom,
    connections: { overall: 256, perNetwork: 256 },
  });
  closers.push(() => server.close(100));
  return await server.listen({ host: '127.0.0.1', port: 0 });
}

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
    .setNoDelay()
    .on('error', () => undefined);
  closers.push(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** What comes back until the connection is closed, however that is. */
async function answerOn(socket: Socket): Promise<string> {
  let answer = '';
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1');
  });
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return answer;
}

const ONE_BYTE = '1\r\nx\r\n';
const inChunks = (path: string, chunks: number) =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${ONE_BYTE.repeat(chunks)}`;

describe('a body in chunks', () => {
  test.each([
    [
      'of a route that takes a body',
      'POST /x',
      /^HTTP\/1\.1 411 [\s\S]*connection: close[\s\S]*"code":"length_required"/i,
    ],
    ['of a route that takes none', 'GET /jwks', /^HTTP\/1\.1 411 /],
    ['of a path that is not there', 'POST /nope', /^HTTP\/1\.1 404 [\s\S]*connection: close/i],
    ['of a method that is not offered', 'DELETE /x', /^HTTP\/1\.1 405 [\s\S]*connection: close/i],
  ])('%s is refused, and neither it nor what follows is parsed', async (_name, line, expected) => {
    const push = vi.spyOn(IncomingMessage.prototype, 'push');
    const socket = await dial(await serve());
    const answer = answerOn(socket);
    const head = `${line} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n`;
    socket.write(`${head}${ONE_BYTE.repeat(2_000)}0\r\n\r\nGET /jwks HTTP/1.1\r\nhost: x\r\n\r\n`);
    expect(await answer).toMatch(expected);
    expect(await answer).not.toContain('HTTP/1.1 200');
    // The end of the message is one. Before, there were 2,000.
    expect(push.mock.calls.filter(([chunk]) => chunk !== null)).toHaveLength(0);
  });

  test('behind requests that are answered is refused after them', async () => {
    const socket = await dial(await serve());
    const answer = answerOn(socket);
    socket.write(`GET /jwks HTTP/1.1\r\nhost: x\r\n\r\n${inChunks('/x', 2_000)}`);
    expect([...(await answer).matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(['200', '411']);
  });

  test.each(['/x', '/nope'])('to %s on 60 connections does not keep another client from its answer', async (path) => {
    const push = vi.spyOn(IncomingMessage.prototype, 'push');
    const port = await serve();
    const sockets = await Promise.all(Array.from({ length: 60 }, () => dial(port)));
    const gone = sockets.map((socket) => answerOn(socket));
    const burst = inChunks(path, 32_000);
    for (const socket of sockets) socket.write(burst);
    const began = performance.now();
    expect((await fetch(`http://127.0.0.1:${port}/jwks`)).status).toBe(200);
    // Some 50 ms on one busy core; it were seconds if each chunk were an event.
    expect(performance.now() - began).toBeLessThan(3_000);
    await Promise.all(gone);
    // A few ends of messages, and the answer to the other client.
    expect(push.mock.calls.length).toBeLessThan(500);
  });

  test('is left unparsed over TLS too', async () => {
    const push = vi.spyOn(IncomingMessage.prototype, 'push');
    const server = new HttpServer({
      routes: [echo],
      log: new QuietLog(),
      random: systemRandom,
      connections: { overall: 16, perNetwork: 16 },
      tls: { cert: tlsFile('server.pem'), key: tlsFile('server-key.pem') },
    });
    closers.push(() => server.close(100));
    const port = await server.listen({ host: '127.0.0.1', port: 0 });
    const { connect: connectTls } = await import('node:tls');
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }).on('error', () => undefined);
    closers.push(() => socket.destroy());
    await once(socket, 'secureConnect');
    const answer = answerOn(socket);
    socket.write(inChunks('/x', 2_000));
    expect(await answer).toMatch(/^HTTP\/1\.1 411 /);
    expect(push.mock.calls.filter(([chunk]) => chunk !== null)).toHaveLength(0);
  });
});

describe('a body with a length', () => {
  test('that comes byte by byte is given up, and the connection is closed', async () => {
    const socket = await dial(await serve());
    const answer = answerOn(socket);
    socket.write('POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n');
    for (let sent = 0; sent < 900 && !socket.destroyed; sent += 1) {
      socket.write('x');
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(await answer).toMatch(/^HTTP\/1\.1 400 [\s\S]*connection: close[\s\S]*"code":"request_invalid"/i);
  });

  test('may come in as many fragments as the limit says, and is copied whole', async () => {
    const incoming = message(128);
    const read = readBody(incoming, announcedBody(incoming, 128));
    const most = LIMITS.httpBodyFragments + 128 / LIMITS.httpBodyFragmentBytes;
    for (let at = 0; at < most - 1; at += 1) incoming.push(Buffer.from([at]));
    incoming.push(Buffer.alloc(128 - most + 1, 0xff));
    incoming.push(null);
    const body = await read;
    expect(body).toHaveLength(128);
    expect([body[0], body[most - 2], body[127]]).toEqual([0, most - 2, 0xff]);
  });

  test('is held in one buffer of that length and no more', async () => {
    const incoming = message(8);
    const read = readBody(incoming, announcedBody(incoming, 8));
    for (const part of ['four', 'more']) incoming.push(Buffer.from(part));
    incoming.push(null);
    expect((await read).buffer.byteLength).toBe(8);
  });

  function message(length: number): IncomingMessage {
    const incoming = new IncomingMessage({} as Socket);
    incoming._read = () => undefined;
    incoming.headers['content-length'] = `${length}`;
    return incoming;
  }
});
