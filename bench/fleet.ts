/**
 * `npm run bench -- --fleet`: 10,000 devices that ask within a minute, over MQTT at mosquitto, all on this machine.
 *
 * The devices share eight connections, since 10,000 clients in one process would measure the client: each has its own
 * topics all the same. Every device asks once, at a time of its own, with QoS 1.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync, type MqttClient } from 'mqtt';
import { Mosquitto } from '../test/fixtures/mosquitto.ts';
import { type Figure, quantile } from './harness.ts';
import { HUB, openFront, setNoDelay } from './mqtt.ts';

export interface FleetQuestions {
  /** Id of a device at the hub. */
  readonly device: (index: number) => string;
  readonly contentType: string;
  readonly question: (index: number) => Uint8Array;
  /** Whether this is the answer to that question. */
  readonly isRight: (index: number, answer: Uint8Array) => boolean;
}

interface FleetSize {
  readonly devices: number;
  /** The time within which all of them ask. */
  readonly seconds: number;
}

/** A hub at the broker that listens on this port; `close` ends it. */
export type OpenHub = (brokerPort: number) => Promise<{ readonly close: () => Promise<void> }>;

interface Tally {
  readonly answers: Uint32Array;
  readonly times: number[];
  wrong: number;
}

const CONNECTIONS = 8;
const PASSWORD = 'fleet';
/** A user has one session (`use_username_as_clientid`), so each connection is a user. */
const USERS = Array.from({ length: CONNECTIONS }, (_, connection) => `fleet-${connection}`);
/** What lets one user play many devices; by the rules that we ship it is one. */
const RULES = USERS.map(
  (user) => `user ${user}\ntopic write latchkey/v1/+/introspect\ntopic read latchkey/v1/+/answer`,
).join('\n');
/** Seconds that the last answers may take. */
const PATIENCE = 10;

/** What the front's own relay answers: it names the token. */
const NAMED: FleetQuestions = {
  device: (index) => `ekg-${index}`,
  contentType: 'application/json',
  question: (index) => Buffer.from(JSON.stringify({ token: `opaque-token-of-device-${index}` })),
  isRight: (index, answer) => {
    const { active, sub } = JSON.parse(Buffer.from(answer).toString()) as { active?: unknown; sub?: unknown };
    return active === true && sub === `opaque-token-of-device-${index}`;
  },
};

const FRONT_ONLY: OpenHub = async (port) => {
  const front = await openFront(port);
  return { close: () => front.close(1_000) };
};

export async function fleetFigures(
  size: FleetSize = { devices: 10_000, seconds: 60 },
  questions: FleetQuestions = NAMED,
  openHub: OpenHub = FRONT_ONLY,
): Promise<readonly Figure[]> {
  const broker = await Mosquitto.start({
    users: { [HUB.username]: HUB.password, ...Object.fromEntries(USERS.map((user) => [user, PASSWORD])) },
    tls: false,
    moreRules: RULES,
  });
  try {
    const hub = await openHub(broker.port);
    try {
      return figuresOf(await drive(broker.port, size, questions), size);
    } finally {
      await hub.close();
    }
  } finally {
    await broker.remove();
  }
}

async function drive(port: number, { devices, seconds }: FleetSize, questions: FleetQuestions): Promise<Tally> {
  const tally: Tally = { answers: new Uint32Array(devices), times: [], wrong: 0 };
  const asked = new Float64Array(devices);
  const clients = await Promise.all(
    USERS.map(async (username, connection) => {
      const client = await connect(port, username);
      client.on('message', (topic, answer, { properties }) => {
        const index = properties?.correlationData?.readUInt32BE() ?? -1;
        tally.times.push(performance.now() - (asked[index] ?? 0));
        tally.answers[index] = (tally.answers[index] ?? 0) + 1;
        const isOurs = topic === answerTopic(questions.device(index));
        if (!isOurs || !questions.isRight(index, answer)) tally.wrong += 1;
      });
      const own = Array.from({ length: devices }, (__, index) => index).filter(
        (index) => index % CONNECTIONS === connection,
      );
      for (let start = 0; start < own.length; start += 100) {
        await client.subscribeAsync(
          own.slice(start, start + 100).map((index) => answerTopic(questions.device(index))),
          { qos: 1 },
        );
      }
      return client;
    }),
  );
  const began = performance.now();
  const asking = Array.from({ length: devices }, async (_, index) => {
    await sleep(Math.random() * seconds * 1_000);
    const correlationData = Buffer.alloc(4);
    correlationData.writeUInt32BE(index);
    const device = questions.device(index);
    asked[index] = performance.now();
    await clients[index % CONNECTIONS]?.publishAsync(
      `latchkey/v1/${device}/introspect`,
      Buffer.from(questions.question(index)),
      {
        qos: 1,
        properties: { responseTopic: answerTopic(device), contentType: questions.contentType, correlationData },
      },
    );
  });
  await Promise.all(asking);
  const deadline = Math.max(performance.now(), began + seconds * 1_000) + PATIENCE * 1_000;
  while (tally.answers.includes(0) && performance.now() < deadline) await sleep(50);
  // What comes twice comes late.
  await sleep(1_000);
  await Promise.all(clients.map((client) => client.endAsync(true)));
  return tally;
}

function figuresOf({ answers, times, wrong }: Tally, { devices, seconds }: FleetSize): readonly Figure[] {
  const lost = answers.filter((count) => count === 0).length;
  const twice = answers.reduce((sum, count) => sum + Math.max(0, count - 1), 0);
  const milliseconds = (q: number) => `${quantile(times, q).toFixed(1)} ms`;
  const remark = `of ${devices} devices in ${seconds} s; p50 ${milliseconds(0.5)}, p99 ${milliseconds(0.99)}, longest ${milliseconds(1)}`;
  const memory = (process.memoryUsage().rss / 1_000_000).toFixed(0);
  return [
    { name: 'fleet-lost', value: lost, goal: 0, better: 'lower', remark: `answers ${remark}` },
    { name: 'fleet-wrong', value: wrong, goal: 0, better: 'lower', remark: 'answers' },
    { name: 'fleet-twice', value: twice, goal: 0, better: 'lower', remark: `answers; this process holds ${memory} MB` },
  ];
}

function answerTopic(device: string): string {
  return `latchkey/v1/${device}/answer`;
}

async function connect(port: number, username: string): Promise<MqttClient> {
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5, username, password: PASSWORD });
  setNoDelay(client);
  return client;
}
