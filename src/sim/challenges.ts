import { CHALLENGE_NONCE_BYTES } from '../codec/signed-request.ts';
import { equal } from '../core/bytes.ts';
import type { Clock, Random } from '../core/clock.ts';

const LIFETIME = 30_000;
/** A client asks anew where an answer got lost; two more are for a second program of the same client. */
const OUTSTANDING_PER_TOKEN = 4;
/** Wrong proofs after which a nonce is dead: a 64-bit MAC must not be guessed at leisure. */
const WRONG_PROOFS = 4;

interface Challenge {
  readonly token: string;
  readonly nonce: Uint8Array;
  /** Milliseconds of the monotonic clock. */
  readonly deadline: number;
  wrongProofs: number;
}

/**
 * Nonces that were handed out and not used yet. A nonce serves one request whose proof verified. A proof that does not
 * verify only counts against it: otherwise an attacker who reads along could kill every nonce of a client by one broken request.
 * Where too many are out, the oldest goes: a refusal would let a stranger block a client by asking first.
 */
export class Challenges {
  readonly #clock: Clock;
  readonly #random: Random;
  #outstanding: Challenge[] = [];

  constructor(dependencies: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = dependencies.clock;
    this.#random = dependencies.random;
  }

  /** A fresh nonce for the token of that identity, good for 30 s. */
  issue(token: string): Uint8Array {
    this.#forgetOld();
    const own = this.#outstanding.filter((challenge) => challenge.token === token);
    if (own.length >= OUTSTANDING_PER_TOKEN) {
      this.#outstanding = this.#outstanding.filter((challenge) => challenge !== own[0]);
    }
    const nonce = this.#random.bytes(CHALLENGE_NONCE_BYTES);
    this.#outstanding.push({ token, nonce, deadline: this.#clock.monotonic() + LIFETIME, wrongProofs: 0 });
    return nonce;
  }

  isOutstanding(token: string, nonce: Uint8Array): boolean {
    this.#forgetOld();
    return this.#find(token, nonce) !== undefined;
  }

  /** After a proof verified: the nonce is gone. */
  spend(token: string, nonce: Uint8Array): void {
    const spent = this.#find(token, nonce);
    this.#outstanding = this.#outstanding.filter((challenge) => challenge !== spent);
  }

  /** After a proof did not verify. */
  countWrongProof(token: string, nonce: Uint8Array): void {
    const tried = this.#find(token, nonce);
    if (tried === undefined) return;
    tried.wrongProofs += 1;
    if (tried.wrongProofs >= WRONG_PROOFS) this.spend(token, nonce);
  }

  /** For tokens that are held no more. */
  keepOnly(tokens: ReadonlySet<string>): void {
    this.#outstanding = this.#outstanding.filter(({ token }) => tokens.has(token));
  }

  get size(): number {
    return this.#outstanding.length;
  }

  #find(token: string, nonce: Uint8Array): Challenge | undefined {
    return this.#outstanding.find((challenge) => challenge.token === token && equal(challenge.nonce, nonce));
  }

  #forgetOld(): void {
    const now = this.#clock.monotonic();
    this.#outstanding = this.#outstanding.filter(({ deadline }) => deadline > now);
  }
}
