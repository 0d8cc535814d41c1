/** The rules of the embedded broker by themselves: aedes would not forward by itself what nobody may listen to. */
import type { AedesPublishPacket, Client, ConnectPacket } from 'aedes';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { accessRules } from '../../../drivers/mqtt/embedded-access.ts';
import { Topics } from '../../../drivers/mqtt/topics.ts';
import { LatchkeyError } from '../../../src/core/errors.ts';
import { Secret } from '../../../src/core/secret.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';
import { secretOf } from '../../fixtures/mqtt-front.ts';

let log: QuietLog;
let rules: ReturnType<typeof accessRules>;
let hub: Client;
let ekg: Client;

beforeEach(() => {
  vi.useFakeTimers();
  log = new QuietLog();
  rules = accessRules({
    topics: new Topics('latchkey/v1'),
    devices: {
      authenticate(credential) {
        if (credential.kind === 'secret' && credential.secret.expose() === secretOf(credential.device)) {
          return credential.device;
        }
        throw new LatchkeyError('device_unauthenticated');
      },
      isRegistered: (id) => id === 'ekg-1' || id === 'ekg-2',
    },
    hub: { username: '@hub', password: new Secret('hub-password') },
    log,
  });
  hub = client('@hub', 'hub-password');
  ekg = client('ekg-1', secretOf('ekg-1'));
});

afterEach(() => {
  vi.useRealTimers();
});

/** Somebody at the broker, after the attempt to log in. */
function client(username: string, password: string): Client {
  const somebody = { id: username } as Client;
  rules.authenticate(somebody, username, Buffer.from(password), () => undefined);
  return somebody;
}

const told = () => log.lines.map(({ fields, level }) => ({ level, ...fields }));
const publish = (somebody: Client, topic: string, retain = false) =>
  rules.authorizePublish(somebody, { topic, retain } as AedesPublishPacket, () => undefined);
const listen = (somebody: Client, topic: string) =>
  rules.authorizeSubscribe(somebody, { topic, qos: 1 }, () => undefined);

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
  expect(rules.authorizeForward(somebody(), packet)).toBe(may ? packet : null);
});

describe('the log says', () => {
  test('whom a wrong secret was shown for', () => {
    client('ekg-1', 'a guess');
    expect(told()).toMatchObject([
      { level: 'info', event: 'refused', code: 'device_unauthenticated', device: 'ekg-1' },
    ]);
  });

  test.each(['ekg/Canary', 'ekg-9-canary', 'a3f1c2d4e5b60718293a4b5c6d7e8f90'])(
    'no name that is not registered, such as %s: it may be a token',
    (name) => {
      client(name, 'a guess');
      expect(told()).toMatchObject([{ device: '?' }]);
      expect(JSON.stringify(log.lines)).not.toContain(name);
    },
  );

  test('that somebody came without MQTT 5.0, or without a name', () => {
    const connect = (packet: Partial<ConnectPacket>) =>
      rules.preConnect({} as Client, packet as ConnectPacket, () => undefined);
    connect({ protocolVersion: 4, username: 'ekg-1' });
    connect({ protocolVersion: 5 });
    expect(told()).toMatchObject([
      { code: 'device_unauthenticated', device: 'ekg-1', detail: 'MQTT 5.0 and a user name are needed' },
      { code: 'device_unauthenticated', device: '?' },
    ]);
  });

  test('where a device may not publish, and where it may not listen', () => {
    publish(ekg, 'latchkey/ekg-1/introspect');
    publish(ekg, 'latchkey/v1/ekg-1/introspect', true);
    listen(ekg, 'latchkey/v1/+/answer');
    expect(told()).toMatchObject([
      { level: 'info', code: 'topic_refused', device: 'ekg-1', detail: 'publish on latchkey/ekg-1/introspect' },
      { code: 'topic_refused', detail: 'publish retained on latchkey/v1/ekg-1/introspect' },
      { code: 'topic_refused', detail: 'listen to latchkey/v1/+/answer' },
    ]);
  });

  test('nothing of a topic that is neither a word of the hub nor a registered id', () => {
    publish(ekg, 'latchkey/v1/a3f1c2d4e5b60718293a4b5c6d7e8f90/introspect/x/x/x/x/x');
    listen(ekg, 'latchkey/v1/ekg-2/canary/#');
    expect(told()).toMatchObject([
      { detail: 'publish on latchkey/v1/?/introspect/?/?/?/?/…' },
      { detail: 'listen to latchkey/v1/ekg-2/?/#' },
    ]);
  });

  test('nothing of what is allowed', () => {
    publish(ekg, 'latchkey/v1/ekg-1/introspect');
    publish(hub, 'latchkey/v1/ekg-1/answer');
    listen(ekg, 'latchkey/v1/ekg-1/answer');
    listen(hub, 'latchkey/v1/+/introspect');
    expect(log.lines).toEqual([]);
  });

  test('a sum where many are refused alike in a second', () => {
    for (let count = 0; count < 20; count += 1) publish(ekg, 'elsewhere');
    expect(log.lines).toHaveLength(4);
    vi.advanceTimersByTime(1_000);
    expect(told()[4]).toMatchObject({ event: 'mqtt_refused', code: 'topic_refused', device: 'ekg-1', count: 16 });
  });
});
