import { expect, test } from 'vitest';
import { type Verdict, VerdictCache } from '../../../src/pop/introspection/verdict-cache.ts';

function verdict(bytes: number): Verdict {
  return { answer: { active: false }, evidence: undefined, answeredAt: 0, lifetime: 1, bytes };
}

test('gives back what was set, until it is deleted', () => {
  const cache = new VerdictCache(100_000);
  const one = verdict(100);
  cache.set('a', one);
  expect(cache.get('a')).toBe(one);
  expect(cache.get('b')).toBeUndefined();
  cache.delete('a');
  expect(cache.get('a')).toBeUndefined();
  expect(cache.size).toBe(0);
});

test('never holds more than its memory allows', () => {
  const cache = new VerdictCache(64 * 1_024);
  for (let index = 0; index < 10_000; index++) {
    cache.set(`${index}`, verdict(0));
    expect(cache.size).toBeLessThanOrEqual(128);
  }
});

test('holds fewer large verdicts than small ones', () => {
  const cache = new VerdictCache(64 * 1_024);
  for (let index = 0; index < 1_000; index++) cache.set(`${index}`, verdict(3_584));
  expect(cache.size).toBeLessThanOrEqual(5);
});

test('keeps what is used, and forgets the rest', () => {
  const cache = new VerdictCache(64 * 1_024);
  cache.set('used', verdict(0));
  for (let index = 0; index < 1_000; index++) {
    cache.set(`${index}`, verdict(0));
    cache.get('used');
  }
  expect(cache.get('used')).toBeDefined();
  expect(cache.get('0')).toBeUndefined();
});

test('counts a verdict once that is set again and again', () => {
  const cache = new VerdictCache(64 * 1_024);
  cache.set('other', verdict(0));
  for (let index = 0; index < 1_000; index++) cache.set('same', verdict(0));
  expect(cache.get('other')).toBeDefined();
});
