/** MQTT in both roles: clients of the embedded broker, and a broker that the hub is a client of. */
import { createRequire } from 'node:module';
import type { Packet } from 'mqtt';
import { HubFolder } from '../../fixtures/hub-process.ts';
import { MqttDevice } from '../../fixtures/mqtt-device.ts';
import { type HubUnderTest, TcpEnd } from '../hub-under-test.ts';
import { exchange } from '../raw-connection.ts';
import { type FuzzTarget, within } from '../target.ts';

// The parser of the mqtt library: it has no types of its own for ES modules.
const { generate, parser } = createRequire(createRequire(import.meta.url).resolve('mqtt'))('mqtt-packet') as {
  generate(packet: Packet, options?: { protocolVersion: number }): Buffer;
  parser(options: { protocolVersion: number }): {
    on(event: 'packet' | 'error', listener: (packet: Packet) => void): void;
    parse(bytes: Buffer): void;
  };
};

const VERSION = { protocolVersion: 5 };
const TOPICS = { ask: 'latchkey/v1/ekg-1/introspect', answer: 'latchkey/v1/ekg-1/answer' };

function publish(topic: string, payload: string, qos: 0 | 1 | 2 = 1): Buffer {
  return generate(
    {
      cmd: 'publish',
      topic,
      payload,
      qos,
      dup: false,
      retain: false,
      messageId: 7,
      properties: {
        responseTopic: TOPICS.answer,
        correlationData: Buffer.from('0102030405060708', 'hex'),
        contentType: 'application/json',
        userProperties: { a: 'b' },
      },
    },
    VERSION,
  );
}

/** The same property twice, and properties cut short: what a mutation of bytes seldom finds. */
function oddPublishes(topic: string): readonly Buffer[] {
  const text = (value: string) => Buffer.concat([Buffer.of(0, value.length), Buffer.from(value)]);
  const response = Buffer.concat([Buffer.of(0x08), text(TOPICS.answer)]);
  const correlation = Buffer.of(0x09, 0, 2, 1, 2);
  const contentType = Buffer.concat([Buffer.of(0x03), text('application/json')]);
  const sets = [
    [response, response, correlation],
    [response, correlation, correlation],
    [contentType, contentType, response],
    [Buffer.of(0x08, 0xff, 0xff)],
    [Buffer.of(0x09, 0xff, 0xff)],
    [Buffer.of(0x01, 1), Buffer.of(0x01, 1)],
    [Buffer.of(0x02, 0, 0, 0, 1), Buffer.of(0x23, 0, 1)],
    [Buffer.of(0x0b, 1), Buffer.of(0x0b, 0)],
  ];
  return sets.map((properties) => {
    const all = Buffer.concat(properties);
    const body = Buffer.concat([text(topic), Buffer.of(0, 9, all.length), all, Buffer.from('{"token":"x"}')]);
    return Buffer.concat([Buffer.of(0x32, body.length), body]);
  });
}

function subscribe(...filters: readonly string[]): Buffer {
  const subscriptions = filters.map((topic) => ({ topic, qos: 1 as const }));
  return generate({ cmd: 'subscribe', messageId: 3, subscriptions }, VERSION);
}

function connectPacket(password: string): Buffer {
  const connect = {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 5,
    clean: true,
    clientId: 'ekg-1',
    keepalive: 60,
  } as const;
  return generate({ ...connect, username: 'ekg-1', password: Buffer.from(password) }, VERSION);
}

/** A CONNECT packet begins with this byte (MQTT 5.0 §3.1.1). */
const CONNECT = 0x10;

