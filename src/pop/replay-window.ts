/** Proof identifiers that were used (RFC 9449 §11.1). */
import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';

/**
 * Remembers each identifier for a fixed time and no more of them than a limit. What is still remembered is never
 * thrown out to make room: a full window refuses new proofs, since forgetting one would let it be used twice. Every
 * key has a share of the window, and so has every token without a key, so that one client cannot lock the others out.
 */
export class ReplayWindow {
  /** Identifier to its owner and the monotonic millisecond of its end. All live equally long: the oldest comes first. */
  readonly #entries = new Map<string, { readonly owner: string; readonly expiresAt: number }>();
  /** Ends of the entries of each key or token, the oldest first. */
  readonly #shares = new Map<string, number[]>();
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
   * Marks `identifier` as used by the key or token that `owner` names.
   * @param monotonic milliseconds of the monotonic clock
   * @throws {LatchkeyError} `proof_replayed` if it was used before, `proof_window_full` if there is no room to remember it: it says when
   *   there will be
   */
  use(identifier: string, owner: string, monotonic: number): void {
    this.#forgetExpired(monotonic);
    if (this.#entries.has(identifier)) throw new LatchkeyError('proof_replayed');
    const share = this.#shares.get(owner) ?? [];
    const full = (detail: string, oldest: number | undefined) =>
      new LatchkeyError('proof_window_full', detail, { retryAfter: ((oldest ?? monotonic) - monotonic) / 1_000 });
    if (share.length >= LIMITS.replayEntriesPerKey) throw full(`${share.length} proofs of one key or token`, share[0]);
    if (this.#entries.size >= this.#limit) {
      const [oldest] = this.#entries.values();
      throw full(`${this.#limit} proofs`, oldest?.expiresAt);
    }
    const expiresAt = monotonic + this.#lifetime;
    this.#entries.set(identifier, { owner, expiresAt });
    share.push(expiresAt);
    this.#shares.set(owner, share);
  }

  #forgetExpired(monotonic: number): void {
    for (const [identifier, { owner, expiresAt }] of this.#entries) {
      if (expiresAt > monotonic) return;
      this.#entries.delete(identifier);
      const share = this.#shares.get(owner) ?? [];
      share.shift();
      if (share.length === 0) this.#shares.delete(owner);
    }
  }
}
