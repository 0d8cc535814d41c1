import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { connectAsync, type MqttClient } from 'mqtt';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { BrokerConnection, type BrokerConnectionOptions } from '../../../drivers/mqtt/broker-connection.ts';
import type { BrokerAccess } from '../../../drivers/mqtt/broker-session.ts';
import { monotonic, systemRandom, systemTimers } from '../../../drivers/system-time.ts';
import { fromUtf8, utf8 } from '../../../src/core/bytes.ts';
import { Secret } from '../../../src/core/secret.ts';
import type { IncomingMessage, OutgoingMessage } from '../../../src/ports/message-broker.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';
import { AedesBroker, QUICK } from '../../fixtures/aedes-broker.ts';

const TLS = new URL('../../fixtures/tls/', import.meta.url);
const pem = (name: string) => readFileSync(new URL(name, TLS), 'utf8');
const serverTls = { cert: pem('server.pem'), key: pem('server-key.pem') };

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function startBroker(...args: Parameters<typeof AedesBroker.start>): Promise<AedesBroker> {
  const broker = await AedesBroker.start(...args);
  cleanUp.push(() => broker.close());
  return broker;
}

interface Rig {
  readonly connection: BrokerConnection;
  readonly log: QuietLog;
  readonly received: IncomingMessage[];
}

function open(access: Partial<BrokerAccess>, options: Partial<BrokerConnectionOptions> = {}): Rig {
  const log = new QuietLog();
  const received: IncomingMessage[] = [];
  const connection = new BrokerConnection({
    access: {
      host: '127.0.0.1',
      port: 1,
      tls: undefined,
      clientId: 'hub',
      username: undefined,
      password: undefined,
      ...access,
    },
    filter: 'latchkey/v1/+/introspect',
    presence: { topic: 'latchkey/v1/hub/status', online: utf8('online'), offline: utf8('offline') },
    onMessage: (message) => {
      received.push(message);
      message.settle();
    },
    timers: systemTimers,
    clock: { monotonic },
    random: systemRandom,
    log,
    settings: QUICK,
    ...options,
  });
  cleanUp.push(() => connection.close());
  return { connection, log, received };
}

async function openUp(...args: Parameters<typeof open>): Promise<Rig> {
  const rig = open(...args);
  await up(rig);
  return rig;
}

const up = ({ connection }: Rig) => vi.waitFor(() => expect(connection.isUp()).toBe(true), { interval: 5 });
const down = ({ connection }: Rig, code: string) =>
  vi.waitFor(() => expect(connection.health()).toMatchObject({ up: false, code }), { timeout: 5_000, interval: 5 });

async function someone(broker: AedesBroker, clientId = 'someone'): Promise<MqttClient> {
  const client = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, {
    protocolVersion: 5,
    clientId,
    reconnectPeriod: 10,
  });
  cleanUp.push(() => client.endAsync(true));
  return client;
}

/** What a client hears on a topic, from now on. */
async function hearing(client: MqttClient, topic: string): Promise<string[]> {
  const heard: string[] = [];
  client.on('message', (_, payload) => heard.push(payload.toString()));
  await client.subscribeAsync(topic, { qos: 1 });
  return heard;
}

const answer = (payload: string, qos: 0 | 1 = 1): OutgoingMessage => ({
  topic: 'latchkey/v1/ekg-1/answer',
  payload: utf8(payload),
  qos,
  contentType: 'application/json',
  correlationData: undefined,
});
const REQUEST = 'latchkey/v1/ekg-1/introspect';

describe('the status topic', () => {
  test('says online, offline by the last will when the connection breaks, and offline at the end', async () => {
    const broker = await startBroker();
    const rig = await openUp({ port: broker.port });
    const observer = await someone(broker);
    const heard = await hearing(observer, 'latchkey/v1/hub/status');
    await vi.waitFor(() => expect(heard).toEqual(['online']));
    broker.drop('hub');
    await vi.waitFor(() => expect(heard).toEqual(['online', 'offline', 'online']));
    await rig.connection.close();
    await vi.waitFor(() => expect(heard.at(-1)).toBe('offline'));
    expect(heard).toHaveLength(4);
  });
});

