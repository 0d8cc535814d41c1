/**
 * Seals the values that hold secrets, each put under a key of its own (src/store/key-slots.ts), so that forgetting what was
 * removed or replaced overwrites a page in place of all that lies under the prefix: LevelDB never overwrites anything.
 */
import { utf8 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { Store, StoreChange, StoreFault, WriteOptions } from '../ports/store.ts';
import { KeySlots } from './key-slots.ts';
import { seal, slotOfValue, unseal } from './sealed-value.ts';

/** Root keys of devices, tokens on their way, keys of the hub. */
const HUB = 'hub/';
const SEALED = ['delivery/', 'device/', HUB] as const;
type SealedPrefix = (typeof SEALED)[number];

/** Says that no value under these prefixes is in the files in clear. */
const NOTE = 'store/sealed';
/** Keys of replaced values that wait for the next `forget`; past this they are overwritten unasked, to be used again. */
const MOST_STALE = 1_024;

/** Values that are opened in one turn of the event loop, some milliseconds of work. */
const OPENED_AT_ONCE = 512;

interface InnerStore extends Store {
  /** @throws {LatchkeyError} where a write would be refused at once */
  assertWritable(): void;
  entries(prefix: string): AsyncGenerator<readonly [key: string, value: Uint8Array]>;
}

export class SealedStore implements Store {
  readonly #inner: InnerStore;
  readonly #slots: KeySlots;
  readonly #slotsFile: string;
  /** Entries that no key opens: they are there, and what was in them is lost. */
  readonly #unopened = new Set<string>();
  /** Of the entries that are there. */
  readonly #slotOf = new Map<string, number>();
  /** Of what was removed or replaced since, by prefix. */
  readonly #stale: Record<SealedPrefix, Set<number>> = {
    'delivery/': new Set(),
    'device/': new Set(),
    'hub/': new Set(),
  };
  /** Of no entry when the store was opened: what they sealed was removed by a run before, if they sealed anything. */
  readonly #unknown = new Set<number>();
  readonly #scanned = new Set<SealedPrefix>();
  readonly #reads = new Set<Promise<unknown>>();
  #isReady = false;
  #isNoted: boolean;
  /** Writes that need slots that are not there yet go in their order. */
  #turn: Promise<void> | undefined;

  private constructor(inner: InnerStore, slots: KeySlots, slotsFile: string, isNoted: boolean) {
    this.#inner = inner;
    this.#slots = slots;
    this.#slotsFile = slotsFile;
    this.#isNoted = isNoted;
  }

  /**
   * Seals first what an earlier version left in clear, and takes that out of the files, unless `migrate` is false.
   * @throws {LatchkeyError} `store_lost` where the keys of sealed values are gone
   */
  static async open(inner: InnerStore, slotsFile: string, migrate = true): Promise<SealedStore> {
    const slots = await KeySlots.open(slotsFile);
    try {
      const isNoted = (await inner.read(NOTE)) !== undefined;
      if (isNoted && slots.isEmpty) throw keysLost(slotsFile);
      const store = new SealedStore(inner, slots, slotsFile, isNoted);
      if (!(await store.#opensHubKeys())) throw keysLost(slotsFile);
      if (!isNoted && migrate) await store.#sealAll();
      return store;
    } catch (error) {
      await slots.close();
      throw error;
    }
  }

  read(key: string): Promise<Uint8Array | undefined> {
    return this.#reading(this.#read(key));
  }

  list(prefix: string): Promise<readonly (readonly [key: string, value: Uint8Array])[]> {
    return this.#reading(this.#list(prefix));
  }

  /** Of values that are sealed only those that are not replaced meanwhile come opened: `list` has them all. */
  async *entries(prefix: string): AsyncGenerator<readonly [key: string, value: Uint8Array]> {
    for await (const [key, value] of this.#inner.entries(prefix)) yield [key, this.#opened(key, value)];
  }

  async #read(key: string): Promise<Uint8Array | undefined> {
    const value = await this.#inner.read(key);
    return value === undefined ? undefined : this.#opened(key, value);
  }

  async #list(prefix: string): Promise<readonly (readonly [key: string, value: Uint8Array])[]> {
    const found = await this.#inner.list(prefix);
    const scanned = SEALED.find((sealed) => sealed === prefix);
    if (scanned !== undefined) this.#noteSlots(scanned, found);
    const opened: [string, Uint8Array][] = [];
    for (const [key, value] of found) {
      opened.push([key, this.#opened(key, value)]);
      // Thousands of devices at a start are no reason to let requests wait.
      if (opened.length % OPENED_AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    return opened;
  }

  async write(changes: readonly StoreChange[], options?: WriteOptions): Promise<void> {
    const isTouching = changes.some((change) => prefixOf(keyOf(change)) !== undefined);
    if (!isTouching) return this.#inner.write(changes, options);
    this.#inner.assertWritable();
    const needed = changes.filter((change) => 'put' in change && prefixOf(change.put) !== undefined).length;
    if (this.#turn !== undefined || !this.#isReady || this.#slots.free < needed) await this.#takeTurn(needed);
    return this.#write(changes, options);
  }

  /** No key is overwritten while a value that it opens may be in the hands of a read. */
  async #reading<T>(read: Promise<T>): Promise<T> {
    this.#reads.add(read);
    try {
      return await read;
    } finally {
      this.#reads.delete(read);
    }
  }

  /** Overwrites the keys of what was removed or replaced under the prefix. */
  async forget(prefix: string): Promise<void> {
    const sealed = SEALED.find((each) => each === prefix);
    if (sealed === undefined) return this.#inner.forget(prefix);
    if (!this.#isReady) await this.#takeTurn(0);
    const [stale, unknown] = [this.#stale[sealed], this.#unknown];
    const slots = { stale: [...stale], unknown: [...unknown] };
    // At once: another call that is under way must not overwrite a key that was used again since.
    stale.clear();
    unknown.clear();
    try {
      await Promise.allSettled(this.#reads);
      await this.#slots.renew([...slots.stale, ...slots.unknown]);
    } catch (error) {
      for (const slot of slots.stale) stale.add(slot);
      for (const slot of slots.unknown) unknown.add(slot);
      throw error;
    }
  }

  /** What is lost with the keys that it was sealed under, as far as it was read. */
  faults(): readonly StoreFault[] {
    if (this.#unopened.size === 0) return [];
    const detail = `${this.#unopened.size} entries cannot be opened: their keys are damaged or gone`;
    return [{ code: 'store_records_lost', path: this.#slotsFile, detail }];
  }

  async close(): Promise<void> {
    try {
      await this.#inner.close();
    } finally {
      await this.#slots.close();
    }
  }

  async #takeTurn(needed: number): Promise<void> {
    const before = this.#turn;
    const ready = (async () => {
      // Whether the write before succeeded is for who asked for it.
      await before?.catch(() => undefined);
      await this.#prepare(needed);
    })();
    this.#turn = ready;
    try {
      await ready;
    } finally {
      if (this.#turn === ready) this.#turn = undefined;
    }
  }

  /** Slots are only used again once their keys are overwritten: of the pages that are written for it all of them. */
  async #prepare(needed: number): Promise<void> {
    for (const prefix of SEALED)
      if (!this.#scanned.has(prefix)) this.#noteSlots(prefix, await this.#inner.list(prefix));
    if (!this.#isReady) {
      const known = new Set(this.#slotOf.values());
      for (let slot = 0; slot < this.#slots.capacity; slot += 1) if (!known.has(slot)) this.#unknown.add(slot);
      this.#isReady = true;
    }
    if (this.#slots.free >= needed) return;
    const stale = Object.values(this.#stale);
    if (stale.reduce((sum, { size }) => sum + size, this.#unknown.size) >= MOST_STALE) {
      for (const prefix of SEALED) await this.forget(prefix);
    }
    await this.#slots.provide(needed);
  }

  async #write(changes: readonly StoreChange[], options: WriteOptions | undefined): Promise<void> {
    const taken = new Map<string, number>();
    const sealed = changes.map((change) => {
      if (!('put' in change) || prefixOf(change.put) === undefined) return change;
      const slot = this.#slots.take();
      // Of two values for one entry the second counts.
      this.#retire(change.put, taken.get(change.put));
      taken.set(change.put, slot);
      const [key = new Uint8Array()] = this.#slots.keysOf(slot);
      return { put: change.put, value: seal(change.put, change.value, slot, key) };
    });
    const note = this.#isNoted || taken.size === 0 ? [] : [{ put: NOTE, value: utf8('1') }];
    // Where this fails the slots are lost for this run: what was refused may be in force after the process was killed, and
    // then they must open it.
    await this.#inner.write([...sealed, ...note], options);
    this.#isNoted ||= note.length > 0;
    for (const change of changes) {
      const key = keyOf(change);
      this.#unopened.delete(key);
      const before = this.#slotOf.get(key);
      const slot = 'put' in change ? taken.get(key) : undefined;
      if (before === slot) continue;
      this.#retire(key, before);
      if (slot === undefined) this.#slotOf.delete(key);
      else this.#slotOf.set(key, slot);
    }
  }

  #retire(key: string, slot: number | undefined): void {
    const prefix = prefixOf(key);
    if (slot !== undefined && prefix !== undefined) this.#stale[prefix].add(slot);
  }

  #noteSlots(prefix: SealedPrefix, found: readonly (readonly [key: string, value: Uint8Array])[]): void {
    if (this.#scanned.has(prefix)) return;
    this.#scanned.add(prefix);
    for (const [key, value] of found) {
      const slot = slotOfValue(value);
      if (slot !== undefined) this.#slotOf.set(key, slot);
    }
  }

  /** What cannot be opened is handed on as it is: who decodes it says so, and the others are served. */
  #opened(key: string, value: Uint8Array): Uint8Array {
    const slot = prefixOf(key) === undefined ? undefined : slotOfValue(value);
    if (slot === undefined) return value;
    const opened = unseal(key, value, this.#slots.keysOf(slot));
    if (opened === undefined) this.#unopened.add(key);
    return opened ?? value;
  }

  /** A device alone that cannot be opened is provisioned again. Without its own keys the hub does not start. */
  async #opensHubKeys(): Promise<boolean> {
    const found = await this.#inner.list(HUB);
    return found.every(([key, value]) => slotOfValue(value) === undefined || this.#opened(key, value) !== value);
  }

  /** Killed at any point of this, the next start does it again: the note comes last. */
  async #sealAll(): Promise<void> {
    let isAny = false;
    for (const prefix of SEALED) {
      const found = await this.list(prefix);
      isAny ||= found.length > 0;
      const inClear = (await this.#inner.list(prefix)).filter(([, value]) => slotOfValue(value) === undefined);
      if (inClear.length > 0) await this.#sealThese(inClear);
    }
    if (!isAny) return;
    for (const prefix of SEALED) await this.#inner.forget(prefix);
    await this.#inner.write([{ put: NOTE, value: utf8('1') }]);
    this.#isNoted = true;
  }

  async #sealThese(found: readonly (readonly [key: string, value: Uint8Array])[]): Promise<void> {
    // Not yet: the note says that nothing is in clear any more.
    this.#isNoted = true;
    await this.write(found.map(([put, value]) => ({ put, value })));
  }
}

/** What was sealed is unreadable from now on: no repair brings it back. */
export function keysLost(slotsFile: string): LatchkeyError {
  return new LatchkeyError('store_lost', `${slotsFile} is missing or damaged: it has the keys of what is sealed`);
}

function prefixOf(key: string): SealedPrefix | undefined {
  return SEALED.find((prefix) => key.startsWith(prefix));
}

function keyOf(change: StoreChange): string {
  return 'put' in change ? change.put : change.remove;
}
