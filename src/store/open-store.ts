import { chmodSync, closeSync, fsyncSync, lstatSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import type { Timers } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { Log } from '../ports/log.ts';
import type { Store, StoreChange, StoreFault } from '../ports/store.ts';
import { droppedRecords } from './dropped-records.ts';
import { holdsDatabase } from './inspect-database.ts';
import { type Database, LevelHandle } from './level-store.ts';
import { makeFolder } from './make-folder.ts';
import { MendingStore } from './mending-store.ts';
import { probeFolder } from './probe-folder.ts';
import { SealedStore } from './sealed-store.ts';

export interface OpenStoreOptions {
  /** Whether a database is made where there is none; true by default. */
  readonly create?: boolean;
  /** Written, and flushed, wherever the database has dropped records while it was opened; nothing by default. */
  readonly whereLost?: readonly StoreChange[];
  /** Whether a database of an earlier version is brought to the form of this one; true by default. */
  readonly migrate?: boolean;
  /** Bytes of blocks that are kept in memory; LevelDB's own 8 MiB by default. */
  readonly cacheBytes?: number;
  readonly log?: Log;
}

/** A store with what an operator wants of it besides. */
export interface OpenedStore extends Store {
  /** All entries as they are now, a part at a time. */
  entries(prefix: string): AsyncGenerator<readonly [key: string, value: Uint8Array]>;
  faults(): readonly StoreFault[];
}

/** Says that a folder held a database once. */
export function markOf(folder: string): string {
  return `${folder}.made`;
}

const MARK_TEXT =
  'Latchkey made the database in the folder of this name. Without this file an emptied folder would be taken for a first start.\n';

/**
 * A database on disk, in `folder`, made if it is missing unless `create` is false. Keys of devices may lie in it, so only
 * its owner may look: from here on the process makes all of its files like that.
 * @throws {LatchkeyError} `store_locked` (another hub runs on it), `store_corrupt`, `store_lost`, `store_missing`, `file_unwritable`,
 *   `disk_full`, `store_failing`
 */
export async function openStore(folder: string, options: OpenStoreOptions = {}): Promise<OpenedStore> {
  const { cacheBytes, create = true, log = SILENT, migrate = true, whereLost = [] } = options;
  const mark = markOf(folder);
  const isThere = holdsDatabase(folder, mark);
  if (!isThere && !create) throw new LatchkeyError('store_missing', folder);
  if (create) await makeFolder(folder);
  closeToOthers(folder);
  const level = {
    valueEncoding: 'view',
    keyEncoding: 'utf8',
    ...(cacheBytes === undefined ? {} : { cacheSize: cacheBytes }),
  } as const;
  let lost: StoreFault | undefined;
  /**
   * Records were dropped while the hub ran. What is said of them is said again with each write from then on: the hub, which has
   * what was dropped in memory, writes at its end, or sooner, that nothing was lost.
   */
  let isLossToTell = false;
  let isOpen = false;
  const open = async () => {
    const createIfMissing = !holdsDatabase(folder, mark) && create;
    const database = new ClassicLevel<string, Uint8Array>(folder, { ...level, createIfMissing });
    const handle = await LevelHandle.open(database);
    const dropped = droppedRecords(folder);
    if (dropped.length > 0) {
      lost = { code: 'store_records_lost', path: folder, detail: dropped.join('; ') };
      log.error(
        { event: 'store_records_lost', code: lost.code, path: folder, dropped },
        'the database dropped records',
      );
      if (whereLost.length > 0) await handle.write(whereLost);
      isLossToTell = isOpen;
    }
    return handle;
  };
  const mending = await MendingStore.open({
    path: folder,
    open,
    probe: () => probeFolder(folder),
    timers: systemTimers,
    monotonic: () => performance.now(),
    log,
  });
  isOpen = true;
  let store: SealedStore;
  try {
    if (migrate) leaveMark(mark);
    store = await SealedStore.open(mending, slotsOf(folder), migrate);
  } catch (error) {
    await mending.close();
    throw error;
  }
  return {
    read: (key) => store.read(key),
    list: (prefix) => store.list(prefix),
    entries: (prefix) => store.entries(prefix),
    write: (changes, how) => store.write(isLossToTell ? [...changes, ...whereLost] : changes, how),
    forget: (prefix) => store.forget(prefix),
    close: async () => {
      try {
        if (isLossToTell) await store.write(whereLost);
      } finally {
        await store.close();
      }
    },
    faults: () => [mending.fault(), lost, ...store.faults()].filter((fault) => fault !== undefined),
  };
}

/** The keys of what is sealed lie with the database: a copy of one without the other is worth nothing. */
export function slotsOf(folder: string): string {
  return join(folder, 'slots');
}

/** A database of any kind as a Store: for tests, in memory. */
export function openDatabase(database: Database): Promise<Store> {
  return MendingStore.open({
    path: 'memory',
    open: () => LevelHandle.open(database),
    probe: async () => undefined,
    timers: systemTimers,
    monotonic: () => performance.now(),
    log: SILENT,
  });
}

const systemTimers: Timers = {
  after(milliseconds, action) {
    const timer = setTimeout(action, milliseconds).unref();
    return () => clearTimeout(timer);
  },
};

/** For who is told by errors alone. */
export const SILENT: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => SILENT,
};

/** What the process writes from now on, and what is there from before: an archive that was unpacked may be open to all. */
function closeToOthers(folder: string): void {
  process.umask(0o077);
  try {
    for (const path of [folder, ...readdirSync(folder).map((name) => join(folder, name))]) {
      const { mode } = lstatSync(path);
      if ((mode & 0o077) !== 0) chmodSync(path, mode & 0o700);
    }
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'failed';
    throw new LatchkeyError('file_unwritable', `${folder} (${reason})`, { cause });
  }
}

/** On the medium before anything is written that an emptied folder would lose. */
function leaveMark(mark: string): void {
  try {
    writeFileSync(mark, MARK_TEXT, { mode: 0o600, flag: 'wx', flush: true });
    const parent = openSync(dirname(mark), 'r');
    try {
      fsyncSync(parent);
    } finally {
      closeSync(parent);
    }
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'failed';
    if (reason === 'EEXIST') return;
    throw new LatchkeyError(reason === 'ENOSPC' ? 'disk_full' : 'file_unwritable', `${mark} (${reason})`, { cause });
  }
}