describe('what comes in', () => {
  test('carries its properties', async () => {
    const broker = await startBroker();
    const rig = await openUp({ port: broker.port });
    const client = await someone(broker);
    const properties = {
      responseTopic: 'latchkey/v1/ekg-1/answer',
      correlationData: Buffer.from([7]),
      contentType: 'application/json',
    };
    await client.publishAsync(REQUEST, 'request', { qos: 1, properties });
    await vi.waitFor(() => expect(rig.received).toHaveLength(1));
    const [message] = rig.received;
    expect(message).toMatchObject({ topic: REQUEST, qos: 1, contentType: 'application/json' });
    expect(message?.responseTopic).toBe('latchkey/v1/ekg-1/answer');
    expect(Buffer.from(message?.correlationData ?? [])).toEqual(Buffer.from([7]));
    expect(fromUtf8(message?.payload ?? utf8(''))).toBe('request');
  });

  test('while the hub is away waits for it', async () => {
    const broker = await startBroker();
    const rig = await openUp({ port: broker.port });
    await rig.connection.close();
    const client = await someone(broker);
    await client.publishAsync(REQUEST, 'meanwhile', { qos: 1 });
    const next = await openUp({ port: broker.port });
    await vi.waitFor(() => expect(next.received.map(({ payload }) => fromUtf8(payload))).toEqual(['meanwhile']));
  });

  test('comes again after the connection broke unless it was settled', async () => {
    const broker = await startBroker();
    const seen: string[] = [];
    const rig = await openUp(
      { port: broker.port },
      {
        onMessage: (message) => {
          const text = fromUtf8(message.payload);
          if (text === 'settled' || seen.includes(text)) message.settle();
          seen.push(text);
        },
      },
    );
    const client = await someone(broker);
    await client.publishAsync(REQUEST, 'settled', { qos: 1 });
    await client.publishAsync(REQUEST, 'not settled', { qos: 1 });
    await vi.waitFor(() => expect(seen).toEqual(['settled', 'not settled']));
    broker.drop();
    await vi.waitFor(() => expect(seen).toEqual(['settled', 'not settled', 'not settled']));
    await up(rig);
  });

  test('is not listened to while the listener holds it', async () => {
    const broker = await startBroker();
    const seen: string[] = [];
    let open = () => {};
    const gate = new Promise<void>((resolve) => (open = resolve));
    await openUp(
      { port: broker.port },
      {
        onMessage: (message) => {
          seen.push(fromUtf8(message.payload));
          message.settle();
          return seen.length === 1 ? gate : undefined;
        },
      },
    );
    const client = await someone(broker);
    await client.publishAsync(REQUEST, 'first', { qos: 1 });
    await client.publishAsync(REQUEST, 'second', { qos: 1 });
    await vi.waitFor(() => expect(seen).toEqual(['first']));
    open();
    await vi.waitFor(() => expect(seen).toEqual(['first', 'second']));
  });
});

