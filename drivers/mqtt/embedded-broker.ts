/**
 * A broker inside the hub, for the demo and for small sites. It keeps everything in memory: a restart of the hub forgets
 * sessions and what waits in them. A site that needs more runs a broker of its own.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Aedes } from 'aedes';
import { LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { type AccessOptions, accessRules } from './embedded-access.ts';

export interface EmbeddedBrokerOptions extends AccessOptions {
  readonly listen: { readonly host: string; readonly port: number };
}

export interface EmbeddedBroker {
  readonly port: number;
  close(): Promise<void>;
}

/** Milliseconds. */
const CONNECT_DEADLINE = 10_000;
const SESSION_SECONDS = 600;
const TOPIC_LEVELS = 16;

/** @throws {LatchkeyError} `address_unavailable`, `embedded_broker_missing` */
export async function openEmbeddedBroker(options: EmbeddedBrokerOptions): Promise<EmbeddedBroker> {
  const broker = await startBroker(options);
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    broker.handle(socket);
  });
  server.maxConnections = LIMITS.embeddedConnections;
  const close = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    await new Promise<void>((resolve) => broker.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  try {
    return { port: await listen(server, options.listen), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startBroker(options: EmbeddedBrokerOptions): Promise<Aedes> {
  const { Aedes } = await load();
  const broker = new Aedes({
    ...accessRules(options),
    maximumPacketSize: LIMITS.brokerPacketBytes,
    connectTimeout: CONNECT_DEADLINE,
    maxTopicLevels: TOPIC_LEVELS,
    sessionExpiryIntervalLimit: SESSION_SECONDS,
    pendingSessionsLimit: LIMITS.embeddedConnections,
  });
  const fail = (_: unknown, error: Error) =>
    options.log.debug({ event: 'mqtt_client', reason: error.message }, 'an MQTT client failed');
  broker.on('clientError', fail).on('connectionError', fail);
  await broker.listen();
  return broker;
}

async function load(): Promise<{ readonly Aedes: typeof Aedes }> {
  try {
    return await import('aedes');
  } catch (error) {
    throw new LatchkeyError('embedded_broker_missing', undefined, { cause: error });
  }
}

function listen(server: Server, { host, port }: EmbeddedBrokerOptions['listen']): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(new LatchkeyError('address_unavailable', `${host}:${port} (${error.code ?? 'failed'})`, { cause: error }));
    });
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}
