import type { Clock } from '../../src/core/clock.ts';
import { LIMITS } from '../../src/core/limits.ts';
import type { Log } from '../../src/ports/log.ts';
import type { LineCounters } from './line-counters.ts';

const MINUTE = 60_000;
/** Control, format and unassigned characters, and line breaks of any script: what can drive a terminal. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** Text of a device as one line that no terminal takes for a command (draft-bormann-t2trg-slipmux, "Security"). */
function printable(text: string): string {
  return text.trim().replace(UNPRINTABLE, (character) => `\\u{${character.codePointAt(0)?.toString(16) ?? ''}}`);
}

/** Puts what a device says for people into the log, and not more than the log can stand. */
export class DiagnosticLog {
  readonly #log: Log;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #counters: LineCounters;
  #minuteBegan = Number.NEGATIVE_INFINITY;
  #logged = 0;

  constructor(log: Log, clock: Pick<Clock, 'monotonic'>, counters: LineCounters) {
    this.#log = log;
    this.#clock = clock;
    this.#counters = counters;
  }

  write(text: string): void {
    const now = this.#clock.monotonic();
    if (now - this.#minuteBegan >= MINUTE) {
      this.#minuteBegan = now;
      this.#logged = 0;
    }
    if (this.#logged === LIMITS.diagnosticsPerMinute) {
      this.#counters.diagnosticsDropped += 1;
      return;
    }
    this.#logged += 1;
    this.#log.info({ event: 'line_diagnostic', text: printable(text) }, 'the device says');
  }
}
