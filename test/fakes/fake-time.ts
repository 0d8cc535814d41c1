import type { FloorClock, Random, TimeBounds, Timers } from '../../src/core/clock.ts';

interface Pending {
  readonly due: number;
  readonly order: number;
  readonly action: () => void;
}

export interface FakeTimeOptions {
  /** NumericDate seconds at which the calendar starts. */
  readonly now?: number;
  /** Seed of the byte and fraction sequence. Two fakes with one seed give the same bytes. */
  readonly seed?: number;
}

/**
 * Clock, timers and randomness that a test moves by hand. Calendar and monotonic time advance together. Timers due at
 * the same instant run in the order in which they were set.
 */
export class FakeTime implements FloorClock, Timers, Random {
  #elapsed = 0;
  readonly #start: number;
  #sure = true;
  #pending: Pending[] = [];
  #order = 0;
  #state: number;
  #fixedFraction: number | undefined;

  constructor(options: FakeTimeOptions = {}) {
    this.#start = options.now ?? 1_700_000_000;
    this.#state = (options.seed ?? 1) >>> 0 || 1;
  }

  now(): TimeBounds {
    const seconds = Math.floor(this.#start + this.#elapsed / 1000);
    return { earliest: seconds, latest: this.#sure ? seconds : undefined };
  }

  certain(): number {
    return this.now().earliest;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  /** From now on only the earliest possible time is known, as after a boot without NTP. */
  forgetLatest(): void {
    this.#sure = false;
  }

  after(milliseconds: number, action: () => void): () => void {
    const entry: Pending = { due: this.#elapsed + Math.max(0, milliseconds), order: this.#order, action };
    this.#order += 1;
    this.#pending.push(entry);
    return () => {
      this.#pending = this.#pending.filter((other) => other !== entry);
    };
  }

  /** Timers set and neither run nor cancelled. */
  get pendingTimers(): number {
    return this.#pending.length;
  }

  /** Moves time on and runs what falls due, in order, letting promises settle after every timer. */
  async advance(milliseconds: number): Promise<void> {
    const target = this.#elapsed + milliseconds;
    await settle();
    for (;;) {
      const next = this.#next();
      if (next === undefined || next.due > target) break;
      this.#pending = this.#pending.filter((other) => other !== next);
      this.#elapsed = next.due;
      next.action();
      await settle();
    }
    this.#elapsed = target;
    await settle();
  }

  /** Moves time on without running anything: for a test that sets no timers and takes many steps. */
  skip(milliseconds: number): void {
    this.#elapsed += milliseconds;
  }

  bytes(length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (let index = 0; index < length; index += 1) out[index] = this.#word() & 0xff;
    return out;
  }

  /** Fixed by `setFraction`, else from the seeded sequence. */
  fraction(): number {
    return this.#fixedFraction ?? this.#word() / 0x1_0000_0000;
  }

  setFraction(value: number | undefined): void {
    this.#fixedFraction = value;
  }

  #next(): Pending | undefined {
    let first: Pending | undefined;
    for (const entry of this.#pending) {
      if (first === undefined || entry.due < first.due || (entry.due === first.due && entry.order < first.order)) {
        first = entry;
      }
    }
    return first;
  }

  /** mulberry32: small, seeded, uniform enough for tests. */
  #word(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }
}

/** Lets every promise that can go on do so: two turns of the event loop. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 2; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}
