import { randomBytes } from 'node:crypto';
import type { Random, Timers } from '../src/core/clock.ts';

/** Timers of the machine. They never keep the process alive by themselves: an open line or server does. */
export const systemTimers: Timers = {
  after(milliseconds, action) {
    const timer = setTimeout(action, milliseconds);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

export const systemRandom: Random = {
  bytes: (length) => new Uint8Array(randomBytes(length)),
  // For jitter only, as the port says: predictable is fine, and no entropy is spent.
  fraction: () => Math.random(),
};

/** Milliseconds that only grow; unrelated to the calendar. */
export function monotonic(): number {
  return performance.now();
}
