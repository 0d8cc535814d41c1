import fc from 'fast-check';
import { MemoryLevel } from 'memory-level';
import { beforeEach, describe, expect, test } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import { isCoded, type LatchkeyError } from '../../src/core/errors.ts';
import { DurableReplayWindow, type DurableReplayWindowOptions } from '../../src/pop/durable-replay-window.ts';
import type { Store, StoreChange, WriteOptions } from '../../src/ports/store.ts';
import { openDatabase } from '../../src/store/open-store.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';

/** Seconds; remembered is twice that. */
const WINDOW = 60;
const LIFETIME = 2 * WINDOW * 1_000;
const NOW = 1_700_000_000;

let store: FaultyStore;
beforeEach(() => {
  store = new FaultyStore();
});

function open(changes: Partial<DurableReplayWindowOptions> = {}): Promise<DurableReplayWindow> {
  return DurableReplayWindow.open({ store, bootId: 'boot-1', monotonic: 0, window: WINDOW, ...changes });
}

async function outcome(use: Promise<void>): Promise<string> {
  try {
    await use;
    return 'none';
  } catch (error) {
    return isCoded(error) ? error.code : `uncoded: ${String(error)}`;
  }
}

const records = () => [...store.entries.keys()].filter((key) => key.startsWith('replay/used/'));

test('proofs that come at once share a write, also those right behind one', async () => {
  const window = await open();
  const opened = store.writes;
  await Promise.all(Array.from({ length: 50 }, (_, index) => window.use(`proof ${index}`, 0)));
  expect(store.writes - opened).toBe(1);
  const second = window.use('second', 0);
  for (let step = 0; step < 4; step += 1) await Promise.resolve();
  await Promise.all([second, window.use('third', 0)]);
  expect(store.writes - opened).toBe(2);
  for (const used of ['proof 49', 'second', 'third']) expect(await outcome(window.use(used, 0))).toBe('proof_replayed');
});

test.each([
  ['key', (greedy: boolean, index: number) => ({ key: greedy ? 'greedy' : 'modest', device: `ekg-${index}` })],
  ['device', (greedy: boolean, index: number) => ({ key: `key ${index}`, device: greedy ? 'greedy' : 'modest' })],
] as const)('no %s takes more than its share of the window, restarts aside', async (_, owner) => {
  const window = await open();
  const mine = Array.from({ length: 4_096 }, (__, index) => window.use(`proof ${index}`, 0, owner(true, index)));
  await Promise.all(mine);
  expect(await outcome(window.use('one more', 0, owner(true, 5_000)))).toBe('proof_window_full');
  expect(await outcome(window.use('one more', 0, owner(false, 5_000)))).toBe('none');
  expect(await outcome(window.use('later', 2 * LIFETIME, owner(true, 5_001)))).toBe('none');
});

test.each([
  ['a full window', { limit: 2 }, undefined],
  ['a full share', {}, { key: 'greedy', device: 'ekg-1' }],
] as const)('%s says when there is room again', async (_, options, owner) => {
  const window = await open(options);
  const count = owner === undefined ? 2 : 4_096;
  await Promise.all(Array.from({ length: count }, (__, index) => window.use(`proof ${index}`, 0, owner)));
  const refused: unknown = await window.use('one more', 1_000, owner).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'proof_window_full', retryAfter: expect.any(Number) });
  const { retryAfter = 0 } = refused as LatchkeyError;
  expect(retryAfter).toBeGreaterThan(0);
  const then = 1_000 + retryAfter * 1_000;
  expect(await outcome(window.use('a moment early', then - 1, owner))).toBe('proof_window_full');
  expect(await outcome(window.use('in time', then, owner))).toBe('none');
});

test('a proof that is refused for the share of its device takes nothing of that of its key', async () => {
  const window = await open();
  const full = Array.from({ length: 4_096 }, (_, index) =>
    window.use(`proof ${index}`, 0, { key: `key ${index}`, device: 'greedy' }),
  );
  await Promise.all(full);
  const refused = Array.from({ length: 4_096 }, (_, index) =>
    outcome(window.use(`more ${index}`, 0, { key: 'client', device: 'greedy' })),
  );
  expect(new Set(await Promise.all(refused))).toEqual(new Set(['proof_window_full']));
  expect(await outcome(window.use('elsewhere', 0, { key: 'client', device: 'modest' }))).toBe('none');
});

