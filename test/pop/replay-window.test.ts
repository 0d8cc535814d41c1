import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { ReplayWindow } from '../../src/pop/replay-window.ts';

function code(action: () => void): string {
  try {
    action();
  } catch (error) {
    if (error instanceof LatchkeyError) return error.code;
    throw error;
  }
  return 'none';
}

test('refuses an identifier that was used', () => {
  const window = new ReplayWindow({ lifetime: 1000 });
  window.use('a', 'key', 0);
  expect(code(() => window.use('a', 'key', 999))).toBe('proof_replayed');
});

test('forgets an identifier once its time is over', () => {
  const window = new ReplayWindow({ lifetime: 1000 });
  window.use('a', 'key', 0);
  expect(code(() => window.use('a', 'key', 1000))).toBe('none');
});

test('refuses rather than forgets when it is full', () => {
  const window = new ReplayWindow({ lifetime: 1000, limit: 2 });
  window.use('a', 'key', 0);
  window.use('b', 'key', 1);
  expect(code(() => window.use('c', 'key', 2))).toBe('proof_window_full');
  expect(code(() => window.use('a', 'key', 3))).toBe('proof_replayed');
});

test('has room again as soon as the oldest expires', () => {
  const window = new ReplayWindow({ lifetime: 1000, limit: 2 });
  window.use('a', 'key', 0);
  window.use('b', 'key', 500);
  expect(code(() => window.use('c', 'key', 1000))).toBe('none');
  expect(window.size).toBe(2);
});

test('one key cannot take more than its share, and leaves the rest to others', () => {
  const window = new ReplayWindow({ lifetime: 1000 });
  for (let count = 0; count < LIMITS.replayEntriesPerKey; count += 1) window.use(`greedy ${count}`, 'greedy', 0);
  expect(code(() => window.use('one more', 'greedy', 1))).toBe('proof_window_full');
  expect(code(() => window.use('a', 'innocent', 1))).toBe('none');
  expect(code(() => window.use('later', 'greedy', 1000))).toBe('none');
});

test('says when there is room again: for the key that is refused, or for all', () => {
  const window = new ReplayWindow({ lifetime: 300_000, limit: LIMITS.replayEntriesPerKey + 1 });
  window.use('first', 'innocent', 1_000);
  for (let count = 0; count < LIMITS.replayEntriesPerKey; count += 1) {
    window.use(`greedy ${count}`, 'greedy', 2_000 + count * 333);
  }
  expect(() => window.use('one more', 'greedy', 90_000)).toThrow(
    expect.objectContaining({ code: 'proof_window_full', retryAfter: 212 }),
  );
  expect(() => window.use('one more', 'innocent', 90_000)).toThrow(
    expect.objectContaining({ code: 'proof_window_full', retryAfter: 211 }),
  );
  expect(code(() => window.use('one more', 'innocent', 301_000))).toBe('none');
  expect(code(() => window.use('one of mine', 'greedy', 302_000))).toBe('none');
});

test('never takes one identifier twice within its lifetime and never outgrows its limit', () => {
  const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 300 })), {
    maxLength: 80,
  });
  fc.assert(
    fc.property(steps, (uses) => {
      const window = new ReplayWindow({ lifetime: 1000, limit: 8 });
      const accepted = new Map<string, number>();
      let now = 0;
      for (const [identifier, pause] of uses) {
        now += pause;
        const name = String(identifier);
        const last = accepted.get(name);
        if (code(() => window.use(name, 'key', now)) === 'none') {
          expect(last === undefined || now - last >= 1000).toBe(true);
          accepted.set(name, now);
        }
        expect(window.size).toBeLessThanOrEqual(8);
      }
    }),
  );
});
