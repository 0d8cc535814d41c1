/** Nonces that the hub hands out and knows again, stateless. */
import { createHmac } from 'node:crypto';
import { equal } from '../core/bytes.ts';
import type { Random } from '../core/clock.ts';

export interface SlicedNoncesOptions {
  readonly random: Random;
  /** What the nonces are for: those of one use are none of another. */
  readonly use: string;
  /** Milliseconds. A nonce is taken for one to two of these. */
  readonly slice: number;
  /** Length of a nonce, at most 32. */
  readonly bytes: number;
}

/**
 * A nonce is an HMAC over the number of the present time slice, under a key that is random in every run: nothing is
 * stored, and after a restart none of the run before is taken. Slices are counted on the monotonic clock, so nonces bound
 * the age of what is made over them even while the calendar is unknown.
 */
export class SlicedNonces {
  readonly #options: SlicedNoncesOptions;
  readonly #key: Uint8Array;
  #slice = -1;
  #current: Uint8Array = new Uint8Array();
  #previous: Uint8Array = new Uint8Array();

  constructor(options: SlicedNoncesOptions) {
    this.#options = options;
    this.#key = options.random.bytes(32);
  }

  /** The nonce to hand out now. @param monotonic milliseconds of the monotonic clock */
  current(monotonic: number): Uint8Array {
    this.#turn(monotonic);
    return this.#current;
  }

  /** Those that are taken now: given in the present slice, and in the one before. */
  taken(monotonic: number): readonly Uint8Array[] {
    this.#turn(monotonic);
    return [this.#current, this.#previous];
  }

  /** Whether the hub gave this nonce in the present slice or the one before. */
  accepts(nonce: Uint8Array, monotonic: number): boolean {
    return this.taken(monotonic).some((taken) => equal(nonce, taken));
  }

  #turn(monotonic: number): void {
    const slice = Math.floor(monotonic / this.#options.slice);
    if (slice === this.#slice) return;
    this.#slice = slice;
    this.#current = this.#nonce(slice);
    this.#previous = this.#nonce(slice - 1);
  }

  #nonce(slice: number): Uint8Array {
    const { bytes, use } = this.#options;
    return new Uint8Array(createHmac('sha256', this.#key).update(`${use} ${slice}`).digest().subarray(0, bytes));
  }
}
