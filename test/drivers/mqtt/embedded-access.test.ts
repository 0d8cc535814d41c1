/** The rules of the embedded broker by themselves: aedes would not forward by itself what nobody may listen to. */
import { PassThrough } from 'node:stream';
import type { AedesPublishPacket, Client, ConnectPacket } from 'aedes';
import { beforeEach, expect, test, vi } from 'vitest';
import type { RefusedWord } from '../../../drivers/mqtt/broker-messages.ts';
import { EmbeddedAccess } from '../../../drivers/mqtt/embedded-access.ts';
import { Topics } from '../../../drivers/mqtt/topics.ts';
import { systemTimers } from '../../../drivers/system-time.ts';
import { secretOf } from '../../fixtures/mqtt-front.ts';

let refused: RefusedWord[];
let access: EmbeddedAccess;
let hub: Client;
let ekg: Client;

beforeEach(() => {
  refused = [];
  access = new EmbeddedAccess({
    topics: new Topics('latchkey/v1'),
    ask: ({ login, password, username }) => {
      if (password === 'hub-password') access.verdict(login, 'hub');
      else access.verdict(login, password === secretOf(username) ? 'device' : undefined);
    },
    refused: (word) => refused.push(word),
    held: { hasRoom: ({ payload }) => payload.length < 10 },
    timers: systemTimers,
  });
  hub = client('@hub', 'hub-password');
  ekg = client('ekg-1', secretOf('ekg-1'));
});

/** Somebody at the broker, after the attempt to log in. */
function client(username: string, password: string): Client {
  const somebody = { id: username, conn: new PassThrough() } as unknown as Client;
  access.rules.authenticate(somebody, username, Buffer.from(password), () => undefined);
  return somebody;
}

const told = () => refused.map(({ code, detail, topic, username }) => [code, username, detail, topic]);

function publish(somebody: Client, topic: string, options: Partial<AedesPublishPacket> = {}): string | undefined {
  let refusal: string | undefined;
  const packet = { topic, retain: false, qos: 0, payload: Buffer.alloc(1), ...options } as AedesPublishPacket;
  access.rules.authorizePublish(somebody, packet, (error) => {
    refusal = error?.message;
  });
  return refusal;
}

function listen(somebody: Client, topic: string): boolean {
  let isGranted = false;
  access.rules.authorizeSubscribe(somebody, { topic, qos: 1 }, (_, granted) => {
    isGranted = granted !== null;
  });
  return isGranted;
}

test.each([
  ['the hub', () => hub, 'latchkey/v1/ekg-1/introspect', true],
  ['a device', () => ekg, 'latchkey/v1/ekg-1/answer', true],
  ['a device', () => ekg, 'latchkey/v1/ekg-1/answers/of/its/own', true],
  ['a device', () => ekg, 'latchkey/v1/hub/status', true],
  ['a device', () => ekg, 'latchkey/v1/ekg-2/answer', false],
  ['a device', () => ekg, 'latchkey/v1/ekg-11/answer', false],
  ['a device', () => ekg, '$SYS/broker/clients', false],
  ['who is not logged in', () => client('ekg-1', 'a guess'), 'latchkey/v1/ekg-1/answer', false],
  ['who is not logged in', () => client('ekg-1', 'a guess'), 'latchkey/v1/hub/status', false],
])('to %s is forwarded, or not: %#', (_, somebody, topic, may) => {
  const packet = { topic } as AedesPublishPacket;
  expect(access.rules.authorizeForward(somebody(), packet)).toBe(may ? packet : null);
});

