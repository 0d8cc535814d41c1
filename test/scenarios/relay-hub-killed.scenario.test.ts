/**
 * The hub is killed with SIGKILL, again and again, in the middle of a burst over HTTP and MQTT. Each question has a token and
 * a proof of its own, so whatever is said about one token is said about one proof.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { readProblemNonce } from '../../src/codec/concise-problem.ts';
import type { AuditRecord } from '../../src/ports/audit.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { askOverHttp, auditRecords } from '../fixtures/relay-asking.ts';
import { type BurstQuestion, BurstSite } from '../fixtures/relay-burst.ts';

const DEVICES = Array.from({ length: 4 }, (_, index) => `ekg-${index}`);
const EACH = 40;
const KILLS = 3;
/** Milliseconds over which a wave of questions is spread, and for which a kill may wait once its answer came. */
const SPREAD = 200;
const HESITATION = 30;
/**
 * Milliseconds before a kill in which a record may be missing. docs/operations.md, "The audit", admits 20; the rest is
 * for an answer on its way here, and for a machine with other things to do.
 */
const MAY_BE_LOST = 1_000;
/** Questions that are answered for longer than that when the hub is killed. */
const CALM = 6;

let site: BurstSite;
afterEach(() => site.close());

/** What somebody who asked was told. */
interface Told {
  readonly question: BurstQuestion;
  /** `performance.now()` when it came. */
  readonly at: number;
  readonly active: boolean;
  readonly code: string | undefined;
  /** Answers that are the same bytes are one answer that came twice. */
  readonly name: string;
}

/** A burst under way, and all that was told. */
class Burst {
  readonly told: Told[] = [];
  /** When the hub was killed, and when the next run was ready: `performance.now()`. */
  readonly kills: { readonly at: number; readonly upAgain: number }[] = [];
  readonly #underWay = new Set<BurstQuestion>();
  readonly #random: FakeTime;
  #onTold: () => unknown = () => undefined;
  #up: Promise<unknown> = Promise.resolve();

  constructor(seed: number) {
    this.#random = new FakeTime({ seed });
  }

  listen(questions: readonly BurstQuestion[]): void {
    const byName = new Map(questions.map((each) => [each.correlation, each]));
    for (const { mqtt } of site.devices) {
      mqtt.client.on('message', (_topic, payload, { properties }) => {
        const question = byName.get(properties?.correlationData?.toString('hex') ?? '');
        // Problems come in the clear. The only one here is that of a new run, which wants its own nonce in the question:
        // the site asks again with that.
        if (question === undefined || readProblemNonce(payload) !== undefined) return;
        const { active, code } = question.read(payload);
        this.#tell({ question, at: performance.now(), active, code, name: payload.toString('hex') });
      });
    }
  }

