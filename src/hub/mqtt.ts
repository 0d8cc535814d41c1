/** The MQTT front, where there is a broker. All of it is loaded only then. */
import { parseBrokerUrl } from '../../drivers/mqtt/broker-address.ts';
import type { MqttFront, MqttOptions } from '../../drivers/mqtt/open-mqtt.ts';
import { monotonic, systemRandom, systemTimers } from '../../drivers/system-time.ts';
import type { Config } from '../config/schema.ts';
import { readCertificate, readSecret } from '../config/setting-files.ts';
import type { Log } from '../ports/log.ts';
import type { DeliveryFeed } from '../ports/northbound.ts';
import type { RelayParts } from './relay.ts';

type MqttSettings = Config['mqtt'];

/** Undefined where none is configured. @throws {LatchkeyError} see drivers/mqtt/open-mqtt.ts, and errors of the files */
export async function openMqttFront(
  { mqtt }: Config,
  { devices, introspection, relay, revocations }: RelayParts,
  deliveries: DeliveryFeed,
  log: Log,
): Promise<MqttFront | undefined> {
  if (mqtt.url === undefined && !mqtt.embedded) return undefined;
  const { openMqtt } = await import('../../drivers/mqtt/open-mqtt.ts');
  const front = await openMqtt({
    broker: mqtt.url === undefined ? { listen: mqtt.embeddedListen } : accessOf(mqtt, parseBrokerUrl(mqtt.url)),
    topicPrefix: mqtt.topicPrefix,
    json: mqtt.json,
    relay,
    deliveries,
    devices,
    revocations,
    // The topic is the device's own: no device asks on that of another.
    answerProtected: (message, device, context) => introspection.answer(message, ({ id }) => id === device, context),
    timers: systemTimers,
    clock: { monotonic },
    random: systemRandom,
    log,
  });
  const { port } = front;
  if (port !== undefined) log.info({ event: 'broker_listens', port }, 'the embedded MQTT broker listens');
  return front;
}

function accessOf(
  { caFile, certFile, clientId, keyFile, passwordFile, username }: MqttSettings,
  { host, port, secure }: { readonly host: string; readonly port: number; readonly secure: boolean },
): MqttOptions['broker'] {
  const tls = {
    ca: caFile === undefined ? undefined : readCertificate('mqtt.ca_file', caFile),
    cert: certFile === undefined ? undefined : readCertificate('mqtt.cert_file', certFile),
    key: keyFile === undefined ? undefined : readSecret('mqtt.key_file', keyFile).expose(),
  };
  return {
    host,
    port,
    tls: secure ? tls : undefined,
    clientId,
    username,
    password: passwordFile === undefined ? undefined : readSecret('mqtt.password_file', passwordFile),
  };
}

/** Where devices find the embedded broker. */
export function brokerAddress({ mqtt }: Config, front: MqttFront | undefined): string | undefined {
  if (front?.port === undefined) return undefined;
  const { host } = mqtt.embeddedListen;
  return `mqtt://${host.includes(':') ? `[${host}]` : host}:${front.port}`;
}
