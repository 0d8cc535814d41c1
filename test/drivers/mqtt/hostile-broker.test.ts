/** What a broker may send that is none, or that hands on unchecked what another client wrote. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PACKET } from '../../../src/codec/mqtt/registry.ts';
import { QUICK } from '../../fixtures/aedes-broker.ts';
import { connected, type MqttRig, openMqttRig } from '../../fixtures/mqtt-front.ts';
import {
  CONNACK,
  CONTENT_TYPE,
  CORRELATION,
  packet,
  properties,
  publish,
  RESPONSE_TOPIC,
} from '../../fixtures/mqtt-packets.ts';
import { RawBroker } from '../../fixtures/raw-broker.ts';

const TOPIC = 'latchkey/v1/ekg-1/introspect';
const ANSWER = 'latchkey/v1/ekg-1/answer';
const GOOD = [CONTENT_TYPE('application/json'), RESPONSE_TOPIC(ANSWER)];

const cleanUp: (() => Promise<unknown>)[] = [];
const escaped: unknown[] = [];
const note = (error: unknown) => escaped.push(error);

beforeEach(() => {
  // What vitest does with them would end this file, not this test.
  process.on('uncaughtException', note).on('unhandledRejection', note);
});

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
  process.off('uncaughtException', note).off('unhandledRejection', note);
  expect(escaped.splice(0)).toEqual([]);
});

async function open(connack?: Uint8Array): Promise<{ readonly broker: RawBroker; readonly rig: MqttRig }> {
  const broker = await RawBroker.start(connack);
  cleanUp.push(() => broker.close());
  const access = { host: '127.0.0.1', port: broker.port, tls: undefined, clientId: 'hub' };
  const rig = await openMqttRig({
    broker: { ...access, username: undefined, password: undefined },
    settings: QUICK,
  });
  cleanUp.push(() => rig.front.close(100));
  return { broker, rig };
}

/** A question that the front answers, so that all before it was dealt with. */
async function answersAfterwards(broker: RawBroker, rig: MqttRig): Promise<void> {
  broker.send(publish({ topic: TOPIC, properties: properties(...GOOD), payload: '{"token":"afterwards"}' }));
  await vi.waitFor(() => expect(rig.relay.requests.map(({ token }) => token.expose())).toContain('afterwards'));
}

describe('a message is left out and settled, and the next one is answered, where', () => {
  test.each<[string, readonly number[]]>([
    ['the response topic comes twice', properties(...GOOD, RESPONSE_TOPIC(ANSWER))],
    ['the response topic is cut short', properties([0x08, 0xff, 0xff])],
    ['the response topic is empty', properties(CONTENT_TYPE('application/json'), RESPONSE_TOPIC(''))],
    ['the response topic is not text', properties([0x08, 0, 1, 0xff])],
    ['the correlation data come twice', properties(...GOOD, CORRELATION('a'), CORRELATION('b'))],
    ['the correlation data are cut short', properties(...GOOD, [0x09, 0, 9, 1])],
    ['the content type comes twice', properties(...GOOD, CONTENT_TYPE('text/plain'))],
    ['the content type is cut short', properties(RESPONSE_TOPIC(ANSWER), [0x03, 0, 99, 1])],
    ['a user property has no value', properties(...GOOD, [0x26, 0, 1, 65])],
    ['a subscription identifier is 0', properties(...GOOD, [0x0b, 0])],
    ['the payload format indicator is neither 0 nor 1', properties(...GOOD, [0x01, 7])],
    ['the message expiry interval comes twice', properties(...GOOD, [2, 0, 0, 0, 1], [2, 0, 0, 0, 1])],
    ['a topic alias was not allowed', properties(...GOOD, [0x23, 0, 1])],
    ['a property is unknown', properties([0x7f, 0])],
    ['a property belongs elsewhere', properties([0x21, 0, 1])],
    ['the properties are longer than the packet', [0x7f, 0x08]],
    ['the length of the properties has no end', [0xff, 0xff, 0xff, 0xff, 1]],
  ])('%s', async (_, malformed) => {
    const { broker, rig } = await open();
    await connected(rig.front);
    broker.send(publish({ topic: TOPIC, id: 4_711, properties: malformed, payload: '{"token":"x"}' }));
    await answersAfterwards(broker, rig);
    expect(rig.front.health().up).toBe(true);
    expect(rig.relay.requests).toHaveLength(1);
    expect(rig.front.counters()).toMatchObject({ malformed: 1, connected: 1 });
    const acknowledged = broker.received.filter(({ first }) => first >> 4 === PACKET.PUBACK);
    expect(acknowledged.map(({ body }) => [...body])).toContainEqual([0x12, 0x67]);
  });

  test.each<[string, string | Uint8Array]>([
    ['the topic is empty', ''],
    ['the topic is not text', Uint8Array.of(0xc0, 0x80)],
    ['the topic has wildcards', 'latchkey/v1/+/introspect'],
    ['the topic has a zero', 'latchkey/v1/\0/introspect'],
  ])('%s', async (_, topic) => {
    const { broker, rig } = await open();
    await connected(rig.front);
    broker.send(publish({ topic, id: 4_711 }));
    await answersAfterwards(broker, rig);
    expect(rig.front.counters()).toMatchObject({ malformed: 1, connected: 1 });
  });
});

