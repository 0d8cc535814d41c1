import type { Clock } from '../../src/core/clock.ts';
import type { ErrorCode } from '../../src/core/error-catalogue.ts';

/** Milliseconds. What counts is the present window and the one before it, so a condition clears within two of them. */
const WINDOW = 30_000;
/** Dropped frames that make a condition: a plug that is pulled or a device that boots makes fewer. */
const NOISE = 16;
/** More than one frame in this many: a few wrong checksums among many good frames are what a long cable does. */
const GOOD_FOR_ONE_BAD = 10;

interface Counts {
  bad: number;
  good: number;
  slowed: number;
}

/** What is wrong with a line that is open: that it brings noise, or more than it may. Both clear by themselves. */
export class LineTrouble {
  readonly #clock: Pick<Clock, 'monotonic'>;
  #began = 0;
  #present: Counts = none();
  #past: Counts = none();

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** A frame was dropped, or goes on and on. */
  bad(): void {
    this.#turn();
    this.#present.bad += 1;
  }

  good(): void {
    this.#turn();
    this.#present.good += 1;
  }

  /** The line was made to wait. */
  slowed(): void {
    this.#turn();
    this.#present.slowed += 1;
  }

  codes(): readonly ErrorCode[] {
    this.#turn();
    const sum = (name: keyof Counts) => this.#present[name] + this.#past[name];
    const isNoisy = sum('bad') >= NOISE && sum('bad') * GOOD_FOR_ONE_BAD > sum('good');
    return [...(isNoisy ? (['line_noisy'] as const) : []), ...(sum('slowed') > 0 ? (['line_slowed'] as const) : [])];
  }

  #turn(): void {
    const now = this.#clock.monotonic();
    if (now - this.#began < WINDOW) return;
    this.#past = now - this.#began < 2 * WINDOW ? this.#present : none();
    this.#present = none();
    this.#began = now;
  }
}

function none(): Counts {
  return { bad: 0, good: 0, slowed: 0 };
}
