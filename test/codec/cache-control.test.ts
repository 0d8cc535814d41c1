import { expect, test } from 'vitest';
import { readCacheControl } from '../../src/codec/cache-control.ts';

test.each([
  [undefined, undefined, false],
  ['', undefined, false],
  ['max-age=60', 60, false],
  ['Public, Max-Age="60"', 60, false],
  ['max-age=0', 0, false],
  ['no-store', undefined, true],
  ['private, no-cache, max-age=5', 5, true],
  ['max-age=-1', undefined, false],
  ['max-age=1e3', undefined, false],
  ['s-maxage=60', undefined, false],
])('"%s" means max-age %s and not kept %s', (header, maxAge, isNotKept) => {
  expect(readCacheControl(header)).toEqual({ maxAge, isNotKept });
});

test('only the first directives count', () => {
  expect(readCacheControl(`${'x,'.repeat(32)}max-age=5`).maxAge).toBeUndefined();
});
