import { LatchkeyError } from '../../src/core/errors.ts';
import { type NetworkLimits, NetworkShares, type PeerNetwork } from './peer-network.ts';

/** Memory for request bodies, from their first byte until their request is answered. Each network has a share of it. */
export class BodyRoom {
  readonly #overall: number;
  readonly #shares: NetworkShares;
  #taken = 0;

  /** In bytes. */
  constructor(limits: NetworkLimits) {
    this.#overall = limits.overall;
    this.#shares = new NetworkShares(limits);
  }

  /** @throws {LatchkeyError} `hub_busy` */
  take(network: PeerNetwork | undefined, bytes: number): void {
    if (this.#taken + bytes > this.#overall) throw new LatchkeyError('hub_busy', 'request bodies take all the room');
    if (network !== undefined && !this.#shares.take(network, bytes))
      throw new LatchkeyError('hub_busy', 'request bodies of one network take all of its room');
    this.#taken += bytes;
  }

  release(network: PeerNetwork | undefined, bytes: number): void {
    this.#taken -= bytes;
    if (network !== undefined) this.#shares.release(network, bytes);
  }
}
