/** The MQTT front at Debian's mosquitto, with the configuration and the ACL that we ship. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { DeviceQuestions } from '../../drivers/mqtt/device-questions.ts';
import { monotonic, systemRandom, systemTimers } from '../../drivers/system-time.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { Secret } from '../../src/core/secret.ts';
import { namedAnswer, subjectOf } from '../fakes/named-answer.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { QUICK } from '../fixtures/aedes-broker.ts';
import { brokerCa, Mosquitto, type MosquittoOptions } from '../fixtures/mosquitto.ts';
import { type MqttAnswer, MqttDevice } from '../fixtures/mqtt-device.ts';
import { connected, type MqttRig, openMqttRig, secretOf } from '../fixtures/mqtt-front.ts';

const HUB_PASSWORD = 'the password of the hub';
const DEVICES = Array.from({ length: 12 }, (_, index) => `ekg-${index}`);

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function startBroker(options: Pick<MosquittoOptions, 'acl'> = {}): Promise<Mosquitto> {
  const secrets = DEVICES.map((device) => [device, secretOf(device)] as const);
  const users = { '@hub': HUB_PASSWORD, ...Object.fromEntries(secrets) };
  const broker = await Mosquitto.start({ users, ...options });
  cleanUp.push(() => broker.remove());
  return broker;
}

async function openHub(broker: Mosquitto, { wait = true } = {}): Promise<MqttRig> {
  const rig = await openMqttRig({
    broker: {
      host: 'localhost',
      port: broker.port,
      tls: { ca: brokerCa() },
      clientId: 'latchkey-hub',
      username: '@hub',
      password: new Secret(HUB_PASSWORD),
    },
    settings: QUICK,
  });
  cleanUp.push(() => rig.front.close(2_000));
  if (wait) await connected(rig.front);
  return rig;
}

async function openDevice(broker: Mosquitto, id: string): Promise<MqttDevice> {
  const device = await MqttDevice.connect({
    port: broker.port,
    device: id,
    password: secretOf(id),
    options: {
      protocol: 'mqtts',
      host: 'localhost',
      ca: brokerCa(),
      clean: false,
      properties: { sessionExpiryInterval: 300 },
      reconnectPeriod: 50,
    },
  });
  cleanUp.push(() => device.close());
  return device;
}

describe('at mosquitto over TLS', () => {
  test('a device is answered, and hears whether the hub is there', async () => {
    const broker = await startBroker();
    const { front } = await openHub(broker);
    const device = await openDevice(broker, 'ekg-1');
    for (const qos of [0, 1] as const) {
      const answer = await device.ask('{"token":"opaque-1"}', { qos });
      expect(JSON.parse(answer.payload.toString())).toMatchObject({
        active: true,
        sub: subjectOf('ekg-1', 'opaque-1'),
      });
    }
    const states: string[] = [];
    device.client.on('message', (topic, payload) => topic.endsWith('/status') && states.push(payload.toString()));
    await device.client.subscribeAsync('latchkey/v1/hub/status', { qos: 1 });
    await vi.waitFor(() => expect(states[0]).toContain('online'));
    await front.close(1_000);
    await vi.waitFor(() => expect(states[1]).toContain('offline'));
  });

  test('a request that came while the hub was away is answered when it is back', async () => {
    const broker = await startBroker();
    const first = await openHub(broker);
    await first.front.close(1_000);
    const device = await openDevice(broker, 'ekg-1');
    const correlation = await device.send('{"token":"meanwhile"}');
    const second = await openHub(broker);
    await device.answer(correlation);
    expect(first.relay.requests).toEqual([]);
    expect(second.relay.judged()).toEqual(new Map([['meanwhile', 1]]));
  });
});

test('a question that somebody had the broker retain is not judged when the hub connects', async () => {
  const broker = await startBroker();
  const device = await openDevice(broker, 'ekg-1');
  const properties = { responseTopic: device.answerTopic, contentType: 'application/json' };
  const retained = { qos: 1, retain: true, properties } as const;
  await device.client.publishAsync('latchkey/v1/ekg-1/introspect', '{"token":"retained"}', retained);
  const { relay } = await openHub(broker);
  await device.ask('{"token":"own"}');
  expect([...relay.judged().keys()]).toEqual(['own']);
});

describe('a burst larger than what may be under way', () => {
  test('is answered to the last request, though the broker has one Receive Maximum and keeps to none', async () => {
    const broker = await startBroker();
    const { relay } = await openHub(broker);
    const devices = await Promise.all(DEVICES.map((id) => openDevice(broker, id)));
    const asked = devices.flatMap((device) =>
      Array.from({ length: 150 }, (_, round) => device.ask(`{"token":"token-${device.device}-${round}"}`)),
    );
    await Promise.all(asked);
    expect(relay.requests).toHaveLength(asked.length);
  });
});

describe('the ACL that we ship keeps a device from', () => {
  test('asking in the name of another', async () => {
    const broker = await startBroker();
    const { relay } = await openHub(broker);
    const [device, other] = [await openDevice(broker, 'ekg-1'), await openDevice(broker, 'ekg-2')];
    await expect(device.send('{"token":"forged"}', { topic: 'latchkey/v1/ekg-2/introspect' })).rejects.toThrow();
    await other.ask('{"token":"own"}');
    expect([...relay.judged().keys()]).toEqual(['own']);
  });

  test('having the answer sent to another', async () => {
    const broker = await startBroker();
    const { log, relay } = await openHub(broker);
    const [device, other] = [await openDevice(broker, 'ekg-1'), await openDevice(broker, 'ekg-2')];
    await device.send('{"token":"misdirected"}', { responseTopic: other.answerTopic });
    await other.ask('{"token":"own"}');
    expect(other.answers).toHaveLength(1);
    expect([...relay.judged().keys()]).toEqual(['own']);
    expect(log.lines.some(({ fields }) => fields.code === 'response_topic_refused')).toBe(true);
  });

  test('hearing the answers of another', async () => {
    const broker = await startBroker();
    await openHub(broker);
    const [device, other] = [await openDevice(broker, 'ekg-1'), await openDevice(broker, 'ekg-2')];
    const heard: string[] = [];
    device.client.on('message', (topic) => heard.push(topic));
    // mosquitto takes any subscription, and asks the ACL for each message.
    await device.client.subscribeAsync(['latchkey/v1/ekg-2/#', 'latchkey/v1/+/answer', '#'], { qos: 1 }).catch(() => {
      // A broker that refuses it at once keeps it to itself as well.
    });
    await other.ask('{"token":"secret"}');
    await device.ask('{"token":"own"}');
    expect(heard.filter((topic) => topic.includes('ekg-2'))).toEqual([]);
  });

  test('taking over the session of another by its client id', async () => {
    const broker = await startBroker();
    await openHub(broker);
    const victim = await openDevice(broker, 'ekg-1');
    const thief = await MqttDevice.connect({
      port: broker.port,
      device: 'ekg-2',
      password: secretOf('ekg-2'),
      options: { protocol: 'mqtts', host: 'localhost', ca: brokerCa(), clientId: 'ekg-1', clean: false },
    });
    cleanUp.push(() => thief.close());
    await victim.ask('{"token":"own"}');
    expect(victim.client.connected).toBe(true);
    expect(thief.answers).toEqual([]);
  });
});

describe('a broker that ends in the middle of a burst', () => {
  const PER_DEVICE = 20;

  /** All devices ask as fast as they can; answers take the relay up to 20 ms. */
  async function burst(broker: Mosquitto, rig: MqttRig) {
    rig.relay.answer = async (request) => {
      await sleep(Math.random() * 20);
      return namedAnswer(request);
    };
    const devices = await Promise.all(DEVICES.map((id) => openDevice(broker, id)));
    const asked = new Map<string, { readonly device: MqttDevice; readonly token: string; readonly payload: string }>();
    const sending = devices.flatMap((device, index) =>
      Array.from({ length: PER_DEVICE }, async (_, round) => {
        await sleep(Math.random() * 300);
        const token = `token-${device.device}-${round}`;
        const correlation = `${index.toString(16).padStart(4, '0')}${round.toString(16).padStart(4, '0')}`;
        const payload = JSON.stringify({ token });
        asked.set(correlation, { device, token, payload });
        await device.send(payload, { correlation });
      }),
    );
    return { devices, asked, sending };
  }

  const answersOf = (devices: readonly MqttDevice[]): readonly MqttAnswer[] =>
    devices.flatMap(({ answers }) => answers);
  const answered = (devices: readonly MqttDevice[]) =>
    new Set(answersOf(devices).map(({ correlation }) => correlation));

  function expectAllOnce(rig: MqttRig, { asked, devices }: Awaited<ReturnType<typeof burst>>): void {
    for (const [correlation, { device, token }] of asked) {
      const own = device.answers.filter((answer) => answer.correlation === correlation);
      expect(own.length, token).toBeGreaterThan(0);
      // What QoS 1 may bring twice is the same answer, byte for byte.
      expect(new Set(own.map(({ payload }) => payload.toString())).size, token).toBe(1);
      expect(JSON.parse(own[0]?.payload.toString() ?? '')).toMatchObject({ sub: subjectOf(device.device, token) });
      expect(rig.relay.judged().get(token), token).toBe(1);
    }
    expect(answered(devices).size).toBe(asked.size);
  }

  test('by SIGTERM and is started again: every request of QoS 1 is answered, and judged once', async () => {
    const broker = await startBroker();
    const rig = await openHub(broker);
    const all = await burst(broker, rig);
    await vi.waitFor(() => expect(rig.relay.requests.length).toBeGreaterThan(60), { timeout: 10_000, interval: 2 });
    await broker.stop('SIGTERM');
    await broker.start();
    await Promise.all(all.sending);
    await vi.waitFor(() => expect(answered(all.devices).size).toBe(DEVICES.length * PER_DEVICE), { timeout: 20_000 });
    expectAllOnce(rig, all);
    expect(rig.front.counters().lost).toBeGreaterThan(0);
  });

  test('by SIGKILL and forgets everything: devices that ask again are answered, and no request is judged twice', async () => {
    const broker = await startBroker();
    const rig = await openHub(broker);
    const all = await burst(broker, rig);
    await vi.waitFor(() => expect(rig.relay.requests.length).toBeGreaterThan(60), { timeout: 10_000, interval: 2 });
    await broker.stop('SIGKILL');
    await broker.start();
    await Promise.all(all.sending);
    for (let round = 0; round < 20 && answered(all.devices).size < all.asked.size; round += 1) {
      await sleep(500);
      const missing = [...all.asked].filter(([correlation]) => !answered(all.devices).has(correlation));
      await Promise.all(missing.map(([correlation, { device, payload }]) => device.send(payload, { correlation })));
    }
    expectAllOnce(rig, all);
  });
});

