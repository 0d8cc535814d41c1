/**
 * `npm run bench -- --fleet`: 10,000 devices that ask within a minute, over MQTT at mosquitto, all on this machine: broker,
 * authorization server and the built hub are processes of their own.
 *
 * The devices share eight connections, since 10,000 clients in one process would measure the client: each has its own
 * credentials and topics all the same. Every device asks at a time of its own, with QoS 1, about a token of its own that nobody
 * has seen before, with a fresh proof. One of ten shows a proof by the wrong key, and one of twenty the same proof twice.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync, type MqttClient } from 'mqtt';
import { readProblemNonce } from '../src/codec/concise-problem.ts';
import type { Credentials } from '../src/codec/credentials-file.ts';
import type { IntrospectionReading } from '../src/codec/introspection-reader.ts';
import { isMosquittoInstalled, Mosquitto } from '../test/fixtures/mosquitto.ts';
import { MAC0_TYPE, type ProtectedQuestion, protectedQuestion } from '../test/fixtures/relay-asking.ts';
import { BuiltHub } from './built-hub.ts';
import { type Figure, quantile } from './harness.ts';
import { HUB, setNoDelay } from './mqtt.ts';
import { issueToken, ScriptedIssuer } from './scripted-issuer.ts';
import { ask, type ClientKey, makeClientKey } from './visit.ts';

export interface FleetSize {
  readonly devices: number;
  /** The time within which all of them ask. */
  readonly seconds: number;
}

interface Question extends ProtectedQuestion {
  readonly device: string;
  /** What the answer has to say: the subject of the token, or why the proof is refused. */
  readonly expected: string;
}

interface Asked {
  readonly question: Question;
  /** Milliseconds of the bench's clock. */
  readonly at: number;
}

