/** mosquitto is killed in the middle of a burst of real questions with real proofs, and started again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { HubStatus } from '../../src/ports/admin.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { askOverHttp, auditRecords } from '../fixtures/relay-asking.ts';
import { type BurstQuestion, BurstSite } from '../fixtures/relay-burst.ts';

const DEVICES = Array.from({ length: 6 }, (_, index) => `ekg-${index}`);
const EACH = 25;
/**
 * Milliseconds over which the questions are spread: faster than they are answered, so that the hub has many in its hands
 * when the broker dies. And after how many a device asks again where no answer came.
 */
const SPREAD = 50;
const PATIENCE = 500;

let site: BurstSite;
afterEach(() => site.close());

const isAnswered = (question: BurstQuestion) => site.answers(question).length > 0;

/** As docs/protocol.md has it for devices: the same request, with the same correlation data. */
async function askAgainUntilAnswered(questions: readonly BurstQuestion[]): Promise<void> {
  for (let round = 0; round < 60; round += 1) {
    const missing = questions.filter((question) => !isAnswered(question));
    if (missing.length === 0) return;
    await Promise.all(missing.map((question) => site.send(question)));
    await sleep(PATIENCE);
  }
}

/** Resolves with the answer of this number. */
function answered(count: number): Promise<void> {
  let left = count;
  return new Promise((resolve) => {
    for (const { mqtt } of site.devices) {
      mqtt.client.on('message', () => {
        left -= 1;
        if (left === 0) resolve();
      });
    }
  });
}

test.each([1, 2, 3])('every question of QoS 1 is answered once, and judged once (seed %i)', async (seed) => {
  site = await BurstSite.open(DEVICES, { reconnects: 'when told' });
  await site.hub.event('broker_up');
  const random = new FakeTime({ seed });
  const [first, ...others] = await site.questions(EACH + 1);
  const questions = others.slice(DEVICES.length - 1);
  const sending = questions.map(async (question) => {
    await sleep(random.fraction() * SPREAD);
    await site.send(question);
  });
  await answered(5 + Math.floor(random.fraction() * 45));
  await site.broker.stop('SIGKILL');
  const unanswered = questions.filter((question) => !isAnswered(question)).length;
  expect(unanswered).toBeGreaterThan(0);
  // The other fronts know nothing of it.
  if (first !== undefined) {
    const { body } = await askOverHttp(site.hub, first.question, first.device.credentials);
    expect(body).toMatchObject({ active: true, latchkey: { proof: 'dpop' } });
  }
  await site.broker.start();
  // The hub comes first: what it says to a broker that has forgotten who listens is lost, and has to be asked for again.
  const isBack = () => site.hub.output.filter((line) => line.includes('"event":"broker_up"')).length === 2;
  await site.until(isBack, 'the hub at the broker');
  for (const { mqtt } of site.devices) mqtt.client.reconnect();
  await Promise.all(sending);
  await askAgainUntilAnswered(questions);

  for (const question of questions) {
    const answers = site.answers(question);
    expect(answers.length, question.correlation).toBeGreaterThan(0);
    // What QoS 1 and a second request bring again is the same answer, byte for byte.
    expect(new Set(answers.map(({ payload }) => payload.toString('hex'))).size, question.correlation).toBe(1);
    expect(question.read(answers[0]?.payload ?? new Uint8Array())).toMatchObject({ active: true, proof: 'dpop' });
  }
  const judged = (await auditRecords(site.folder)).map(({ token, verdict }) => `${token} ${verdict}`);
  const asked = [...questions, ...(first === undefined ? [] : [first])];
  expect(judged.sort()).toEqual(asked.map(({ token }) => `${token} active`).sort());
  const { out } = await site.folder.command('status', '--json', '--config', site.folder.config);
  const status = JSON.parse(out) as HubStatus;
  expect(status).toMatchObject({ broker: { up: true, counters: { connected: 2, lost: 1 } }, conditions: [] });
  // Some were judged, and their answers were lost with the broker: else this would have proven little.
  expect(status.broker?.counters.answeredAgain).toBeGreaterThan(0);
});
