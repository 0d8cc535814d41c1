import { once } from 'node:events';
import { connect } from 'node:net';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { listenFailure } from '../../../drivers/mqtt/aedes-broker.ts';
import type { MqttOptions } from '../../../drivers/mqtt/open-mqtt.ts';
import type { DeliverySummary } from '../../../src/ports/northbound.ts';
import { subjectOf } from '../../fakes/named-answer.ts';
import { QUICK } from '../../fixtures/aedes-broker.ts';
import { isRunning } from '../../fixtures/is-running.ts';
import { MqttDevice } from '../../fixtures/mqtt-device.ts';
import { connected, type MqttRig, openMqttRig, secretOf } from '../../fixtures/mqtt-front.ts';
import { connect as connectPacket, publish } from '../../fixtures/mqtt-packets.ts';
import { RawMqttClient } from '../../fixtures/raw-mqtt-client.ts';

let rig: MqttRig;
let port = 0;
beforeAll(async () => {
  rig = await openMqttRig();
  port = rig.front.port ?? 0;
  await connected(rig.front);
});
afterAll(() => rig.front.close(1_000));

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function device(id: string): Promise<MqttDevice> {
  const connectedDevice = await MqttDevice.connect({ port, device: id, password: secretOf(id) });
  cleanUp.push(() => connectedDevice.close());
  return connectedDevice;
}

async function client(options: IClientOptions): Promise<MqttClient> {
  const connectedClient = await connectAsync(
    `mqtt://127.0.0.1:${port}`,
    { protocolVersion: 5, reconnectPeriod: 0, connectTimeout: 2_000, ...options },
    false,
  );
  cleanUp.push(() => connectedClient.endAsync(true));
  return connectedClient;
}

/** What a client hears on a topic from now on, or why it may not. */
async function hearing(listener: MqttClient, topic: string): Promise<string[]> {
  const heard: string[] = [];
  listener.on('message', (on) => heard.push(on));
  await listener.subscribeAsync(topic, { qos: 1 });
  return heard;
}

describe('a device at the embedded broker', () => {
  test('asks and is answered', async () => {
    const ekg = await device('ekg-1');
    const { contentType, payload } = await ekg.ask('{"token":"opaque-1"}');
    expect(contentType).toBe('application/json');
    expect(JSON.parse(payload.toString())).toMatchObject({ active: true, sub: subjectOf('ekg-1', 'opaque-1') });
  });

  test('hears whether the hub is there', async () => {
    const ekg = await device('ekg-1');
    const heard: string[] = [];
    ekg.client.on('message', (topic, payload) => topic.endsWith('/status') && heard.push(payload.toString()));
    await ekg.client.subscribeAsync('latchkey/v1/hub/status');
    await vi.waitFor(() => expect(heard).toHaveLength(1));
    expect(JSON.parse(heard[0] ?? '')).toMatchObject({ state: 'online' });
  });

  test('is its user, whatever client id it chooses: it takes over no session', async () => {
    const ekg = await device('ekg-1');
    const thief = await client({ clientId: 'ekg-1', username: 'ekg-2', password: secretOf('ekg-2') });
    expect(thief.connected).toBe(true);
    expect((await ekg.ask('{"token":"opaque-1"}')).contentType).toBe('application/json');
  });
});

describe('is not let in', () => {
  test.each([
    ['a device with a wrong secret', { username: 'ekg-1', password: 'wrong' }],
    ['a device with the secret of another', { username: 'ekg-1', password: secretOf('ekg-2') }],
    ['a user without password', { username: 'ekg-1' }],
    ['somebody without user', {}],
    ['whoever says to be the hub', { username: '@hub', password: 'guess' }],
    ['a client of MQTT 3.1.1', { username: 'ekg-1', password: secretOf('ekg-1'), protocolVersion: 4 as const }],
  ])('%s', async (_, options) => {
    await expect(client(options)).rejects.toThrow();
  });
});

