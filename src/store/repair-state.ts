/** Mends the databases of a state folder that no hub runs on, from whatever of their files can be read. */
import { cpSync, existsSync, linkSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { hasData, isThere } from './inspect-database.ts';
import { hasKeys } from './key-slots.ts';
import { TEMPORARY } from './leftovers.ts';
import { assertNotLost, databasesOf, openState } from './open-state.ts';
import { markOf, openStore, SILENT, slotsOf } from './open-store.ts';
import { noteRepair } from './repair-note.ts';
import { rewriteWhereUnreadable } from './rewrite-database.ts';
import { keysLost } from './sealed-store.ts';
import { storeError, translated } from './store-errors.ts';

export interface RepairedState {
  /** Where the files lie as they were. */
  readonly copy: string;
}

/** Name of LevelDB's lock. */
const LOCK = 'LOCK';

/**
 * Copies both databases aside, and has LevelDB rebuild each from its tables and logs.
 * @param now what the copy is named for, such as `20261124-183000`
 * @param copied is called once the copy is there
 * @throws {LatchkeyError} `store_locked` where a hub runs, `store_missing` where there is nothing to mend, `store_lost`
 *   where nothing is left that could be mended, `disk_full`
 */
export async function repairState(
  stateDir: string,
  now: string,
  copied: (copy: string) => void = () => undefined,
): Promise<RepairedState> {
  const { audit, db } = databasesOf(stateDir);
  assertNotLost(stateDir);
  if (!hasData(db)) throw new LatchkeyError('store_missing', `${db}: there never was a database`);
  // A state without the mark is of a version that sealed nothing.
  if (isThere(markOf(db)) && !hasKeys(slotsOf(db))) throw keysLost(slotsOf(db));
  const folders = [db, audit].filter((folder) => existsSync(folder));
  const unlock = await lockAll(stateDir, folders);
  try {
    await assertKeysFit(stateDir, db);
    const copy = join(stateDir, `before-repair-${now}`);
    copyAside(copy, folders, { db, audit });
    copied(copy);
    noteRepair(stateDir);
    for (const folder of folders) {
      if (!hasData(folder)) continue;
      await translated(() => ClassicLevel.repair(folder));
      await rewriteWhereUnreadable(folder);
    }
    // Where nothing of the audit is left it begins anew.
    if (!hasData(audit)) rmSync(markOf(audit), { force: true });
    return { copy };
  } finally {
    await unlock();
  }
}

/** What a repair cannot know is what of the newest entries is gone. `openState` writes that down, also after a kill. */
export async function forgetProofsOf(stateDir: string): Promise<void> {
  await (await openState(stateDir, { create: false, log: SILENT })).close();
}

/**
 * Keys of another state, or damaged ones, open nothing, and a repair does not change that. Looked at in a copy that is gone
 * afterwards: to open a database writes to it.
 * @throws {LatchkeyError} `store_lost`
 */
async function assertKeysFit(stateDir: string, db: string): Promise<void> {
  const place = mkdtempSync(join(stateDir, TEMPORARY));
  const copy = join(place, 'db');
  try {
    copyFiles(db, copy);
    const store = await openStore(copy, { create: false, migrate: false });
    await store.close();
  } catch (error) {
    // What else is wrong with it is what the repair is for.
    if (isCoded(error, 'store_lost')) throw keysLost(slotsOf(db));
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
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
      const place = mkdtempSync(join(stateDir, TEMPORARY));
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
      copyFiles(folder, join(copy, name));
    }
  } catch (cause) {
    rmSync(copy, { recursive: true, force: true });
    throw storeError(cause);
  }
}

function copyFiles(from: string, to: string): void {
  cpSync(from, to, { recursive: true, filter: (path) => path !== join(from, LOCK) });
}