describe('what goes out', () => {
  test('waits for a connection', async () => {
    const broker = await startBroker();
    const heard = await hearing(await someone(broker), 'latchkey/v1/ekg-1/answer');
    const rig = open({ port: broker.port });
    await rig.connection.publish(answer('early'));
    await vi.waitFor(() => expect(heard).toEqual(['early']));
  });

  test('with QoS 0 is lost without a connection, and counted', async () => {
    const rig = open({});
    await rig.connection.publish(answer('lost', 0));
    expect(rig.connection.counters().notSent).toBe(1);
  });

  test('is said again on a new connection until the broker has it', async () => {
    let hold = true;
    const broker = await startBroker({
      authorizePublish: (client, packet, done) => {
        if (!hold || client?.id !== 'hub' || !packet.topic.endsWith('/answer')) done(null);
      },
    });
    const rig = await openUp({ port: broker.port });
    await rig.connection.publish(answer('held'));
    expect(rig.connection.counters().unconfirmed).toBe(1);
    const observer = await someone(broker);
    const heard = await hearing(observer, 'latchkey/v1/ekg-1/answer');
    hold = false;
    broker.drop();
    await vi.waitFor(() => expect(rig.connection.counters()).toMatchObject({ sentAgain: 1, unconfirmed: 0 }));
    await vi.waitFor(() => expect(rig.connection.isUp()).toBe(true));
    expect(heard.filter((payload) => payload === 'held').length).toBeLessThanOrEqual(1);
  });

  test('is never more at once than the broker allows', async () => {
    const held: (() => void)[] = [];
    const broker = await startBroker({
      receiveMaximum: 2,
      authorizePublish: (_, packet, done) => {
        if (packet.topic.endsWith('/answer')) held.push(() => done(null));
        else done(null);
      },
    });
    const rig = await openUp({ port: broker.port });
    const published = ['a', 'b', 'c', 'd', 'e'].map((payload) => rig.connection.publish(answer(payload)));
    await vi.waitFor(() => expect(held).toHaveLength(2));
    expect(rig.connection.counters()).toMatchObject({ unconfirmed: 2, waiting: 3 });
    while (rig.connection.counters().unconfirmed !== 0) {
      held.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
      expect(held.length).toBeLessThanOrEqual(2);
    }
    await Promise.all(published);
  });

  test('that the broker refuses is given up and logged', async () => {
    const broker = await startBroker({
      authorizePublish: (_, packet, done) => done(packet.topic.endsWith('/answer') ? new Error('no') : null),
    });
    const rig = await openUp({ port: broker.port });
    await rig.connection.publish(answer('refused'));
    await vi.waitFor(() => expect(rig.connection.counters()).toMatchObject({ sentRefused: 1, unconfirmed: 0 }));
    expect(rig.log.lines.at(-1)).toMatchObject({ level: 'warn', fields: { code: 'broker_refused' } });
  });
});

