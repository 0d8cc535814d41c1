/** A small file that is replaced as a whole: after a loss of power it is the old one or the new one. */
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { LatchkeyError } from '../src/core/errors.ts';

/** Its text; undefined where there is none. @throws {LatchkeyError} `file_unreadable` */
export async function readReplacedFile(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code = 'failed' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new LatchkeyError('file_unreadable', `${path} (${code})`, { cause: error });
  }
}

/**
 * For its owner alone, as it may hold keys. Resolves once it is on the medium. One at a time.
 * @throws {LatchkeyError} `file_unwritable`
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  const next = `${path}.new`;
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(next, 'w', 0o600);
    try {
      await file.chmod(0o600);
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(next, path);
    await syncFolder(dirname(path));
  } catch (error) {
    const { code = 'failed' } = error as NodeJS.ErrnoException;
    throw new LatchkeyError('file_unwritable', `${path} (${code})`, { cause: error });
  }
}

/** The new name is on the medium only once its folder is. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
