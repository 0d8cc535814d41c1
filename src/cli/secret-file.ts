/** Files that hold secrets: made anew, for their owner alone. */
import { closeSync, fsyncSync, openSync, unlinkSync, writeFileSync } from 'node:fs';
import { LatchkeyError } from '../core/errors.ts';

/** A file that was not there before, open. */
export interface NewFile {
  /** Appends. @throws {LatchkeyError} `file_unwritable` */
  write(text: string): void;
  /** Puts what was written on the medium. @throws {LatchkeyError} `file_unwritable` */
  flush(): void;
}

/**
 * Opens a file that must not exist yet, lets `make` write it, and leaves none behind if that fails.
 * @throws {LatchkeyError} `file_exists`, `file_unwritable`, or what `make` throws
 */
export async function intoNewFile<T>(path: string, make: (file: NewFile) => Promise<T>): Promise<T> {
  const attempt = <R>(action: () => R): R => {
    try {
      return action();
    } catch (error) {
      throw unwritable(path, error);
    }
  };
  const file = attempt(() => openSync(path, 'wx', 0o600));
  const flush = () => attempt(() => fsyncSync(file));
  try {
    const made = await make({ write: (text) => attempt(() => writeFileSync(file, text)), flush });
    flush();
    return made;
  } catch (error) {
    unlinkSync(path);
    throw error;
  } finally {
    closeSync(file);
  }
}

function unwritable(path: string, cause: unknown): LatchkeyError {
  const { code = 'failed' } = cause as NodeJS.ErrnoException;
  if (code === 'EEXIST') return new LatchkeyError('file_exists', path, { cause });
  return new LatchkeyError('file_unwritable', `${path} (${code})`, { cause });
}
