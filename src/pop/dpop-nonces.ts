/** Server nonces for DPoP proofs (RFC 9449 §8), stateless. */
import { createHmac } from 'node:crypto';
import { equal, utf8 } from '../core/bytes.ts';
import type { Random } from '../core/clock.ts';

/** A nonce is taken for one to two of these, so at most five minutes. Milliseconds. */
const SLICE_MILLISECONDS = 150_000;
const NONCE_BYTES = 16;

/**
 * A nonce is an HMAC over the number of the present time slice, under a key that is random in every run: nothing is
 * stored, and after a restart every proof made for the run before is dead, although the replay window forgot it. Slices
 * are counted on the monotonic clock, so nonces bound the age of a proof even while the calendar is unknown.
 */
export class DpopNonces {
  readonly #key: Uint8Array;
  #slice = -1;
  #current = '';
  #previous = '';

  constructor({ random }: { readonly random: Random }) {
    this.#key = random.bytes(32);
  }

  /** How long a nonce can be taken at most, in milliseconds; a replay window must remember proofs for that long. */
  static readonly lifetime = 2 * SLICE_MILLISECONDS;

  /** The nonce to hand out now. @param monotonic milliseconds of the monotonic clock */
  current(monotonic: number): string {
    this.#turn(monotonic);
    return this.#current;
  }

  /** Whether the hub gave this nonce in the present slice or the one before. */
  accepts(nonce: string, monotonic: number): boolean {
    this.#turn(monotonic);
    const given = utf8(nonce);
    return equal(given, utf8(this.#current)) || equal(given, utf8(this.#previous));
  }

  #turn(monotonic: number): void {
    const slice = Math.floor(monotonic / SLICE_MILLISECONDS);
    if (slice === this.#slice) return;
    this.#slice = slice;
    this.#current = this.#nonce(slice);
    this.#previous = this.#nonce(slice - 1);
  }

  #nonce(slice: number): string {
    const mac = createHmac('sha256', this.#key).update(`latchkey-dpop-nonce-1 ${slice}`).digest();
    return mac.subarray(0, NONCE_BYTES).toString('base64url');
  }
}
