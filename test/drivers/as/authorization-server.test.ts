import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import {
  type AuthorizationServerOptions,
  connectAuthorizationServer,
} from '../../../drivers/as/authorization-server.ts';
import { isCoded } from '../../../src/core/errors.ts';
import { Secret } from '../../../src/core/secret.ts';
import type { AuthorizationServer, FetchOptions } from '../../../src/ports/authorization-server.ts';
import { type FaultyServer, startFaultyServer, tlsFile } from '../../fixtures/faulty-server.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function server(...options: Parameters<typeof startFaultyServer>): Promise<FaultyServer> {
  const started = await startFaultyServer(...options);
  open.push(started);
  return started;
}
function client(options?: AuthorizationServerOptions): AuthorizationServer {
  const as = connectAuthorizationServer(options);
  open.push(as);
  return as;
}
const LIMITS: FetchOptions = { deadline: 5_000, maxBytes: 1_000 };

async function codeOf(answer: Promise<unknown>): Promise<string> {
  try {
    await answer;
    return 'none';
  } catch (error) {
    return isCoded(error) ? error.code : `uncoded: ${String(error)}`;
  }
}

describe('the time of the server', () => {
  test('is told, moved on by the age of a cached answer, and once a second at most', async () => {
    const { origin, answers } = await server();
    const heard: number[] = [];
    const as = client({ heard: (date) => heard.push(date) });
    const ask = async (headers: Record<string, string>) => {
      answers.set('/jwks', { headers, body: '{}' });
      await as.get(`${origin}/jwks`, LIMITS);
    };
    await ask({ date: 'Sun, 06 Nov 1994 08:49:37 GMT' });
    await ask({ date: 'Sun, 06 Nov 1994 08:49:37 GMT' });
    await ask({ date: 'Sun, 06 Nov 1994 08:49:40 GMT', age: '60' });
    await ask({ date: 'some time' });
    expect(heard).toEqual([784_111_777, 784_111_840]);
  });
});

describe('a good answer', () => {
  test('comes with its headers', async () => {
    const { origin, answers } = await server();
    const headers = {
      etag: '"a"',
      'cache-control': 'public, max-age=60',
      age: '7',
      'content-type': 'application/json',
    };
    answers.set('/jwks?x=1', { headers, body: '{"keys":[]}' });
    const answer = await client().get(`${origin}/jwks?x=1`, LIMITS);
    expect(answer).toEqual({
      kind: 'document',
      status: 200,
      contentType: 'application/json',
      body: Buffer.from('{"keys":[]}'),
      etag: '"a"',
      cacheControl: 'public, max-age=60',
      age: 7,
    });
  });

  test('is asked for by ETag, and may be "unchanged"', async () => {
    const { origin, answers, requests } = await server();
    answers.set('/jwks', { status: 304, headers: { etag: '"b"' } });
    const answer = await client().get(`${origin}/jwks`, { ...LIMITS, etag: '"a"' });
    expect(answer).toEqual({ kind: 'unchanged', etag: '"b"', cacheControl: undefined, age: undefined });
    expect(requests[0]?.headers['if-none-match']).toBe('"a"');
  });

  test('may have any status: judging it is for others', async () => {
    const { origin, answers } = await server();
    answers.set('/jwks', { status: 500, body: '<html>' });
    expect(await client().get(`${origin}/jwks`, LIMITS)).toMatchObject({ kind: 'document', status: 500 });
  });

  test('may be exactly as large as the limit', async () => {
    const { origin, answers } = await server();
    answers.set('/jwks', { body: 'x'.repeat(1_000) });
    expect(await codeOf(client().get(`${origin}/jwks`, LIMITS))).toBe('none');
  });

  test('goes over connections that are kept', async () => {
    const { origin, answers, connections } = await server();
    answers.set('/jwks', { body: '{}' });
    const as = client();
    for (let request = 0; request < 10; request++) await as.get(`${origin}/jwks`, LIMITS);
    expect(connections()).toBeLessThanOrEqual(2);
  });

  test('is asked for again when the server has ended the kept connection', async () => {
    const { origin, answers, dropConnections } = await server();
    answers.set('/jwks', { body: '{}' });
    const as = client();
    await as.get(`${origin}/jwks`, LIMITS);
    dropConnections();
    expect(await codeOf(as.get(`${origin}/jwks`, LIMITS))).toBe('none');
  });

  test('an Age that is no number counts for nothing', async () => {
    const { origin, answers } = await server();
    answers.set('/jwks', { headers: { age: '-1' } });
    expect(await client().get(`${origin}/jwks`, LIMITS)).toMatchObject({ age: undefined });
  });
});

