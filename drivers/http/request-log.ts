import type { LatchkeyError } from '../../src/core/errors.ts';
import type { Log, LogFields } from '../../src/ports/log.ts';

export interface Answered {
  readonly method: string;
  /** The pattern of the route, not what was sent: that may hold anything. Empty where there is no such path. */
  readonly path: string;
  readonly status: number;
  /** Milliseconds. */
  readonly ms: number;
  readonly error: LatchkeyError | undefined;
  /** What the request turned out to be about, such as the device. Of ids only those that are registered. */
  readonly about?: LogFields;
}

/** One line for each answer. The log itself sums up those that end alike. `log` carries the id of the request. */
export function logAnswer({ about, error, method, ms, path, status }: Answered, log: Log): void {
  if (error === undefined) {
    log.info({ event: 'http', method, path, status, ms, ...about }, 'answered');
    return;
  }
  const { code, detail, entry } = error;
  const fields = { event: 'refused', method, path, status, code, ms, ...about, detail };
  if (status >= 500) log.warn({ ...fields, error }, entry.title);
  else log.info(fields, entry.title);
}
