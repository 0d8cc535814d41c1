import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { IClientOptions, IPublishPacket, MqttClient } from 'mqtt';
import { type PacketRefusal, refuse } from '../../src/codec/mqtt/packet-reader.ts';
import { PACKET, REASON } from '../../src/codec/mqtt/registry.ts';
import type { Timers } from '../../src/core/clock.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import type { Secret } from '../../src/core/secret.ts';
import type { MessageListener, OutgoingMessage } from '../../src/ports/message-broker.ts';
import { brokerFailure } from './broker-failures.ts';
import type { BrokerSettings } from './broker-settings.ts';
import { GatedStream } from './gated-stream.ts';
import { PacketGate } from './packet-gate.ts';

/** Where the broker is, and who asks there: the hub, or a device. */
export interface BrokerAccess {
  readonly host: string;
  readonly port: number;
  /** Undefined for a connection without TLS. PEM. */
  readonly tls: BrokerTls | undefined;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Secret<string> | undefined;
}

interface BrokerTls {
  /** In place of the system's authorities. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** What a session says about itself: on a topic of its own, retained, with the last will as the end of it. */
export interface Presence {
  readonly topic: string;
  readonly online: Uint8Array;
  readonly offline: Uint8Array;
}

interface SessionEvents {
  /** The broker took the client in, lets it listen, and has its presence. Messages may come before. */
  onUp(): void;
  readonly onMessage: MessageListener;
  /** A message that is not as MQTT has it was left out, and settled. */
  onMalformed(what: string): void;
  /** Comes once, whatever happens. */
  onDown(error: LatchkeyError): void;
}

interface SessionOptions {
  readonly access: BrokerAccess;
  readonly filter: string;
  readonly presence?: Presence;
  readonly settings: BrokerSettings;
  readonly timers: Timers;
  readonly events: SessionEvents;
}

const MQTT_5 = 5;
const SUCCESS = 0x00;
const PRESENCE_TYPE = 'application/json';
/** Retained messages are not wanted: a request that is retained would be answered at every connection (§3.8.3.1). */
const NO_RETAINED = 2;

/**
 * One connection to a broker, from CONNECT to its end. The client of mqtt is used for this one connection only: what it
 * does to keep a session alive over several (it says one message after the other again, each after the last one's
 * PUBACK, and meanwhile is not connected) is the matter of `BrokerConnection`.
 */
export class BrokerSession {
  readonly #client: MqttClient;
  readonly #options: SessionOptions;
  #cause: LatchkeyError | undefined;
  #connected = false;
  #ended = false;
  #onEnded: (() => void) | undefined;
  #cancelDeadline: (() => void) | undefined;

