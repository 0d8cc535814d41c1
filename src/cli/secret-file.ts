/** Files that hold secrets: made anew, for their owner alone. */
import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { LatchkeyError } from '../core/errors.ts';

/**
 * Opens a file that must not exist yet, writes the text of what `make` answers with, and leaves none behind if that fails.
 * @throws {LatchkeyError} `file_unwritable`, or what `make` throws
 */
export async function writeNewSecretFile<T>(
  path: string,
  make: () => Promise<T>,
  textOf: (made: T) => string,
): Promise<T> {
  return intoNewFile(path, async (write) => {
    const made = await make();
    write(textOf(made));
    return made;
  });
}

/** As `writeNewSecretFile`, for what is too large to be in memory at once: `make` writes it piece by piece. */
export async function intoNewFile<T>(path: string, make: (write: (text: string) => void) => Promise<T>): Promise<T> {
  const file = create(path);
  try {
    return await make((text) => void writeSync(file, text));
  } catch (error) {
    unlinkSync(path);
    throw error;
  } finally {
    closeSync(file);
  }
}

function create(path: string): number {
  try {
    return openSync(path, 'wx', 0o600);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'unwritable';
    throw new LatchkeyError('file_unwritable', `${path} (${reason})`, { cause: error });
  }
}
