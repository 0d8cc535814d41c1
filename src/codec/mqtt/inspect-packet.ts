/**
 * Whether an MQTT packet keeps the rules of MQTT 5.0, before any library reads it. mqtt-packet, which aedes and mqtt are built on,
 * hands on a doubled property as an array and one that is cut short as null, and reads past the end of a packet into the next.
 */
import { PacketReader, PacketRefusal, refuse, topicOf } from './packet-reader.ts';
import { readProperties, WILL } from './properties.ts';
import { PACKET, type PacketType, REASON } from './registry.ts';

export type Sender = 'client' | 'server';

/** What the gates need to know of a packet that keeps the rules. */
export interface PacketFacts {
  readonly type: PacketType;
  readonly qos: number;
  /** 0 where there is none. */
  readonly packetId: number;
  /** Of a SUBSCRIBE or UNSUBSCRIBE. */
  readonly filters: readonly string[];
  /** Of a CONNECT. */
  readonly connect: ConnectFacts | undefined;
  /** Of a CONNACK or DISCONNECT. */
  readonly reason: number;
}

export interface ConnectFacts {
  /** 5, or that of an older MQTT, of which nothing else is read. */
  readonly version: number;
  readonly username: string;
  /** Of its payload and properties. */
  readonly willBytes: number;
}

/** Of a PUBLISH whose message is malformed while the frame around it is good: it can be settled. */
export interface MalformedMessage {
  readonly refusal: PacketRefusal;
  readonly qos: number;
  readonly packetId: number;
}

/** QoS 2, and what belongs to it alone, is used by neither the hub nor its broker; nor is enhanced authentication. */
const SENT_BY: Record<Sender, ReadonlySet<number>> = {
  client: new Set<number>([
    PACKET.CONNECT,
    PACKET.PUBLISH,
    PACKET.PUBACK,
    PACKET.SUBSCRIBE,
    PACKET.UNSUBSCRIBE,
    PACKET.PINGREQ,
    PACKET.DISCONNECT,
  ]),
  server: new Set<number>([
    PACKET.CONNACK,
    PACKET.PUBLISH,
    PACKET.PUBACK,
    PACKET.SUBACK,
    PACKET.PINGRESP,
    PACKET.DISCONNECT,
  ]),
};
const OLDEST_VERSION = 3;
const MQTT_5 = 5;

/**
 * @param first the first byte of the fixed header
 * @param body everything behind the fixed header
 */
export function inspectPacket(
  first: number,
  body: Buffer,
  sender: Sender,
): PacketFacts | PacketRefusal | MalformedMessage {
  try {
    return inspect(first, new PacketReader(body), sender);
  } catch (thrown) {
    if (thrown instanceof PacketRefusal) return thrown;
    throw thrown;
  }
}

function inspect(first: number, reader: PacketReader, sender: Sender): PacketFacts | MalformedMessage {
  const type = first >> 4;
  const flags = first & 0x0f;
  if (!SENT_BY[sender].has(type)) throw refuse(REASON.protocolError, `a packet of type ${type}`);
  if (type === PACKET.PUBLISH) return inspectPublish(flags, reader);
  if (flags !== (type === PACKET.SUBSCRIBE || type === PACKET.UNSUBSCRIBE ? 2 : 0))
    throw refuse(REASON.malformed, `flags of a packet of type ${type}`);
  const facts = FACTS[type as OtherType](reader);
  reader.end();
  return { type: type as OtherType, qos: 0, packetId: 0, filters: [], connect: undefined, reason: 0, ...facts };
}

type OtherType = Exclude<PacketType, 3 | 5 | 6 | 7 | 11 | 15>;

const FACTS: Record<OtherType, (reader: PacketReader) => Partial<PacketFacts>> = {
  [PACKET.CONNECT]: inspectConnect,
  [PACKET.CONNACK]: inspectConnack,
  [PACKET.PUBACK]: inspectPuback,
  [PACKET.SUBSCRIBE]: inspectSubscribe,
  [PACKET.SUBACK]: inspectSuback,
  [PACKET.UNSUBSCRIBE]: inspectUnsubscribe,
  [PACKET.PINGREQ]: () => ({}),
  [PACKET.PINGRESP]: () => ({}),
  [PACKET.DISCONNECT]: inspectDisconnect,
};

