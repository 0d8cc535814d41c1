import type { CoseKey } from '../codec/cose/key.ts';
import { equal } from '../core/bytes.ts';
import type { JudgedToken } from './judge-token.ts';

export type SlotOutcome = 'stored' | 'known' | 'full';

/**
 * The tokens that a device holds: a fixed number of slots, as a device without an allocator has them. They are the replay
 * window as well: an expired token is refused by its `exp`, so nothing but expired tokens may be forgotten, and a token
 * whose cti sits in a slot has no second effect.
 */
export class TokenSlots {
  readonly #size: number;
  #tokens: JudgedToken[] = [];

  constructor(size: number) {
    this.#size = size;
  }

  /**
   * Puts a token into a slot. A full device first forgets what is expired, then lets a newer token of the same client key
   * supersede the oldest one of that key (RFC 9200 §5.10.1 recommends one token a key); a client never pushes out another.
   */
  put(token: JudgedToken, earliest: number): SlotOutcome {
    this.forgetExpired(earliest);
    const known = this.#tokens.findIndex(({ identity }) => identity === token.identity);
    const before = this.#tokens[known];
    if (before !== undefined) {
      // The same grant in a fresh wrap (a hub that lost its records makes one): it keeps its slot and what it permits,
      // and goes by the newest name.
      this.#tokens[known] = { ...before, hash: token.hash };
      return 'known';
    }
    if (this.#tokens.length >= this.#size) {
      const superseded = this.#supersededBy(token);
      if (superseded === undefined) return 'full';
      this.#tokens = this.#tokens.filter((other) => other !== superseded);
    }
    this.#tokens.push(token);
    return 'stored';
  }

  /** The live token of that hash. */
  find(hash: Uint8Array, earliest: number): JudgedToken | undefined {
    this.forgetExpired(earliest);
    return this.#tokens.find((token) => equal(token.hash, hash));
  }

  forgetExpired(earliest: number): void {
    this.#tokens = this.#tokens.filter(({ expiresAt }) => expiresAt > earliest);
  }

  list(): readonly JudgedToken[] {
    return this.#tokens;
  }

  /** Never a younger one: an old token that somebody replays must not take the place of the present one. */
  #supersededBy(token: JudgedToken): JudgedToken | undefined {
    return this.#tokens
      .filter((other) => sameKey(other.key, token.key) && other.issuedAt < token.issuedAt)
      .sort((a, b) => a.issuedAt - b.issuedAt)[0];
  }
}

function sameKey(a: CoseKey, b: CoseKey): boolean {
  return a.key.equals(b.key);
}
