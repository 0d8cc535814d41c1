import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { EventSink } from '../../../drivers/http/event-streams.ts';
import { HttpServer } from '../../../drivers/http/server.ts';
import { systemRandom } from '../../../drivers/system-time.ts';
import { LIMITS } from '../../../src/core/limits.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A server whose only route sends events, with the sinks that it was given and how many of them were told to stop. */
async function serve() {
  const sinks: EventSink[] = [];
  const stopped: EventSink[] = [];
  const events = (sink: EventSink) => {
    sinks.push(sink);
    sink.send('first', { number: sinks.length });
    return () => void stopped.push(sink);
  };
  const server = new HttpServer({
    routes: [{ method: 'GET', path: '/events', handle: async () => ({ status: 200, events }) }],
    log: new QuietLog(),
    random: systemRandom,
    connections: { overall: 512, perNetwork: 512 },
  });
  closers.push(() => server.close(100));
  const port = await server.listen({ host: '127.0.0.1', port: 0 });
  return { server, sinks, stopped, url: `http://127.0.0.1:${port}/events`, port };
}

async function open(url: string) {
  const abort = new AbortController();
  closers.push(() => abort.abort());
  const response = await fetch(url, { signal: abort.signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  const read = async () => (await reader?.read())?.value ?? '';
  return { abort, read, response };
}

test('events go out as they come, and the end ends the response', async () => {
  const { sinks, stopped, url } = await serve();
  const { read, response } = await open(url);
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  expect(response.headers.get('cache-control')).toBe('no-store');
  expect(await read()).toBe('event: first\ndata: {"number":1}\n\n');
  sinks[0]?.send('second', { line: 'a\nb' });
  expect(await read()).toBe('event: second\ndata: {"line":"a\\nb"}\n\n');
  sinks[0]?.end();
  expect(await read()).toBe('');
  expect(stopped).toEqual(sinks);
});

test('a client that goes is let go of', async () => {
  const { sinks, stopped, url } = await serve();
  const { abort, read } = await open(url);
  await read();
  abort.abort();
  await expect.poll(() => stopped.length).toBe(1);
  sinks[0]?.send('late', {});
  expect(stopped).toHaveLength(1);
});

test('a client that does not read is cut off', async () => {
  const { port, sinks, stopped } = await serve();
  const socket = connect(port, '127.0.0.1');
  closers.push(() => socket.destroy());
  socket.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(socket, 'readable');
  for (let sent = 0; sent < 4_096 && stopped.length === 0; sent += 1) {
    sinks[0]?.send('much', 'x'.repeat(16_384));
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  await expect.poll(() => stopped.length).toBe(1);
});

test('past the limit a client is refused until one has gone', async () => {
  const { url } = await serve();
  const streams = await Promise.all(Array.from({ length: LIMITS.eventStreams }, () => open(url)));
  const refused = await fetch(url);
  expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([503, 'hub_busy']);
  streams[0]?.abort.abort();
  await expect
    .poll(async () => {
      const { abort, response } = await open(url);
      abort.abort();
      return response.status;
    })
    .toBe(200);
});

test('a server that closes ends them at once, and waits for none', async () => {
  const { server, stopped, url } = await serve();
  const { read } = await open(url);
  await read();
  const began = performance.now();
  await server.close(30_000);
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(stopped).toHaveLength(1);
  expect(await read()).toBe('');
});
