import { describe, expect, test } from 'vitest';
import { retryAfterOf } from '../../src/codec/retry-after.ts';

const NOW = Date.UTC(2026, 10, 24, 12, 0, 0) / 1_000;

describe('Retry-After', () => {
  test.each([
    ['0', 0],
    ['30', 30],
    ['999999999', 999_999_999],
    ['Tue, 24 Nov 2026 12:01:30 GMT', 90],
    ['Tue, 24 Nov 2026 11:00:00 GMT', 0],
  ])('%s is a number of seconds', (value, seconds) => {
    expect(retryAfterOf(value, NOW)).toBe(seconds);
  });

  test.each([
    '',
    '-1',
    '1.5',
    '1e3',
    ' 5',
    '9999999999',
    'soon',
    '2026-11-24',
    'Tue, 99 Nov 2026 12:01:30 GMT',
    '5, 9',
  ])('%j says nothing', (value) => {
    expect(retryAfterOf(value, NOW)).toBeUndefined();
  });

  test('is not there, or a date while the time is not known, says nothing', () => {
    expect(retryAfterOf(undefined, NOW)).toBeUndefined();
    expect(retryAfterOf('Tue, 24 Nov 2026 12:01:30 GMT', undefined)).toBeUndefined();
  });
});
