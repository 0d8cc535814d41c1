/** Mends the databases of a state folder that no hub runs on, from whatever of their files can be read. */
import { cpSync, existsSync, linkSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { LatchkeyError } from '../core/errors.ts';
import { isFileOfData, isThere } from './inspect-database.ts';
import { databasesOf, openState } from './open-state.ts';
import { markOf, SILENT } from './open-store.ts';
import { storeError, translated } from './store-errors.ts';

export interface RepairedState {
  /** Where the files lie as they were. */
  readonly copy: string;
}

/** Names of LevelDB's lock, and of the first one of a database. */
const LOCK = 'LOCK';

/**
 * Copies both databases aside, and has LevelDB rebuild each from its tables and logs.
 * @param now what the copy is named for, such as `20261124-183000`
 * @throws {LatchkeyError} `store_locked` where a hub runs, `store_missing` where there is nothing to mend, `disk_full`
 */
export async function repairState(stateDir: string, now: string): Promise<RepairedState> {
  const { audit, db } = databasesOf(stateDir);
  if (!hasData(db)) {
    const reason = isThere(markOf(db))
      ? 'nothing is left to repair from: restore a backup'
      : 'there never was a database';
    throw new LatchkeyError('store_missing', `${db}: ${reason}`);
  }
  const folders = [db, audit].filter((folder) => existsSync(folder));
  const unlock = await lockAll(stateDir, folders);
  try {
    const copy = join(stateDir, `before-repair-${now}`);
    copyAside(copy, folders, { db, audit });
    for (const folder of folders) if (hasData(folder)) await translated(() => ClassicLevel.repair(folder));
    // Where nothing of the audit is left it begins anew.
    if (!hasData(audit)) rmSync(markOf(audit), { force: true });
    return { copy };
  } finally {
    await unlock();
  }
}

/** What a repair cannot know is what of the newest entries is gone. */
export async function forgetProofsOf(stateDir: string): Promise<void> {
  const stores = await openState(stateDir, { create: false, log: SILENT });
  try {
    await stores.store.write([PROOFS_LOST]);
  } finally {
    await stores.close();
  }
}

/** As `DurableReplayWindow` writes it where records may be lost: for one window proofs of before are refused. */
export const PROOFS_LOST = { put: 'replay/boot', value: new TextEncoder().encode('restored lost') } as const;

function hasData(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).some(isFileOfData);
}

/**
 * Holds the locks of the databases: LevelDB's repair takes none. A lock is one of a file (fcntl), so it is taken by another
 * database that has the same file for its lock; nothing of the damaged one is touched.
 */
async function lockAll(stateDir: string, folders: readonly string[]): Promise<() => Promise<void>> {
  const held: ClassicLevel[] = [];
  const places: string[] = [];
  const unlock = async () => {
    for (const level of held) await level.close();
    for (const place of places) rmSync(place, { recursive: true, force: true });
  };
  try {
    for (const folder of folders) {
      const lock = join(folder, LOCK);
      if (!existsSync(lock)) writeFileSync(lock, '', { mode: 0o600 });
      const place = mkdtempSync(join(stateDir, '.lock-'));
      places.push(place);
      linkSync(lock, join(place, LOCK));
      const level = new ClassicLevel(place);
      await translated(() => level.open());
      held.push(level);
    }
    return unlock;
  } catch (error) {
    await unlock();
    throw error instanceof LatchkeyError ? error : storeError(error);
  }
}

/** But for the locks: to close a file gives up the locks that the process has on it. */
function copyAside(copy: string, folders: readonly string[], names: Readonly<Record<string, string>>): void {
  try {
    for (const [name, folder] of Object.entries(names)) {
      if (!folders.includes(folder)) continue;
      cpSync(folder, join(copy, name), { recursive: true, filter: (path) => path !== join(folder, LOCK) });
    }
  } catch (cause) {
    rmSync(copy, { recursive: true, force: true });
    throw storeError(cause);
  }
}
