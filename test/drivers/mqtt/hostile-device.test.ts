/** What a connected device with good credentials may send to the embedded broker: it loses its connection, and nobody else does. */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { PACKET, REASON } from '../../../src/codec/mqtt/registry.ts';
import type { LogFields } from '../../../src/ports/log.ts';
import { MqttDevice } from '../../fixtures/mqtt-device.ts';
import { connected, type MqttRig, openMqttRig, secretOf } from '../../fixtures/mqtt-front.ts';
import {
  CONTENT_TYPE,
  CORRELATION,
  connect,
  PINGREQ,
  packet,
  properties,
  publish,
  RESPONSE_TOPIC,
  subscribe,
  text,
  two,
  unsubscribe,
} from '../../fixtures/mqtt-packets.ts';
import { RawMqttClient } from '../../fixtures/raw-mqtt-client.ts';

const TOPIC = 'latchkey/v1/rogue/introspect';
const ANSWER = 'latchkey/v1/rogue/answer';
const LOGIN = { username: 'rogue', password: secretOf('rogue') };
const { CONNACK, DISCONNECT, PUBACK, PUBLISH, SUBACK } = PACKET;

let rig: MqttRig;
let port = 0;
let honest: MqttDevice;
const clients: RawMqttClient[] = [];

beforeAll(async () => {
  rig = await openMqttRig();
  port = rig.front.port ?? 0;
  await connected(rig.front);
});
afterAll(() => rig.front.close(1_000));

beforeEach(async () => {
  honest = await MqttDevice.connect({ port, device: 'ekg-1', password: secretOf('ekg-1') });
});

/** After each of them the broker is the same process, and an honest device that was there before is answered. */
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  expect((await honest.ask('{"token":"honest"}')).contentType).toBe('application/json');
  await honest.close();
  expect(rig.front.counters()).toMatchObject({ brokerRestarts: 0, connected: 1 });
});

async function logIn(options: Partial<Parameters<typeof connect>[0]> = {}): Promise<RawMqttClient> {
  const client = await RawMqttClient.logIn(port, 'rogue', options);
  clients.push(client);
  return client;
}

async function open(): Promise<RawMqttClient> {
  const client = await RawMqttClient.open(port);
  clients.push(client);
  return client;
}

describe('loses its connection and is told why, where it sends', () => {
  const GOOD = [CONTENT_TYPE('application/json'), RESPONSE_TOPIC(ANSWER)];
  test.each<[string, Uint8Array, number]>([
    ['a SUBSCRIBE for __proto__ and another', subscribe(1, '__proto__', 'x'), REASON.filterInvalid],
    ['a SUBSCRIBE for __proto__', subscribe(1, '__proto__'), REASON.filterInvalid],
    ['a SUBSCRIBE for constructor', subscribe(1, ANSWER, 'constructor'), REASON.filterInvalid],
    ['an UNSUBSCRIBE for constructor', unsubscribe(1, 'constructor'), REASON.filterInvalid],
    ['an UNSUBSCRIBE for toString', unsubscribe(1, 'toString'), REASON.filterInvalid],
    ['an UNSUBSCRIBE for __proto__', unsubscribe(1, '__proto__'), REASON.filterInvalid],
    [
      'a Response Topic that is cut short',
      publish({ topic: TOPIC, properties: properties([0x08, 0xff, 0xff]) }),
      REASON.malformed,
    ],
    [
      'Response Topic twice',
      publish({ topic: TOPIC, properties: properties(...GOOD, RESPONSE_TOPIC(ANSWER)) }),
      REASON.protocolError,
    ],
    [
      'Correlation Data twice',
      publish({ topic: TOPIC, properties: properties(...GOOD, CORRELATION('a'), CORRELATION('b')) }),
      REASON.protocolError,
    ],
    [
      'Correlation Data that are cut short',
      publish({ topic: TOPIC, properties: properties(...GOOD, [0x09, 0, 9, 1]) }),
      REASON.malformed,
    ],
    [
      'Content Type twice',
      publish({ topic: TOPIC, properties: properties(...GOOD, CONTENT_TYPE('a')) }),
      REASON.protocolError,
    ],
    [
      'a User Property without value',
      publish({ topic: TOPIC, properties: properties(...GOOD, [0x26, 0, 1, 65]) }),
      REASON.malformed,
    ],
    [
      'Subscription Identifier twice',
      packet(0x82, [...two(1), 4, 0x0b, 1, 0x0b, 1, ...text(ANSWER), 0]),
      REASON.protocolError,
    ],
    [
      'a Topic Alias',
      publish({ topic: TOPIC, properties: properties([0x23, 0, 1], [0x23, 0, 1]) }),
      REASON.topicAliasInvalid,
    ],
    ['a topic with wildcards', publish({ topic: 'latchkey/v1/+/introspect' }), REASON.protocolError],
    ['a topic that is not text', publish({ topic: Uint8Array.of(0xff) }), REASON.malformed],
    ['QoS 2', publish({ topic: TOPIC, id: 1, first: 0x34 }), REASON.qosNotSupported],
    ['QoS 3', publish({ topic: TOPIC, id: 1, first: 0x36 }), REASON.malformed],
    ['a PUBREL', packet(0x62, two(1)), REASON.protocolError],
    ['a second CONNECT', connect(LOGIN), REASON.protocolError],
    ['a packet that is too large', Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x7f), REASON.packetTooLarge],
    [
      'many filters in one packet',
      subscribe(1, ...Array.from({ length: 33 }, (_, index) => `${ANSWER}/${index}`)),
      REASON.quotaExceeded,
    ],
    ['a CONNACK', packet(0x20, [0, 0, 0]), REASON.protocolError],
  ])('%s', async (_, bytes, reason) => {
    const pid = rig.front.brokerPid();
    const rogue = await logIn();
    rogue.send(bytes);
    expect([...(await rogue.received(DISCONNECT)).body]).toEqual([reason, 0]);
    await rogue.closed();
    expect(rig.front.brokerPid()).toBe(pid);
  });
});

