/** What a repair or a restore that was killed leaves in the state folder. Keys may lie in it. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../ports/log.ts';
import { storeError } from './store-errors.ts';

/** Folders that a repair makes for itself begin with it. */
export const TEMPORARY = '.lock-';
/** Where a restore makes the databases. */
export const RESTORING = 'restoring';

/** For a process that has the databases open: then no repair is under way, and no restore can succeed. */
export function removeLeftovers(stateDir: string, log: Log): void {
  try {
    const names = readdirSync(stateDir).filter((name) => name.startsWith(TEMPORARY) || name === RESTORING);
    for (const name of names) rmSync(join(stateDir, name), { recursive: true, force: true });
    if (names.length > 0) log.info({ event: 'leftovers_removed', names }, 'what a killed command left is removed');
  } catch (cause) {
    const { code, detail } = storeError(cause);
    log.warn({ event: 'leftovers_kept', code, detail }, 'what a killed command left cannot be removed');
  }
}
