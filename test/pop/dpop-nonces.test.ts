import { expect, test } from 'vitest';
import { DpopNonces } from '../../src/pop/dpop-nonces.ts';
import { FakeTime } from '../fakes/fake-time.ts';

const SLICE = DpopNonces.lifetime / 2;
const nonces = () => new DpopNonces({ random: new FakeTime({ seed: 7 }) });

test('accepts the nonce it gave in the same slice', () => {
  const own = nonces();
  expect(own.accepts(own.current(10), SLICE - 1)).toBe(true);
});

test('accepts the nonce of the slice before', () => {
  const own = nonces();
  expect(own.accepts(own.current(SLICE - 1), SLICE)).toBe(true);
});

test('refuses a nonce two slices old', () => {
  const own = nonces();
  expect(own.accepts(own.current(0), 2 * SLICE)).toBe(false);
});

test('refuses a nonce of the slice to come', () => {
  const later = nonces().current(SLICE);
  expect(nonces().accepts(later, 0)).toBe(false);
});

test('refuses the nonces of another run', () => {
  const before = new DpopNonces({ random: new FakeTime({ seed: 1 }) }).current(0);
  expect(new DpopNonces({ random: new FakeTime({ seed: 2 }) }).accepts(before, 0)).toBe(false);
});

test('refuses an empty nonce', () => {
  expect(nonces().accepts('', 0)).toBe(false);
});

test('hands out one nonce within a slice, and it has the characters of RFC 9449 section 8.1', () => {
  const own = nonces();
  expect(own.current(0)).toBe(own.current(SLICE - 1));
  expect(own.current(0)).toMatch(/^[\x21\x23-\x5b\x5d-\x7e]{22}$/);
});
