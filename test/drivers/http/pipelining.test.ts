/** A client that sends requests without waiting for answers takes its share of the hub's work, and no more. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { EventSink } from '../../../drivers/http/event-streams.ts';
import { PeerConnection } from '../../../drivers/http/peer-connection.ts';
import { HttpServer, type Route } from '../../../drivers/http/server.ts';
import { systemRandom } from '../../../drivers/system-time.ts';
import { LIMITS } from '../../../src/core/limits.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(routes: readonly Route[], perNetwork = 512) {
  const log = new QuietLog();
  const server = new HttpServer({ routes, log, random: systemRandom, connections: { overall: 512, perNetwork } });
  closers.push(() => server.close(100));
  const port = await server.listen({ host: '127.0.0.1', port: 0 });
  return { log, port, server, origin: `http://127.0.0.1:${port}` };
}

/** Sends all of it at once, and answers with what came back until the connection was closed, however that was. */
async function flood(port: number, text: string): Promise<string> {
  const socket = dial(port);
  let answer = '';
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1');
  });
  socket.write(text);
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return answer;
}

function dial(port: number): Socket {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  closers.push(() => socket.destroy());
  return socket;
}

/** As many requests as fill so many bytes. */
const filling = (bytes: number, request: string) => request.repeat(Math.floor(bytes / request.length));

const statuses = (answer: string) => [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => Number(match[1]));

function counted(path: string): { readonly route: Route; handled(): number } {
  let handled = 0;
  const handle: Route['handle'] = async () => {
    handled += 1;
    return { status: 200, body: { keys: 'x'.repeat(1_000) } };
  };
  return { route: { method: 'GET', path, handle }, handled: () => handled };
}

const GET = 'GET /jwks HTTP/1.1\r\nhost: x\r\n\r\n';

describe('requests that come without waiting for answers', () => {
  test('end their connection after one refusal', async () => {
    const { route, handled } = counted('/jwks');
    const { log, port } = await serve([route]);
    const answer = await flood(port, filling(65_000, GET));
    expect(handled()).toBe(LIMITS.requestsPerConnection);
    expect(statuses(answer).filter((status) => status === 503).length).toBeLessThanOrEqual(1);
    expect(log.lines.filter(({ fields }) => fields.code === 'hub_busy')).toHaveLength(1);
  });

  test.each([
    ['an expectation that no server knows', 'GET /jwks HTTP/1.1\r\nhost: x\r\nexpect: a-miracle\r\n\r\n'],
    ['no Host', 'GET /jwks HTTP/1.1\r\n\r\n'],
    ['two Hosts', 'GET /jwks HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n'],
    ['a path that is not there', 'GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n'],
  ])('are counted with %s', async (_name, request) => {
    const { route, handled } = counted('/jwks');
    const { port } = await serve([route]);
    const answer = await flood(port, filling(65_000, request));
    expect(statuses(answer).length).toBeLessThanOrEqual(LIMITS.requestsPerConnection + 1);
    expect(handled()).toBeLessThanOrEqual(LIMITS.requestsPerConnection);
  });

  test('on 60 connections at once do not keep another client from its answer', async () => {
    const { route, handled } = counted('/jwks');
    const { origin, port } = await serve([route]);
    const sockets = Array.from({ length: 60 }, () => dial(port));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    const burst = filling(260_000, GET);
    const gone = sockets.map((socket) => once(socket.resume(), 'close'));
    for (const socket of sockets) socket.write(burst);
    const began = performance.now();
    expect((await fetch(`${origin}/jwks`)).status).toBe(200);
    // About 50 ms on one busy core; it were ten seconds if every request of the burst were answered.
    expect(performance.now() - began).toBeLessThan(3_000);
    await Promise.all(gone);
    expect(handled()).toBe(60 * LIMITS.requestsPerConnection + 1);
  });

  test('leave the rest of what was read unparsed', async () => {
    const { port } = await serve([counted('/jwks').route]);
    // Whatever comes behind the request that ends the connection is not looked at, or this were 400.
    const answer = await flood(port, `${GET.repeat(LIMITS.requestsPerConnection + 2)}\u0001 is no HTTP\r\n\r\n`);
    expect(statuses(answer)).not.toContain(400);
  });

  test('within the share are answered in their order, again and again', async () => {
    const { route, handled } = counted('/jwks');
    const { port } = await serve([route]);
    const socket = dial(port);
    let answer = '';
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1');
    });
    for (let round = 1; round <= 3; round += 1) {
      socket.write(GET.repeat(LIMITS.requestsPerConnection));
      await expect.poll(() => statuses(answer).length).toBe(round * LIMITS.requestsPerConnection);
    }
    expect(new Set(statuses(answer))).toEqual(new Set([200]));
    expect(handled()).toBe(3 * LIMITS.requestsPerConnection);
  });
});

