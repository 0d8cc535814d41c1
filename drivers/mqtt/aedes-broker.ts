/**
 * The broker of drivers/mqtt/broker-process.ts: aedes behind gates. It keeps everything in memory: a restart forgets what waits. A site
 * that needs more runs a broker of its own.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Aedes } from 'aedes';
import type { ConnectFacts, PacketFacts } from '../../src/codec/mqtt/inspect-packet.ts';
import { type PacketRefusal, refuse } from '../../src/codec/mqtt/packet-reader.ts';
import { PACKET, REASON } from '../../src/codec/mqtt/registry.ts';
import type { Timers } from '../../src/core/clock.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { Connections } from '../http/connections.ts';
import { type FromBroker, HUB_USER, type RefusedWord, type ToBroker } from './broker-messages.ts';
import { ConnackNotes, disconnectPacket, refusingConnack } from './connack.ts';
import { EmbeddedAccess } from './embedded-access.ts';
import { GatedStream } from './gated-stream.ts';
import { HeldMessages, type OutgoingStore } from './held-messages.ts';
import { PacketGate } from './packet-gate.ts';
import { Topics } from './topics.ts';

export interface AedesBrokerOptions {
  readonly open: Extract<ToBroker, { kind: 'open' }>;
  readonly say: (message: FromBroker) => void;
  readonly refused: (word: RefusedWord) => void;
  readonly timers: Timers;
}

export interface AedesBroker {
  readonly port: number;
  readonly access: Pick<EmbeddedAccess, 'verdict'>;
  /** Ends the connections of a device. */
  end(device: string): void;
}

/** Milliseconds. */
const CONNECT_DEADLINE = 10_000;
/** How long the last word to a client may take, milliseconds. */
const END_DEADLINE = 1_000;
/** The hub's session alone outlives its connections, seconds. */
const SESSION_SECONDS = 600;
const TOPIC_LEVELS = 16;
/** Errors of listen that are about the address; others, such as EMFILE, are about the machine. */
const ADDRESS_ERRORS: ReadonlySet<string> = new Set([
  'EADDRINUSE',
  'EACCES',
  'EADDRNOTAVAIL',
  'EAFNOSUPPORT',
  'ENOTFOUND',
]);
/**
 * How long a client may leave what is sent to it unread, milliseconds. aedes hands messages out in turn, the hub's too, so
 * that all wait for the client that does not read.
 */
const DRAIN_DEADLINE = 1_000;

/** @throws {LatchkeyError} `address_unavailable`, `embedded_broker_missing`; `embedded_broker_down` where the system has no room */
export async function openAedesBroker(options: AedesBrokerOptions): Promise<AedesBroker> {
  const { open, refused, say, timers } = options;
  const held = new HeldMessages();
  const ask = say;
  const access = new EmbeddedAccess({ topics: new Topics(open.topicPrefix), ask, refused, held, timers });
  const broker = await startAedes(access, held);
  const server = createServer({ noDelay: true });
  new Connections(server, open.connections, () => say({ kind: 'connections_refused', count: 1 }));
  // Behind the limits, which have closed it where there are too many.
  server.on('connection', (socket: Socket) => {
    if (!socket.destroyed) broker.handle(gated(socket, refused));
  });
  return {
    port: await listen(server, open.listen),
    access,
    end(device) {
      for (const { conn } of access.connectionsOf(device))
        if (conn instanceof GatedStream) conn.endWith(disconnectPacket(REASON.administrative), END_DEADLINE);
    },
  };
}

async function startAedes({ rules }: EmbeddedAccess, held: HeldMessages): Promise<Aedes> {
  const { Aedes } = await load();
  const broker = new Aedes({
    ...rules,
    maximumPacketSize: LIMITS.brokerPacketBytes,
    connectTimeout: CONNECT_DEADLINE,
    drainTimeout: DRAIN_DEADLINE,
    maxTopicLevels: TOPIC_LEVELS,
    sessionExpiryIntervalLimit: SESSION_SECONDS,
    pendingSessionsLimit: LIMITS.embeddedConnections,
  });
  const pass = () => {
    // The connection is ended by then. What a client may not do the gate and the rules have told.
  };
  broker.on('clientError', pass).on('connectionError', pass);
  await broker.listen();
  // Not among its types: the store that `listen` makes.
  held.watch((broker as Aedes & { readonly persistence: OutgoingStore }).persistence);
  return broker;
}

/** What a client sends reaches aedes through a gate, and stays outside of it until there was a CONNECT of MQTT 5.0. */
function gated(socket: Socket, refused: (word: RefusedWord) => void): GatedStream {
  let connect: ConnectFacts | undefined;
  const connack = new ConnackNotes(() => connect?.username === HUB_USER);
  const gate = new PacketGate({
    sender: 'client',
    mostBytes: () => (connect === undefined ? LIMITS.embeddedConnectBytes : LIMITS.brokerPacketBytes),
    judge(facts) {
      if ((facts.type === PACKET.CONNECT) !== (connect === undefined))
        return refuse(REASON.protocolError, 'CONNECT out of its order');
      connect ??= facts.connect;
      return beyondOurs(facts);
    },
    leavesOut: () => false,
  });
  const onRefusal = ({ reason, what: detail }: PacketRefusal, stream: GatedStream) => {
    const username = (connect?.username ?? '').slice(0, LIMITS.embeddedLoginLength);
    const address = stream.remoteAddress;
    refused({ kind: 'refused', code: 'mqtt_packet_refused', username, address, detail, topic: undefined });
    if (connack.isSent) stream.endWith(disconnectPacket(reason), END_DEADLINE);
    else stream.endWith(refusingConnack(connect?.version ?? 5, reason), END_DEADLINE);
  };
  return new GatedStream({ socket, gate, onRefusal, outgoing: (bytes) => connack.note(bytes) });
}

/** What keeps the rules of MQTT and is more than this broker offers. */
function beyondOurs({ connect, filters, qos }: PacketFacts): PacketRefusal | undefined {
  if (connect !== undefined && connect.version !== 5)
    return refuse(REASON.unsupportedVersion, `MQTT of version ${connect.version}`);
  if (connect !== undefined && connect.willBytes > LIMITS.embeddedWillBytes)
    return refuse(REASON.quotaExceeded, `a last will of ${connect.willBytes} bytes`);
  if (qos === 2) return refuse(REASON.qosNotSupported, 'QoS 2');
  if (filters.length > LIMITS.embeddedFiltersPerPacket)
    return refuse(REASON.quotaExceeded, `${filters.length} filters in one packet`);
  return undefined;
}

async function load(): Promise<{ readonly Aedes: typeof Aedes }> {
  try {
    return await import('aedes');
  } catch (error) {
    throw new LatchkeyError('embedded_broker_missing', undefined, { cause: error });
  }
}

function listen(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(listenFailure(error, `${host}:${port}`));
    });
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

export function listenFailure(error: NodeJS.ErrnoException, at: string): LatchkeyError {
  const { code = 'failed' } = error;
  const ours = ADDRESS_ERRORS.has(code) ? 'address_unavailable' : 'embedded_broker_down';
  return new LatchkeyError(ours, `${at} (${code})`, { cause: error });
}
