/** Why the last start of a hub failed: a file in its state folder, for `latchkey status`. */
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isErrorCode, LatchkeyError } from '../core/errors.ts';
import { isJsonObject } from '../core/json.ts';

const NAME = 'last-failure.json';
/** A detail that is longer is cut: it is for one line of a terminal. */
const MOST_DETAIL = 1_024;
const MOST_BYTES = 8_192;

export interface FailedStart {
  /** RFC 3339, by the clock of the machine. */
  readonly at: string;
  readonly error: LatchkeyError;
}

/** Notes the failure. Where the folder is missing or takes nothing there is no note: the log has the reason. */
export function noteFailedStart(stateDir: string, { code, detail }: LatchkeyError): void {
  const note = { at: new Date().toISOString(), code, detail: detail?.slice(0, MOST_DETAIL) };
  try {
    writeFileSync(join(stateDir, NAME), `${JSON.stringify(note)}\n`, { mode: 0o600 });
  } catch {
    // A folder that takes no file may be the very reason. The caller logs and prints the failure itself.
  }
}

export function forgetFailedStart(stateDir: string): void {
  try {
    rmSync(join(stateDir, NAME), { force: true });
  } catch {
    // The note is about a start of before; a hub that runs is asked over its socket, and the note is not read.
  }
}

/** The last start, where it failed; undefined where it did not, or where the note cannot be read. */
export function failedStart(stateDir: string): FailedStart | undefined {
  const file = join(stateDir, NAME);
  try {
    if (statSync(file).size > MOST_BYTES) return undefined;
    const note: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (!isJsonObject(note)) return undefined;
    const { at, code, detail } = note;
    if (typeof at !== 'string' || typeof code !== 'string' || !isErrorCode(code)) return undefined;
    return { at, error: new LatchkeyError(code, typeof detail === 'string' ? detail : undefined) };
  } catch {
    // No note, or one that this user may not read: then there is nothing to tell.
    return undefined;
  }
}
