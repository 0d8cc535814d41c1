import { randomBytes } from 'node:crypto';
import type { Clock, Random, Timers } from '../core/clock.ts';

/** What the client needs of the world. Tests hand in their own. */
export interface ClientEnvironment {
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
}

/** The machine's own. A timer keeps the process alive here: somebody awaits it. */
export const systemEnvironment: ClientEnvironment = {
  fetch: (input, init) => fetch(input, init),
  clock: {
    now: () => {
      const seconds = Math.floor(Date.now() / 1000);
      return { earliest: seconds, latest: seconds };
    },
    monotonic: () => performance.now(),
  },
  timers: {
    after(milliseconds, action) {
      const timer = setTimeout(action, milliseconds);
      return () => clearTimeout(timer);
    },
  },
  random: {
    bytes: (length) => new Uint8Array(randomBytes(length)),
    // For jitter only, as the port says.
    fraction: () => Math.random(),
  },
};
