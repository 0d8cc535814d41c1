import { randomBytes, randomFillSync } from 'node:crypto';
import type { Random, Timers } from '../src/core/clock.ts';

/** Timers of the machine. They never keep the process alive by themselves: an open line or server does. */
export const systemTimers: Timers = {
  after(milliseconds, action) {
    const timer = setTimeout(action, milliseconds);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Random bytes not yet given out. A nonce of 13 bytes costs the system as much as a whole pool. */
const pool = new Uint8Array(1_024);
let used = pool.length;

function fromPool(length: number): Uint8Array {
  if (length > pool.length / 4) return new Uint8Array(randomBytes(length));
  if (used + length > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const bytes = pool.slice(used, used + length);
  // What was given out may be a key, and the pool lives as long as the process.
  pool.fill(0, used, used + length);
  used += length;
  return bytes;
}

export const systemRandom: Random = {
  bytes: fromPool,
  // For jitter only, as the port says: predictable is fine, and no entropy is spent.
  fraction: () => Math.random(),
};

/** Milliseconds that only grow; unrelated to the calendar. */
export function monotonic(): number {
  return performance.now();
}
