/**
 * A broker inside the hub, for the demo and for small sites. It keeps everything in memory: a restart of the hub forgets
 * sessions and what waits in them. A site that needs more runs a broker of its own.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Aedes } from 'aedes';
import { LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { Repeats } from '../../src/core/repeats.ts';
import { type ConnectionLimits, Connections } from '../http/connections.ts';
import { type AccessOptions, accessRules } from './embedded-access.ts';

export interface EmbeddedBrokerOptions extends AccessOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly connections?: ConnectionLimits;
}

export interface EmbeddedBroker {
  readonly port: number;
  close(): Promise<void>;
}

/** Milliseconds. */
const CONNECT_DEADLINE = 10_000;
const SESSION_SECONDS = 600;
const TOPIC_LEVELS = 16;
/**
 * How long a client may leave what is sent to it unread, milliseconds. aedes hands messages out in turn, the hub's too, so
 * that all wait for the one who does not read.
 */
const DRAIN_DEADLINE = 1_000;
const CONNECTIONS: ConnectionLimits = {
  overall: LIMITS.embeddedConnections,
  perNetwork: LIMITS.embeddedConnectionsPerNetwork,
};
/** One line of the log a minute, and a sum. */
const REFUSALS = { window: 60_000, ofOneKind: 1, overall: 1 };

/** @throws {LatchkeyError} `address_unavailable`, `embedded_broker_missing` */
export async function openEmbeddedBroker(options: EmbeddedBrokerOptions): Promise<EmbeddedBroker> {
  const broker = await startBroker(options);
  const server = createServer({ noDelay: true });
  const refusals = new Repeats<undefined>(REFUSALS, (_, count) => tellRefused(options, count));
  const connections = new Connections(server, options.connections ?? CONNECTIONS, () => {
    if (refusals.tells('connection', undefined)) tellRefused(options, 1);
  });
  // Behind the limits, which have closed it where there are too many.
  server.on('connection', (socket: Socket) => {
    if (!socket.destroyed) broker.handle(socket);
  });
  const close = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    await new Promise<void>((resolve) => broker.close(resolve));
    connections.destroyAll();
    await closed;
    refusals.end();
  };
  try {
    return { port: await listen(server, options.listen), close };
  } catch (error) {
    await close();
    throw error;
  }
}

function tellRefused({ log }: EmbeddedBrokerOptions, count: number): void {
  log.warn(
    { event: 'connections_refused', front: 'mqtt', count },
    'connections to the embedded MQTT broker were refused',
  );
}

async function startBroker(options: EmbeddedBrokerOptions): Promise<Aedes> {
  const { Aedes } = await load();
  const broker = new Aedes({
    ...accessRules(options),
    maximumPacketSize: LIMITS.brokerPacketBytes,
    connectTimeout: CONNECT_DEADLINE,
    drainTimeout: DRAIN_DEADLINE,
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
