/** Whether chronyd has set the clock: what `chronyc tracking` says. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';

export interface ChronyOptions {
  /** Where `/run` is; empty outside of tests. */
  readonly root: string;
  readonly monotonic: () => number;
  readonly program?: string | undefined;
}

/** Milliseconds between two questions: while the clock is not set, and once it is. Each costs a child process. */
const WHILE_UNSET = 30_000;
const ONCE_SET = 900_000;
/** Milliseconds for an answer; chronyd is on this machine. */
const DEADLINE = 5_000;
/** Of `chronyc -c tracking`, chronyc(1): the leap status is the last. */
const FIELDS = 14;
const NOT_SET = 'Not synchronised';

/**
 * Asks chronyd over its command port on loopback, where every user may ask for `tracking`. The question runs in the
 * background: the answer of now is the one that came last.
 */
export class Chrony {
  readonly #options: ChronyOptions;
  #last: boolean | 'unknown' = 'unknown';
  #askAt = Number.NEGATIVE_INFINITY;

  constructor(options: ChronyOptions) {
    this.#options = options;
  }

  synchronised(): boolean | 'unknown' {
    const now = this.#options.monotonic();
    if (now >= this.#askAt) {
      this.#askAt = now + WHILE_UNSET;
      // Debian, Raspberry Pi OS and Fedora have this folder while chronyd is installed and was started.
      if (existsSync(`${this.#options.root}/run/chrony`)) this.#ask();
      else this.#last = 'unknown';
    }
    return this.#last;
  }

  #ask(): void {
    const { monotonic, program = 'chronyc' } = this.#options;
    execFile(program, ['-n', '-c', 'tracking'], { timeout: DEADLINE }, (error, output) => {
      // Without an answer chronyd does not run, or its command port is closed: that says nothing of the clock.
      this.#last = error === null ? readTracking(output) : 'unknown';
      if (this.#last === true) this.#askAt = monotonic() + ONCE_SET;
    });
  }
}

export function readTracking(output: string): boolean | 'unknown' {
  const fields = output.trim().split(',');
  return fields.length < FIELDS ? 'unknown' : fields.at(-1) !== NOT_SET;
}
