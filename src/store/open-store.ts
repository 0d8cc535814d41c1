import { chmodSync, lstatSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { LatchkeyError } from '../core/errors.ts';
import type { Store } from '../ports/store.ts';
import { openDatabase } from './level-store.ts';
import { makeFolder } from './make-folder.ts';

/** The file by which LevelDB knows that a folder holds a database. */
const MARK = 'CURRENT';

/**
 * The hub's state on disk, in `folder`, made if it is missing unless `create` is false. Device keys lie in it, so only
 * its owner may look: from here on the process makes all of its files like that.
 * @throws {LatchkeyError} `store_locked` (another hub runs on it), `store_corrupt`, `store_missing`, `file_unwritable`
 */
export async function openStore(folder: string, { create = true }: { readonly create?: boolean } = {}): Promise<Store> {
  if (create) await makeFolder(folder);
  else if (!isThere(join(folder, MARK))) throw new LatchkeyError('store_missing', folder);
  closeToOthers(folder);
  return openDatabase(new ClassicLevel<string, Uint8Array>(folder, { valueEncoding: 'view', keyEncoding: 'utf8' }));
}

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

function isThere(file: string): boolean {
  try {
    return statSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'failed';
    throw new LatchkeyError('file_unreadable', `${file} (${reason})`, { cause });
  }
}
