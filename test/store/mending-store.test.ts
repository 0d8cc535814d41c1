/** A database that takes nothing any more after a fault, as LevelDB does, and is opened again. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fromUtf8, utf8 } from '../../src/core/bytes.ts';
import { isCoded } from '../../src/core/errors.ts';
import type { StoreChange } from '../../src/ports/store.ts';
import { type Database, LevelHandle } from '../../src/store/level-store.ts';
import { MendingStore } from '../../src/store/mending-store.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { QuietLog } from '../fakes/quiet-log.ts';

type Entries = Map<string, Uint8Array>;
type Operations = Parameters<Database['batch']>[0];

/** What lies on the disk: entries, and writes of a log that the next opening reads although they failed. */
class Disk {
  readonly entries: Entries = new Map();
  unfinished: Operations[] = [];
  /** Errors of the next writes, in their order. */
  faults: (Fault | undefined)[] = [];
  /** While set, files cannot be written and databases cannot be opened. */
  down: string | undefined;
  openings = 0;
  open = 0;
  mostOpen = 0;
  batches = 0;
}

interface Fault {
  readonly message: string;
  /** Whether the write is in the log all the same, as after a sync that failed. */
  readonly isInLog: boolean;
}

const EIO: Fault = { message: 'IO error: db/000003.log: Input/output error', isInLog: true };
const ENOSPC: Fault = { message: 'IO error: db/000003.log: No space left on device', isInLog: false };

function ioError(message: string): Error {
  return Object.assign(new Error(message), { code: 'LEVEL_IO_ERROR' });
}