describe('refuses', () => {
  test('an identifier that was used', async () => {
    const window = await open();
    await window.use('a', 0);
    expect(await outcome(window.use('a', LIFETIME - 1))).toBe('proof_replayed');
  });

  test('an identifier whose first use is not written down yet', async () => {
    const window = await open();
    const first = window.use('a', 0);
    expect(await outcome(window.use('a', 0))).toBe('proof_replayed');
    await first;
  });

  test('an identifier that was used before a restart', async () => {
    await (await open()).use('a', LIFETIME - 1);
    // The monotonic clock of another run starts anew.
    const restarted = await open();
    expect(restarted.size).toBe(1);
    expect(await outcome(restarted.use('a', LIFETIME - 1))).toBe('proof_replayed');
  });

  test('an identifier that was used two restarts ago', async () => {
    await (await open()).use('a', 0);
    await (await open()).use('b', 0);
    const window = await open();
    expect(await outcome(window.use('a', 0))).toBe('proof_replayed');
    expect(await outcome(window.use('b', 0))).toBe('proof_replayed');
  });

  test('new ones rather than forgets, when it is full', async () => {
    const window = await open({ limit: 2 });
    await window.use('a', 0);
    await window.use('b', 1);
    expect(await outcome(window.use('c', 2))).toBe('proof_window_full');
    expect(await outcome(window.use('a', 3))).toBe('proof_replayed');
  });

  test('new ones when it is full of what was used before a restart', async () => {
    await (await open()).use('a', 0);
    expect(await outcome((await open({ limit: 1 })).use('b', 0))).toBe('proof_window_full');
  });

  test('an identifier that could not be written down, then and ever after', async () => {
    const window = await open();
    store.failAt(1);
    expect(await outcome(window.use('a', 0))).toBe('uncoded: Error: the medium failed');
    expect(await outcome(window.use('a', 0))).toBe('proof_replayed');
    expect(await outcome(window.use('b', 0))).toBe('none');
  });

  test.each([
    ['a record of another length', 'replay/used/000000000001/000000000000', new Uint8Array(15)],
    ['a record of another name', 'replay/used/x', new Uint8Array(16)],
  ])('to start on %s', async (_name, key, value) => {
    store.entries.set(key, value);
    await expect(open()).rejects.toMatchObject({ code: 'store_corrupt' });
  });
});

test('forgets an identifier once no proof of it can be good, in memory and on disk', async () => {
  const window = await open();
  for (let at = 0; at < 10; at += 1) await window.use(`early ${at}`, at);
  expect(records()).toHaveLength(10);
  await window.use('late', 2 * LIFETIME);
  expect(window.size).toBe(1);
  expect(records()).toHaveLength(1);
});

test('what a restart loaded goes as well', async () => {
  await (await open()).use('a', 0);
  const window = await open();
  await window.use('b', 0);
  await window.use('c', 2 * LIFETIME);
  expect(window.size).toBe(1);
  expect(records()).toHaveLength(1);
});

test('many at once go into few writes', async () => {
  const window = await open();
  const before = store.writes;
  await Promise.all(Array.from({ length: 1_000 }, (_, index) => window.use(`proof ${index}`, 0)));
  expect(store.writes - before).toBeLessThanOrEqual(2);
  expect((await open()).size).toBe(1_000);
});

test('those of a batch that failed all hear of it, and the batch after it does not', async () => {
  const window = await open();
  store.failAt(1);
  const outcomes = await Promise.all(['a', 'b'].map((name) => outcome(window.use(name, 0))));
  expect(outcomes).toEqual(['uncoded: Error: the medium failed', 'uncoded: Error: the medium failed']);
  expect(await outcome(window.use('c', 0))).toBe('none');
});

test('resolves only once the record is written', async () => {
  const held = new HeldStore();
  const window = await DurableReplayWindow.open({ store: held, bootId: 'b', monotonic: 0, window: WINDOW });
  held.hold = true;
  let done = false;
  const use = window.use('a', 0).then(() => {
    done = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(done).toBe(false);
  held.release();
  await use;
  expect(held.flushes.at(-1)).toBe(false);
});

test('never takes one identifier twice within its lifetime, over restarts, and never outgrows its limit', async () => {
  const step = fc.tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: LIFETIME / 2 }), fc.boolean());
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const medium = new FaultyStore();
      const limit = 8;
      const reopen = (monotonic: number) =>
        DurableReplayWindow.open({ store: medium, bootId: 'b', monotonic, window: WINDOW, limit });
      let window = await reopen(0);
      let now = 0;
      const usedAt = new Map<number, number>();
      for (const [identifier, pause, restart] of steps) {
        now += pause;
        if (restart) window = await reopen(now);
        const code = await outcome(window.use(String(identifier), now));
        const last = usedAt.get(identifier);
        if (last !== undefined && now - last < LIFETIME && code !== 'proof_window_full') {
          expect(code).toBe('proof_replayed');
        }
        if (code === 'none') usedAt.set(identifier, now);
        expect(window.size).toBeLessThanOrEqual(limit);
      }
    }),
    { numRuns: 60 },
  );
});

