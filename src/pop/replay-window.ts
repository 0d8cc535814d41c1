/** Proof identifiers that were used (RFC 9449 §11.1). */
import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';

/**
 * Remembers each identifier for a fixed time and no more of them than a limit. What is still remembered is never
 * thrown out to make room: a full window refuses new proofs, since forgetting one would let it be used twice.
 */
export class ReplayWindow {
  /** Identifier to the monotonic millisecond at which it may be forgotten. All live equally long: oldest comes first. */
  readonly #entries = new Map<string, number>();
  readonly #lifetime: number;
  readonly #limit: number;

  /** @param lifetime milliseconds for which an identifier is remembered: as long as a proof can be good, or longer */
  constructor({ lifetime, limit = LIMITS.replayEntries }: { readonly lifetime: number; readonly limit?: number }) {
    this.#lifetime = lifetime;
    this.#limit = limit;
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * Marks `identifier` as used.
   * @param monotonic milliseconds of the monotonic clock
   * @throws {LatchkeyError} `proof_replayed` if it was used before, `proof_window_full` if there is no room to remember it
   */
  use(identifier: string, monotonic: number): void {
    this.#forgetExpired(monotonic);
    if (this.#entries.has(identifier)) throw new LatchkeyError('proof_replayed');
    if (this.#entries.size >= this.#limit) throw new LatchkeyError('proof_window_full', `${this.#limit} proofs`);
    this.#entries.set(identifier, monotonic + this.#lifetime);
  }

  #forgetExpired(monotonic: number): void {
    for (const [identifier, expiresAt] of this.#entries) {
      if (expiresAt > monotonic) return;
      this.#entries.delete(identifier);
    }
  }
}
