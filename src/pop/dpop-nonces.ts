/** Server nonces for DPoP proofs (RFC 9449 §8). */
import { base64url, equal, utf8 } from '../core/bytes.ts';
import type { Random } from '../core/clock.ts';
import { SlicedNonces } from './sliced-nonces.ts';

/** A nonce is taken for one to two of these, so at most five minutes. Milliseconds. */
const SLICE_MILLISECONDS = 150_000;
const NONCE_BYTES = 16;

/** As text. After a restart every proof made for the run before is dead, although the replay window forgot it. */
export class DpopNonces {
  readonly #nonces: SlicedNonces;

  constructor({ random }: { readonly random: Random }) {
    this.#nonces = new SlicedNonces({
      random,
      use: 'latchkey-dpop-nonce-1',
      slice: SLICE_MILLISECONDS,
      bytes: NONCE_BYTES,
    });
  }

  /** How long a nonce can be taken at most, in milliseconds; a replay window must remember proofs for that long. */
  static readonly lifetime = 2 * SLICE_MILLISECONDS;

  /** The nonce to hand out now. @param monotonic milliseconds of the monotonic clock */
  current(monotonic: number): string {
    return base64url(this.#nonces.current(monotonic));
  }

  /** Whether the hub gave this nonce in the present slice or the one before. */
  accepts(nonce: string, monotonic: number): boolean {
    const given = utf8(nonce);
    return this.#nonces.taken(monotonic).some((taken) => equal(given, utf8(base64url(taken))));
  }
}