describe('an ACL that was not meant for this hub', () => {
  const OTHER = readFileSync(new URL('../../config/mosquitto/acl', import.meta.url), 'utf8').replaceAll(
    'latchkey/v1',
    'ward/latchkey',
  );

  test('shows at once: the hub is not connected, and says which topic it is about', async () => {
    const broker = await startBroker({ acl: OTHER });
    const rig = await openHub(broker, { wait: false });
    await vi.waitFor(() => expect(rig.front.health().code).toBe('broker_refused'), { timeout: 5_000 });
    expect(rig.front.health()).toMatchObject({
      up: false,
      detail: 'may not write on latchkey/v1/hub/status: not authorized (reason code 0x87)',
    });
    expect(rig.front.counters().connected).toBe(0);
  });

  test('shows at a device that asks, without a wait for an answer that cannot come', async () => {
    const broker = await startBroker({ acl: OTHER });
    const id = 'ekg-1';
    const questions = await new Promise<DeviceQuestions>((resolve) => {
      const opened: DeviceQuestions = new DeviceQuestions({
        access: {
          host: 'localhost',
          port: broker.port,
          tls: { ca: brokerCa() },
          clientId: id,
          username: id,
          password: new Secret(secretOf(id)),
        },
        topicPrefix: 'latchkey/v1',
        device: id,
        deadline: 50_000,
        onState: () => resolve(opened),
        timers: systemTimers,
        clock: { monotonic },
        random: systemRandom,
        log: new QuietLog(),
      });
    });
    cleanUp.push(() => questions.close());
    await expect(questions.ask(utf8('a'))).rejects.toMatchObject({
      code: 'hub_no_answer',
      detail: 'the broker does not take the question: not authorized (reason code 0x87)',
    });
  });
});