test('who is not let in stands in the log, with where it came from', async () => {
  const own = await openMqttRig();
  const stranger = { port: own.front.port ?? 0, username: 'ekg-7', password: 'wrong' };
  await expect(client(stranger)).rejects.toThrow();
  await own.front.close(100);
  const refused = own.log.lines.filter(({ fields }) => fields.device === 'ekg-7');
  expect(refused).toMatchObject([{ fields: { code: 'device_unauthenticated', address: '127.0.0.1' } }]);
});

test('many who are not let in are a few lines of the log', async () => {
  const before = rig.log.lines.length;
  const attempt = () => expect(client({ username: 'ekg-1', password: 'wrong' })).rejects.toThrow();
  await Promise.all(Array.from({ length: 20 }, attempt));
  const refused = rig.log.lines.slice(before).filter(({ fields }) => fields.code === 'device_unauthenticated');
  expect(refused.length).toBeLessThan(20);
});

describe('a device may not', () => {
  test('ask in the name of another', async () => {
    const ekg = await device('ekg-1');
    const before = rig.relay.requests.length;
    await expect(ekg.send('{"token":"x"}', { topic: 'latchkey/v1/ekg-2/introspect' })).rejects.toThrow(/authorized/i);
    expect(rig.relay.requests).toHaveLength(before);
  });

  test.each([
    ['the answers of another', 'latchkey/v1/ekg-2/answer'],
    ['the answers of all', 'latchkey/v1/+/answer'],
    ['everything', '#'],
    ['a device whose name begins alike', 'latchkey/v1/ekg-10/#'],
  ])('hear %s', async (_, filter) => {
    const ekg = await device('ekg-1');
    await expect(hearing(ekg.client, filter)).rejects.toThrow();
  });

  test.each([
    ['the status of the hub', 'latchkey/v1/hub/status'],
    ['an answer', 'latchkey/v1/ekg-1/answer'],
  ])('write %s', async (_, topic) => {
    const ekg = await device('ekg-1');
    await expect(ekg.send('{"state":"offline"}', { topic })).rejects.toThrow(/authorized/i);
  });

  test('leave a request behind that is retained', async () => {
    const ekg = await device('ekg-1');
    const retained = ekg.client.publishAsync('latchkey/v1/ekg-1/introspect', '{"token":"x"}', { qos: 1, retain: true });
    await expect(retained).rejects.toThrow(/authorized/i);
  });

  test('speak for another in its last will', async () => {
    const other = await device('ekg-2');
    const before = rig.relay.requests.length;
    const will = {
      topic: 'latchkey/v1/ekg-2/introspect',
      payload: Buffer.from('{"token":"will"}'),
      qos: 1 as const,
      properties: { contentType: 'application/json', responseTopic: 'latchkey/v1/ekg-2/answer' },
    };
    const dying = await client({ username: 'ekg-1', password: secretOf('ekg-1'), will });
    dying.stream.destroy();
    await other.ask('{"token":"later"}');
    expect(rig.relay.requests.slice(before).map(({ token }) => token.expose())).toEqual(['later']);
  });

  test('hold more than 16 filters', async () => {
    const ekg = await device('ekg-1');
    for (let index = 0; index < 15; index += 1) await ekg.client.subscribeAsync(`latchkey/v1/ekg-1/${index}`);
    await expect(ekg.client.subscribeAsync('latchkey/v1/ekg-1/more')).rejects.toThrow();
  });
});

