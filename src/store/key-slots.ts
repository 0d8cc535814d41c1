/**
 * Keys that records are sealed under, each for one value. A key is overwritten in place, in one page of a small file, and
 * what was sealed under it is unreadable from then on, wherever LevelDB still keeps it.
 *
 * A page has 4 KiB: 64 keys, and the same 64 again. So a write that a power cut tears, in units of a sector, harms no other
 * key, and neither does a byte that goes bad.
 */
import { randomFillSync } from 'node:crypto';
import { constants, readFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { LatchkeyError } from '../core/errors.ts';
import { storeError, translated } from './store-errors.ts';

export const SLOT_KEY_BYTES = 32;
const PAGE_BYTES = 4_096;
const SLOTS_PER_PAGE = PAGE_BYTES / 2 / SLOT_KEY_BYTES;

/** Whether the file has any key: none where it is missing, too short, or overwritten by something else. */
export function hasKeys(path: string): boolean {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw storeError(cause);
  }
  for (let at = 0; at + PAGE_BYTES <= bytes.length; at += SLOT_KEY_BYTES) {
    if (at % PAGE_BYTES >= PAGE_BYTES / 2) continue;
    const [key, copy] = [at, at + PAGE_BYTES / 2].map((from) => bytes.subarray(from, from + SLOT_KEY_BYTES));
    if (key !== undefined && copy !== undefined && key.equals(copy) && key.some((byte) => byte !== key[0])) return true;
  }
  return false;
}

export class KeySlots {
  readonly #path: string;
  #file: FileHandle | undefined;
  #pages: Uint8Array[];
  /** Slots with a fresh key that nothing was sealed under, the lowest last. */
  #free: number[] = [];
  /** One change of the file at a time. */
  #last: Promise<void> = Promise.resolve();

  private constructor(path: string, file: FileHandle | undefined, pages: Uint8Array[]) {
    this.#path = path;
    this.#file = file;
    this.#pages = pages;
  }

  /** Makes no file where there is none. */
  static async open(path: string): Promise<KeySlots> {
    return translated(async () => {
      const file = await open(path, 'r+').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      });
      if (file === undefined) return new KeySlots(path, undefined, []);
      const bytes = await file.readFile();
      // Half a page at the end is one that a power cut kept from being used.
      const pages = Array.from({ length: Math.floor(bytes.length / PAGE_BYTES) }, (_, page) =>
        Uint8Array.from(bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES)),
      );
      return new KeySlots(path, file, pages);
    });
  }

  /** Whether there ever was a key. */
  get isEmpty(): boolean {
    return this.#pages.length === 0;
  }

  get capacity(): number {
    return this.#pages.length * SLOTS_PER_PAGE;
  }

  get free(): number {
    return this.#free.length;
  }

  /** Both copies of a key; none for a slot that is not there. */
  keysOf(slot: number): readonly Uint8Array[] {
    const page = this.#pages[Math.floor(slot / SLOTS_PER_PAGE)];
    if (page === undefined) return [];
    const at = (slot % SLOTS_PER_PAGE) * SLOT_KEY_BYTES;
    return [0, PAGE_BYTES / 2].map((copy) => page.subarray(copy + at, copy + at + SLOT_KEY_BYTES));
  }

  /** One of the free slots, of which there has to be one. */
  take(): number {
    const slot = this.#free.pop();
    if (slot === undefined) throw new LatchkeyError('internal', 'no free slot');
    return slot;
  }

  /** Adds pages with fresh keys, which are on the medium when this resolves, until so many slots are free. */
  async provide(wanted: number): Promise<void> {
    await this.#change(async () => {
      while (this.#free.length < wanted) {
        const page = new Uint8Array(PAGE_BYTES);
        for (let slot = 0; slot < SLOTS_PER_PAGE; slot += 1) renew(page, slot);
        const number = this.#pages.length;
        await this.#write(number, page);
        this.#pages.push(page);
        const added = Array.from({ length: SLOTS_PER_PAGE }, (_, index) => number * SLOTS_PER_PAGE + index);
        this.#free.unshift(...added.reverse());
      }
    });
  }

  /**
   * Overwrites the keys of these slots, which are free then. Where it fails some of them may be: the caller has to hand in all
   * of them again, and none of them is given out before.
   */
  async renew(slots: Iterable<number>): Promise<void> {
    const byPage = new Map<number, number[]>();
    for (const slot of slots) {
      const page = Math.floor(slot / SLOTS_PER_PAGE);
      byPage.set(page, [...(byPage.get(page) ?? []), slot]);
    }
    const free: number[] = [];
    await this.#change(async () => {
      for (const [number, ofPage] of byPage) {
        const page = Uint8Array.from(this.#pages[number] ?? new Uint8Array(PAGE_BYTES));
        for (const slot of ofPage) renew(page, slot % SLOTS_PER_PAGE);
        await this.#write(number, page);
        this.#pages[number] = page;
        free.push(...ofPage);
      }
      this.#free.push(...free);
    });
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#file?.close();
  }

  async #write(number: number, page: Uint8Array): Promise<void> {
    this.#file ??= await this.#create();
    await this.#file.write(page, 0, PAGE_BYTES, number * PAGE_BYTES);
    await this.#file.datasync();
  }

  async #create(): Promise<FileHandle> {
    const file = await open(this.#path, constants.O_RDWR | constants.O_CREAT, 0o600);
    const folder = await open(dirname(this.#path), 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
    return file;
  }

  #change(step: () => Promise<void>): Promise<void> {
    const done = this.#last.then(() => translated(step));
    this.#last = done.catch(() => {
      // Who asked for it has the error; what comes next tries for itself.
    });
    return done;
  }
}

function renew(page: Uint8Array, slot: number): void {
  const at = slot * SLOT_KEY_BYTES;
  randomFillSync(page, at, SLOT_KEY_BYTES);
  page.copyWithin(PAGE_BYTES / 2 + at, at, at + SLOT_KEY_BYTES);
}