  async overMqtt(question: BurstQuestion): Promise<void> {
    await sleep(this.#random.fraction() * SPREAD);
    this.#underWay.add(question);
    await site.send(question);
  }

  /** Once: whoever gets no answer does not know whether the proof was taken. */
  async overHttp(question: BurstQuestion): Promise<void> {
    await sleep(this.#random.fraction() * SPREAD);
    await this.#up;
    this.#underWay.add(question);
    await this.ask(question).catch((error: unknown) => {
      // How fetch says that the connection broke.
      if (!(error instanceof TypeError)) throw error;
      this.#underWay.delete(question);
    });
  }

  async ask(question: BurstQuestion): Promise<Told> {
    const { body, headers, status } = await askOverHttp(site.hub, question.question, question.device.credentials);
    expect(status).toBe(200);
    const name = headers.get('x-request-id') ?? '';
    const told = { question, at: performance.now(), active: body.active === true, code: body.latchkey?.code, name };
    this.#tell(told);
    return told;
  }

  /** Kills the hub some answers from now, with questions under way, and starts it again. */
  async kill(answers: number): Promise<void> {
    const wanted = this.told.length + answers;
    await new Promise<void>((resolve) => {
      this.#onTold = () => this.told.length >= wanted && resolve();
    });
    // Half of the time at once: then it may not have written down what it has just said.
    const hesitation = (this.#random.fraction() - 0.5) * HESITATION;
    if (hesitation > 0) await sleep(hesitation);
    if (this.#underWay.size === 0) await site.until(() => this.#underWay.size > 0, 'a question under way');
    const restarted = this.#restart();
    this.#up = restarted;
    await restarted;
  }

  #tell(told: Told): void {
    this.told.push(told);
    this.#underWay.delete(told.question);
    this.#onTold();
  }

  async #restart(): Promise<void> {
    const at = performance.now();
    await site.hub.stop('SIGKILL');
    site.hub = await site.folder.start();
    this.kills.push({ at, upAgain: performance.now() });
  }

  fraction(): number {
    return this.#random.fraction();
  }

  toldOf(question: BurstQuestion): readonly Told[] {
    return this.told.filter((told) => told.question === question);
  }
}

const activeNames = (told: readonly Told[]) => new Set(told.filter(({ active }) => active).map(({ name }) => name));

test.each([11, 12, 13, 14])('whatever was taken stays taken, asked, answered, and recorded (seed %i)', async (seed) => {
  site = await BurstSite.open(DEVICES);
  await site.hub.event('broker_up');
  const questions = await site.questions(EACH);
  const burst = new Burst(seed);
  burst.listen(questions);
  const overMqtt = questions.filter((_, at) => at % 2 === 0);
  const start = (each: BurstQuestion) => (overMqtt.includes(each) ? burst.overMqtt(each) : burst.overHttp(each));
  const sending: Promise<void>[] = [];
  const wave = questions.length / (KILLS + 1);
  for (let kill = 0; kill < KILLS; kill += 1) {
    const asked = questions.slice(kill * wave, (kill + 1) * wave);
    const calm = asked.slice(0, CALM);
    await Promise.all(calm.map(start));
    await site.until(() => calm.every((each) => burst.toldOf(each).length > 0), 'an answer in calm times');
    await sleep(MAY_BE_LOST);
    sending.push(...asked.slice(CALM).map(start));
    // Long before the wave is answered, so that there is something to interrupt.
    await burst.kill(1 + Math.floor((burst.fraction() * wave) / 3));
  }
  sending.push(...questions.slice(KILLS * wave).map(start));
  await Promise.all(sending);

  // Every question of QoS 1 gets an answer, though nobody asks again by themselves: the broker brings what was not settled,
  // and a new run of the hub says with which nonce to ask.
  await site.until(() => overMqtt.every((question) => burst.toldOf(question).length > 0), 'the last answer');
  expectOneVerdict(questions, burst);
  expectRecorded(burst, await auditRecords(site.folder));
  await expectTaken(questions, burst, await auditRecords(site.folder));
  expect((await site.folder.command('audit', 'verify', '--config', site.folder.config)).status).toBe(0);
});

/** No proof was taken twice, whichever run of the hub took it and whether or not anybody was told. */
function expectOneVerdict(questions: readonly BurstQuestion[], burst: Burst): void {
  for (const question of questions) {
    const told = burst.toldOf(question);
    expect(activeNames(told).size, question.correlation).toBeLessThanOrEqual(1);
    // What comes beside it is the refusal of the same proof, when the broker brought the question to the next run.
    for (const { active, code } of told) if (!active) expect(code).toBe('proof_replayed');
  }
}

/** What was told is in the audit, but for the last moment before a kill. */
function expectRecorded({ kills, told }: Burst, records: readonly AuditRecord[]): void {
  const kept = new Map<string, number>();
  const nameOf = (token: string, verdict: string | undefined) => `${token} ${verdict}`;
  for (const { token = '', verdict } of records) {
    kept.set(nameOf(token, verdict), (kept.get(nameOf(token, verdict)) ?? 0) + 1);
  }
  const missing = told.filter(
    ({ active, question }) => !kept.has(nameOf(question.token, active ? 'active' : 'inactive')),
  );
  for (const { at } of missing) {
    // An answer may come out of the broker when the hub that gave it is dead already.
    const isOfTheEnd = kills.some((kill) => at > kill.at - MAY_BE_LOST && at < kill.upAgain);
    expect(isOfTheEnd, `told at ${at}, killed at ${kills.map((kill) => kill.at).join(', ')}`).toBe(true);
  }
  for (const [name, count] of kept) if (name.endsWith(' active')) expect(count, name).toBe(1);
}

/** Everybody shows everything again. What was taken before is refused; what never was is taken, once. */
async function expectTaken(
  questions: readonly BurstQuestion[],
  burst: Burst,
  records: readonly AuditRecord[],
): Promise<void> {
  const recorded = new Set(records.filter(({ verdict }) => verdict === 'active').map(({ token }) => token));
  for (const question of questions) {
    const wasTaken = activeNames(burst.toldOf(question)).size > 0 || recorded.has(question.token);
    const again = await burst.ask(question);
    if (wasTaken) expect(again, question.correlation).toMatchObject({ active: false, code: 'proof_replayed' });
    expect(await burst.ask(question)).toMatchObject({ active: false, code: 'proof_replayed' });
  }
}