describe('one that takes more than its part', () => {
  test('is cut off when it leaves its answers unread, and the others are answered', async () => {
    const victim = await device('ekg-1');
    const evil = await client({ username: 'pump-1', password: secretOf('pump-1') });
    // Its own requests come back to it as well, which fills what the broker holds for it.
    await evil.subscribeAsync('latchkey/v1/pump-1/#', { qos: 0 });
    evil.stream.unpipe().pause();
    const topic = 'latchkey/v1/pump-1/introspect';
    const properties = { responseTopic: 'latchkey/v1/pump-1/answer', contentType: 'text/plain' };
    for (let round = 0; round < 600; round += 1) {
      evil.publish(topic, Buffer.alloc(60_000, 'A'));
      // What waits for it then are answers of the hub, and behind them those to the others.
      for (let request = 0; request < 5; request += 1) evil.publish(topic, `${round}`, { properties });
    }
    await vi.waitFor(() => expect(evil.stream.destroyed).toBe(true), { timeout: 10_000 });
    await victim.ask('{"token":"opaque-2"}');
  });

  test('by connections has those of its own network alone cut', async () => {
    const { front } = await openMqttRig({ connections: { overall: 16, perNetwork: 4 } });
    cleanUp.push(() => front.close(100));
    await connected(front);
    const held = Array.from({ length: 12 }, () =>
      connect({ host: '127.0.0.1', port: front.port ?? 0, localAddress: '127.0.0.2' }),
    );
    cleanUp.push(async () => held.forEach((socket) => void socket.destroy()));
    for (const socket of held) socket.on('error', () => undefined).resume();
    await Promise.all(held.map((socket) => once(socket, 'connect')));
    await vi.waitFor(() => expect(held.filter(({ closed }) => closed)).toHaveLength(8));
    const ekg = await MqttDevice.connect({ port: front.port ?? 0, device: 'ekg-1', password: secretOf('ekg-1') });
    cleanUp.push(() => ekg.close());
    expect((await ekg.ask('{"token":"opaque-1"}')).contentType).toBe('application/json');
  });
});

describe('a device whose key does not count any more', () => {
  async function openRevocable(): Promise<{ readonly own: MqttRig; revoke(device: string): void }> {
    let revoke: (device: string) => void = () => undefined;
    const watch = (listener: (device: string) => void) => {
      revoke = listener;
      return () => undefined;
    };
    const own = await openMqttRig({ revocations: { watch } });
    cleanUp.push(() => own.front.close(100));
    await connected(own.front);
    return { own, revoke: (name) => revoke(name) };
  }

  test('loses all its connections at once, and no other device does', async () => {
    const { own, revoke } = await openRevocable();
    const at = own.front.port ?? 0;
    const old = await RawMqttClient.logIn(at, 'ekg-1');
    const other = await MqttDevice.connect({ port: at, device: 'ekg-2', password: secretOf('ekg-2') });
    cleanUp.push(() => other.close());
    revoke('ekg-1');
    // Administrative action (MQTT 5.0 §3.14.2.1).
    expect([...(await old.received(14)).body]).toEqual([0x98, 0]);
    old.send(publish({ topic: 'latchkey/v1/ekg-1/introspect', payload: '{"token":"late"}' }));
    await old.closed();
    expect((await other.ask('{"token":"other"}')).contentType).toBe('application/json');
    expect(own.relay.requests.map(({ token }) => token.expose())).toEqual(['other']);
  });

  test('does not come in with a login that was on its way', async () => {
    let revoke: (device: string) => void = () => undefined;
    const own = await openMqttRig({
      devices: {
        // Removed right after the hub has said yes.
        authenticate: (credential) => {
          queueMicrotask(() => revoke('ekg-1'));
          return credential.kind === 'secret' ? credential.device : '';
        },
        isRegistered: () => true,
      },
      revocations: {
        watch: (listener) => {
          revoke = listener;
          return () => undefined;
        },
      },
    });
    cleanUp.push(() => own.front.close(100));
    const late = await RawMqttClient.open(own.front.port ?? 0);
    late.send(connectPacket({ username: 'ekg-1', password: secretOf('ekg-1') }));
    await late.closed();
    expect(late.isClosed).toBe(true);
  });
});

