/** Whether the files of a database can be written again, without touching the database. */
import { open, readdir, stat, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { LatchkeyError } from '../core/errors.ts';
import { translated } from './store-errors.ts';

/** LevelDB writes the log that it finds as a table, and a new MANIFEST: so much beside the log itself. */
const ROOM_BYTES = 262_144;
const PROBE_BYTES = 4_096;

/** @throws {LatchkeyError} `disk_full`, `store_failing`, `file_unwritable` */
export async function probeFolder(folder: string): Promise<void> {
  await translated(async () => {
    const free = await freeBytes(folder);
    const needed = ROOM_BYTES + (await logBytes(folder));
    if (free < needed) throw new LatchkeyError('disk_full', `${folder} has ${free} bytes free, ${needed} are needed`);
    const path = join(folder, 'PROBE');
    try {
      const file = await open(path, 'w', 0o600);
      try {
        await file.write(new Uint8Array(PROBE_BYTES));
        await file.datasync();
      } finally {
        await file.close();
      }
    } finally {
      await unlink(path).catch(() => {
        // Where it could not even be made, or the folder is read-only by now, the first error says more.
      });
    }
  });
}

/** Bytes that this process may still write. */
async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

async function logBytes(folder: string): Promise<number> {
  const logs = (await readdir(folder)).filter((name) => name.endsWith('.log'));
  const sizes = await Promise.all(logs.map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
