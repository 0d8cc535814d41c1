import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RecentMap } from '../../src/core/recent-map.ts';

test('keeps what is used and forgets what is not', () => {
  const map = new RecentMap<number, string>(4);
  map.set(1, 'used');
  map.set(2, 'not used');
  for (let key = 3; key < 20; key += 1) {
    map.set(key, 'other');
    expect(map.get(1)).toBe('used');
  }
  expect(map.get(2)).toBeUndefined();
});

test('setting a key again replaces its value, in whichever generation it is', () => {
  const map = new RecentMap<string, number>(4);
  map.set('a', 1);
  map.set('a', 2);
  expect(map.get('a')).toBe(2);
  map.set('b', 1);
  map.set('c', 1);
  map.set('a', 3);
  expect(map.get('a')).toBe(3);
});

test('never holds more than its limit, always holds what was set last, and never another value', () => {
  const operations = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 30 })), { maxLength: 200 });
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 20 }), operations, (limit, steps) => {
      const map = new RecentMap<number, number>(limit);
      const written: number[] = [];
      for (const [isSet, key] of steps) {
        if (!isSet) {
          expect([undefined, key * 2]).toContain(map.get(key));
          continue;
        }
        map.set(key, key * 2);
        written.push(key);
        expect(map.size).toBeLessThanOrEqual(limit);
        expect(map.get(key)).toBe(key * 2);
      }
      const last = [...new Set(written.reverse())].slice(0, 1);
      for (const key of last) expect(map.get(key)).toBe(key * 2);
    }),
  );
});
