/** What a question over MQTT costs with QoS 1 against QoS 0: through the hub's front, at the broker that we document. */
import { connectAsync, type MqttClient } from 'mqtt';
import { type MqttFront, openMqtt } from '../drivers/mqtt/open-mqtt.ts';
import { monotonic, systemRandom, systemTimers } from '../drivers/system-time.ts';
import { LatchkeyError } from '../src/core/errors.ts';
import { Secret } from '../src/core/secret.ts';
import type { Log } from '../src/ports/log.ts';
import type { Relay } from '../src/ports/relay.ts';
import { isMosquittoInstalled, Mosquitto } from '../test/fixtures/mosquitto.ts';
import { type Effort, type Figure, micro, quantile } from './harness.ts';

/** The hub's user at a broker that the bench starts. */
export const HUB = { username: '@hub', password: 'hub' } as const;
const DEVICE = { username: 'ekg-1', password: 'device' } as const;
const PREFIX = 'latchkey/v1/ekg-1';
const PAYLOAD = JSON.stringify({ token: 'an-opaque-token-of-forty-three-characters-0' });

/** Nothing where mosquitto is not installed; then a note says so. */
export async function mqttFigures(effort: Effort, note: (text: string) => void): Promise<readonly Figure[]> {
  if (!isMosquittoInstalled()) {
    note('mqtt-qos1-round-trip is left out: mosquitto is not installed');
    return [];
  }
  const broker = await Mosquitto.start({
    users: { [HUB.username]: HUB.password, [DEVICE.username]: DEVICE.password },
    tls: false,
  });
  try {
    const front = await openFront(broker.port);
    const device = await Device.connect(broker.port);
    try {
      return [await roundTrips(device, effort)];
    } finally {
      await device.close();
      await front.close(1_000);
    }
  } finally {
    await broker.remove();
  }
}

async function roundTrips(device: Device, { calls, rounds }: Effort): Promise<Figure> {
  const times = { 0: [] as number[], 1: [] as number[] };
  const warmUp = Math.min(2_000, rounds * calls);
  for (let call = 0; call < warmUp; call += 1) await device.ask(call % 2 === 0 ? 0 : 1);
  for (let round = 0; round < rounds; round += 1) {
    for (const qos of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      for (let call = 0; call < calls; call += 1) {
        const start = performance.now();
        await device.ask(qos);
        times[qos].push(performance.now() - start);
      }
    }
  }
  const [once, assured] = [quantile(times[0], 0.5), quantile(times[1], 0.5)];
  return {
    name: 'mqtt-qos1-round-trip',
    value: assured / once,
    goal: 1.3,
    better: 'lower',
    remark:
      `times QoS 0 at mosquitto; QoS 0 p50 ${micro(once)}, p99 ${micro(quantile(times[0], 0.99))}; ` +
      `QoS 1 p50 ${micro(assured)}, p99 ${micro(quantile(times[1], 0.99))}`,
  };
}

/** Knows the answer. */
const RELAY: Relay = {
  relay: async ({ token }) => ({
    active: true,
    members: { sub: token.expose(), scope: 'read' },
    proof: 'none',
    freshness: { source: 'introspection', age: 0, stale: false, clock: 'sure' },
    sessionKey: undefined,
  }),
};

const write = () => {
  // What the log costs is not measured here.
};
const SILENCE: Log = { debug: write, info: write, warn: write, error: write, child: () => SILENCE };

/** The hub's front, connected. The answers of its relay name the token. */
async function openFront(port: number): Promise<MqttFront> {
  const front = await openMqtt({
    broker: {
      host: '127.0.0.1',
      port,
      tls: undefined,
      clientId: 'latchkey-hub',
      username: HUB.username,
      password: new Secret(HUB.password),
    },
    topicPrefix: 'latchkey/v1',
    json: true,
    relay: RELAY,
    deliveries: { now: () => [], watch: () => () => undefined },
    answerProtected: () => Promise.reject(new LatchkeyError('device_unauthenticated')),
    devices: { authenticate: () => 'ekg-1', isRegistered: () => true },
    revocations: { watch: () => () => undefined },
    timers: systemTimers,
    clock: { monotonic },
    random: systemRandom,
    log: SILENCE,
  });
  while (!front.health().up) await new Promise((resolve) => setTimeout(resolve, 5));
  return front;
}

/** One question at a time. */
class Device {
  readonly #client: MqttClient;
  #asked = 0;
  #answered: (correlation: number) => void = () => {};

  private constructor(client: MqttClient) {
    this.#client = client;
    client.on('message', (_, __, { properties }) => this.#answered(properties?.correlationData?.readUInt32BE() ?? -1));
  }

  static async connect(port: number): Promise<Device> {
    const client = await connectAsync(`mqtt://127.0.0.1:${port}`, {
      protocolVersion: 5,
      ...DEVICE,
    });
    setNoDelay(client);
    await client.subscribeAsync(`${PREFIX}/answer`, { qos: 1 });
    return new Device(client);
  }

  ask(qos: 0 | 1): Promise<void> {
    this.#asked += 1;
    const asked = this.#asked;
    const correlationData = Buffer.alloc(4);
    correlationData.writeUInt32BE(asked);
    return new Promise((resolve, reject) => {
      this.#answered = (answered) => (answered === asked ? resolve() : reject(new Error('another answer')));
      const properties = { responseTopic: `${PREFIX}/answer`, contentType: 'application/json', correlationData };
      this.#client.publish(`${PREFIX}/introspect`, PAYLOAD, { qos, properties });
    });
  }

  close(): Promise<void> {
    return this.#client.endAsync(true);
  }
}

/** docs/protocol.md asks it of both ends: else a small packet waits for the acknowledgement of the one before. */
export function setNoDelay({ stream }: MqttClient): void {
  if ('setNoDelay' in stream && typeof stream.setNoDelay === 'function') stream.setNoDelay(true);
}