test('many malformed messages are one line of the log', async () => {
  const { broker, rig } = await open();
  await connected(rig.front);
  const malformed = publish({ topic: TOPIC, id: 1, properties: properties([0x08, 0xff, 0xff]) });
  broker.send(Buffer.concat(Array.from({ length: 1_000 }, () => malformed)));
  await answersAfterwards(broker, rig);
  expect(rig.log.lines.filter(({ fields }) => fields.event === 'message_malformed')).toHaveLength(1);
  expect(rig.front.counters().malformed).toBe(1_000);
});

describe('an answer of the front goes out and the connection stays, where', () => {
  test.each([
    ['there is no payload', ''],
    ['the payload is no JSON', '\u0000{'],
  ])('%s', async (_, payload) => {
    const { broker, rig } = await open();
    await connected(rig.front);
    broker.send(publish({ topic: TOPIC, id: 7, properties: properties(...GOOD), payload }));
    await answersAfterwards(broker, rig);
    expect(rig.front.counters()).toMatchObject({ refused: 1, connected: 1 });
  });
});

describe('the connection is given up as a fault of the broker, and the hub goes on, where it sends', () => {
  test.each<[string, Uint8Array]>([
    ['QoS 3', publish({ topic: TOPIC, id: 1, first: 0x36 })],
    ['QoS 2', publish({ topic: TOPIC, id: 1, first: 0x34 })],
    ['packet identifier 0', publish({ topic: TOPIC, id: 0 })],
    ['a packet that is too large', Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x7f)],
    ['a length without end', Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0xff, 0xff)],
    ['a second CONNACK', CONNACK],
    ['a packet of a client', packet(0x82, [0, 1, 0, 0, 1, 65, 1])],
    ['a PUBREC', packet(0x50, [0, 1])],
    ['an AUTH', packet(0xf0, [0, 0])],
    ['a packet of type 0', packet(0x00, [1, 2, 3])],
    ['a SUBACK without reason code', packet(0x90, [0, 1, 0])],
    ['a SUBACK of several', packet(0x90, [0, 1, 0, 1, 1, 1])],
    ['a PUBACK of one byte', packet(0x40, [1])],
    ['a DISCONNECT with a reason cut short', packet(0xe0, [0x8e, 4, 0x1f, 0, 9, 65])],
  ])('%s', async (_, bytes) => {
    const { broker, rig } = await open();
    await connected(rig.front);
    broker.send(bytes);
    await vi.waitFor(() => expect(rig.front.counters().connected).toBe(2));
    await answersAfterwards(broker, rig);
    expect(rig.log.lines.find(({ fields }) => fields.event === 'broker_down')?.fields.code).toBe(
      'broker_packet_invalid',
    );
  });

  test.each<[string, Uint8Array]>([
    ['a CONNACK with Receive Maximum 0', packet(0x20, [0, 0, 3, 0x21, 0, 0])],
    ['a CONNACK with Receive Maximum twice', packet(0x20, [0, 0, 6, 0x21, 0, 1, 0x21, 0, 1])],
    ['a CONNACK that is cut short', packet(0x20, [0, 0, 9, 0x12])],
    ['a CONNACK of an older MQTT', packet(0x20, [0, 0])],
    ['no CONNACK first', publish({ topic: TOPIC, id: 1 })],
  ])('%s', async (_, bytes) => {
    const { broker, rig } = await open(bytes);
    await vi.waitFor(() => expect(broker.connections).toBeGreaterThan(1));
    expect(rig.front.health()).toMatchObject({ up: false, code: 'broker_packet_invalid' });
  });
});

test('a broker of an older MQTT that says so is one that refuses', async () => {
  const { broker, rig } = await open(packet(0x20, [0, 0x84]));
  await vi.waitFor(() => expect(broker.connections).toBeGreaterThan(1));
  expect(rig.front.health()).toMatchObject({ up: false, code: 'broker_refused' });
});