test('what it is refused for stands in the log with its name, a few lines for many', async () => {
  const mark = { username: 'rogue-2', password: secretOf('rogue-2') };
  for (let count = 0; count < 10; count += 1) {
    const rogue = await logIn(mark);
    rogue.send(subscribe(1, '__proto__'));
    await rogue.closed();
  }
  const isIts = ({ fields }: { readonly fields: LogFields }) =>
    fields.code === 'mqtt_packet_refused' && fields.device === 'rogue-2';
  await vi.waitFor(() => expect(rig.log.lines.some(isIts)).toBe(true));
  const lines = rig.log.lines.filter(isIts);
  expect(lines.length).toBeLessThan(10);
  expect(lines[0]?.fields).toMatchObject({ event: 'refused', address: '127.0.0.1' });
  expect(JSON.stringify(lines)).not.toContain('__proto__');
});

describe('a CONNECT is answered', () => {
  const PLAIN = [0, 0];
  test.each<[string, Uint8Array, readonly number[]]>([
    ['of MQTT 3.1.1 with return code 1', connect({ ...LOGIN, version: 4 }), [0, 1]],
    ['of MQTT 3.1 with return code 1', packet(0x10, [...text('MQIsdp'), 3, 2, ...PLAIN, ...text('x')]), [0, 1]],
    ['of MQTT 6 with 0x84', connect({ ...LOGIN, version: 6 }), [0, 0x84, 0]],
    ['with a wrong password with 0x86', connect({ ...LOGIN, password: 'wrong' }), [0, 0x86, 0]],
    ['without a user with 0x86', packet(0x10, [...text('MQTT'), 5, 2, ...PLAIN, 0, ...text('x')]), [0, 0x86, 0]],
    [
      'with a property twice with 0x82',
      connect({ ...LOGIN, properties: properties([0x21, 0, 1], [0x21, 0, 1]) }),
      [0, 0x82, 0],
    ],
    [
      'with a large will with 0x97',
      connect({ ...LOGIN, will: { topic: TOPIC, payload: 'x'.repeat(1_024) } }),
      [0, 0x97, 0],
    ],
    ['that is too large with 0x95', connect({ ...LOGIN, password: 'x'.repeat(4_096) }), [0, 0x95, 0]],
  ])('%s', async (_, bytes, answer) => {
    const stranger = await open();
    stranger.send(bytes);
    expect([...(await stranger.received(CONNACK)).body]).toEqual(answer);
    await stranger.closed();
  });

  test('with what the broker does not offer: QoS 2, and a session that outlives the connection', async () => {
    const device = await logIn({ clean: false, properties: properties([0x11, 0, 0, 2, 88]) });
    const [, reason, , ...offers] = (await device.received(CONNACK)).body;
    expect(reason).toBe(0);
    expect(offers.slice(0, 7)).toEqual([0x24, 1, 0x11, 0, 0, 0, 0]);
  });
});

test('no name, password or topic makes a message to the hub that ends the broker', async () => {
  const pid = rig.front.brokerPid();
  const escaped = '\u0001'.repeat(2_000);
  const stranger = await open();
  stranger.send(connect({ username: escaped, password: escaped }));
  expect([...(await stranger.received(CONNACK)).body]).toEqual([0, 0x86, 0]);
  const twice = await open();
  twice.send(connect({ username: escaped, password: 'x', properties: properties([0x21, 0, 1], [0x21, 0, 1]) }));
  expect([...(await twice.received(CONNACK)).body]).toEqual([0, 0x82, 0]);
  const rogue = await logIn();
  // The log gets 256 characters of it: the last one is half of a pair.
  rogue.send(subscribe(1, `${'x'.repeat(255)}\u{1f511}`, escaped));
  await rogue.received(SUBACK);
  expect((await honest.ask('{"token":"honest"}')).contentType).toBe('application/json');
  expect(rig.front.brokerPid()).toBe(pid);
});