test('what a device may not is told, with the topic as it wrote it, cut to a length', () => {
  expect(publish(ekg, 'latchkey/ekg-1/introspect')).toBeDefined();
  expect(publish(ekg, 'latchkey/v1/ekg-1/introspect', { retain: true })).toBeDefined();
  expect(listen(ekg, 'latchkey/v1/+/answer')).toBe(false);
  expect(listen(ekg, `latchkey/v1/ekg-2/${'x'.repeat(500)}`)).toBe(false);
  expect(told()).toEqual([
    ['topic_refused', 'ekg-1', 'publish on', 'latchkey/ekg-1/introspect'],
    ['topic_refused', 'ekg-1', 'publish retained on', 'latchkey/v1/ekg-1/introspect'],
    ['topic_refused', 'ekg-1', 'listen to', 'latchkey/v1/+/answer'],
    ['topic_refused', 'ekg-1', 'listen to', expect.stringMatching(/^latchkey.{248}$/)],
  ]);
});

test('nothing is told of what is allowed', () => {
  expect(publish(ekg, 'latchkey/v1/ekg-1/introspect')).toBeUndefined();
  expect(publish(hub, 'latchkey/v1/ekg-1/answer', { retain: true })).toBeUndefined();
  expect(listen(ekg, 'latchkey/v1/ekg-1/answer')).toBe(true);
  expect(listen(hub, 'latchkey/v1/+/introspect')).toBe(true);
  expect(told()).toEqual([]);
});

test('a filter that is too long, and one more than 16, are refused', () => {
  expect(listen(ekg, `latchkey/v1/ekg-1/${'x'.repeat(256)}`)).toBe(false);
  for (let count = 0; count < 16; count += 1) expect(listen(ekg, `latchkey/v1/ekg-1/${count}`)).toBe(true);
  expect(listen(ekg, 'latchkey/v1/ekg-1/16')).toBe(false);
  expect(listen(ekg, 'latchkey/v1/ekg-1/0')).toBe(true);
});

test('a question of QoS 1 that finds no room is refused; QoS 0 waits nowhere', () => {
  const payload = Buffer.alloc(10);
  expect(publish(ekg, 'latchkey/v1/ekg-1/introspect', { payload, qos: 1 })).toMatch(/wait/);
  expect(publish(ekg, 'latchkey/v1/ekg-1/introspect', { payload, qos: 0 })).toBeUndefined();
  expect(publish(hub, 'latchkey/v1/ekg-1/answer', { payload, qos: 1 })).toBeUndefined();
});

test('a device has a session that ends with its connection, and no client id of its own choice', () => {
  const enter = (username: string) => {
    const packet = { username, clientId: 'x', clean: false, properties: { sessionExpiryInterval: 9 } };
    access.rules.preConnect({} as Client, packet as ConnectPacket, () => undefined);
    return packet;
  };
  expect(enter('constructor')).toEqual({
    username: 'constructor',
    clientId: 'user/constructor',
    clean: true,
    properties: {},
  });
  expect(enter('@hub')).toMatchObject({ clean: false, properties: { sessionExpiryInterval: 9 } });
});

test('a login that the hub leaves unanswered is refused as the hub being away', () => {
  vi.useFakeTimers();
  const slow = new EmbeddedAccess({
    topics: new Topics('latchkey/v1'),
    ask: () => undefined,
    refused: () => undefined,
    held: { hasRoom: () => true },
    timers: systemTimers,
  });
  const done = vi.fn();
  slow.rules.authenticate({ conn: new PassThrough() } as unknown as Client, 'ekg-1', Buffer.from('x'), done);
  vi.advanceTimersByTime(5_000);
  vi.useRealTimers();
  expect(done).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ returnCode: 3 }), false);
  slow.verdict(1, 'device');
  expect(done).toHaveBeenCalledTimes(1);
});

test('connections of a device are known from its login to their end', () => {
  const again = client('ekg-1', secretOf('ekg-1'));
  expect(access.connectionsOf('ekg-1')).toEqual([ekg, again]);
  again.conn.emit('close');
  expect(access.connectionsOf('ekg-1')).toEqual([ekg]);
  expect(access.connectionsOf('ekg-2')).toEqual([]);
});
