/** Sealed values over a store that fails: no key is overwritten that a refused write may still need. */
import { mkdtempSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fromUtf8, utf8 } from '../../src/core/bytes.ts';
import type { StoreChange } from '../../src/ports/store.ts';
import { SealedStore } from '../../src/store/sealed-store.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';

function innerOf(faulty: FaultyStore) {
  return {
    read: (key: string) => faulty.read(key),
    list: (prefix: string) => faulty.list(prefix),
    write: (changes: readonly StoreChange[]) => faulty.write(changes),
    forget: (prefix: string) => faulty.forget(prefix),
    close: () => faulty.close(),
    assertWritable: () => undefined,
    async *entries(prefix: string) {
      yield* await faulty.list(prefix);
    },
  };
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-sealed-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const open = (faulty: FaultyStore) => SealedStore.open(innerOf(faulty), join(folder, 'slots'));
const text = async (store: SealedStore, key: string) => fromUtf8((await store.read(key)) ?? new Uint8Array());

test.each([true, false])('a write that failed, and took effect: %s, leaves a value that opens', async (afterwards) => {
  const inner = new FaultyStore();
  const store = await open(inner);
  await store.write([{ put: 'device/a', value: utf8('before') }]);
  inner.failAt(1, { afterwards });
  await expect(store.write([{ put: 'device/a', value: utf8('after') }])).rejects.toThrow('failed');
  await store.forget('device/');
  for (let number = 0; number < 200; number += 1)
    await store.write([{ put: `device/other-${number}`, value: utf8('x') }]);
  await store.forget('device/');
  // The process was killed: what is there is what the store has by now.
  const next = await open(new FaultyStore(new Map(inner.entries)));
  expect(await text(next, 'device/a')).toBe(afterwards ? 'after' : 'before');
  await store.close();
  await next.close();
});

test('entries whose keys are gone are told, with how many, until they are written anew', async () => {
  const inner = new FaultyStore();
  const store = await open(inner);
  for (let number = 0; number < 100; number += 1)
    await store.write([{ put: `delivery/${number}`, value: utf8('token') }]);
  expect(store.faults()).toEqual([]);
  await store.close();
  const slots = join(folder, 'slots');
  truncateSync(slots, readFileSync(slots).length - 1);
  const next = await open(inner);
  const found = await next.list('delivery/');
  const lost = found.filter(([, value]) => Buffer.compare(value, utf8('token')) !== 0).map(([key]) => key);
  expect(lost.length).toBeGreaterThan(0);
  expect(next.faults()).toMatchObject([
    { code: 'store_records_lost', path: slots, detail: expect.stringMatching(new RegExp(`^${lost.length} entries`)) },
  ]);
  await next.write(lost.map((remove) => ({ remove })));
  expect(next.faults()).toEqual([]);
  await next.close();
});
