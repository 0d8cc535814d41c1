/** The state folder as a command finds it: whose it is, who may write there, and which process works on it. */
import { chmodSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isCoded, LatchkeyError } from '../core/errors.ts';

const OTHERS_MAY_WRITE = 0o022;
/** In a folder such as /tmp all may make files, and only their owners remove them. */
const STICKY = 0o1000;

/**
 * Refuses a folder that is not of this user: root may write anywhere, but the hub could not read what root leaves behind.
 * Takes write access from others, who could replace the database in it.
 * @returns whether that was necessary
 * @throws {LatchkeyError} `store_not_ours`, `store_open_to_others`
 */
export function claimStateFolder(folder: string): boolean {
  const facts = statSync(folder, { throwIfNoEntry: false });
  if (facts === undefined) return false;
  if (!isOfThisUser(folder)) throw new LatchkeyError('store_not_ours', folder);
  if ((facts.mode & OTHERS_MAY_WRITE) === 0) return false;
  // A folder for all is no state folder, and closing it would break what else uses it.
  if ((facts.mode & STICKY) !== 0) throw new LatchkeyError('store_open_to_others', folder);
  try {
    chmodSync(folder, facts.mode & 0o7777 & ~OTHERS_MAY_WRITE);
  } catch (cause) {
    throw new LatchkeyError(
      'store_open_to_others',
      `${folder} (${(cause as NodeJS.ErrnoException).code ?? 'failed'})`,
      {
        cause,
      },
    );
  }
  return true;
}

/** Whether the folder is of this user, or not there yet. */
export function isOfThisUser(folder: string): boolean {
  const facts = statSync(folder, { throwIfNoEntry: false });
  return facts === undefined || facts.uid === process.geteuid?.();
}

/** The same error with folder and process, where another process works on the state folder. */
export function withHolder(error: unknown, stateDir: string): unknown {
  if (!isCoded(error, 'store_locked')) return error;
  const pid = lockHolder(stateDir);
  return new LatchkeyError('store_locked', pid === undefined ? stateDir : `${stateDir} by process ${pid}`, {
    cause: error,
  });
}

/** For a command that needs the hub to be stopped. */
export function hubRunning(stateDir: string, cause?: unknown): LatchkeyError {
  const pid = lockHolder(stateDir);
  return new LatchkeyError('hub_running', pid === undefined ? stateDir : `${stateDir}, process ${pid}`, { cause });
}

/** The process that has the database open, as /proc/locks has it (proc(5)): `1: POSIX ADVISORY WRITE 217 fe:01:8190 0 EOF`. */
function lockHolder(stateDir: string): number | undefined {
  try {
    const { ino } = statSync(join(stateDir, 'db', 'LOCK'));
    const line = readFileSync('/proc/locks', 'utf8')
      .split('\n')
      .find((each) => new RegExp(`^\\d+: \\S+ +\\S+ +\\S+ +[1-9]\\d* +[0-9a-f]+:[0-9a-f]+:${ino} `).test(each));
    return line === undefined ? undefined : Number(line.split(/\s+/)[4]);
  } catch {
    // Another system, or a lock of a process that this one may not see: then the folder has to do.
    return undefined;
  }
}
