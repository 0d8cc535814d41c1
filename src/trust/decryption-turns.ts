import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { Shares } from '../core/shares.ts';

/**
 * Encrypted tokens that any client may have made, decrypted a few at a time. Each costs more than a stranger may cost otherwise, on
 * threads that the store needs as well. So few run at once, few wait, and each peer has a share of both.
 */
export class DecryptionTurns {
  readonly #ofPeer = new Shares(LIMITS.decryptionsPerPeer);
  readonly #waiting: (() => void)[] = [];
  #underWay = 0;

  /** @throws {LatchkeyError} `hub_busy`; what `decrypt` throws */
  async take<Result>(peer: string, decrypt: () => Promise<Result>): Promise<Result> {
    const isFree = this.#underWay < LIMITS.decryptionsAtOnce;
    if (!isFree && this.#waiting.length >= LIMITS.decryptionsWaiting)
      throw new LatchkeyError('hub_busy', 'encrypted tokens');
    if (!this.#ofPeer.take(peer)) throw new LatchkeyError('hub_busy', 'encrypted tokens of one peer');
    try {
      if (isFree) this.#underWay += 1;
      else await new Promise<void>((resolve) => this.#waiting.push(resolve));
      return await decrypt();
    } finally {
      this.#ofPeer.release(peer);
      // The turn goes to the next, or is free.
      const next = this.#waiting.shift();
      if (next === undefined) this.#underWay -= 1;
      else next();
    }
  }
}