export function embeddedBrokerTarget(test: HubUnderTest): FuzzTarget {
  const connect = connectPacket(test.password);
  const to = { host: '127.0.0.1', port: test.mqttPort };
  return {
    name: 'mqtt-broker',
    seeds: [
      publish(TOPICS.ask, '{"token":"x"}'),
      publish(TOPICS.ask, '{"token":"x"}', 2),
      ...oddPublishes(TOPICS.ask),
      subscribe(TOPICS.answer),
      subscribe('__proto__', 'x'),
      subscribe('constructor', '#', TOPICS.answer),
      generate(
        { cmd: 'unsubscribe', messageId: 4, unsubscriptions: ['constructor', 'toString', '__proto__'] },
        VERSION,
      ),
      generate({ cmd: 'pubrel', messageId: 7 }, VERSION),
      generate({ cmd: 'puback', messageId: 7 }, VERSION),
      generate({ cmd: 'pingreq' }),
      generate({ cmd: 'disconnect', reasonCode: 4 }, VERSION),
      connect,
      Buffer.concat([connect, subscribe(TOPICS.answer), publish(TOPICS.ask, '{"token":"x"}')]),
    ],
    batch: 300,
    // Each has 30 ms: as many logins in a second as one device may have, since nothing behind a refused one is read.
    parallel: 2,
    async send(input) {
      await exchange(to, input[0] === CONNECT ? input : Buffer.concat([connect, input]), 30);
    },
    async honest() {
      await within(20_000, 'a device is answered over the embedded broker', async () => {
        const timeout = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 4_000));
        const ask = async () => {
          const device = await MqttDevice.connect({ port: test.mqttPort, device: 'ekg-1', password: test.password });
          try {
            return await Promise.race([device.ask('{"token":"unknown"}'), timeout]);
          } finally {
            await device.close();
          }
        };
        // The broker may be starting anew.
        return (await ask().catch(() => undefined)) !== undefined;
      });
    },
    async close() {
      // Each exchange has a connection of its own.
    },
  };
}

/** A hub of its own: one has either a broker inside or another one. It waits between two connections, so this takes its time. */
export async function hostileBrokerTarget(check: (pid: number) => void): Promise<FuzzTarget> {
  const broker = await TcpEnd.open();
  const folder = new HubFolder();
  folder.configure(`[mqtt]\nurl = "mqtt://127.0.0.1:${broker.port}"\njson = true\n`);
  let subscribed = false;
  const welcome = () => {
    const reader = parser(VERSION);
    subscribed = false;
    reader.on('error', () => undefined);
    reader.on('packet', (packet) => {
      if (packet.cmd === 'connect') {
        void broker.write(generate({ cmd: 'connack', reasonCode: 0, sessionPresent: false }, VERSION));
      }
      if (packet.cmd === 'subscribe') {
        const granted = packet.subscriptions.map(() => 1);
        void broker.write(generate({ cmd: 'suback', messageId: packet.messageId ?? 0, granted }, VERSION));
        subscribed = true;
      }
      if (packet.cmd === 'publish' && packet.qos === 1) {
        void broker.write(generate({ cmd: 'puback', messageId: packet.messageId ?? 0 }, VERSION));
      }
    });
    broker.onData = (chunk) => reader.parse(chunk);
  };
  broker.onConnection = welcome;
  welcome();
  const hub = await folder.start();
  const isThere = () => broker.isConnected && subscribed;
  const connected = () =>
    within(60_000, 'the hub is connected to its broker', () => {
      check(hub.pid);
      return isThere();
    });
  const honest = async () => {
    check(hub.pid);
    await connected();
    const answer = await fetch(`${hub.address}/jwks`, { signal: AbortSignal.timeout(5_000) });
    // 404: this hub has no issuer.
    if (answer.status !== 404) throw new Error(`GET /jwks was answered ${answer.status}`);
    const crash = hub.output.find((line) => line.includes('"event":"crash"'));
    if (crash !== undefined) throw new Error(crash);
  };
  return {
    name: 'mqtt-client',
    seeds: [
      publish(TOPICS.ask, '{"token":"x"}'),
      publish(TOPICS.ask, '', 0),
      publish(TOPICS.ask, '{"token":"x"}', 2),
      ...oddPublishes(TOPICS.ask),
      generate({ cmd: 'puback', messageId: 1 }, VERSION),
      generate({ cmd: 'suback', messageId: 1, granted: [1] }, VERSION),
      generate({ cmd: 'disconnect', reasonCode: 0x8b }, VERSION),
      generate({ cmd: 'connack', reasonCode: 0, sessionPresent: true }, VERSION),
    ],
    batch: 40,
    parallel: 1,
    async send(input) {
      // What comes on a connection that the hub has ended would be lost.
      if (!isThere()) await connected();
      await broker.write(input);
      await new Promise((resolve) => setTimeout(resolve, 5));
    },
    honest,
    async close() {
      await hub.stop();
      await broker.close();
      await folder.remove();
    },
  };
}
