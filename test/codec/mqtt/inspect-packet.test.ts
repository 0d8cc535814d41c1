import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inspectPacket, type PacketFacts, type Sender } from '../../../src/codec/mqtt/inspect-packet.ts';
import { PacketRefusal } from '../../../src/codec/mqtt/packet-reader.ts';
import { REASON } from '../../../src/codec/mqtt/registry.ts';
import {
  CONNACK,
  connect,
  PINGREQ,
  packet,
  packetsOf,
  properties,
  publish,
  subscribe,
  text,
  two,
  unsubscribe,
} from '../../fixtures/mqtt-packets.ts';

function inspect(bytes: Uint8Array, sender: Sender = 'client'): ReturnType<typeof inspectPacket> {
  const [first] = packetsOf(bytes);
  return inspectPacket(first?.first ?? 0, Buffer.from(first?.body ?? []), sender);
}

const LOGIN = { username: 'ekg-1', password: 'secret' };
const REASON_STRING = [0x1f, ...text('because')];
const USER_PROPERTY = [0x26, ...text('name'), ...text('value')];

describe('takes', () => {
  test.each<[string, Uint8Array, Sender, Partial<PacketFacts>]>([
    ['a CONNECT', connect(LOGIN), 'client', { connect: { version: 5, username: 'ekg-1', willBytes: 0 } }],
    [
      'a CONNECT with a will',
      connect({ ...LOGIN, will: { topic: 'a/b', payload: 'gone' } }),
      'client',
      { connect: { version: 5, username: 'ekg-1', willBytes: 12 } },
    ],
    [
      'a CONNECT of MQTT 3.1.1, for its version',
      connect({ ...LOGIN, version: 4 }),
      'client',
      { connect: { version: 4, username: '', willBytes: 0 } },
    ],
    ['a CONNACK', CONNACK, 'server', { reason: 0 }],
    ['a CONNACK of an older MQTT that refuses', packet(0x20, [0, 1]), 'server', { reason: 1 }],
    ['a PUBLISH', publish({ topic: 'a/b', payload: 'x' }), 'server', { qos: 0, packetId: 0 }],
    [
      'a PUBLISH with several subscription identifiers',
      publish({ topic: 'a', id: 7, properties: properties([0x0b, 1], [0x0b, 0x80, 1]) }),
      'server',
      { qos: 1, packetId: 7 },
    ],
    [
      'a PUBLISH with several user properties',
      publish({ topic: 'a', id: 7, properties: properties(USER_PROPERTY, USER_PROPERTY) }),
      'client',
      { qos: 1, packetId: 7 },
    ],
    ['a PUBACK', packet(0x40, two(5)), 'client', { packetId: 5 }],
    [
      'a PUBACK with a reason',
      packet(0x40, [...two(5), 0x87, ...properties(REASON_STRING)]),
      'server',
      { packetId: 5 },
    ],
    ['a SUBSCRIBE', subscribe(3, 'a/#', 'b/+'), 'client', { packetId: 3, filters: ['a/#', 'b/+'] }],
    ['an UNSUBSCRIBE', unsubscribe(4, 'a/#'), 'client', { packetId: 4, filters: ['a/#'] }],
    ['a SUBACK', packet(0x90, [...two(3), 0, 1]), 'server', { packetId: 3, reason: 1 }],
    ['a PINGREQ', PINGREQ, 'client', {}],
    ['a DISCONNECT', packet(0xe0, []), 'client', { reason: 0 }],
    ['a DISCONNECT with a reason', packet(0xe0, [0x8e, ...properties(REASON_STRING)]), 'server', { reason: 0x8e }],
  ])('%s', (_, bytes, sender, facts) => {
    expect(inspect(bytes, sender)).toMatchObject({ type: (bytes[0] ?? 0) >> 4, ...facts });
  });
});

