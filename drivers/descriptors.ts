/** File descriptors of this process: all its connections, lines and files. */
import { readdirSync, readFileSync } from 'node:fs';

/** The last few are needed to notice, to log and to answer the operator. */
const SPARE = 4;

/** Whether the process may open next to nothing any more. False where the system does not say. */
export function areDescriptorsExhausted(): boolean {
  try {
    const limit = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]);
    return readdirSync('/proc/self/fd').length + SPARE >= limit;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EMFILE' || code === 'ENFILE') return true;
    if (code === 'ENOENT' || code === 'EACCES') return false;
    throw error;
  }
}
