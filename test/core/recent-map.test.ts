import { expect, test } from 'vitest';
import { RecentMap } from '../../src/core/recent-map.ts';

test('keeps at most its limit and forgets the least recently used', () => {
  const map = new RecentMap<string, number>(2);
  map.set('a', 1);
  map.set('b', 2);
  expect(map.get('a')).toBe(1);
  map.set('c', 3);
  expect(map.size).toBe(2);
  expect(map.get('b')).toBeUndefined();
  expect(map.get('a')).toBe(1);
  expect(map.get('c')).toBe(3);
});

test('setting a key again replaces its value and makes it the most recent', () => {
  const map = new RecentMap<string, number>(2);
  map.set('a', 1);
  map.set('b', 2);
  map.set('a', 10);
  map.set('c', 3);
  expect(map.get('a')).toBe(10);
  expect(map.get('b')).toBeUndefined();
});