/** MQTT 5.0 §3.3. */
function inspectPublish(flags: number, reader: PacketReader): PacketFacts | MalformedMessage {
  const qos = (flags >> 1) & 3;
  if (qos === 3) throw refuse(REASON.malformed, 'QoS 3');
  const topic = reader.binary('topic');
  const packetId = qos === 0 ? 0 : reader.packetId();
  try {
    topicOf(topic, 'topic');
    readProperties(reader, PACKET.PUBLISH);
  } catch (thrown) {
    if (thrown instanceof PacketRefusal) return { refusal: thrown, qos, packetId };
    throw thrown;
  }
  return { type: PACKET.PUBLISH, qos, packetId, filters: [], connect: undefined, reason: 0 };
}

/** MQTT 5.0 §3.1. Of an older MQTT the version is all that is read. */
function inspectConnect(reader: PacketReader): Partial<PacketFacts> {
  const protocol = reader.text('protocol name');
  if (protocol !== 'MQTT' && protocol !== 'MQIsdp') throw refuse(REASON.unsupportedVersion, 'another protocol');
  // A bridge of mosquitto sets the highest bit.
  const version = reader.byte('protocol version') & 0x7f;
  if (version !== MQTT_5) {
    if (version < OLDEST_VERSION || version > MQTT_5) throw refuse(REASON.unsupportedVersion, `version ${version}`);
    reader.skip();
    return { connect: { version, username: '', willBytes: 0 } };
  }
  const flags = reader.byte('connect flags');
  const hasWill = (flags & 0x04) !== 0;
  if ((flags & 0x01) !== 0 || (flags & 0x18) === 0x18 || (!hasWill && (flags & 0x38) !== 0))
    throw refuse(REASON.malformed, 'connect flags');
  reader.two('keep alive');
  readProperties(reader, PACKET.CONNECT);
  reader.text('client identifier');
  const before = reader.position;
  if (hasWill) {
    readProperties(reader, WILL);
    reader.topic('will topic');
    reader.binary('will payload');
  }
  const willBytes = reader.position - before;
  const username = (flags & 0x80) === 0 ? '' : reader.text('user name');
  if ((flags & 0x40) !== 0) reader.binary('password');
  return { connect: { version, username, willBytes } };
}

/** MQTT 5.0 §3.2. Without properties it is that of an older MQTT, which may say so. */
function inspectConnack(reader: PacketReader): Partial<PacketFacts> {
  if (reader.byte('connack flags') > 1) throw refuse(REASON.malformed, 'connack flags');
  const reason = reader.byte('reason code');
  if (!reader.isAtEnd) readProperties(reader, PACKET.CONNACK);
  else if (reason === 0) throw refuse(REASON.malformed, 'CONNACK of an older MQTT');
  return { reason };
}

/** MQTT 5.0 §3.4. */
function inspectPuback(reader: PacketReader): Partial<PacketFacts> {
  const packetId = reader.packetId();
  if (!reader.isAtEnd) reader.byte('reason code');
  if (!reader.isAtEnd) readProperties(reader, PACKET.PUBACK);
  return { packetId };
}

/** MQTT 5.0 §3.8. */
function inspectSubscribe(reader: PacketReader): Partial<PacketFacts> {
  const packetId = reader.packetId();
  readProperties(reader, PACKET.SUBSCRIBE);
  const filters: string[] = [];
  do {
    filters.push(filterOf(reader));
    const options = reader.byte('subscription options');
    if (options > 0x2f || (options & 3) === 3) throw refuse(REASON.malformed, 'subscription options');
  } while (!reader.isAtEnd);
  return { packetId, filters };
}

/** MQTT 5.0 §3.10. */
function inspectUnsubscribe(reader: PacketReader): Partial<PacketFacts> {
  const packetId = reader.packetId();
  readProperties(reader, PACKET.UNSUBSCRIBE);
  const filters: string[] = [];
  do filters.push(filterOf(reader));
  while (!reader.isAtEnd);
  return { packetId, filters };
}

function filterOf(reader: PacketReader): string {
  const filter = reader.text('topic filter');
  if (filter === '') throw refuse(REASON.filterInvalid, 'topic filter is empty');
  // The tables of aedes are plain objects, which have these already.
  if (filter in Object.prototype) throw refuse(REASON.filterInvalid, 'topic filter has a reserved name');
  return filter;
}

/** MQTT 5.0 §3.9. The hub asks for one filter at a time. */
function inspectSuback(reader: PacketReader): Partial<PacketFacts> {
  const packetId = reader.packetId();
  readProperties(reader, PACKET.SUBACK);
  const reason = reader.byte('reason code');
  return { packetId, reason };
}

/** MQTT 5.0 §3.14. */
function inspectDisconnect(reader: PacketReader): Partial<PacketFacts> {
  const reason = reader.isAtEnd ? 0 : reader.byte('reason code');
  if (!reader.isAtEnd) readProperties(reader, PACKET.DISCONNECT);
  return { reason };
}