interface Tally {
  readonly asked: number;
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
/** Clients that visit the devices: each may prove 4,096 times in the window. */
const CLIENTS = 32;
const WRONG_KEY_EVERY = 10;
const TWICE_EVERY = 20;
/** Milliseconds between a proof and its second showing. */
const LATER = 250;
/** Seconds that the last answers may take. */
const PATIENCE = 10;

export async function fleetFigures(
  note: (text: string) => void,
  size: FleetSize = { devices: 10_000, seconds: 60 },
): Promise<readonly Figure[]> {
  if (!isMosquittoInstalled()) {
    note('the fleet is left out: mosquitto is not installed');
    return [];
  }
  return withFleet(size.devices, async ({ broker, credentials, hub }) => {
    const before = hub.residentMegabytes();
    const fleet = await Fleet.connect(broker, credentials);
    try {
      return figuresOf(await fleet.drive(size), size, { before, after: hub.residentMegabytes() });
    } finally {
      await fleet.close();
    }
  });
}

interface FleetSite {
  /** Port of the broker. */
  readonly broker: number;
  readonly credentials: readonly Credentials[];
  readonly hub: BuiltHub;
}

/** Broker, authorization server and hub, with so many devices registered. */
export async function withFleet<T>(devices: number, use: (site: FleetSite) => Promise<T>): Promise<T> {
  const closers: (() => Promise<unknown>)[] = [];
  try {
    const broker = await Mosquitto.start({
      users: { [HUB.username]: HUB.password, ...Object.fromEntries(USERS.map((user) => [user, PASSWORD])) },
      tls: false,
      moreRules: RULES,
    });
    closers.push(() => broker.remove());
    const issuer = await ScriptedIssuer.start();
    closers.push(() => issuer.close());
    const mqtt = `[mqtt]\nurl = "mqtt://127.0.0.1:${broker.port}"\nusername = "${HUB.username}"\npassword_file = "mqtt-password"\n`;
    const hub = await BuiltHub.start({
      settings: mqtt + issuer.settings('secret'),
      files: { 'mqtt-password': HUB.password },
    });
    closers.push(() => hub.close());
    const credentials = await hub.register(Array.from({ length: devices }, (_, index) => `ekg-${index}`));
    return await use({ broker: broker.port, credentials, hub });
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

export class Fleet {
  readonly #clients: readonly MqttClient[];
  readonly #credentials: readonly Credentials[];
  readonly #keys = Array.from({ length: CLIENTS }, () => makeClientKey());
  /** By correlation: what was asked, and when. */
  readonly #questions: Asked[] = [];
  #tally: Tally = { asked: 0, answers: new Uint32Array(0), times: [], wrong: 0 };
  /** The newest one of the hub: what every device has that asks now and then. */
  #hubNonce: Uint8Array | undefined;

  private constructor(clients: readonly MqttClient[], credentials: readonly Credentials[]) {
    this.#clients = clients;
    this.#credentials = credentials;
  }

  static async connect(broker: number, credentials: readonly Credentials[]): Promise<Fleet> {
    const clients = await Promise.all(USERS.map((user) => connect(broker, user)));
    const fleet = new Fleet(clients, credentials);
    for (const [connection, client] of clients.entries()) {
      client.on('message', (topic, answer, { properties }) =>
        fleet.#take(topic, answer, properties?.correlationData?.readUInt32BE() ?? -1),
      );
      const own = credentials.filter((_, index) => index % CONNECTIONS === connection);
      for (let start = 0; start < own.length; start += 100)
        await client.subscribeAsync(
          own.slice(start, start + 100).map(({ device }) => answerTopic(device)),
          { qos: 1 },
        );
    }
    return fleet;
  }

  /** Every device asks at a random moment of the time. */
  async drive({ devices, seconds }: FleetSize): Promise<Tally> {
    const most = devices * 2;
    this.#tally = { asked: 0, answers: new Uint32Array(most), times: [], wrong: 0 };
    this.#questions.length = 0;
    const began = performance.now();
    const asking = Array.from({ length: devices }, async (_, index) => {
      await sleep(Math.random() * seconds * 1_000);
      await this.visit(index);
    });
    await Promise.all(asking);
    const deadline = Math.max(performance.now(), began + seconds * 1_000) + PATIENCE * 1_000;
    const isOpen = () => this.#tally.answers.subarray(0, this.#questions.length).includes(0);
    while (isOpen() && performance.now() < deadline) await sleep(50);
    // What comes twice comes late.
    await sleep(1_000);
    const answers = this.#tally.answers.slice(0, this.#questions.length);
    return { ...this.#tally, asked: this.#questions.length, answers };
  }

  /** Devices in turn, at a steady rate. */
  async askSteadily({ perSecond, seconds }: { readonly perSecond: number; readonly seconds: number }): Promise<Tally> {
    const most = perSecond * seconds * 2;
    this.#tally = { asked: 0, answers: new Uint32Array(most), times: [], wrong: 0 };
    this.#questions.length = 0;
    const began = performance.now();
    const asking: Promise<void>[] = [];
    for (let index = 0; index < perSecond * seconds; index += 1) {
      const due = began + (index * 1_000) / perSecond;
      const early = due - performance.now();
      if (early > 1) await sleep(early);
      asking.push(this.visit(index));
    }
    await Promise.all(asking);
    await sleep(PATIENCE * 100);
    return { ...this.#tally, asked: this.#questions.length };
  }

  /** A client shows a device a new token: with its own proof, by the wrong key, or with one that is shown twice. */
  async visit(index: number): Promise<void> {
    const credentials = this.#credentials[index % this.#credentials.length] as Credentials;
    const { device } = credentials;
    const key = this.#keys[index % CLIENTS] as ClientKey;
    const prover = index % WRONG_KEY_EVERY === 1 ? (this.#keys[(index + 1) % CLIENTS] as ClientKey) : key;
    const { subject, token } = issueToken(device, key.thumbprint);
    const asked = ask({ kind: index % 2 === 0 ? 'cose' : 'dpop', key: prover, device, token, wantsSessionKey: true });
    const expected = prover === key ? subject : 'proof_key_mismatch';
    await this.#ask(index, { ...protectedQuestion(credentials, asked), device, expected });
    if (index % TWICE_EVERY !== 0) return;
    await sleep(LATER);
    await this.#ask(index, { ...protectedQuestion(credentials, asked), device, expected: 'proof_replayed' });
  }

  close(): Promise<unknown> {
    return Promise.all(this.#clients.map((client) => client.endAsync(true)));
  }

  async #ask(index: number, question: Question): Promise<void> {
    const correlation = this.#questions.push({ question, at: performance.now() }) - 1;
    await this.#send(index, correlation);
  }

  async #send(index: number, correlation: number): Promise<void> {
    const { question } = this.#questions[correlation] as Asked;
    const correlationData = Buffer.alloc(4);
    correlationData.writeUInt32BE(correlation);
    await this.#clients[index % CONNECTIONS]?.publishAsync(
      `latchkey/v1/${question.device}/introspect`,
      Buffer.from(question.message(this.#hubNonce)),
      {
        qos: 1,
        properties: { responseTopic: answerTopic(question.device), contentType: MAC0_TYPE, correlationData },
      },
    );
  }

  #take(topic: string, payload: Buffer, correlation: number): void {
    const known = this.#questions[correlation];
    const nonce = readProblemNonce(payload);
    if (known !== undefined && nonce !== undefined) {
      // Not an answer yet: the nonce was an old one, or none.
      this.#hubNonce = nonce;
      const index = this.#credentials.findIndex(({ device }) => device === known.question.device);
      void this.#send(index, correlation);
      return;
    }
    const isRight =
      known !== undefined && topic === answerTopic(known.question.device) && says(known.question, payload);
    if (!isRight) this.#tally.wrong += 1;
    if (known === undefined) return;
    this.#tally.times.push(performance.now() - known.at);
    this.#tally.answers[correlation] = (this.#tally.answers[correlation] ?? 0) + 1;
  }
}

function says({ expected, read }: Question, payload: Uint8Array): boolean {
  let reading: IntrospectionReading;
  try {
    reading = read(payload);
  } catch {
    return false;
  }
  if (!reading.active) return reading.code === expected;
  return reading.members.sub === expected && reading.sessionKey !== undefined;
}

function figuresOf(
  { answers, asked, times, wrong }: Tally,
  { devices, seconds }: FleetSize,
  memory: { readonly before: number; readonly after: number },
): readonly Figure[] {
  const lost = answers.filter((count) => count === 0).length;
  const twice = answers.reduce((sum, count) => sum + Math.max(0, count - 1), 0);
  const milliseconds = (q: number) => `${quantile(times, q).toFixed(1)} ms`;
  const remark = `of ${asked} questions by ${devices} devices in ${seconds} s; p50 ${milliseconds(0.5)}, p99 ${milliseconds(0.99)}, longest ${milliseconds(1)}`;
  const held = `the hub held ${memory.before.toFixed(0)} MB before and ${memory.after.toFixed(0)} MB after`;
  return [
    { name: 'fleet-lost', value: lost, goal: 0, better: 'lower', remark: `answers ${remark}` },
    { name: 'fleet-wrong', value: wrong, goal: 0, better: 'lower', remark: 'answers' },
    { name: 'fleet-twice', value: twice, goal: 0, better: 'lower', remark: `answers; ${held}` },
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