class FaultyLevel implements Database {
  readonly #disk: Disk;
  #entries: Entries = new Map();
  #broken: string | undefined;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  async open(): Promise<void> {
    await turn();
    if (this.#disk.down !== undefined) throw ioError(this.#disk.down);
    this.#disk.openings += 1;
    this.#disk.open += 1;
    this.#disk.mostOpen = Math.max(this.#disk.mostOpen, this.#disk.open);
    for (const operations of this.#disk.unfinished.splice(0)) apply(this.#disk.entries, operations);
    this.#entries = new Map(this.#disk.entries);
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    await turn();
    return this.#entries.get(key);
  }

  iterator({ gte, lt }: { readonly gte: string; readonly lt: string }) {
    const found = () => [...this.#entries].filter(([key]) => key >= gte && key < lt).sort();
    return { all: async () => found(), nextv: async () => [], close: async () => undefined };
  }

  async batch(operations: Operations): Promise<void> {
    await turn();
    this.#disk.batches += 1;
    const fault = this.#broken === undefined ? this.#disk.faults.shift() : { message: this.#broken, isInLog: false };
    if (fault !== undefined) {
      this.#broken ??= fault.message;
      if (fault.isInLog) this.#disk.unfinished.push(operations);
      throw ioError(fault.message);
    }
    apply(this.#disk.entries, operations);
    apply(this.#entries, operations);
  }

  async close(): Promise<void> {
    this.#disk.open -= 1;
  }
}

function apply(entries: Entries, operations: Operations): void {
  for (const operation of operations) {
    if (operation.type === 'put') entries.set(operation.key, operation.value);
    else entries.delete(operation.key);
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

let disk: Disk;
let time: FakeTime;
let log: QuietLog;
let store: MendingStore;

beforeEach(async () => {
  disk = new Disk();
  time = new FakeTime();
  log = new QuietLog();
  store = await MendingStore.open({
    path: 'db',
    open: () => LevelHandle.open(new FaultyLevel(disk)),
    probe: async () => {
      if (disk.down !== undefined) throw ioError(disk.down);
    },
    timers: time,
    monotonic: () => time.monotonic(),
    log,
  });
});

afterEach(async () => {
  await store.close();
  expect(disk.open).toBe(0);
  expect(disk.mostOpen).toBe(1);
});

const put = (key: string, text: string): StoreChange => ({ put: key, value: utf8(text) });
const onDisk = () => Object.fromEntries([...disk.entries].map(([key, value]) => [key, fromUtf8(value)]));

async function outcome(write: Promise<void>): Promise<string> {
  try {
    await write;
    return 'written';
  } catch (error) {
    return isCoded(error) ? error.code : String(error);
  }
}

/** Lets time pass until the promise has settled. */
async function settled<T>(promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const done = promise.finally(() => {
    isSettled = true;
  });
  done.catch(() => undefined);
  for (let turns = 0; !isSettled && turns < 400; turns += 1) await time.advance(50);
  return done;
}

/** In steps, since a database takes a few turns of the event loop that no timer stands for. */
async function pass(milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 250) await time.advance(250);
}

describe.each([
  ['a sync', EIO],
  ['an append', ENOSPC],
])('one fault at %s', (_, fault) => {
  test('costs no write: it is carried out once the database is open again', async () => {
    await store.write([put('a', '1')]);
    disk.faults = [fault];
    expect(await settled(outcome(store.write([put('a', '2')])))).toBe('written');
    expect(await settled(outcome(store.write([put('b', '3')])))).toBe('written');
    expect(onDisk()).toEqual({ a: '2', b: '3' });
    expect(disk.openings).toBe(2);
    expect(store.fault()).toBeUndefined();
    expect(log.events()).toEqual(['store_failing', 'store_recovered']);
  });

  test('keeps the order of writes that wait for it', async () => {
    disk.faults = [fault];
    const writes = Array.from({ length: 20 }, async (_, number) => {
      if (number % 3 === 0) await turn();
      return outcome(store.write([put('a', String(number % 3 === 0 ? 0 : number))], { flush: number % 2 === 0 }));
    });
    const last = settled(Promise.all(writes)).then(() => outcome(store.write([put('last', 'x')])));
    expect(await settled(last)).toBe('written');
    expect(new Set(await Promise.all(writes))).toEqual(new Set(['written']));
    expect(onDisk().last).toBe('x');
  });
});

describe('a fault that lasts', () => {
  test('refuses what waits too long, and all that comes after at once', async () => {
    disk.faults = [ENOSPC];
    disk.down = 'IO error: db: No space left on device';
    expect(await settled(outcome(store.write([put('a', '1')])))).toBe('disk_full');
    expect(time.monotonic()).toBeGreaterThanOrEqual(2_000);
    const before = time.monotonic();
    expect(await outcome(store.write([put('b', '1')]))).toBe('disk_full');
    expect(time.monotonic()).toBe(before);
    expect(store.fault()).toMatchObject({ code: 'disk_full', path: 'db' });
  });

  test('has taken nothing of what was refused, once it is over', async () => {
    await store.write([put('kept', 'old'), put('removed', 'old')]);
    disk.faults = [EIO];
    disk.down = 'IO error: db: Input/output error';
    const refused = store.write([put('kept', 'new'), put('made', 'new'), { remove: 'removed' }]);
    expect(await settled(outcome(refused))).toBe('store_failing');
    disk.down = undefined;
    await pass(10_000);
    expect(onDisk()).toEqual({ kept: 'old', removed: 'old' });
    expect(await settled(outcome(store.write([put('made', 'later')])))).toBe('written');
    expect(onDisk()).toEqual({ kept: 'old', removed: 'old', made: 'later' });
  });

  test('has taken nothing of it either where the opening that follows fails at its first write', async () => {
    await store.write([put('a', 'old')]);
    disk.faults = [EIO, EIO, EIO];
    disk.down = 'IO error: db: Input/output error';
    expect(await settled(outcome(store.write([put('a', 'new')])))).toBe('store_failing');
    disk.down = undefined;
    await pass(20_000);
    expect(disk.faults).toEqual([]);
    expect(onDisk()).toEqual({ a: 'old' });
  });

  test('lets reads go on', async () => {
    await store.write([put('a', '1')]);
    disk.faults = [EIO];
    disk.down = 'IO error: db: Input/output error';
    await settled(outcome(store.write([put('a', '2')])));
    expect(fromUtf8((await store.read('a')) ?? new Uint8Array())).toBe('1');
    expect((await store.list('')).map(([key]) => key)).toEqual(['a']);
    disk.down = undefined;
    await pass(10_000);
    expect(fromUtf8((await store.read('a')) ?? new Uint8Array())).toBe('1');
  });

  test('is tried again with a back-off and told of once a minute', async () => {
    disk.faults = [EIO];
    disk.down = 'IO error: db: Input/output error';
    await settled(outcome(store.write([put('a', '1')])));
    await pass(590_000);
    expect(log.events().length).toBeGreaterThanOrEqual(9);
    expect(log.events().length).toBeLessThanOrEqual(11);
    disk.down = undefined;
    await pass(5_000);
    expect(log.events().at(-1)).toBe('store_recovered');
  });

  test('does not keep it from being closed', async () => {
    disk.faults = [EIO];
    disk.down = 'IO error: db: Input/output error';
    const waiting = outcome(store.write([put('a', '1')]));
    await pass(300);
    await store.close();
    expect(await waiting).toBe('store_failing');
  });
});

describe('writes that come at once', () => {
  test('share a batch, and one is with the database at a time', async () => {
    await Promise.all(Array.from({ length: 100 }, (_, number) => store.write([put(`k${number}`, 'x')])));
    expect(disk.batches).toBe(1);
    expect(disk.entries.size).toBe(100);
  });

  test('reads during the opening wait for it', async () => {
    await store.write([put('a', '1')]);
    disk.faults = [EIO];
    const write = store.write([put('a', '2')]);
    const reads: Promise<unknown>[] = [];
    for (let turns = 0; turns < 20; turns += 1) {
      reads.push(store.read('a'), store.list(''));
      await turn();
    }
    await settled(write);
    expect((await Promise.all(reads)).every((found) => found !== undefined)).toBe(true);
  });
});
