import { expect, test } from 'vitest';
import { Indications } from '../../../drivers/ble/indications.ts';
import { LIMITS } from '../../../src/core/limits.ts';

/** As with MTU 23. */
const SIZE = 20;

function rig() {
  const sent: number[][] = [];
  return { sent, indications: new Indications({ size: SIZE, indicate: (value) => sent.push([...value]) }) };
}

test('a value goes out when the one before it was confirmed, and not before', () => {
  const { sent, indications } = rig();
  indications.send(Uint8Array.of(1, 1));
  indications.send(Uint8Array.of(2, 2));
  expect(sent).toEqual([[1, 1]]);
  indications.confirmed();
  expect(sent).toEqual([
    [1, 1],
    [2, 2],
  ]);
});

test('a confirmation of nothing changes nothing', () => {
  const { sent, indications } = rig();
  indications.confirmed();
  indications.send(Uint8Array.of(1, 1));
  indications.send(Uint8Array.of(2, 2));
  expect(sent).toHaveLength(1);
});

test('what can be read is the last message that went out, whole, and no acknowledgement replaces it', () => {
  const { indications } = rig();
  const message = new Uint8Array(300).fill(7);
  indications.send(message);
  indications.send(Uint8Array.of(0x10));
  indications.confirmed();
  expect(indications.read(0)).toEqual(message);
  expect(indications.read(290)).toEqual(new Uint8Array(10).fill(7));
  expect(indications.read(300)).toEqual(new Uint8Array(0));
});

test('an offset past the end is refused', () => {
  const { indications } = rig();
  indications.send(Uint8Array.of(1, 1));
  expect(indications.read(3)).toBeUndefined();
});

test('what waits cannot be read', () => {
  const { indications } = rig();
  indications.send(Uint8Array.of(1, 1));
  indications.send(Uint8Array.of(2, 2));
  expect(indications.read(0)).toEqual(Uint8Array.of(1, 1));
});

test('no message replaces one that is too long for an indication before it was read to its end', async () => {
  const { sent, indications } = rig();
  indications.send(new Uint8Array(SIZE + 5).fill(7));
  indications.send(Uint8Array.of(2, 2));
  indications.confirmed();
  expect(sent).toHaveLength(1);
  indications.read(0);
  await Promise.resolve();
  expect(sent).toHaveLength(1);
  // The rest fits one answer: SIZE + 2 bytes.
  indications.read(SIZE + 2);
  await Promise.resolve();
  expect(sent.at(-1)).toEqual([2, 2]);
});

test('a hub that confirms nothing fills no memory', () => {
  const { sent, indications } = rig();
  for (let count = 0; count < 1_000; count += 1) indications.send(Uint8Array.of(count & 0xff, 0));
  for (let count = 0; count < 1_000; count += 1) indications.confirmed();
  expect(sent).toHaveLength(1 + LIMITS.gattWaiting);
});
