import { describe, expect, test } from 'vitest';
import { listed, mismatch, shown, shownDate } from '../../src/core/shown.ts';

test.each<[string, Parameters<typeof shown>[0], string]>([
  ['a text', 'JWT', '"JWT"'],
  ['a list', ['a', 'b'], '["a","b"]'],
  ['nothing', undefined, 'missing'],
  ['a line end', 'a\nb', '"a\\nb"'],
  ['a control character of a terminal', '\u009b2J', '"\\u009b2J"'],
  ['a change of direction', 'a\u202eb', '"a\\u202eb"'],
])('%s is shown inside of a line', (_, value, text) => {
  expect(shown(value)).toBe(text);
});

describe('what there is beside what is wanted', () => {
  test.each<[Parameters<typeof mismatch>, string]>([
    [['aud', 'a', 'b'], 'aud is "a", expected "b"'],
    [['aud', ['a', 'c'], ['b', 'd']], 'aud is ["a","c"], expected "b" or "d"'],
    [['typ', undefined, ['at+jwt']], 'typ is missing, expected "at+jwt"'],
    [['iss', 'a', []], 'iss is "a", expected none'],
  ])('%j', (given, text) => {
    expect(mismatch(...given)).toBe(text);
  });

  test('is cut on both sides', () => {
    const text = mismatch('iss', 'x'.repeat(9_000), Array(9_000).fill('y'));
    expect(text.length).toBeLessThan(450);
    expect(text).toMatch(/^iss is "x+…, expected "y" or .*…$/);
  });
});

test('one audience is shown as a text, several or none as a list', () => {
  expect([listed(['a']), listed(['a', 'b']), listed([])]).toEqual(['a', ['a', 'b'], []]);
});

test('a date that is none is shown as it is', () => {
  expect(shownDate(1_800_000_000)).toBe('2027-01-15T08:00:00.000Z');
  expect(shownDate(1e300)).toBe('1e+300');
});
