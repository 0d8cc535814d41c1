/**
 * The Store port over LevelDB, which takes no write any more after one that failed, or after a compaction in the background
 * that did: only closing and opening it again helps. This does so by itself, with a back-off while the fault lasts.
 *
 * - One batch is with LevelDB at a time; what comes meanwhile goes into the next one. After half a record of a log LevelDB
 *   may write good ones that no later opening finds, so none may be on its way behind one that fails.
 * - Reads go on with the database that fails, until there is reason to believe that another opening succeeds.
 * - A write waits for a short fault and is carried out once it is over. What waits too long is refused, and then what it
 *   may have left in the log is taken back before anything else is written: a refused write has changed nothing.
 */
import type { Timers } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { Log } from '../ports/log.ts';
import type { Store, StoreChange, StoreFault, WriteOptions } from '../ports/store.ts';
import type { LevelHandle } from './level-store.ts';
import { isFault, storeError } from './store-errors.ts';

/** Milliseconds that a write waits for a fault to pass; from then on writes are refused at once. */
const PATIENCE = 2_000;
/** Milliseconds until the first attempt after one that failed, and at most: so soon after the fault the store works again. */
const RETRY_FIRST = 250;
const RETRY_MOST = 5_000;
/** Milliseconds between two log lines about a fault that lasts. */
const SAID_EVERY = 60_000;
/** Writes that go into one batch. */
const WRITES_TOGETHER = 256;

export interface MendingStoreOptions {
  /** Folder of the database, for people. */
  readonly path: string;
  readonly open: () => Promise<LevelHandle>;
  /** Resolves where there is reason to believe that files can be written; else throws why not. */
  readonly probe: () => Promise<void>;
  readonly timers: Timers;
  readonly monotonic: () => number;
  readonly log: Log;
}

