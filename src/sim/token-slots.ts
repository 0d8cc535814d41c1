import type { CoseKey } from '../codec/cose/key.ts';
import { equal } from '../core/bytes.ts';
import type { JudgedToken } from './judge-token.ts';

export type SlotOutcome = 'stored' | 'known' | 'full' | 'expired';

interface Slot {
  readonly token: JudgedToken;
  /**
   * Hash of the same grant in another wrap, the newest: a hub that lost its records makes one. The first name stays, so
   * that no attacker who can bend a signature into its second form (ECDSA has two) takes it from the client.
   */
  secondName: Uint8Array | undefined;
}

/**
 * The tokens that a device holds: a fixed number of slots, as a device without an allocator has them. They are the replay
 * window as well: an expired token is refused by its `exp`, so nothing but expired tokens may be forgotten, and a token
 * whose cti sits in a slot has no second effect.
 */
export class TokenSlots {
  readonly #size: number;
  #slots: Slot[] = [];
  /** The highest number of a token with `exi` that ended here; it and all below are over for good (RFC 9200 §5.10.3). */
  #lastEnded: bigint | undefined;

  constructor(size: number) {
    this.#size = size;
  }

  /**
   * Puts a token into a slot, once those that are expired were forgotten. A full device lets a newer token of the same
   * client key supersede the oldest one of that key (RFC 9200 §5.10.1 recommends one token a key); a client never pushes
   * out another.
   */
  put(token: JudgedToken): SlotOutcome {
    const known = this.#slots.find((slot) => slot.token.identity === token.identity);
    if (known !== undefined) {
      if (!equal(known.token.hash, token.hash)) known.secondName = token.hash;
      return 'known';
    }
    if (token.sequence !== undefined && this.#lastEnded !== undefined && token.sequence <= this.#lastEnded)
      return 'expired';
    if (this.#slots.length >= this.#size) {
      const superseded = this.#supersededBy(token);
      if (superseded === undefined) return 'full';
      this.#noteEnd(superseded.token);
      this.#slots = this.#slots.filter((other) => other !== superseded);
    }
    this.#slots.push({ token, secondName: undefined });
    return 'stored';
  }

  /** The live token of that hash. */
  find(hash: Uint8Array, earliest: number): JudgedToken | undefined {
    this.forgetExpired(earliest);
    return this.#slots.find(
      ({ token, secondName }) => equal(token.hash, hash) || (secondName !== undefined && equal(secondName, hash)),
    )?.token;
  }

  forgetExpired(earliest: number): void {
    for (const { token } of this.#slots) if (token.expiresAt <= earliest) this.#noteEnd(token);
    this.#slots = this.#slots.filter(({ token }) => token.expiresAt > earliest);
  }

  list(): readonly JudgedToken[] {
    return this.#slots.map(({ token }) => token);
  }

  #noteEnd({ sequence }: JudgedToken): void {
    if (sequence !== undefined && (this.#lastEnded === undefined || sequence > this.#lastEnded))
      this.#lastEnded = sequence;
  }

  /** Never a younger one: an old token that an attacker replays must not take the place of the present one. */
  #supersededBy(token: JudgedToken): Slot | undefined {
    return this.#slots
      .filter((other) => sameKey(other.token.key, token.key) && other.token.issuedAt < token.issuedAt)
      .sort((a, b) => a.token.issuedAt - b.token.issuedAt)[0];
  }
}

function sameKey(a: CoseKey, b: CoseKey): boolean {
  return a.key.equals(b.key);
}
