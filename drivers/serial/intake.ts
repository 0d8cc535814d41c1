import type { Clock, Timers } from '../../src/core/clock.ts';
import { LIMITS } from '../../src/core/limits.ts';

/** Milliseconds for which `LIMITS.lineReadBytes` are let in. */
const WINDOW = 100;

/**
 * Lets a medium bring in no more than so many bytes a second. Real serial lines stay below that by their nature; a
 * network serial server, or what pretends to be one, could keep the whole hub busy with one line.
 */
export class Intake {
  readonly #timers: Timers;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #setFlowing: (flowing: boolean) => void;
  /** Bytes that came in ahead of their time, as of `#at`. */
  #ahead = 0;
  #at = 0;
  #cancel: (() => void) | undefined;

  constructor(
    surroundings: { readonly timers: Timers; readonly clock: Pick<Clock, 'monotonic'> },
    setFlowing: (flowing: boolean) => void,
  ) {
    this.#timers = surroundings.timers;
    this.#clock = surroundings.clock;
    this.#setFlowing = setFlowing;
  }

  /** Tells of bytes that came in. Stops the flow until their time has come, where they were too many. */
  count(bytes: number): void {
    const now = this.#clock.monotonic();
    const inTime = ((now - this.#at) * LIMITS.lineReadBytes) / WINDOW;
    this.#ahead = Math.max(0, this.#ahead - inTime) + bytes;
    this.#at = now;
    if (this.#ahead <= LIMITS.lineReadBytes || this.#cancel !== undefined) return;
    this.#setFlowing(false);
    const wait = Math.ceil((this.#ahead * WINDOW) / LIMITS.lineReadBytes);
    this.#cancel = this.#timers.after(wait, () => {
      this.#cancel = undefined;
      this.#setFlowing(true);
    });
  }

  end(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
