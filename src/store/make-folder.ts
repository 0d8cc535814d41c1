import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { LatchkeyError } from '../core/errors.ts';

/**
 * Makes a folder and those above it that are missing, for its owner only. One level at a time: Node's own recursive
 * mkdir never returns where a file system refuses to make folders at all, such as /proc.
 * @throws {LatchkeyError} `file_unwritable`
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await make(resolve(path));
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'failed';
    throw new LatchkeyError('file_unwritable', `${path} (${reason})`, { cause });
  }
}

async function make(path: string): Promise<void> {
  try {
    return await mkdir(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
  }
  await make(dirname(path));
  // Once and not again: where the folder above is there and this one cannot be, it never can.
  await mkdir(path, { mode: 0o700 });
}
