/** Makes a state folder from a backup: whole, or not at all, and never in the place of another one. */
import { closeSync, createReadStream, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { LatchkeyError } from '../core/errors.ts';
import type { StoreChange } from '../ports/store.ts';
import { type BackupHead, readBackup } from './backup-file.ts';
import { RESTORING } from './leftovers.ts';
import { makeFolder } from './make-folder.ts';
import { databasesOf, openState } from './open-state.ts';
import { markOf, SILENT } from './open-store.ts';
import { PROOFS_LOST } from './proofs-lost.ts';

/** Bytes that are written at once. */
const WRITTEN_BYTES = 1_048_576;

/**
 * @param file a backup, which is read twice: once to see whether it is whole
 * @throws {LatchkeyError} `store_not_empty`, `backup_invalid`, `file_unreadable`, `disk_full`
 */
export async function restoreState(stateDir: string, file: string): Promise<BackupHead> {
  const { audit, db } = databasesOf(stateDir);
  const taken = [db, audit, markOf(db), markOf(audit)].find((path) => existsSync(path));
  if (taken !== undefined) throw new LatchkeyError('store_not_empty', taken);
  const head = await verify(file);
  await makeFolder(stateDir);
  // Left behind where a restore was killed.
  const made = join(stateDir, RESTORING);
  rmSync(made, { recursive: true, force: true });
  try {
    await fill(made, file);
    const from = databasesOf(made);
    // `db` comes last: without it the hub does not start where the audit is there.
    renameSync(markOf(from.audit), markOf(audit));
    renameSync(from.audit, audit);
    renameSync(markOf(from.db), markOf(db));
    renameSync(from.db, db);
    flushFolder(stateDir);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  return head;
}

async function verify(file: string): Promise<BackupHead> {
  let head: BackupHead | undefined;
  for await (const read of readBackup(open(file))) head ??= 'version' in read ? read : undefined;
  if (head === undefined) throw new LatchkeyError('backup_invalid', 'it is empty');
  return head;
}

async function fill(stateDir: string, file: string): Promise<void> {
  const stores = await openState(stateDir, { log: SILENT });
  try {
    const waiting: Record<'state' | 'audit', StoreChange[]> = { state: [], audit: [] };
    let bytes = 0;
    const write = async (flush: boolean) => {
      await stores.store.write(waiting.state.splice(0), { flush });
      await stores.audit.write(waiting.audit.splice(0), { flush });
      bytes = 0;
    };
    for await (const read of readBackup(open(file))) {
      if ('version' in read) continue;
      waiting[read.database].push({ put: read.key, value: read.value });
      bytes += read.value.length;
      if (bytes >= WRITTEN_BYTES) await write(false);
    }
    // Proofs that were used after the backup was made are in no window: those of before now are refused for as long as one
    // can be good.
    waiting.state.push(PROOFS_LOST);
    await write(true);
  } finally {
    await stores.close();
  }
}

async function* open(file: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) yield chunk;
  } catch (cause) {
    const { code = 'failed' } = cause as NodeJS.ErrnoException;
    throw new LatchkeyError('file_unreadable', `${file} (${code})`, { cause });
  }
}

function flushFolder(folder: string): void {
  const opened = openSync(folder, 'r');
  try {
    fsyncSync(opened);
  } finally {
    closeSync(opened);
  }
}