describe('a broker that cannot be used', () => {
  test('is broker_unreachable where nothing listens, and is found once it is there', async () => {
    const broker = await startBroker();
    await broker.away();
    const rig = open({ port: broker.port });
    await down(rig, 'broker_unreachable');
    await vi.waitFor(() => expect(rig.connection.health().detail).toBe('ECONNREFUSED'));
    await broker.listen();
    await up(rig);
    expect(rig.connection.health()).toEqual({ up: true, code: undefined, detail: undefined });
  });

  test('is broker_unreachable where it says nothing', async () => {
    const server: Server = createServer((socket) => cleanUp.push(async () => socket.destroy()));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanUp.push(async () => server.close());
    const { port } = server.address() as { port: number };
    const rig = open({ port }, { settings: { ...QUICK, connectDeadline: 50 } });
    await down(rig, 'broker_unreachable');
    await vi.waitFor(() => expect(rig.connection.health().detail).toContain('timeout'));
  });

  test.each([
    ['text', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['a CONNACK of no sense', Buffer.from([0x20, 0x02, 0xff, 0xff])],
    ['a length without end', Buffer.from([0x20, 0xff, 0xff, 0xff, 0xff, 0xff])],
  ])('is left where it answers with %s', async (_, noise) => {
    const server: Server = createServer((socket) => {
      cleanUp.push(async () => socket.destroy());
      socket.on('error', () => socket.destroy());
      socket.once('data', () => socket.write(noise));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanUp.push(async () => server.close());
    const { port } = server.address() as { port: number };
    const rig = open({ port }, { settings: { ...QUICK, connectDeadline: 200 } });
    await vi.waitFor(() => expect(rig.connection.counters().connectFailed).toBeGreaterThan(1), { timeout: 5_000 });
    expect(rig.connection.health().code).toMatch(/^broker_(unreachable|refused|packet_invalid)$/);
  });

  test('is broker_refused where user or password are wrong, with one warning', async () => {
    const broker = await startBroker({
      authenticate: (_, username, password, done) => done(null, username === 'hub' && password?.toString() === 'right'),
    });
    const rig = open({ port: broker.port, username: 'hub', password: new Secret('wrong') });
    await down(rig, 'broker_refused');
    await vi.waitFor(() => expect(rig.connection.counters().connectFailed).toBeGreaterThan(3));
    expect(rig.log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
    const right = await openUp({ port: broker.port, username: 'hub', password: new Secret('right') });
    expect(right.connection.isUp()).toBe(true);
  });

  test('is broker_refused where the hub may not listen to requests', async () => {
    const broker = await startBroker({ authorizeSubscribe: (_, __, done) => done(null, null) });
    const rig = open({ port: broker.port });
    await vi.waitFor(() => expect(rig.connection.counters().connectFailed).toBeGreaterThan(1));
    await down(rig, 'broker_refused');
    expect(rig.connection.health().detail).toMatch(/^may not listen to latchkey\/v1\/\+\/introspect: /);
    expect(rig.connection.counters().connected).toBe(0);
  });

  test('is broker_refused where the hub may not say that it is there', async () => {
    const broker = await startBroker({ authorizePublish: (_, __, done) => done(new Error('no')) });
    const rig = open({ port: broker.port });
    await vi.waitFor(() => expect(rig.connection.counters().connectFailed).toBeGreaterThan(1));
    await down(rig, 'broker_refused');
    expect(rig.connection.health().detail).toMatch(/^may not write on latchkey\/v1\/hub\/status: /);
    expect(rig.connection.counters().connected).toBe(0);
  });

  test('is broker_unreachable where it lets the hub in and then confirms nothing', async () => {
    const broker = await startBroker({ authorizePublish: () => undefined });
    const rig = open({ port: broker.port }, { settings: { ...QUICK, connectDeadline: 100 } });
    await vi.waitFor(() => expect(rig.connection.counters().connectFailed).toBeGreaterThan(1));
    await down(rig, 'broker_unreachable');
    expect(rig.connection.health().detail).toBe('it confirms nothing');
  });

  test('is broker_refused where another client has the same client id', async () => {
    const broker = await startBroker();
    const rig = await openUp(
      { port: broker.port },
      { settings: { ...QUICK, reconnectAfter: 10_000, reconnectCap: 10_000 } },
    );
    await someone(broker, 'hub');
    await down(rig, 'broker_refused');
    expect(rig.connection.health().detail).toContain('same client id');
  });
});

describe('TLS', () => {
  test('by the CA that is configured is good', async () => {
    const broker = await startBroker({}, serverTls);
    await openUp({ port: broker.port, tls: { ca: pem('ca.pem') } });
  });

  test.each([
    ['the certificate is of another CA', { ca: pem('other-ca.pem') }, serverTls],
    ['the system does not know the CA', {}, serverTls],
    ['the certificate is for another name', { ca: pem('ca.pem') }, { ...serverTls, cert: pem('elsewhere.pem') }],
  ])('is broker_tls_untrusted where %s', async (_, tls, server) => {
    const broker = await startBroker({}, server);
    await down(open({ port: broker.port, tls }), 'broker_tls_untrusted');
  });

  test('shows the certificate of the hub where the broker asks for one', async () => {
    const asking = { ...serverTls, ca: pem('client.pem'), requestCert: true, rejectUnauthorized: true };
    const broker = await startBroker({}, asking);
    const without = open({ port: broker.port, tls: { ca: pem('ca.pem') } });
    await vi.waitFor(() => expect(without.connection.counters().connectFailed).toBeGreaterThan(0));
    await openUp({
      port: broker.port,
      clientId: 'b',
      tls: { ca: pem('ca.pem'), cert: pem('client.pem'), key: pem('client-key.pem') },
    });
  });
});

describe('pauses between attempts', () => {
  test('double up to the cap, half of each left to chance', async () => {
    const pauses: number[] = [];
    const timers = {
      after(milliseconds: number, action: () => void) {
        pauses.push(milliseconds);
        const timer = setImmediate(action);
        return () => clearImmediate(timer);
      },
    };
    const random = { bytes: systemRandom.bytes, fraction: () => 0.5 };
    open({}, { timers, random, settings: { reconnectAfter: 100, reconnectCap: 1_000 } });
    await vi.waitFor(() => expect(pauses.length).toBeGreaterThan(5));
    expect(pauses.slice(0, 6)).toEqual([75, 150, 300, 600, 750, 750]);
  });
});
