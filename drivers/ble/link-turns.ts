import type { RequestOptions } from '../../src/codec/coap/requester.ts';
import type { Timers } from '../../src/core/clock.ts';

/** Requests that wait until a link, which was used for long, has given way to others. */
export class LinkTurns {
  readonly #timers: Timers;
  #parked: (() => void)[] = [];
  #isOver = false;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Whether the link takes no further requests before it was let go. */
  get isOver(): boolean {
    return this.#isOver;
  }

  end(): void {
    this.#isOver = true;
  }

  /** The link was let go: whoever waited goes on. */
  begin(): void {
    this.#isOver = false;
    for (const go of this.#parked.splice(0)) go();
  }

  /** Until the link was let go for others, inside the deadline. */
  park({ deadline, signal }: RequestOptions): Promise<void> {
    return new Promise((resolve) => {
      const go = () => {
        cancel();
        signal?.removeEventListener('abort', go);
        const place = this.#parked.indexOf(go);
        if (place >= 0) this.#parked.splice(place, 1);
        resolve();
      };
      const cancel = this.#timers.after(deadline, go);
      signal?.addEventListener('abort', go, { once: true });
      this.#parked.push(go);
    });
  }
}
