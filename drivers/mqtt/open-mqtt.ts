/** The MQTT front as a whole: topics, connection, front, and the embedded broker where there is one. */
import { base64url, utf8 } from '../../src/core/bytes.ts';
import type { Clock, Random, Timers } from '../../src/core/clock.ts';
import type { ErrorCode } from '../../src/core/error-catalogue.ts';
import { Secret } from '../../src/core/secret.ts';
import { VERSION } from '../../src/core/version.ts';
import type { DeviceAuthentication, Revocations } from '../../src/ports/device-authentication.ts';
import type { Log } from '../../src/ports/log.ts';
import type { DeliveryFeed } from '../../src/ports/northbound.ts';
import type { Relay } from '../../src/ports/relay.ts';
import type { ChildSettings } from '../child-process.ts';
import type { ConnectionLimits } from '../http/connections.ts';
import { within } from '../serial/deadline.ts';
import { BrokerConnection } from './broker-connection.ts';
import { HUB_USER } from './broker-messages.ts';
import type { BrokerAccess } from './broker-session.ts';
import type { BrokerSettings } from './broker-settings.ts';
import { DeliveryBoard } from './delivery-board.ts';
import { EmbeddedBroker } from './embedded-broker.ts';
import { type AnswerProtected, IntrospectionFront } from './introspection-front.ts';
import { Topics } from './topics.ts';

export interface MqttOptions {
  /** A broker somewhere else, or one in here. */
  readonly broker: BrokerAccess | { readonly listen: { readonly host: string; readonly port: number } };
  readonly topicPrefix: string;
  /** Whether requests in JSON are taken, which the broker alone authenticates. */
  readonly json: boolean;
  readonly relay: Relay;
  readonly answerProtected: AnswerProtected;
  readonly deliveries: DeliveryFeed;
  /** Who may log in at the embedded broker. */
  readonly devices: DeviceAuthentication;
  /** Whose connections to the embedded broker have to end. */
  readonly revocations: Revocations;
  readonly timers: Timers;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly random: Random;
  readonly log: Log;
  readonly settings?: Partial<BrokerSettings> | undefined;
  /** To the embedded broker. */
  readonly connections?: ConnectionLimits;
  /** Of the embedded broker's process. */
  readonly process?: Partial<ChildSettings> | undefined;
}

export interface MqttFront {
  /** Port of the embedded broker; undefined where another one is used. */
  readonly port: number | undefined;
  /** Process of the embedded broker; undefined while there is none. */
  brokerPid(): number | undefined;
  health(): { readonly up: boolean; readonly code: ErrorCode | undefined; readonly detail: string | undefined };
  counters(): Readonly<Record<string, number>>;
  /** Answers what is under way inside `grace` milliseconds, and takes leave of the broker. */
  close(grace: number): Promise<void>;
}

/**
 * Resolves when the embedded broker listens; another broker is connected to in the background.
 * @throws {LatchkeyError} `address_unavailable`, `embedded_broker_missing`, `embedded_broker_down`, `internal`
 */
export async function openMqtt(options: MqttOptions): Promise<MqttFront> {
  const { answerProtected, clock, deliveries, json, log, random, relay, timers } = options;
  const topics = new Topics(options.topicPrefix);
  const { access, embedded } = await brokerOf(options, () => {
    connection.retry();
    // What was retained is gone with the process.
    for (const summary of deliveries.now()) board.post(summary);
  });
  const front = new IntrospectionFront({
    relay,
    answerProtected,
    devices: options.devices,
    topics,
    json,
    clock,
    random,
    log,
    publish: (message) => connection.publish(message),
  });
  const connection: BrokerConnection = new BrokerConnection({
    access,
    filter: topics.requests,
    presence: {
      topic: topics.status,
      online: utf8(JSON.stringify({ state: 'online', version: VERSION })),
      offline: utf8(JSON.stringify({ state: 'offline' })),
    },
    onMessage: (message) => front.take(message),
    timers,
    clock,
    random,
    log,
    settings: options.settings,
  });
  const board = new DeliveryBoard({ publish: (message) => connection.publish(message), topics });
  for (const summary of deliveries.now()) board.post(summary);
  const unwatch = deliveries.watch((summary) => board.post(summary));
  const unwatchRevocations = options.revocations.watch((device) => embedded?.end(device));
  return {
    port: embedded?.port,
    brokerPid: () => embedded?.pid,
    health() {
      const { code, detail } = embedded?.fault() ?? {};
      return code === undefined ? connection.health() : { up: false, code, detail };
    },
    counters: () => ({ ...connection.counters(), ...front.counters(), ...embedded?.counters() }),
    async close(grace) {
      unwatch();
      unwatchRevocations();
      await within(grace, timers, front.close());
      await connection.close();
      await embedded?.close();
    },
  };
}

async function brokerOf(
  options: MqttOptions,
  onRestart: () => void,
): Promise<{ readonly access: BrokerAccess; readonly embedded: EmbeddedBroker | undefined }> {
  const { broker, connections, random, topicPrefix } = options;
  if (!('listen' in broker)) return { access: broker, embedded: undefined };
  const password = new Secret(base64url(random.bytes(32)));
  const embedded = await EmbeddedBroker.open({
    listen: broker.listen,
    topicPrefix,
    devices: options.devices,
    hubPassword: password,
    onRestart,
    process: options.process,
    timers: options.timers,
    clock: options.clock,
    random,
    log: options.log,
    ...(connections === undefined ? {} : { connections }),
  });
  const { host } = broker.listen;
  return {
    embedded,
    access: {
      host: host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host,
      port: embedded.port,
      tls: undefined,
      clientId: HUB_USER,
      username: HUB_USER,
      password,
    },
  };
}
