import { mkdir } from 'node:fs/promises';
import { ClassicLevel } from 'classic-level';
import { LatchkeyError } from '../core/errors.ts';
import type { Store } from '../ports/store.ts';
import { openDatabase } from './level-store.ts';

/**
 * The hub's state on disk, in `folder`, made if it is missing. Device keys lie in it, so only its owner may look.
 * LevelDB measured 4 KiB written per durable update: flash cards wear least under it (docs/architecture.md).
 * @throws {LatchkeyError} `store_locked` (another hub runs on it), `store_corrupt`, `file_unwritable`
 */
export async function openStore(folder: string): Promise<Store> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new LatchkeyError('file_unwritable', folder, { cause });
  }
  return openDatabase(new ClassicLevel<string, Uint8Array>(folder, { valueEncoding: 'view', keyEncoding: 'utf8' }));
}
