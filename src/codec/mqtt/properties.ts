/** The properties of MQTT 5.0 (§2.2.2): their types, and the packets that they stand in. */
import { type PacketReader, refuse } from './packet-reader.ts';
import { PACKET, type PacketType, REASON } from './registry.ts';

/** A last will has properties of its own inside the CONNECT (§3.1.3.2). */
export const WILL = 0;

type Place = PacketType | typeof WILL;
type Form = 'flag' | 'two' | 'twoNotZero' | 'four' | 'fourNotZero' | 'varint' | 'text' | 'topic' | 'binary' | 'pair';

interface Property {
  readonly name: string;
  readonly form: Form;
  readonly places: readonly Place[];
}

const { AUTH, CONNACK, CONNECT, DISCONNECT, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, SUBSCRIBE } = PACKET;
const { UNSUBACK, UNSUBSCRIBE } = PACKET;
const REASONS = [CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH];
const SESSION = [CONNECT, CONNACK];

const USER_PROPERTY = 0x26;
const SUBSCRIPTION_IDENTIFIER = 0x0b;

/** MQTT 5.0 table 2-4. */
const PROPERTIES: ReadonlyMap<number, Property> = new Map([
  [0x01, { name: 'Payload Format Indicator', form: 'flag', places: [PUBLISH, WILL] }],
  [0x02, { name: 'Message Expiry Interval', form: 'four', places: [PUBLISH, WILL] }],
  [0x03, { name: 'Content Type', form: 'text', places: [PUBLISH, WILL] }],
  [0x08, { name: 'Response Topic', form: 'topic', places: [PUBLISH, WILL] }],
  [0x09, { name: 'Correlation Data', form: 'binary', places: [PUBLISH, WILL] }],
  [SUBSCRIPTION_IDENTIFIER, { name: 'Subscription Identifier', form: 'varint', places: [PUBLISH, SUBSCRIBE] }],
  [0x11, { name: 'Session Expiry Interval', form: 'four', places: [CONNECT, CONNACK, DISCONNECT] }],
  [0x12, { name: 'Assigned Client Identifier', form: 'text', places: [CONNACK] }],
  [0x13, { name: 'Server Keep Alive', form: 'two', places: [CONNACK] }],
  [0x15, { name: 'Authentication Method', form: 'text', places: [CONNECT, CONNACK, AUTH] }],
  [0x16, { name: 'Authentication Data', form: 'binary', places: [CONNECT, CONNACK, AUTH] }],
  [0x17, { name: 'Request Problem Information', form: 'flag', places: [CONNECT] }],
  [0x18, { name: 'Will Delay Interval', form: 'four', places: [WILL] }],
  [0x19, { name: 'Request Response Information', form: 'flag', places: [CONNECT] }],
  [0x1a, { name: 'Response Information', form: 'text', places: [CONNACK] }],
  [0x1c, { name: 'Server Reference', form: 'text', places: [CONNACK, DISCONNECT] }],
  [0x1f, { name: 'Reason String', form: 'text', places: REASONS }],
  [0x21, { name: 'Receive Maximum', form: 'twoNotZero', places: SESSION }],
  [0x22, { name: 'Topic Alias Maximum', form: 'two', places: SESSION }],
  [0x23, { name: 'Topic Alias', form: 'twoNotZero', places: [PUBLISH] }],
  [0x24, { name: 'Maximum QoS', form: 'flag', places: [CONNACK] }],
  [0x25, { name: 'Retain Available', form: 'flag', places: [CONNACK] }],
  [
    USER_PROPERTY,
    { name: 'User Property', form: 'pair', places: [CONNECT, WILL, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, ...REASONS] },
  ],
  [0x27, { name: 'Maximum Packet Size', form: 'fourNotZero', places: SESSION }],
  [0x28, { name: 'Wildcard Subscription Available', form: 'flag', places: [CONNACK] }],
  [0x29, { name: 'Subscription Identifiers Available', form: 'flag', places: [CONNACK] }],
  [0x2a, { name: 'Shared Subscription Available', form: 'flag', places: [CONNACK] }],
]);

const TOPIC_ALIAS = 0x23;

/** Reads the properties of a packet to their end. Refuses what is unknown, misplaced, doubled, cut short or out of range. */
export function readProperties(reader: PacketReader, place: Place): void {
  const length = reader.varint('property length');
  const end = reader.position + length;
  if (end > reader.length) throw refuse(REASON.malformed, 'properties are cut short');
  const seen = new Set<number>();
  while (reader.position < end) {
    const id = reader.varint('property');
    const property = PROPERTIES.get(id);
    if (property === undefined) throw refuse(REASON.malformed, `unknown property ${id}`);
    if (!property.places.includes(place)) throw refuse(REASON.protocolError, `${property.name} where it may not be`);
    // Several filters of the receiver may fit one message (§3.3.2.3.8).
    const mayRepeat = id === USER_PROPERTY || (id === SUBSCRIPTION_IDENTIFIER && place === PUBLISH);
    if (seen.has(id) && !mayRepeat) throw refuse(REASON.protocolError, `${property.name} twice`);
    // Neither the hub nor its broker allows an alias (Topic Alias Maximum 0).
    if (id === TOPIC_ALIAS) throw refuse(REASON.topicAliasInvalid, 'Topic Alias was not allowed');
    seen.add(id);
    readValue(reader, property);
    if (reader.position > end) throw refuse(REASON.malformed, `${property.name} is cut short`);
  }
}

function readValue(reader: PacketReader, { form, name }: Property): void {
  switch (form) {
    case 'flag':
      if (reader.byte(name) > 1) throw refuse(REASON.protocolError, `${name} is neither 0 nor 1`);
      return;
    case 'two':
      reader.two(name);
      return;
    case 'twoNotZero':
      if (reader.two(name) === 0) throw refuse(REASON.protocolError, `${name} is 0`);
      return;
    case 'four':
      reader.four(name);
      return;
    case 'fourNotZero':
      if (reader.four(name) === 0) throw refuse(REASON.protocolError, `${name} is 0`);
      return;
    case 'varint':
      if (reader.varint(name) === 0) throw refuse(REASON.protocolError, `${name} is 0`);
      return;
    case 'text':
      reader.text(name);
      return;
    case 'topic':
      reader.topic(name);
      return;
    case 'binary':
      reader.binary(name);
      return;
    case 'pair':
      reader.text(name);
      reader.text(name);
      return;
  }
}
