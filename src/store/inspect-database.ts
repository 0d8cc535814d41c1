/**
 * Whether a folder holds a whole database, none, or a damaged one: asked before LevelDB opens it, which would take a folder
 * without its file CURRENT for a new database and delete the tables in it.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { LatchkeyError } from '../core/errors.ts';
import { readManifest } from './manifest.ts';
import { storeError } from './store-errors.ts';

/** The file by which LevelDB knows its MANIFEST, and a folder that holds a database. */
const CURRENT = 'CURRENT';
const TABLE = /^(\d+)\.(?:ldb|sst)$/;
const LOG = /^(\d+)\.log$/;

/**
 * Whether there is a database.
 * @param mark a file that stands beside the folder once there was one
 * @throws {LatchkeyError} `store_corrupt` with the path and the reason; `file_unreadable`
 */
export function holdsDatabase(folder: string, mark: string): boolean {
  const names = namesIn(folder);
  if (names.includes(CURRENT)) {
    checkManifest(folder, names);
    return true;
  }
  const data = names.find(isFileOfData);
  if (data !== undefined) throw damaged(join(folder, CURRENT), `is missing, and ${data} is there`);
  // A first start that was killed leaves a MANIFEST without CURRENT, and no mark.
  if (isThere(mark)) throw damaged(folder, `is empty, and ${mark} says that it held a database`);
  return false;
}

/** Whether any file is there that a database could be rebuilt from. */
export function hasData(folder: string): boolean {
  return namesIn(folder).some(isFileOfData);
}

/** Whether entries lie in a file of this name. */
function isFileOfData(name: string): boolean {
  return TABLE.test(name) || LOG.test(name);
}

/** Names of what is in a folder; none where it is missing. */
function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw storeError(cause);
  }
}

function checkManifest(folder: string, names: readonly string[]): void {
  const name = /^(MANIFEST-\d+)\n$/.exec(read(join(folder, CURRENT)).toString('latin1'))?.[1];
  if (name === undefined) throw damaged(join(folder, CURRENT), 'names no MANIFEST');
  if (!names.includes(name)) throw damaged(join(folder, name), 'is missing');
  const manifest = readManifest(read(join(folder, name)));
  if (manifest === undefined) throw damaged(join(folder, name), 'is damaged');
  for (const [number, size] of manifest.tables) checkTable(folder, names, number, size);
  const hasLog = names.some((each) => Number(LOG.exec(each)?.[1]) === manifest.log);
  if (hasLog) return;
  // A power cut tears the end of the newest edit, and then what that edit was to replace is still there. A log is only
  // deleted once an edit that says so is on the medium: where it is gone, the edit was whole once.
  if (manifest.isTorn) throw damaged(join(folder, name), 'lost its end');
  // LevelDB makes each log before an edit names it, and goes on without one that is gone. Only a first start that was killed,
  // and a repair, leave a MANIFEST that needs none: those name 0.
  if (manifest.log !== undefined && manifest.log > 0)
    throw damaged(join(folder, fileOf(manifest.log, 'log')), 'is missing');
}

function fileOf(number: number, ending: string): string {
  return `${String(number).padStart(6, '0')}.${ending}`;
}

function checkTable(folder: string, names: readonly string[], number: number, size: number): void {
  const table = names.find((name) => Number(TABLE.exec(name)?.[1]) === number);
  if (table === undefined) throw damaged(join(folder, fileOf(number, 'ldb')), 'is missing');
  const found = statSync(join(folder, table)).size;
  if (found !== size) throw damaged(join(folder, table), `has ${found} bytes in place of ${size}`);
}

export function isThere(file: string): boolean {
  try {
    return statSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'failed';
    throw new LatchkeyError('file_unreadable', `${file} (${reason})`, { cause });
  }
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'failed';
    throw new LatchkeyError(reason === 'EISDIR' ? 'store_corrupt' : 'file_unreadable', `${file} (${reason})`, {
      cause,
    });
  }
}

function damaged(path: string, what: string): LatchkeyError {
  return new LatchkeyError('store_corrupt', `${path} ${what}`);
}
