/** What LevelDB drops while it opens a database is said in its own log alone: the file LOG in the folder. */
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { storeError } from './store-errors.ts';

/** A log of one opening has a line for each fault; a file without end is not read to its end. */
const MOST_BYTES = 1_048_576;
const LINES_TOLD = 8;

/** Lines about damaged records, without their time; none where all was read. */
export function droppedRecords(folder: string): readonly string[] {
  const lines = read(join(folder, 'LOG')).split('\n');
  return lines
    .filter((line) => /dropping \d+ bytes|ignoring error/.test(line))
    .map((line) => line.replace(/^\S+ \S+ /, ''))
    .slice(0, LINES_TOLD);
}

function read(file: string): string {
  try {
    const opened = openSync(file, 'r');
    try {
      const bytes = Buffer.alloc(MOST_BYTES);
      return bytes.toString('latin1', 0, readSync(opened, bytes, 0, MOST_BYTES, 0));
    } finally {
      closeSync(opened);
    }
  } catch (cause) {
    // LevelDB goes on without its log where it cannot write it.
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw storeError(cause);
  }
}
