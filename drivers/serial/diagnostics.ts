import type { Clock } from '../../src/core/clock.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { printable } from '../../src/core/printable.ts';
import type { Log } from '../../src/ports/log.ts';
import type { LineCounters } from './line-counters.ts';

const MINUTE = 60_000;

/**
 * Puts what a device says for people into the log, and not more than the log can stand. No terminal takes a line of it for
 * a command (draft-bormann-t2trg-slipmux, "Security").
 */
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
    this.#log.info({ event: 'line_diagnostic', text: printable(text.trim()) }, 'the device says');
  }
}