  constructor(Client: typeof MqttClient, options: SessionOptions) {
    this.#options = options;
    const client = new Client(() => this.#openStream(), clientOptions(options));
    this.#client = client;
    // Its documented way to hold packets back. An error keeps it from sending the PUBACK, which comes with `settle`.
    client.handleMessage = (packet, done) => this.#take(packet, done);
    client.on('connect', () => this.#begin());
    client.on('disconnect', (packet) => this.#fail(packet));
    client.on('error', (error) => {
      this.#fail(error);
      client.stream.destroy();
    });
    client.stream.on('error', (error: Error) => this.#fail(error));
    client.on('close', () => this.#end());
  }

  /** Messages with QoS 1 that may be with the broker unconfirmed (Receive Maximum of its CONNACK). */
  get room(): number {
    return Math.min(this.#client.serverProperties?.receiveMaximum ?? 65_535, this.#options.settings.unconfirmed);
  }

  /**
   * Writes a message, behind what was written before. `onConfirmed` comes with the broker's PUBACK, never for QoS 0.
   * @returns false where nothing was written: there is no connection, or too much waits to leave on it
   */
  publish(message: OutgoingMessage, onConfirmed: (refusal: LatchkeyError | undefined) => void): boolean {
    const client = this.#client;
    if (!this.#connected || this.#ended) return false;
    if (message.qos === 0 && client.stream.writableLength > LIMITS.brokerWriteBytes) return false;
    const { contentType, correlationData, responseTopic, retain = false } = message;
    client.publish(
      message.topic,
      bufferOf(message.payload),
      {
        qos: message.qos,
        retain,
        properties: {
          contentType,
          ...(responseTopic === undefined ? {} : { responseTopic }),
          ...(correlationData === undefined ? {} : { correlationData: bufferOf(correlationData) }),
        },
      },
      (error) => {
        const reason = reasonOf(error);
        // Without one the connection is gone, and it is not known whether the broker has it.
        if (message.qos === 1 && reason !== undefined)
          onConfirmed(reason === SUCCESS ? undefined : brokerFailure({ reasonCode: reason }));
      },
    );
    return true;
  }

  /** Gives the connection up, for this reason. */
  abandon(reason: LatchkeyError): void {
    this.#fail(reason);
    this.#client.stream.destroy();
  }

  /** Says `offline` for itself and leaves; the broker keeps the session. Resolves at the latest after the deadline. */
  async leave(): Promise<void> {
    if (this.#ended) return;
    const { presence, settings, timers } = this.#options;
    const ended = new Promise<void>((resolve) => {
      this.#onEnded = resolve;
    });
    const cancel = timers.after(settings.closeDeadline, () => this.#client.stream.destroy());
    const leave = () => this.#client.end(false);
    if (!this.#connected) this.#client.stream.destroy();
    else if (presence === undefined) leave();
    else this.#client.publish(presence.topic, bufferOf(presence.offline), PRESENCE_OPTIONS, leave);
    await ended;
    cancel();
  }

  /**
   * What the broker sends is checked before the library sees it. A malformed message may be a device's that the broker handed on:
   * it is left out and settled, since a broker would bring it again after each reconnection.
   */
  #openStream(): GatedStream {
    const socket = openSocket(this.#options.access);
    let isGreeted = false;
    const gate = new PacketGate({
      sender: 'server',
      mostBytes: () => LIMITS.brokerPacketBytes,
      judge: ({ qos, type }) => {
        if (isGreeted === (type === PACKET.CONNACK)) return refuse(REASON.protocolError, 'CONNACK out of its order');
        isGreeted = true;
        return qos === 2 ? refuse(REASON.qosNotSupported, 'QoS 2, which was not asked for') : undefined;
      },
      leavesOut: ({ what }, qos, packetId) => {
        if (!isGreeted || qos === 2) return false;
        if (qos === 1) socket.write(puback(packetId));
        this.#options.events.onMalformed(what);
        return true;
      },
    });
    const onRefusal = ({ reason, what }: PacketRefusal, stream: GatedStream) => {
      this.#fail(new LatchkeyError('broker_packet_invalid', what));
      stream.endWith(disconnect(reason), this.#options.settings.closeDeadline);
    };
    return new GatedStream({ socket, gate, onRefusal });
  }

  #begin(): void {
    const { events, settings, timers } = this.#options;
    this.#connected = true;
    this.#cancelDeadline = timers.after(settings.connectDeadline, () =>
      this.abandon(new LatchkeyError('broker_unreachable', 'it confirms nothing')),
    );
    // Who may not do both gets no question or gives no answer, whatever else the broker allows.
    void Promise.all([this.#listen(), this.#announce()]).then(() => {
      if (this.#ended) return;
      this.#cancelDeadline?.();
      events.onUp();
    });
  }

  #listen(): Promise<void> {
    const { filter } = this.#options;
    return this.#granted(`listen to ${filter}`, (done) =>
      this.#client.subscribe(filter, { qos: 1, rh: NO_RETAINED }, (error, _, packet) =>
        done(error === null ? SUCCESS : refusalIn(packet)),
      ),
    );
  }

  async #announce(): Promise<void> {
    const { presence } = this.#options;
    if (presence === undefined) return;
    const { online, topic } = presence;
    await this.#granted(`write on ${topic}`, (done) =>
      this.#client.publish(topic, bufferOf(online), PRESENCE_OPTIONS, (error) => done(reasonOf(error))),
    );
  }

  /** Resolves once the broker agreed. Where it refuses, the connection is given up. */
  #granted(what: string, ask: (done: (reason: number | undefined) => void) => unknown): Promise<void> {
    return new Promise((resolve) => {
      ask((reason) => {
        if (reason === SUCCESS) resolve();
        else if (reason !== undefined)
          this.abandon(
            new LatchkeyError('broker_refused', `may not ${what}: ${brokerFailure({ reasonCode: reason }).detail}`),
          );
      });
    });
  }

  #take(packet: IPublishPacket, done: (error?: Error) => void): void {
    const { messageId, properties, qos } = packet;
    const goOn = qos === 1 ? () => done(SETTLED_LATER) : () => done();
    const held = this.#options.events.onMessage({
      topic: packet.topic,
      payload: typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload,
      qos: qos === 0 ? 0 : 1,
      again: packet.dup,
      contentType: properties?.contentType,
      responseTopic: properties?.responseTopic,
      correlationData: properties?.correlationData,
      settle: () => {
        if (qos === 1 && messageId !== undefined && !this.#ended) this.#client.stream.write(puback(messageId));
      },
    });
    if (held === undefined) goOn();
    else void held.then(goOn, goOn);
  }

  /** The first thing that went wrong is the reason; what follows are its consequences. */
  #fail(cause: unknown): void {
    this.#cause ??= cause instanceof LatchkeyError ? cause : brokerFailure(cause);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelDeadline?.();
    this.#onEnded?.();
    this.#options.events.onDown(this.#cause ?? brokerFailure(undefined));
  }
}

const PRESENCE_OPTIONS = { qos: 1, retain: true, properties: { contentType: PRESENCE_TYPE } } as const;

/** Never shown: it only stands for "not yet". */
const SETTLED_LATER = new Error('settled later');

/** MQTT 5.0 §3.4: reason code 0x00 is left out. */
function puback(packetId: number): Uint8Array {
  return Uint8Array.of(0x40, 2, packetId >> 8, packetId & 0xff);
}

/** MQTT 5.0 §3.14. */
function disconnect(reason: number): Uint8Array {
  return Uint8Array.of(0xe0, 2, reason, 0);
}

function openSocket({ host, port, tls }: BrokerAccess): Socket {
  // With Nagle's algorithm a PUBACK waits for the peer's delayed acknowledgement: 40 ms for each request of QoS 1. No test
  // can tell without a clock; bench/mqtt.ts does.
  const where = { host, port, noDelay: true };
  return tls === undefined ? connectTcp(where) : connectTls({ ...where, ...definedOf(tls), minVersion: 'TLSv1.2' });
}

function definedOf({ ca, cert, key }: BrokerTls): { ca?: string; cert?: string; key?: string } {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

function clientOptions({ access, presence, settings }: SessionOptions): IClientOptions {
  const { clientId, password, username } = access;
  return {
    protocolVersion: MQTT_5,
    clientId,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password: password.expose() }),
    clean: false,
    reconnectPeriod: 0,
    resubscribe: false,
    connectTimeout: settings.connectDeadline,
    keepalive: settings.keepAlive,
    queueQoSZero: false,
    ...(presence === undefined ? {} : { will: willOf(presence) }),
    properties: {
      sessionExpiryInterval: settings.sessionExpiry,
      receiveMaximum: settings.receiveMaximum,
      maximumPacketSize: LIMITS.brokerPacketBytes,
    },
  };
}

function willOf({ offline, topic }: Presence): NonNullable<IClientOptions['will']> {
  return { topic, payload: bufferOf(offline), qos: 1, retain: true, properties: { contentType: PRESENCE_TYPE } };
}

/** Reason code of a PUBACK (MQTT 5.0 §2.4); undefined where there was none, since the connection is gone. */
function reasonOf(error: unknown): number | undefined {
  if (error === null || error === undefined) return SUCCESS;
  return error instanceof Error && 'code' in error && typeof error.code === 'number' ? error.code : undefined;
}

/** Reason code of a SUBACK, likewise. */
function refusalIn(packet: { readonly granted: readonly unknown[] } | undefined): number | undefined {
  const [granted] = packet?.granted ?? [];
  return typeof granted === 'number' ? granted : undefined;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