describe('refuses', () => {
  test.each([301, 302, 303, 307, 308])('a redirect, status %i, and does not follow it', async (status) => {
    const { origin, answers, count } = await server();
    answers.set('/jwks', { status, headers: { location: `${origin}/elsewhere` }, body: 'x'.repeat(100_000) });
    answers.set('/elsewhere', { body: '{}' });
    expect(await codeOf(client().get(`${origin}/jwks`, LIMITS))).toBe('as_redirected');
    expect(count('/elsewhere')).toBe(0);
  });

  test('an answer that says that it is too large', async () => {
    const { origin, answers } = await server();
    answers.set('/jwks', { body: 'x'.repeat(1_001), headers: { 'content-length': '1001' } });
    expect(await codeOf(client().get(`${origin}/jwks`, LIMITS))).toBe('as_answer_too_large');
  });

  test('a redirect whose body never ends', async () => {
    const { origin, answers } = await server();
    answers.set('/jwks', { status: 302, headers: { location: '/' }, fault: 'endless' });
    expect(await codeOf(client().get(`${origin}/jwks`, LIMITS))).toBe('as_redirected');
  });

  test('an answer that never ends', async () => {
    const { origin, answers } = await server();
    answers.set('/jwks', { fault: 'endless' });
    expect(await codeOf(client().get(`${origin}/jwks`, LIMITS))).toBe('as_answer_too_large');
  });

  test('headers that are too large', async () => {
    const { origin, answers } = await server();
    answers.set('/jwks', { headers: { 'x-filler': 'x'.repeat(20_000) } });
    expect(await codeOf(client().get(`${origin}/jwks`, LIMITS))).toBe('as_answer_too_large');
  });

  test('a server that does not answer in time', async () => {
    const { origin, answers } = await server();
    answers.set('/jwks', { fault: 'hang' });
    expect(await codeOf(client().get(`${origin}/jwks`, { ...LIMITS, deadline: 50 }))).toBe('as_timeout');
  });

  test('a server that stops in the middle of an answer', async () => {
    const { origin, answers } = await server();
    answers.set('/jwks', { fault: 'stall', body: '{"keys":' });
    expect(await codeOf(client().get(`${origin}/jwks`, { ...LIMITS, deadline: 100 }))).toBe('as_timeout');
  });

  test('a server that ends the connection without an answer', async () => {
    const { origin, answers } = await server();
    answers.set('/jwks', { fault: 'reset' });
    expect(await codeOf(client().get(`${origin}/jwks`, LIMITS))).toBe('as_unreachable');
  });

  test('a server that speaks something else', async () => {
    const other = createServer((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    open.push({ close: async () => void other.close() });
    const address = other.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    expect(await codeOf(client().get(`http://127.0.0.1:${port}/jwks`, LIMITS))).toBe('as_unreachable');
  });

  test('a port where nobody listens', async () => {
    const { origin, close } = await startFaultyServer();
    await close();
    expect(await codeOf(client().get(`${origin}/jwks`, LIMITS))).toBe('as_unreachable');
  });

  test('an exchange under way, when it is closed', async () => {
    const { origin, answers } = await server();
    answers.set('/jwks', { fault: 'hang' });
    const as = client();
    const answer = codeOf(as.get(`${origin}/jwks`, LIMITS));
    await as.close();
    expect(await answer).toBe('as_unreachable');
  });
});

describe('a POST', () => {
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const POST = { ...LIMITS, headers: form, body: 'token=a%20b' };

  test('takes headers and body there, and the answer back', async () => {
    const { origin, answers, requests } = await server();
    answers.set('/introspect', { headers: { 'cache-control': 'no-store', age: '3' }, body: '{"active":false}' });
    expect(await client().post(`${origin}/introspect`, POST)).toEqual({
      status: 200,
      contentType: 'application/json',
      body: Buffer.from('{"active":false}'),
      cacheControl: 'no-store',
      age: 3,
    });
    expect(requests[0]).toMatchObject({ method: 'POST', body: 'token=a%20b', headers: form });
  });

  test('goes over as many connections as it may, and keeps them', async () => {
    const { origin, answers, connections } = await server();
    answers.set('/introspect', { body: '{}' });
    const as = client({ connections: 4 });
    for (let round = 0; round < 3; round++) {
      await Promise.all(Array.from({ length: 20 }, () => as.post(`${origin}/introspect`, POST)));
    }
    expect(connections()).toBe(4);
  });

  test('is not sent a second time over a connection that was dead: that is for the caller', async () => {
    const { origin, answers, count } = await server();
    answers.set('/introspect', { fault: 'reset' });
    expect(await codeOf(client().post(`${origin}/introspect`, POST))).toBe('as_unreachable');
    expect(count('/introspect')).toBe(1);
  });

  test('is not sent any more when its time ran out while it waited for a connection', async () => {
    const { origin, answers, count } = await server();
    answers.set('/introspect', { fault: 'hang' });
    const as = client({ connections: 1 });
    const first = codeOf(as.post(`${origin}/introspect`, { ...POST, deadline: 150 }));
    expect(await codeOf(as.post(`${origin}/introspect`, { ...POST, deadline: 50 }))).toBe('introspection_overloaded');
    expect(await first).toBe('as_timeout');
    answers.set('/introspect', { body: '{}' });
    expect(await codeOf(as.post(`${origin}/introspect`, POST))).toBe('none');
    expect(count('/introspect')).toBe(2);
  });

  test('that waits behind others until its time is over says nothing of the server', async () => {
    const slow = createHttpServer((_, response) => void setTimeout(() => response.end('{}'), 40));
    await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
    open.push({ close: async () => void slow.close().closeAllConnections() });
    const url = `http://127.0.0.1:${(slow.address() as AddressInfo).port}/introspect`;
    const as = client({ connections: 2 });
    const codes = await Promise.all(Array.from({ length: 40 }, () => codeOf(as.post(url, { ...POST, deadline: 400 }))));
    expect(new Set(codes)).toEqual(new Set(['none', 'introspection_overloaded']));
  });

  test('to a server that takes no connection is as_timeout, however many wait for one', async () => {
    // Its TLS handshake never ends.
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    open.push({ close: async () => void silent.close() });
    const url = `https://127.0.0.1:${(silent.address() as AddressInfo).port}/introspect`;
    const as = client({ connections: 2 });
    const codes = await Promise.all(Array.from({ length: 8 }, () => codeOf(as.post(url, { ...POST, deadline: 100 }))));
    expect(new Set(codes)).toEqual(new Set(['as_timeout']));
  });

  test('that fails is answered by its status, however large the page below it', async () => {
    const { origin, answers } = await server();
    answers.set('/introspect', { status: 502, body: 'x'.repeat(100_000) });
    expect(await client().post(`${origin}/introspect`, POST)).toMatchObject({ status: 502, body: new Uint8Array() });
  });

  test.each([302, 307])('that is redirected, status %i, is refused', async (status) => {
    const { origin, answers } = await server();
    answers.set('/introspect', { status, headers: { location: `${origin}/elsewhere` } });
    expect(await codeOf(client().post(`${origin}/introspect`, POST))).toBe('as_redirected');
  });

  test('with an endless answer is given up', async () => {
    const { origin, answers } = await server();
    answers.set('/introspect', { fault: 'endless' });
    expect(await codeOf(client().post(`${origin}/introspect`, POST))).toBe('as_answer_too_large');
  });

  test('after closing is refused', async () => {
    const { origin } = await server();
    const as = client();
    await as.close();
    expect(await codeOf(as.post(`${origin}/introspect`, POST))).toBe('as_unreachable');
  });
});

describe('a client certificate', () => {
  const pair = { certificate: tlsFile('client.pem'), key: new Secret(tlsFile('client-key.pem')) };

  test('is shown to a server that asks for one', async () => {
    const { origin, answers, requests } = await server({ certificate: 'server.pem', asksForCertificate: true });
    answers.set('/introspect', { body: '{}' });
    const as = client({ ca: tlsFile('ca.pem'), clientCertificate: pair });
    await as.post(`${origin}/introspect`, { ...LIMITS, headers: {}, body: 'token=a' });
    expect(requests[0]?.clientCertificate).toBe('CN=the hub as a client');
  });

  test('with the key of another one is refused at once', () => {
    const key = new Secret(tlsFile('server-key.pem'));
    expect(() => connectAuthorizationServer({ clientCertificate: { ...pair, key } })).toThrow(
      expect.objectContaining({ code: 'config_invalid' }),
    );
  });
});

describe('TLS', () => {
  test('a certificate of the configured authority is trusted', async () => {
    const { origin, answers } = await server({ certificate: 'server.pem' });
    answers.set('/jwks', { body: '{}' });
    expect(await codeOf(client({ ca: tlsFile('ca.pem') }).get(`${origin}/jwks`, LIMITS))).toBe('none');
  });

  test('a certificate of an authority that the system does not know is refused', async () => {
    const { origin } = await server({ certificate: 'server.pem' });
    expect(await codeOf(client().get(`${origin}/jwks`, LIMITS))).toBe('as_tls_untrusted');
  });

  test('a certificate of another authority than the configured one is refused', async () => {
    const { origin } = await server({ certificate: 'server.pem' });
    expect(await codeOf(client({ ca: tlsFile('other-ca.pem') }).get(`${origin}/jwks`, LIMITS))).toBe(
      'as_tls_untrusted',
    );
  });

  test('a certificate for another name is refused', async () => {
    const { origin } = await server({ certificate: 'elsewhere.pem' });
    expect(await codeOf(client({ ca: tlsFile('ca.pem') }).get(`${origin}/jwks`, LIMITS))).toBe('as_tls_untrusted');
  });

  test('plain HTTP where TLS is expected is refused', async () => {
    const { origin } = await server();
    const address = origin.replace('http:', 'https:');
    expect(await codeOf(client().get(`${address}/jwks`, LIMITS))).toBe('as_unreachable');
  });
});

test('an error names the address without its query, and nothing of the answer', async () => {
  const { origin, answers } = await server();
  answers.set('/jwks?token=s3cret', { fault: 'reset', body: 's3cret' });
  await expect(client().get(`${origin}/jwks?token=s3cret`, LIMITS)).rejects.toMatchObject({
    message: `as_unreachable: ${origin}/jwks`,
  });
});
