import type { Timers } from '../../src/core/clock.ts';
import { RADIO_TIMES } from './ble-settings.ts';
import type { LinkRadio } from './link-radio.ts';
import type { Candidate } from './sightings.ts';

/** Waits until somebody advertises a name: a device takes a connection in the moment after that. */
export class Hearing {
  readonly #name: string;
  readonly #radio: LinkRadio;
  readonly #timers: Timers;
  #onHeard: (() => void) | undefined;

  constructor(parts: { readonly name: string; readonly radio: LinkRadio; readonly timers: Timers }) {
    this.#name = parts.name;
    this.#radio = parts.radio;
    this.#timers = parts.timers;
  }

  /** Somebody advertises it. */
  heard(): void {
    this.#onHeard?.();
  }

  /** The likeliest one that advertised just now, or the next to; undefined once `signal` is aborted. */
  async fresh(signal: AbortSignal): Promise<Candidate | undefined> {
    for (;;) {
      const candidate = this.#radio.sightings.next(this.#name);
      if (signal.aborted) return undefined;
      if (candidate !== undefined) return candidate;
      await this.#next(signal);
    }
  }

  /** The same, for as long as a place is held. */
  stillFresh(signal: AbortSignal): Promise<Candidate | undefined> {
    const hold = new AbortController();
    const cancel = this.#timers.after(RADIO_TIMES.hold, () => hold.abort());
    return this.fresh(AbortSignal.any([signal, hold.signal])).finally(cancel);
  }

  #next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#onHeard = undefined;
        signal.removeEventListener('abort', done);
        this.#radio.waiting(this, false);
        resolve();
      };
      this.#onHeard = done;
      this.#radio.waiting(this, true);
      signal.addEventListener('abort', done, { once: true });
    });
  }
}
