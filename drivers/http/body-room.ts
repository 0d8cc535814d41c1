import { LatchkeyError } from '../../src/core/errors.ts';
import { Shares } from '../../src/core/shares.ts';

/** Memory for request bodies, from their first byte until their request is answered. Each network has a share of it. */
export class BodyRoom {
  readonly #overall: number;
  readonly #shares: Shares;
  #taken = 0;

  /** In bytes. */
  constructor(limits: { readonly overall: number; readonly perNetwork: number }) {
    this.#overall = limits.overall;
    this.#shares = new Shares(limits.perNetwork);
  }

  /** @throws {LatchkeyError} `hub_busy` */
  take(network: string | undefined, bytes: number): void {
    if (this.#taken + bytes > this.#overall) throw new LatchkeyError('hub_busy', 'request bodies take all the room');
    if (network !== undefined && !this.#shares.take(network, bytes))
      throw new LatchkeyError('hub_busy', 'request bodies of one network take all of its room');
    this.#taken += bytes;
  }

  release(network: string | undefined, bytes: number): void {
    this.#taken -= bytes;
    if (network !== undefined) this.#shares.release(network, bytes);
  }
}
