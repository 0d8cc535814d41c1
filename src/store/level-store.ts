import { LatchkeyError } from '../core/errors.ts';
import type { Store, StoreChange, WriteOptions } from '../ports/store.ts';

type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: string };

/** What is used of a LevelDB of any kind: on disk (classic-level) for the hub, in memory (memory-level) for tests. */
interface Database {
  open(): Promise<void>;
  get(key: string): Promise<Uint8Array | undefined>;
  iterator(range: { readonly gte: string; readonly lt: string }): { all(): Promise<[string, Uint8Array][]> };
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

/** The Store port over an open database whose keys are text and whose values are bytes. */
class LevelStore implements Store {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async read(key: string): Promise<Uint8Array | undefined> {
    return await translated(() => this.#database.get(key));
  }

  async list(prefix: string): Promise<readonly (readonly [key: string, value: Uint8Array])[]> {
    return await translated(() => this.#database.iterator({ gte: prefix, lt: prefix + LAST }).all());
  }

  async write(changes: readonly StoreChange[], { flush = true }: WriteOptions = {}): Promise<void> {
    const operations = changes.map(
      (change): Operation =>
        'put' in change ? { type: 'put', key: change.put, value: change.value } : { type: 'del', key: change.remove },
    );
    await translated(() => this.#database.batch(operations, { sync: flush }));
  }

  /**
   * A compaction drops what a later entry of the same key hides, but passes over files at the lowest level: what was
   * written and removed in one run lies there together. So the log is made a file first, which each compaction begins
   * with; then two marks, for keys at both ends that are never used, lie above every file of the range and have it
   * rewritten down to the lowest level. They are gone with that as well.
   */
  async forget(prefix: string): Promise<void> {
    const [first, last] = [prefix, prefix + LAST];
    await translated(async () => this.#database.compactRange?.(first, first));
    await this.write([{ remove: first }, { remove: last }]);
    await translated(async () => this.#database.compactRange?.(first, last));
  }

  async close(): Promise<void> {
    await translated(() => this.#database.close());
  }
}

/**
 * Opens a database and gives it as a Store.
 * @throws {LatchkeyError} `store_locked`, `store_corrupt`, `file_unwritable`
 */
export async function openDatabase(database: Database): Promise<Store> {
  await translated(() => database.open());
  return new LevelStore(database);
}

async function translated<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (cause) {
    throw new LatchkeyError(codeOf(cause), undefined, { cause });
  }
}

/** The library wraps what LevelDB said as the cause of what the call was; the innermost code tells. */
function codeOf(error: unknown): 'store_locked' | 'store_corrupt' | 'file_unwritable' | 'internal' {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = 'code' in at ? at.code : undefined;
    if (code === 'LEVEL_LOCKED') return 'store_locked';
    if (code === 'LEVEL_CORRUPTION') return 'store_corrupt';
    if (code === 'LEVEL_IO_ERROR' || code === 'EACCES' || code === 'EROFS' || code === 'ENOTDIR') {
      return 'file_unwritable';
    }
  }
  return 'internal';
}