describe('where the process of the broker ends', { timeout: 60_000 }, () => {
  async function openWatched(options: Partial<MqttOptions> = {}): Promise<MqttRig> {
    const own = await openMqttRig({ settings: QUICK, process: { restartAfter: 50, restartCap: 100 }, ...options });
    cleanUp.push(() => own.front.close(100));
    await connected(own.front);
    return own;
  }

  test('the hub says so, starts it again on its port, and devices that come back are answered', async () => {
    const { front, log } = await openWatched({ process: { restartAfter: 1_000 } });
    const at = front.port;
    process.kill(front.brokerPid() ?? 0, 'SIGKILL');
    await vi.waitFor(() => expect(front.health()).toMatchObject({ up: false, code: 'embedded_broker_down' }));
    expect(front.health().detail).toBe('SIGKILL');
    await vi.waitFor(() => expect(front.health().up).toBe(true), { timeout: 40_000 });
    expect(front.port).toBe(at);
    const ekg = await MqttDevice.connect({ port: at ?? 0, device: 'ekg-1', password: secretOf('ekg-1') });
    cleanUp.push(() => ekg.close());
    expect((await ekg.ask('{"token":"opaque-1"}')).contentType).toBe('application/json');
    expect(front.counters().brokerRestarts).toBe(1);
    expect(log.lines.filter(({ fields }) => fields.event === 'child_down')).toMatchObject([
      { level: 'warn', fields: { child: 'mqtt-broker', detail: 'SIGKILL' } },
    ]);
  });

  test('it is killed where it stops to answer', async () => {
    const { front } = await openWatched({ process: { heartbeat: 100, missedHeartbeats: 20, restartAfter: 50 } });
    const pid = front.brokerPid() ?? 0;
    process.kill(pid, 'SIGSTOP');
    await vi.waitFor(() => expect(front.counters().brokerRestarts).toBe(1), { timeout: 40_000 });
    await vi.waitFor(() => expect(front.health().up).toBe(true), { timeout: 40_000 });
    expect(front.brokerPid()).not.toBe(pid);
  });

  test('what is retained is there again', async () => {
    const summary = { device: 'ekg-1', waiting: 0, delivery: undefined };
    const state = { ...summary, waiting: 2, delivery: { id: 'd-1' } } as unknown as DeliverySummary;
    const { front } = await openWatched({ deliveries: { now: () => [state], watch: () => () => undefined } });
    process.kill(front.brokerPid() ?? 0, 'SIGKILL');
    await vi.waitFor(() => expect(front.counters()).toMatchObject({ brokerRestarts: 1, connected: 2 }), {
      timeout: 40_000,
    });
    const heard: string[] = [];
    const ekg = await MqttDevice.connect({ port: front.port ?? 0, device: 'ekg-1', password: secretOf('ekg-1') });
    cleanUp.push(() => ekg.close());
    ekg.client.on('message', (topic) => heard.push(topic));
    await ekg.client.subscribeAsync(['latchkey/v1/ekg-1/deliveries', 'latchkey/v1/hub/status'], { qos: 1 });
    await vi.waitFor(() => expect(heard.sort()).toEqual(['latchkey/v1/ekg-1/deliveries', 'latchkey/v1/hub/status']));
  });

  test('a closed front leaves none behind', async () => {
    const { front } = await openWatched();
    const pid = front.brokerPid() ?? 0;
    await front.close(100);
    expect(isRunning(pid)).toBe(false);
    expect(front.brokerPid()).toBeUndefined();
  });
});

describe('a broker that cannot start', () => {
  const starting = (listen: { readonly host: string; readonly port: number }) => openMqttRig({ broker: { listen } });

  test('because its port is taken is address_unavailable', async () => {
    await expect(starting({ host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'address_unavailable',
      detail: `127.0.0.1:${port} (EADDRINUSE)`,
    });
  });

  test('because the address is of another machine is address_unavailable', async () => {
    // TEST-NET-1 (RFC 5737): no machine has it.
    await expect(starting({ host: '192.0.2.1', port: 0 })).rejects.toMatchObject({
      code: 'address_unavailable',
      detail: '192.0.2.1:0 (EADDRNOTAVAIL)',
    });
  });

  test('because of a defect is internal, with the place of the defect', async () => {
    // The configuration has no such port: node throws.
    await expect(starting({ host: '127.0.0.1', port: 70_000 })).rejects.toMatchObject({
      code: 'internal',
      detail: expect.stringMatching(/^RangeError \| at .*aedes-broker/),
    });
  });

  test.each(['EMFILE', 'ENOBUFS', undefined])('because the system has no room (%s) is embedded_broker_down', (code) => {
    const error = Object.assign(new Error('listen'), code === undefined ? {} : { code });
    expect(listenFailure(error, '127.0.0.1:1883')).toMatchObject({
      code: 'embedded_broker_down',
      detail: `127.0.0.1:1883 (${code ?? 'failed'})`,
    });
  });
});
