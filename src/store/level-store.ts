import type { StoreChange, WriteOptions } from '../ports/store.ts';
import { translated } from './store-errors.ts';

type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: string };

type Entry = [string, Uint8Array];

/** What is used of a LevelDB of any kind: on disk (classic-level) for the hub, in memory (memory-level) for tests. */
export interface Database {
  open(): Promise<void>;
  get(key: string): Promise<Uint8Array | undefined>;
  iterator(range: { readonly gte: string; readonly lt: string }): {
    all(): Promise<Entry[]>;
    nextv(size: number): Promise<Entry[]>;
    close(): Promise<void>;
  };
  batch(operations: Operation[], options: BatchOptions): Promise<void>;
  /** Only of those that have files. */
  compactRange?(first: string, last: string): Promise<void>;
  close(): Promise<void>;
}

/** LevelDB's own word for fsync. Without it a batch is still handed to the operating system before the promise resolves. */
interface BatchOptions {
  readonly sync: boolean;
}

/** Sorts after every character that a key is made of. */
const LAST = '\u{10ffff}';
/** Entries that an iteration fetches at once. */
const FETCHED = 256;

/** One opening of a database whose keys are text and whose values are bytes. */
export class LevelHandle {
  readonly #database: Database;

  private constructor(database: Database) {
    this.#database = database;
  }

  /** @throws {LatchkeyError} `store_locked`, `store_corrupt`, `file_unwritable`, `disk_full`, `store_failing` */
  static async open(database: Database): Promise<LevelHandle> {
    await translated(() => database.open());
    return new LevelHandle(database);
  }

  read(key: string): Promise<Uint8Array | undefined> {
    return translated(() => this.#database.get(key));
  }

  list(prefix: string): Promise<readonly (readonly [key: string, value: Uint8Array])[]> {
    return translated(() => this.#database.iterator({ gte: prefix, lt: prefix + LAST }).all());
  }

  /** What `list` gives, as it was when the iteration began, a part at a time. */
  async *entries(prefix: string): AsyncGenerator<readonly [key: string, value: Uint8Array]> {
    const iterator = this.#database.iterator({ gte: prefix, lt: prefix + LAST });
    try {
      for (;;) {
        const fetched = await translated(() => iterator.nextv(FETCHED));
        if (fetched.length === 0) return;
        yield* fetched;
      }
    } finally {
      await iterator.close();
    }
  }

  async write(changes: readonly StoreChange[], { flush = true }: WriteOptions = {}): Promise<void> {
    const operations = changes.map(
      (change): Operation =>
        'put' in change ? { type: 'put', key: change.put, value: change.value } : { type: 'del', key: change.remove },
    );
    await translated(() => this.#database.batch(operations, { sync: flush }));
  }

  /**
   * Takes what was removed or replaced under the prefix out of the files, at the price of writing all of it again. A
   * compaction drops what a later entry of the same key hides, but passes over files at the lowest level: what was
   * written and removed in one run lies there together. So the log is made a file first, which each compaction begins
   * with; then two marks, for keys at both ends that are never used, lie above every file of the range and have it
   * rewritten down to the lowest level. They are gone with that as well.
   */
  async rewrite(prefix: string): Promise<void> {
    const [first, last] = [prefix, prefix + LAST];
    await translated(async () => this.#database.compactRange?.(first, first));
    await this.write([{ remove: first }, { remove: last }]);
    await translated(async () => this.#database.compactRange?.(first, last));
  }

  close(): Promise<void> {
    return translated(() => this.#database.close());
  }
}
