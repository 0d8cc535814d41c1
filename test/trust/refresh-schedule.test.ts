import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lifetimeOf, refreshDelay, retryDelay } from '../../src/trust/refresh-schedule.ts';

const BOUNDS = { least: 60, most: 86_400 };

test.each([
  [undefined, undefined, 3_600],
  ['max-age=600', undefined, 600],
  ['public, MAX-AGE=600, immutable', undefined, 600],
  ['max-age="600"', undefined, 600],
  ['s-maxage=5', undefined, 3_600],
  ['max-age=600', 100, 500],
  ['max-age=600', 100_000, 60],
  ['max-age=600', -5, 600],
  ['no-cache', undefined, 60],
  ['no-store, max-age=600', undefined, 60],
  ['max-age=999999999', undefined, 86_400],
  ['max-age=-1', undefined, 3_600],
  ['max-age=1e9', undefined, 3_600],
  ['max-age=99999999999999999999', undefined, 3_600],
  [',,,', undefined, 3_600],
])('Cache-Control %s with Age %s: %i seconds', (cacheControl, age, lifetime) => {
  expect(lifetimeOf({ cacheControl, age }, BOUNDS)).toBe(lifetime);
});

test('every header gives a lifetime inside the bounds', () => {
  const header = fc.oneof(fc.string(), fc.stringMatching(/^(max-age|no-store|no-cache|=|,|"| |\d){0,12}$/));
  fc.assert(
    fc.property(header, fc.option(fc.double({ noNaN: true }), { nil: undefined }), (cacheControl, age) => {
      const lifetime = lifetimeOf({ cacheControl, age }, BOUNDS);
      expect(lifetime >= BOUNDS.least && lifetime <= BOUNDS.most).toBe(true);
    }),
  );
});

test('a refresh comes ahead of time, and jitter brings it forward only', () => {
  expect(refreshDelay(1_000, 0)).toBe(750);
  expect(refreshDelay(1_000, 0.999)).toBeGreaterThan(650);
});

test('retries double up to an hour, however long it lasts', () => {
  expect([1, 2, 3, 9, 1_000_000].map((failures) => retryDelay(failures, 0))).toEqual([15, 30, 60, 3_600, 3_600]);
  expect(retryDelay(1, 0.999)).toBeGreaterThan(13);
});