describe('refuses', () => {
  test.each<[string, Uint8Array, number]>([
    ['a packet that the other end sends', packet(0x20, [0, 0, 0]), REASON.protocolError],
    ['a PUBREL', packet(0x62, [0, 1]), REASON.protocolError],
    ['flags that are reserved', packet(0x80, [...two(1), 0, ...text('a'), 0]), REASON.malformed],
    ['another protocol', packet(0x10, [...text('HTTP'), 5, 2, 0, 0, 0, 0, 0]), REASON.unsupportedVersion],
    ['MQTT 6', connect({ ...LOGIN, version: 6 }), REASON.unsupportedVersion],
    ['the reserved connect flag', packet(0x10, [...text('MQTT'), 5, 3, 0, 0, 0, 0, 0]), REASON.malformed],
    ['will flags without a will', packet(0x10, [...text('MQTT'), 5, 0x20, 0, 0, 0, 0, 0]), REASON.malformed],
    ['a will of QoS 3', packet(0x10, [...text('MQTT'), 5, 0x1c, 0, 0, 0, 0, 0]), REASON.malformed],
    [
      'a user name that is cut short',
      packet(0x10, [...text('MQTT'), 5, 0x82, 0, 0, 0, 0, 0, 0, 9, 65]),
      REASON.malformed,
    ],
    ['bytes behind the end', packet(0x10, [...text('MQTT'), 5, 2, 0, 0, 0, 0, 0, 1]), REASON.malformed],
    ['QoS 3', publish({ topic: 'a', id: 1, first: 0x36 }), REASON.malformed],
    ['packet identifier 0', publish({ topic: 'a', id: 0 }), REASON.protocolError],
    ['a SUBSCRIBE without filter', packet(0x82, [...two(1), 0]), REASON.malformed],
    ['a SUBSCRIBE of QoS 3', packet(0x82, [...two(1), 0, ...text('a'), 3]), REASON.malformed],
    ['Retain Handling 3', packet(0x82, [...two(1), 0, ...text('a'), 0x30]), REASON.malformed],
    ['an empty filter', subscribe(1, 'a', ''), REASON.filterInvalid],
    ['an UNSUBSCRIBE without filter', packet(0xa2, [...two(1), 0]), REASON.malformed],
    ['bytes in a PINGREQ', packet(0xc0, [0]), REASON.malformed],
    ['a number that is longer than it must be', packet(0x82, [...two(1), 0x80, 0, ...text('a'), 0]), REASON.malformed],
    [
      'Subscription Identifier twice',
      packet(0x82, [...two(1), 4, 0x0b, 1, 0x0b, 1, ...text('a'), 0]),
      REASON.protocolError,
    ],
  ])('%s', (_, bytes, reason) => {
    expect(inspect(bytes)).toMatchObject({ reason });
    expect(inspect(bytes)).toBeInstanceOf(PacketRefusal);
  });

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', '__defineGetter__', 'valueOf'])(
    'the filter %s, which every object has',
    (filter) => {
      expect(inspect(subscribe(1, 'a', filter))).toMatchObject({ reason: REASON.filterInvalid });
      expect(inspect(unsubscribe(1, filter))).toMatchObject({ reason: REASON.filterInvalid });
    },
  );
});

test('of a malformed message in a good frame it says what to settle', () => {
  const doubled = properties([0x08, ...text('a')], [0x08, ...text('a')]);
  expect(inspect(publish({ topic: 'a', id: 9, properties: doubled }))).toMatchObject({
    refusal: { reason: REASON.protocolError, what: 'Response Topic twice' },
    qos: 1,
    packetId: 9,
  });
});

test('of any bytes it says something, and throws nothing', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 64 }), (first, body) => {
      for (const sender of ['client', 'server'] as const)
        expect(inspectPacket(first, Buffer.from(body), sender)).toBeTypeOf('object');
    }),
    { numRuns: 5_000 },
  );
});

test('what is cut short anywhere is refused', () => {
  const whole = [
    connect({ ...LOGIN, will: { topic: 'a/b', payload: 'gone' }, properties: properties([0x21, 0, 9], USER_PROPERTY) }),
    subscribe(3, 'a/#'),
    unsubscribe(4, 'a/#'),
  ];
  for (const bytes of whole) {
    const [{ body, first } = { body: new Uint8Array(), first: 0 }] = packetsOf(bytes);
    for (let length = 0; length < body.length; length += 1)
      expect(inspectPacket(first, Buffer.from(body.subarray(0, length)), 'client')).toBeInstanceOf(PacketRefusal);
  }
});
