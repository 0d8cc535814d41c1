/** Proof identifiers that were used (RFC 9449 §11.1). */
import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';

/**
 * Remembers each identifier for a fixed time and no more of them than a limit. What is still remembered is never
 * thrown out to make room: a full window refuses new proofs, since forgetting one would let it be used twice. Every
 * key has a share of the window, so that one client cannot lock the others out.
 */
export class ReplayWindow {
  /** Identifier to its key and the monotonic millisecond of its end. All live equally long: the oldest comes first. */
  readonly #entries = new Map<string, { readonly owner: string; readonly expiresAt: number }>();
  readonly #shares = new Map<string, number>();
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
   * Marks `identifier` as used by the key that `owner` names (its thumbprint).
   * @param monotonic milliseconds of the monotonic clock
   * @throws {LatchkeyError} `proof_replayed` if it was used before, `proof_window_full` if there is no room to remember it
   */
  use(identifier: string, owner: string, monotonic: number): void {
    this.#forgetExpired(monotonic);
    if (this.#entries.has(identifier)) throw new LatchkeyError('proof_replayed');
    const share = this.#shares.get(owner) ?? 0;
    if (share >= LIMITS.replayEntriesPerKey) throw new LatchkeyError('proof_window_full', `${share} proofs of one key`);
    if (this.#entries.size >= this.#limit) throw new LatchkeyError('proof_window_full', `${this.#limit} proofs`);
    this.#entries.set(identifier, { owner, expiresAt: monotonic + this.#lifetime });
    this.#shares.set(owner, share + 1);
  }

  #forgetExpired(monotonic: number): void {
    for (const [identifier, { owner, expiresAt }] of this.#entries) {
      if (expiresAt > monotonic) return;
      this.#entries.delete(identifier);
      const share = this.#shares.get(owner) ?? 0;
      if (share > 1) this.#shares.set(owner, share - 1);
      else this.#shares.delete(owner);
    }
  }
}