describe('after a boot that may have lost records', () => {
  const at = (monotonic: number) => ({ time: { earliest: NOW, latest: NOW }, monotonic });
  const unsure = (monotonic: number) => ({ time: { earliest: NOW, latest: undefined }, monotonic });

  test('a proof made before the start, or ahead of it by the window, may have been used', async () => {
    await (await open()).use('a', 0);
    const window = await open({ bootId: 'boot-2' });
    expect(window.mayHaveForgotten(NOW + WINDOW, at(0))).toBe(true);
    expect(window.mayHaveForgotten(NOW + WINDOW + 1, at(0))).toBe(false);
  });

  test('proofs are taken again when one window is over', async () => {
    await open();
    const window = await open({ bootId: 'boot-2' });
    expect(window.mayHaveForgotten(NOW, at(WINDOW * 1_000))).toBe(true);
    expect(window.mayHaveForgotten(NOW, at((WINDOW + 1) * 1_000))).toBe(false);
  });

  test('every proof may have been used while the time is not known, for as long as one can be good', async () => {
    await open();
    const window = await open({ bootId: 'boot-2' });
    expect(window.mayHaveForgotten(NOW + 1_000_000, unsure(LIFETIME))).toBe(true);
    expect(window.mayHaveForgotten(NOW, unsure(LIFETIME + 1))).toBe(false);
  });

  test('the hub is as careful when it is killed and started again in the same boot', async () => {
    await open();
    await open({ bootId: 'boot-2' });
    const window = await open({ bootId: 'boot-2' });
    expect(window.mayHaveForgotten(NOW, at(0))).toBe(true);
  });

  test('and no more once proofs of before are dead', async () => {
    await open();
    await (await open({ bootId: 'boot-2' })).use('a', LIFETIME + 1);
    expect((await open({ bootId: 'boot-2' })).mayHaveForgotten(NOW, at(0))).toBe(false);
  });

  test('and still is when it was closed before they were', async () => {
    await open();
    await (await open({ bootId: 'boot-2' })).close(1);
    expect((await open({ bootId: 'boot-3' })).mayHaveForgotten(NOW, at(0))).toBe(true);
  });
});

describe('nothing was forgotten', () => {
  const now = { time: { earliest: NOW, latest: NOW }, monotonic: 0 };

  test('at the first start', async () => {
    expect((await open()).mayHaveForgotten(NOW, now)).toBe(false);
  });

  test('after the hub was killed in the same boot', async () => {
    await (await open()).use('a', 0);
    expect((await open()).mayHaveForgotten(NOW, now)).toBe(false);
  });

  test('after a boot before which it was closed in good order', async () => {
    const window = await open();
    await window.use('a', 0);
    await window.close(0);
    const next = await open({ bootId: 'boot-2' });
    expect(next.mayHaveForgotten(NOW, now)).toBe(false);
    expect(await outcome(next.use('a', 0))).toBe('proof_replayed');
  });
});

test('works over a real database in memory', async () => {
  const real = await openDatabase(new MemoryLevel({ valueEncoding: 'view', keyEncoding: 'utf8' }));
  await real.write([{ put: 'other', value: utf8('x') }]);
  const options = { store: real, bootId: 'b', monotonic: 0, window: WINDOW };
  await (await DurableReplayWindow.open(options)).use('a', 0);
  expect(await outcome((await DurableReplayWindow.open(options)).use('a', 0))).toBe('proof_replayed');
  await real.close();
});

/** A store whose writes wait until they are let go. */
class HeldStore implements Store {
  readonly #inner = new FaultyStore();
  readonly flushes: (boolean | undefined)[] = [];
  hold = false;
  #waiting: (() => void)[] = [];

  read(key: string): Promise<Uint8Array | undefined> {
    return this.#inner.read(key);
  }

  list(prefix: string): Promise<readonly (readonly [string, Uint8Array])[]> {
    return this.#inner.list(prefix);
  }

  async write(changes: readonly StoreChange[], options?: WriteOptions): Promise<void> {
    this.flushes.push(options?.flush);
    if (this.hold) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    await this.#inner.write(changes);
  }

  forget(prefix: string): Promise<void> {
    return this.#inner.forget(prefix);
  }

  release(): void {
    this.hold = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async close(): Promise<void> {
    this.release();
  }
}
