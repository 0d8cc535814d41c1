import { beforeEach, expect, test } from 'vitest';
import { CircuitBreaker } from '../../../src/pop/introspection/circuit-breaker.ts';
import { FakeTime } from '../../fakes/fake-time.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';
import { codeOf } from '../../fixtures/code-of.ts';

let time: FakeTime;
let log: QuietLog;
let breaker: CircuitBreaker;
let tokens: number;
beforeEach(() => {
  tokens = 0;
  time = new FakeTime();
  time.setFraction(0);
  log = new QuietLog();
  breaker = new CircuitBreaker({ clock: time, random: time, log });
});

/** Leave to ask about another token each time. */
function admit(token = `token ${tokens++}`) {
  return breaker.admit(token);
}
function fail(times = 1, token?: string): void {
  for (let failure = 0; failure < times; failure++) breaker.failed(admit(token), 'as_timeout');
}
const admission = (token?: string) => codeOf(() => admit(token));

test('lets questions through while the AS answers', () => {
  fail(4);
  breaker.succeeded(admit());
  fail(4);
  expect(admission()).toBe('none');
  expect(breaker.status()).toEqual({ state: 'ready', failures: 4, lastError: 'as_timeout', retryIn: undefined });
  expect(log.events()).toEqual([]);
});

test('counts a token once, however often it fails', () => {
  fail(20, 'one');
  fail(20, 'two');
  expect(admission()).toBe('none');
  expect(breaker.status()).toMatchObject({ state: 'ready', failures: 2 });
  fail(3);
  expect(admission()).toBe('introspection_suspended');
});

test('lets other tokens go before those that failed when the pause is over', async () => {
  fail(4);
  fail(1, 'bad');
  await time.advance(1_000);
  expect(admission('bad')).toBe('introspection_suspended');
  fail(1, 'worse');
  await time.advance(2_000);
  expect(admission('worse')).toBe('introspection_suspended');
  breaker.succeeded(admit());
  expect(admission('bad')).toBe('none');
});

test('does not wait for other tokens for ever', async () => {
  fail(4);
  fail(1, 'bad');
  await time.advance(1_999);
  expect(admission('bad')).toBe('introspection_suspended');
  await time.advance(1);
  expect(admission('bad')).toBe('none');
});

test('refuses questions after five failures in a row, and says so', () => {
  fail(5);
  expect(admission()).toBe('introspection_suspended');
  expect(breaker.status()).toEqual({ state: 'suspended', failures: 5, lastError: 'as_timeout', retryIn: 1 });
  expect(log.lines).toMatchObject([
    { level: 'warn', fields: { event: 'introspection_suspended', code: 'as_timeout', failures: 5, retry_in: 1 } },
  ]);
});

test('names the failure that led to it in its refusals', () => {
  fail(5);
  expect(() => admit()).toThrow(expect.objectContaining({ detail: 'as_timeout' }));
});

test('lets one question through after the pause, and no second one beside it', async () => {
  fail(5);
  await time.advance(1_000);
  expect(breaker.status().state).toBe('probing');
  expect(admit()).toMatchObject({ isProbe: true });
  expect(admission()).toBe('introspection_suspended');
});

test('closes when that question is answered, and says so', async () => {
  fail(5);
  await time.advance(3_000);
  breaker.succeeded(admit());
  expect(admission()).toBe('none');
  expect(breaker.status()).toEqual({ state: 'ready', failures: 0, lastError: undefined, retryIn: undefined });
  expect(log.lines.at(-1)).toMatchObject({ level: 'info', fields: { event: 'introspection_resumed', suspended: 3 } });
});

test('doubles the pause each time, up to a minute, and does not fill the log', async () => {
  fail(5);
  const pauses: (number | undefined)[] = [];
  for (let round = 0; round < 8; round++) {
    const { retryIn = 0 } = breaker.status();
    pauses.push(retryIn);
    await time.advance(retryIn * 1_000);
    fail();
  }
  expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
  expect(log.lines.filter(({ level }) => level !== 'debug')).toHaveLength(1);
});

test('shortens pauses at random, so that hubs do not come back together', () => {
  time.setFraction(0.5);
  fail(5);
  expect(breaker.status().retryIn).toBeCloseTo(0.95);
});

test('is not led astray by questions from before the pause', async () => {
  const early = [admit(), admit()] as const;
  fail(5);
  await time.advance(1_000);
  const probe = admit();
  breaker.failed(early[0], 'as_unreachable');
  expect(breaker.status()).toMatchObject({ state: 'probing', lastError: 'as_timeout' });
  breaker.failed(probe, 'as_unreachable');
  expect(breaker.status().retryIn).toBe(2);
  breaker.succeeded(early[1]);
  expect(breaker.status().state).toBe('ready');
});

test('lets another question through when the probe came to nothing by itself', async () => {
  fail(5);
  await time.advance(1_000);
  breaker.abandoned(admit());
  expect(admit()).toMatchObject({ isProbe: true });
});