interface WaitingWrite {
  readonly changes: readonly StoreChange[];
  readonly flush: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class MendingStore implements Store {
  readonly #options: MendingStoreOptions;
  /** Undefined only while a fault lasts, after an opening that failed. */
  #handle: LevelHandle | undefined;
  #queue: WaitingWrite[] = [];
  /** Carries out the queue; undefined while it is empty. */
  #work: Promise<void> | undefined;
  #fault: LatchkeyError | undefined;
  /** Whether writes are refused at once. */
  #isRefusing = false;
  /** Writes that failed and whose keys are still to be looked up. */
  #attempted: readonly WaitingWrite[] = [];
  /** What the keys of writes that failed had before them. */
  readonly #before = new Map<string, Uint8Array | undefined>();
  /** Set while the database is closed and opened. */
  #opening: Promise<unknown> | undefined;
  #reads = 0;
  #readsOver: (() => void) | undefined;
  #closed = false;
  #endPause: (() => void) | undefined;

  private constructor(options: MendingStoreOptions, handle: LevelHandle) {
    this.#options = options;
    this.#handle = handle;
  }

  static async open(options: MendingStoreOptions): Promise<MendingStore> {
    return new MendingStore(options, await options.open());
  }

  /** What is wrong at present. */
  fault(): StoreFault | undefined {
    if (this.#fault === undefined) return undefined;
    return { code: this.#fault.code, path: this.#options.path, detail: this.#fault.detail };
  }

  read(key: string): Promise<Uint8Array | undefined> {
    return this.#reading((handle) => handle.read(key));
  }

  list(prefix: string): Promise<readonly (readonly [key: string, value: Uint8Array])[]> {
    return this.#reading((handle) => handle.list(prefix));
  }

  /** What `list` gives, as it is now, a part at a time. Ends with an error where the database is opened again meanwhile. */
  async *entries(prefix: string): AsyncGenerator<readonly [key: string, value: Uint8Array]> {
    await this.#opening;
    yield* this.#present().entries(prefix);
  }

  /** @throws {LatchkeyError} where a write would be refused at once */
  assertWritable(): void {
    if (this.#closed) throw new LatchkeyError('shutting_down');
    if (this.#isRefusing) throw this.#refusal();
  }

  /** @throws {LatchkeyError} `disk_full`, `store_failing`, or what else keeps the database from being written */
  async write(changes: readonly StoreChange[], { flush = true }: WriteOptions = {}): Promise<void> {
    if (changes.length === 0) return;
    this.assertWritable();
    await new Promise<void>((resolve, reject) => {
      this.#queue.push({ changes, flush, resolve, reject });
      this.#work ??= this.#workOff();
    });
  }

  /** Writes all entries under the prefix again, without what was removed or replaced. */
  async forget(prefix: string): Promise<void> {
    if (this.#fault !== undefined) throw this.#refusal();
    await this.#work;
    await this.#reading((handle) => handle.rewrite(prefix));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#endPause?.();
    await this.#work;
    await this.#readsEnd();
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  #present(): LevelHandle {
    if (this.#handle !== undefined) return this.#handle;
    throw this.#fault === undefined ? new LatchkeyError('shutting_down') : this.#refusal();
  }

  /** Damage or permissions that show while the hub runs are for the log; who asks is told that the store fails. */
  #refusal(): LatchkeyError {
    const fault = this.#fault;
    const code = fault?.code === 'disk_full' ? 'disk_full' : 'store_failing';
    return new LatchkeyError(code, fault?.detail ?? this.#options.path, { cause: fault });
  }

  async #reading<T>(action: (handle: LevelHandle) => Promise<T>): Promise<T> {
    while (this.#opening !== undefined) await this.#opening;
    const handle = this.#present();
    this.#reads += 1;
    try {
      return await action(handle);
    } finally {
      this.#reads -= 1;
      if (this.#reads === 0) this.#readsOver?.();
    }
  }

  async #readsEnd(): Promise<void> {
    if (this.#reads === 0) return;
    await new Promise<void>((resolve) => {
      this.#readsOver = resolve;
    });
    this.#readsOver = undefined;
  }

  async #workOff(): Promise<void> {
    // What is asked for in the same turn goes together.
    await undefined;
    while (this.#queue.length > 0) {
      const together = this.#queue.splice(0, WRITES_TOGETHER);
      try {
        await this.#present().write(changesOf(together), { flush: together.some(({ flush }) => flush) });
        for (const { resolve } of together) resolve();
      } catch (error) {
        if (isFault(error)) {
          this.#queue.unshift(...together);
          await this.#mend(error, together);
        } else for (const { reject } of together) reject(error);
      }
    }
    this.#work = undefined;
  }

  /** Resolves when the store works again and all that waited is written, or when it is closed. */
  async #mend(fault: LatchkeyError, failed: readonly WaitingWrite[]): Promise<void> {
    const { log, monotonic, path, timers } = this.#options;
    const began = monotonic();
    let saidAt: number | undefined;
    this.#fault = fault;
    this.#attempted = failed;
    const cancel = timers.after(PATIENCE, () => this.#refuse());
    for (let pause = 0; ; pause = Math.min(Math.max(RETRY_FIRST, pause * 2), RETRY_MOST)) {
      if (saidAt === undefined || monotonic() - saidAt >= SAID_EVERY) {
        saidAt = monotonic();
        const { code, detail } = this.#fault;
        log.error({ event: 'store_failing', code, path, detail }, 'the state cannot be written; it is opened again');
      }
      if (pause > 0) await this.#pause(pause);
      if (this.#closed) break;
      try {
        await this.#keepBefore();
        await this.#openAgain();
        await this.#catchUp();
        break;
      } catch (error) {
        this.#fault = error instanceof LatchkeyError ? error : storeError(error);
      }
    }
    cancel();
    if (this.#closed) {
      this.#refuse();
      return;
    }
    this.#fault = undefined;
    this.#isRefusing = false;
    const seconds = Math.round((monotonic() - began) / 1_000);
    log.info({ event: 'store_recovered', path, seconds }, 'the state is written again; nothing was lost');
  }

  #refuse(): void {
    this.#isRefusing = true;
    for (const { reject } of this.#queue.splice(0)) reject(this.#refusal());
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.timers.after(milliseconds, resolve);
      this.#endPause = () => {
        cancel();
        resolve();
      };
    });
  }

  /**
   * Notes what was there before writes that failed. LevelDB has such a write in its log at most: what it answers is what
   * was there before, until it reads that log at the next opening.
   */
  async #keepBefore(): Promise<void> {
    const { length } = this.#attempted;
    for (const change of changesOf(this.#attempted)) {
      const key = 'put' in change ? change.put : change.remove;
      if (!this.#before.has(key)) this.#before.set(key, await this.#present().read(key));
    }
    this.#attempted = [];
    if (length > 0 && this.#isRefusing) this.#refuse();
  }

  async #openAgain(): Promise<void> {
    await this.#options.probe();
    let opened: () => void = () => undefined;
    this.#opening = new Promise<void>((resolve) => {
      opened = resolve;
    });
    try {
      await this.#readsEnd();
      const handle = this.#handle;
      this.#handle = undefined;
      await handle?.close();
      this.#handle = await this.#options.open();
    } finally {
      this.#opening = undefined;
      opened();
    }
  }

  /** One write that takes back what was refused and carries out what still waits. */
  async #catchUp(): Promise<void> {
    const waiting = this.#queue.splice(0);
    const before = [...this.#before].map(
      ([key, value]): StoreChange => (value === undefined ? { remove: key } : { put: key, value }),
    );
    const changes = [...before, ...changesOf(waiting)];
    try {
      if (changes.length > 0) await this.#present().write(changes);
    } catch (error) {
      // Refused as soon as what was there before is noted, where their time is over.
      this.#attempted = waiting;
      this.#queue.unshift(...waiting);
      throw error;
    }
    this.#before.clear();
    for (const { resolve } of waiting) resolve();
  }
}

function changesOf(writes: readonly WaitingWrite[]): readonly StoreChange[] {
  return writes.flatMap(({ changes }) => changes);
}
