/** A file in the state folder from before a repair until what it cannot know is written down, whenever it is killed. */
import { closeSync, existsSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const NOTE = 'repairing';

/** On the medium when this returns. */
export function noteRepair(stateDir: string): void {
  const file = openSync(join(stateDir, NOTE), 'w', 0o600);
  try {
    writeSync(file, 'A repair began. The next start of the hub, or the next command, removes this file.\n');
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

export function wasRepaired(stateDir: string): boolean {
  return existsSync(join(stateDir, NOTE));
}

export function endRepair(stateDir: string): void {
  rmSync(join(stateDir, NOTE), { force: true });
}
