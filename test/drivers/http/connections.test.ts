/** Nobody takes the room of all: connections past the limits are closed, and others are served meanwhile. */
import { once } from 'node:events';

import { type ClientRequestArgs, get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { ConnectionLimits } from '../../../drivers/http/connections.ts';
import { OwnLinks } from '../../../drivers/http/own-links.ts';
import { HttpServer, type HttpServerOptions } from '../../../drivers/http/server.ts';
import { systemRandom } from '../../../drivers/system-time.ts';
import { createLog } from '../../../src/observe/log.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';
import { tlsFile } from '../../fixtures/faulty-server.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function serve(connections: ConnectionLimits, more: Partial<HttpServerOptions> = {}) {
  const log = new QuietLog();
  const routes = [{ method: 'GET', path: '/x', handle: async () => ({ status: 204 }) } as const];
  const server = new HttpServer({ routes, log, random: systemRandom, connections, ...more });
  const port = await server.listen({ host: '0.0.0.0', port: 0 });
  open.push({ close: () => server.close(100) });
  return { log, port, server };
}

/** Opens connections from one address and says nothing on them. */
async function hold(
  port: number,
  count: number,
  localAddress: string,
): Promise<{ readonly sockets: readonly Socket[]; closed(): number }> {
  const sockets = Array.from({ length: count }, () => connect({ port, host: '127.0.0.1', localAddress }));
  open.push({ close: async () => sockets.forEach((socket) => void socket.destroy()) });
  for (const socket of sockets) socket.on('error', () => undefined).resume();
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  return { sockets, closed: () => sockets.filter((socket) => socket.closed).length };
}

/** The status that a client at this address gets; the error's code where it gets none. */
function status(port: number, localAddress: string): Promise<number | string | undefined> {
  const options: ClientRequestArgs = { host: '127.0.0.1', port, path: '/x', localAddress, agent: false };
  return new Promise((resolve) => {
    const sent = get(options, (answer) => resolve(answer.resume().statusCode));
    sent.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
  });
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('a flood of connections', () => {
  test('from one address is cut at its limit, and leaves another address served', async () => {
    const { port } = await serve({ overall: 16, perNetwork: 4 });
    const { closed } = await hold(port, 12, '127.0.0.1');
    await until(() => closed() === 8);
    expect(await status(port, '127.0.0.1')).toBe('ECONNRESET');
    expect(await status(port, '127.0.0.2')).toBe(204);
  });

  test('from many addresses is cut at the limit of all', async () => {
    const { port } = await serve({ overall: 4, perNetwork: 2 });
    const flood = [
      await hold(port, 2, '127.0.0.3'),
      await hold(port, 2, '127.0.0.4'),
      await hold(port, 2, '127.0.0.5'),
    ];
    await until(() => flood[2]?.closed() === 2);
    expect(flood.map(({ closed }) => closed())).toEqual([0, 0, 2]);
  });

  test('from all addresses that one host of a link takes leaves half of the room to others', async () => {
    // 127.1.0.0/16 is a link of the hub here, 127.0.0.0/16 its own machine.
    const info = { family: 'IPv4', mac: '00:00:00:00:00:00', netmask: '' } as const;
    const read = () => ({
      lo: [{ ...info, address: '127.0.0.1', cidr: '127.0.0.1/16', internal: true }],
      eth0: [{ ...info, address: '127.1.0.1', cidr: '127.1.0.1/16', internal: false }],
    });
    const { port } = await serve({ overall: 16, perNetwork: 4 }, { links: new OwnLinks({ read }) });
    const flood = await Promise.all(Array.from({ length: 6 }, (_, index) => hold(port, 4, `127.1.0.${index + 10}`)));
    const refused = () => flood.reduce((sum, { closed }) => sum + closed(), 0);
    await until(() => refused() === 16);
    expect(await status(port, '127.1.0.99')).toBe('ECONNRESET');
    // A reverse proxy on the hub's machine, and a client of another network.
    expect(await status(port, '127.0.0.1')).toBe(204);
    expect(await status(port, '127.2.0.1')).toBe(204);
    expect(refused()).toBe(16);
  });

  test('leaves room again when it ends', async () => {
    const { port } = await serve({ overall: 16, perNetwork: 2 });
    const { sockets } = await hold(port, 2, '127.0.0.1');
    expect(await status(port, '127.0.0.1')).toBe('ECONNRESET');
    for (const socket of sockets) socket.destroy();
    let answer: unknown;
    while (answer !== 204) answer = await status(port, '127.0.0.1');
  });

  test('over TLS is cut as well, and the server goes on', async () => {
    const { port } = await serve(
      { overall: 16, perNetwork: 2 },
      { tls: { cert: tlsFile('server.pem'), key: tlsFile('server-key.pem') } },
    );
    const { sockets, closed } = await hold(port, 6, '127.0.0.1');
    for (const socket of sockets) socket.write('no TLS at all');
    await until(() => closed() === 6);
    const { closed: closedLater } = await hold(port, 2, '127.0.0.2');
    expect(closedLater()).toBe(0);
  });

  test('is a few lines of the log, and a sum', async () => {
    const lines: string[] = [];
    const log = createLog({ level: 'info', destination: { write: (line) => void lines.push(line) } });
    const { port } = await serve({ overall: 16, perNetwork: 1 }, { log });
    const { closed } = await hold(port, 11, '127.0.0.1');
    await until(() => closed() === 10);
    log.flush();
    const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(told.filter(({ event }) => event === 'connections_refused').length).toBeLessThanOrEqual(5);
    expect(told.at(-1)).toMatchObject({ event: 'repeated', of: 'connections_refused' });
  });
});

test('closing does not wait for who never ends a TLS handshake', async () => {
  const tls = { cert: tlsFile('server.pem'), key: tlsFile('server-key.pem') };
  const { port, server } = await serve({ overall: 16, perNetwork: 16 }, { tls });
  const { closed } = await hold(port, 1, '127.0.0.1');
  const began = performance.now();
  await server.close(100);
  expect(performance.now() - began).toBeLessThan(5_000);
  await until(() => closed() === 1);
});