test('a device may have the id of something that every object has', async () => {
  for (const id of ['constructor', 'valueof', 'tostring']) {
    const device = await MqttDevice.connect({ port, device: id, password: secretOf(id) });
    expect((await device.ask('{"token":"opaque"}')).contentType).toBe('application/json');
    await device.close();
  }
});

/** Each of these took hundreds of megabytes within seconds. What the broker holds is what shows; memory has a wide margin. */
describe('takes no memory that stays, by', { timeout: 60_000 }, () => {
  const MEGABYTE = 1_048_576;
  const MARGIN = 64 * MEGABYTE;

  function memory(): number {
    const status = readFileSync(`/proc/${rig.front.brokerPid()}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1_024;
  }

  /** As the broker has its sessions now: what is kept for the rogue comes at its next connection. */
  async function kept(): Promise<{ readonly hasSession: boolean; readonly messages: number }> {
    const again = await logIn({ clean: false, properties: properties([0x11, 0, 0, 2, 88]) });
    again.send(PINGREQ);
    await again.received(PACKET.PINGRESP);
    const packets = again.packets();
    return {
      hasSession: packets[0]?.body[0] === 1,
      messages: packets.filter(({ first }) => first >> 4 === PUBLISH).length,
    };
  }

  const NOTHING = { hasSession: false, messages: 0 };
  const LASTING = { clean: false, properties: properties([0x11, 0, 0, 2, 88]) };

  test('messages of QoS 2 that it never releases', async () => {
    const before = memory();
    const payload = 'x'.repeat(60_000);
    const two = [1, 2].map((id) => publish({ topic: TOPIC, id, first: 0x34, payload }));
    const messages = Buffer.concat(two);
    for (let round = 0; round < 50; round += 1) {
      const rogue = await logIn(LASTING);
      await rogue.sendAll(messages);
      await rogue.closed();
      expect(rogue.packets().some(({ first }) => first >> 4 === PACKET.PUBREC)).toBe(false);
    }
    expect(memory() - before).toBeLessThan(MARGIN);
    expect(await kept()).toEqual(NOTHING);
  });

  test('filters that are denied beside one that is granted', async () => {
    const rogue = await logIn(LASTING);
    const send = async (rounds: number) => {
      for (let round = 0; round < rounds; round += 1) {
        const denied = Array.from({ length: 31 }, (_, index) => `${round}/${index}/${'x'.repeat(2_000)}`);
        await rogue.sendAll(subscribe(1, ANSWER, ...denied));
        if ((round + 1) % 100 > 0) continue;
        // Often enough that each wait is short on a busy machine, too.
        const answers = () => rogue.packets().filter(({ first }) => first >> 4 === SUBACK);
        await vi.waitFor(() => expect(answers()).toHaveLength(100));
        rogue.forget();
      }
    };
    // The heap of the broker has grown to what it works with. Then more is sent than the margin.
    await send(500);
    const before = memory();
    await send(1_500);
    expect(memory() - before).toBeLessThan(MARGIN);
    rogue.destroy();
    expect(await kept()).toEqual(NOTHING);
  });

  test('a denied # beside a granted filter, while it is away and others speak', async () => {
    const rogue = await logIn(LASTING);
    rogue.send(subscribe(1, ANSWER, '#'));
    await rogue.received(SUBACK);
    rogue.destroy();
    const before = memory();
    const payload = JSON.stringify({ token: 'x'.repeat(50_000) });
    for (let round = 0; round < 50; round += 1)
      await Promise.all(Array.from({ length: 20 }, () => honest.send(payload)));
    expect(memory() - before).toBeLessThan(MARGIN);
    expect(await kept()).toEqual(NOTHING);
  });

  test('answers of QoS 1 that it never acknowledges', async () => {
    const rogue = await logIn(LASTING);
    rogue.send(subscribe(1, ANSWER));
    await rogue.received(SUBACK);
    const before = memory();
    const asks = properties(CONTENT_TYPE('application/json'), RESPONSE_TOPIC(ANSWER), [
      0x26,
      ...text('a'),
      ...text('b'),
    ]);
    const topic = TOPIC;
    for (let round = 0; round < 100; round += 1) {
      const questions = Array.from({ length: 20 }, (_, index) =>
        publish({ topic, id: index + 1, properties: asks, payload: JSON.stringify({ token: `${round}-${index}` }) }),
      );
      rogue.send(Buffer.concat(questions));
      const count = (type: number) => rogue.packets().filter(({ first }) => first >> 4 === type).length;
      await vi.waitFor(() => expect([count(PUBACK), count(PUBLISH)]).toEqual([20, 20]), {
        timeout: 10_000,
        interval: 2,
      });
      rogue.forget();
    }
    expect(memory() - before).toBeLessThan(MARGIN);
    rogue.destroy();
    expect(await kept()).toEqual(NOTHING);
  });
});
