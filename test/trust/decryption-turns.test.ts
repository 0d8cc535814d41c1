import { beforeEach, expect, test } from 'vitest';
import { LIMITS } from '../../src/core/limits.ts';
import { DecryptionTurns } from '../../src/trust/decryption-turns.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';

let turns: DecryptionTurns;
/** Ends those under way, in the order in which they began. */
let ends: ((outcome?: Error) => void)[];
let begun: number;

beforeEach(() => {
  [turns, ends, begun] = [new DecryptionTurns(), [], 0];
});

function ask(peer: string): Promise<void> {
  return turns.take(peer, () => {
    begun += 1;
    return new Promise((resolve, reject) => ends.push((error) => (error === undefined ? resolve() : reject(error))));
  });
}

/** After all that waits for nothing but promises. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

async function endAll(): Promise<void> {
  while (ends.length > 0) {
    for (const end of ends.splice(0)) end();
    await settled();
  }
}

test('few run at once, and the next begins when one ends', async () => {
  const all = [0, 1, 2, 3].map((index) => ask(`peer ${index}`));
  await settled();
  expect(begun).toBe(LIMITS.decryptionsAtOnce);
  ends.shift()?.();
  await settled();
  expect(begun).toBe(LIMITS.decryptionsAtOnce + 1);
  await endAll();
  await Promise.all(all);
  expect(begun).toBe(4);
});

test('one that fails gives its turn on, and says why', async () => {
  const failing = [0, 1].map((index) => asyncCodeOf(ask(`peer ${index}`)));
  const waiting = ask('peer 2');
  await settled();
  for (const end of ends.splice(0)) end(new Error('noise'));
  await Promise.allSettled(failing);
  await settled();
  expect(begun).toBe(3);
  await endAll();
  await waiting;
});

test('a peer has a share, and leaves room for others', async () => {
  const flood = Array.from({ length: LIMITS.decryptionsPerPeer }, () => ask('flood'));
  expect(await asyncCodeOf(ask('flood'))).toBe('hub_busy');
  const other = ask('other');
  await settled();
  await endAll();
  await Promise.all([...flood, other]);
  // The share is whole again.
  const again = ask('flood');
  await settled();
  await endAll();
  await again;
});

test('many peers together make no endless queue', async () => {
  const most = LIMITS.decryptionsAtOnce + LIMITS.decryptionsWaiting;
  const all = Array.from({ length: most }, (_, index) => ask(`peer ${index}`));
  expect(await asyncCodeOf(ask('one more'))).toBe('hub_busy');
  await settled();
  await endAll();
  await Promise.all(all);
  expect(begun).toBe(most);
});
