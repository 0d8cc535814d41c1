import { closeSync, readdirSync, readFileSync } from 'node:fs';

/** Bit of open(2) that closes a file when another program is executed, as /proc has it (octal). */
const CLOSE_ON_EXECUTION = 0o2000000;

/**
 * Closes what this process has from the one that started it, beyond the file `last`. LevelDB opens its files without
 * O_CLOEXEC, so each process that the hub starts could read and write its store. What node opened itself has that bit.
 */
export function closeInherited(last: number): void {
  for (const entry of entriesOf('/proc/self/fdinfo')) {
    const file = Number(entry);
    if (file <= last) continue;
    const flags = Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(textOf(`/proc/self/fdinfo/${entry}`))?.[1] ?? '', 8);
    if (!Number.isNaN(flags) && (flags & CLOSE_ON_EXECUTION) === 0) closeSync(file);
  }
}

function entriesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    // No Linux.
    return [];
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // The folder itself was one of its entries.
    return '';
  }
}
