import { expect, test } from 'vitest';
import { Shares } from '../../src/core/shares.ts';

test('nobody takes more than a share, and others have theirs', () => {
  const shares = new Shares(2);
  expect([shares.take('a'), shares.take('a'), shares.take('a')]).toEqual([true, true, false]);
  expect(shares.take('b')).toBe(true);
});

test('what is given back can be taken again', () => {
  const shares = new Shares(1);
  shares.take('a');
  shares.release('a');
  expect([shares.take('a'), shares.take('a')]).toEqual([true, false]);
});

test('giving back what was not taken gives nobody more', () => {
  const shares = new Shares(1);
  shares.release('a');
  expect([shares.take('a'), shares.take('a')]).toEqual([true, false]);
});