describe('a peer that does not read', () => {
  const large: Route = {
    method: 'GET',
    path: '/jwks',
    handle: async () => ({ status: 200, body: new Uint8Array(2_000_000) }),
  };

  test('is read from no more once its answers wait', async () => {
    let handled = 0;
    const { port } = await serve([
      {
        ...large,
        handle: (request) => {
          handled += 1;
          return large.handle(request);
        },
      },
    ]);
    const socket = dial(port).pause();
    for (let sent = 0; sent < 40; sent += 1) {
      socket.write(GET);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => handled).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    // The system takes one or two answers of 2 MB for the peer.
    expect(handled).toBeLessThanOrEqual(LIMITS.requestsPerConnection + 4);
  });

  test('is cut off when it has taken nothing for half a minute, and not before', async () => {
    const cut: number[] = [];
    const socket = { remoteAddress: '192.0.2.1', bytesWritten: 900, writableLength: 400, once: () => socket };
    const connection = new PeerConnection({ ...socket, destroy: () => cut.push(1) } as unknown as Socket);
    for (const now of [0, 10_000, 29_000]) connection.cutIfUnread(now);
    expect(cut).toEqual([]);
    connection.cutIfUnread(30_000);
    expect(cut).toEqual([1]);
  });
});

describe('event streams', () => {
  function events(): { readonly route: Route; readonly stopped: EventSink[]; readonly sinks: EventSink[] } {
    const sinks: EventSink[] = [];
    const stopped: EventSink[] = [];
    const source = (sink: EventSink) => {
      sinks.push(sink);
      sink.send('first', {});
      return () => void stopped.push(sink);
    };
    const handle: Route['handle'] = async ({ parameters }) => ({
      status: 200,
      events: source,
      about: `${parameters.id}`,
    });
    return { route: { method: 'GET', path: '/deliveries/:id', handle }, sinks, stopped };
  }

  const of = (delivery: number) => `GET /deliveries/${delivery} HTTP/1.1\r\nhost: x\r\n\r\n`;

  test('cannot be held all by five connections', async () => {
    const { route, sinks, stopped } = events();
    const { port } = await serve([route]);
    const requests = (connection: number) =>
      Array.from({ length: 32 }, (_, index) => of(connection * 32 + index)).join('');
    const answers = await Promise.all([0, 1, 2, 3, 4].map((connection) => flood(port, requests(connection))));
    expect(sinks).toHaveLength(5 * LIMITS.requestsPerConnection);
    expect(stopped).toHaveLength(sinks.length);
    expect(answers.map((answer) => statuses(answer).length <= LIMITS.requestsPerConnection + 1)).not.toContain(false);
  });

  test('that wait behind another one on a connection end with the connection', async () => {
    const { route, sinks, stopped } = events();
    const { port } = await serve([route]);
    const socket = dial(port).resume();
    socket.write(of(1) + of(2) + of(3));
    await expect.poll(() => sinks.length).toBe(3);
    socket.destroy();
    await expect.poll(() => stopped.length).toBe(3);
  });

  test('of one network are a part of all, like its connections', async () => {
    const { route, sinks } = events();
    const { origin, port } = await serve([route], 128);
    const sockets = Array.from({ length: LIMITS.eventStreams / 4 }, () => dial(port).resume());
    for (const [index, socket] of sockets.entries()) socket.write(of(index));
    await expect.poll(() => sinks.length).toBe(LIMITS.eventStreams / 4);
    expect(await refusalOf(`${origin}/deliveries/none`)).toEqual([503, 'hub_busy']);
    sockets[0]?.destroy();
    await expect.poll(async () => (await refusalOf(`${origin}/deliveries/one`))[0]).toBe(200);
  });

  test('about one delivery have a share', async () => {
    const { route, sinks } = events();
    const { origin, port } = await serve([route]);
    for (let open = 0; open < LIMITS.eventStreamsPerDelivery; open += 1) dial(port).resume().write(of(7));
    await expect.poll(() => sinks.length).toBe(LIMITS.eventStreamsPerDelivery);
    expect(await refusalOf(`${origin}/deliveries/7`)).toEqual([503, 'hub_busy']);
    expect((await refusalOf(`${origin}/deliveries/8`))[0]).toBe(200);
  });

  async function refusalOf(url: string): Promise<readonly [number, string | undefined]> {
    const abort = new AbortController();
    const response = await fetch(url, { signal: abort.signal });
    const code = response.ok ? undefined : ((await response.json()) as { code: string }).code;
    abort.abort();
    return [response.status, code];
  }
});

test('request bodies of one network have a share of the memory, and give it back', async () => {
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let under = 0;
  const bodyBytes = LIMITS.httpBodyBytes / 8;
  const handle: Route['handle'] = async () => {
    under += 1;
    await held;
    return { status: 204 };
  };
  const { origin } = await serve([{ method: 'POST', path: '/x', bodyBytes, handle }], 128);
  const post = () => fetch(`${origin}/x`, { method: 'POST', body: new Uint8Array(bodyBytes) });
  const first = [post(), post()];
  await expect.poll(() => under).toBe(2);
  const refused = await fetch(`${origin}/x`, { method: 'POST', body: 'one byte and more' });
  expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([503, 'hub_busy']);
  release();
  expect((await Promise.all(first)).map(({ status }) => status)).toEqual([204, 204]);
  expect((await post()).status).toBe(204);
});
