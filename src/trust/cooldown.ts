import type { Clock } from '../core/clock.ts';

/** Lets something happen once in a while, however often it is wanted. */
export class Cooldown {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #milliseconds: number;
  #until: number | undefined;

  constructor(clock: Pick<Clock, 'monotonic'>, milliseconds: number) {
    this.#clock = clock;
    this.#milliseconds = milliseconds;
  }

  /** Milliseconds until it may happen; 0 where it may happen now. */
  left(): number {
    return Math.max(0, (this.#until ?? 0) - this.#clock.monotonic());
  }

  /** Whether it may happen now, which then counts. */
  take(): boolean {
    const now = this.#clock.monotonic();
    if (this.#until !== undefined && now < this.#until) return false;
    this.#until = now + this.#milliseconds;
    return true;
  }
}
