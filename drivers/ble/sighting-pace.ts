import type { Clock } from '../../src/core/clock.ts';

/** First and longest pause between two calls of the listeners, milliseconds: a device may advertise ten times a second. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 60_000;

/**
 * How often whoever waits for a device is told that its name was heard: less often after each trouble, until the device has
 * proven itself. An answer alone ends no pause, since anybody nearby can give one.
 */
export class SightingPace {
  readonly #clock: Pick<Clock, 'monotonic'>;
  /** What went wrong in a row: not connected, lost under a request, not proven. */
  #troubles = 0;
  #lastTold = Number.NEGATIVE_INFINITY;

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** Whether a call is due. */
  get isDue(): boolean {
    const pause = Math.min(FIRST_PAUSE * 2 ** Math.max(0, this.#troubles - 1), LONGEST_PAUSE);
    return this.#clock.monotonic() - this.#lastTold >= pause;
  }

  told(): void {
    this.#lastTold = this.#clock.monotonic();
  }

  /** The first time the next advertisement is a better moment at once; then pauses grow. */
  trouble(): void {
    this.#troubles += 1;
    if (this.#troubles === 1) this.begin();
  }

  /** The next call is due at once. */
  begin(): void {
    this.#lastTold = Number.NEGATIVE_INFINITY;
  }

  /** It was the device, as far as anybody can tell. */
  cleared(): void {
    this.#troubles = 0;
  }
}
