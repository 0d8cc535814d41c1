/** Client-nonces of a device without a clock (RFC 9200 §5.3.1): what proves that a token was asked for a moment ago. */
import { createHmac } from 'node:crypto';
import { concat, equal } from '../core/bytes.ts';
import type { Random } from '../core/clock.ts';

/** Seconds: time for a person to log in at the authorization server, and for the token to come back. */
const LIFETIME = 600;
const TIME_BYTES = 4;
const MAC_BYTES = 8;

/**
 * A nonce is the device's uptime when it was given, in seconds, and a MAC over that under a key that is drawn anew whenever
 * the device is switched on. So the device stores nothing for it, however often a stranger asks, and a restart ends all
 * that were given before.
 */
export class ClientNonces {
  readonly #uptime: () => number;
  readonly #key: Uint8Array;

  /** @param dependencies.uptime whole seconds since the device was switched on */
  constructor(dependencies: { readonly uptime: () => number; readonly random: Pick<Random, 'bytes'> }) {
    this.#uptime = dependencies.uptime;
    this.#key = dependencies.random.bytes(32);
  }

  /** 12 bytes. */
  issue(): Uint8Array {
    const given = new Uint8Array(TIME_BYTES);
    new DataView(given.buffer).setUint32(0, this.#uptime());
    return concat(given, this.#mac(given));
  }

  /** Uptime in seconds when it was given; undefined for one that is too old, or that this device did not give in this run. */
  givenAt(nonce: Uint8Array): number | undefined {
    if (nonce.length !== TIME_BYTES + MAC_BYTES) return undefined;
    const given = nonce.subarray(0, TIME_BYTES);
    if (!equal(this.#mac(given), nonce.subarray(TIME_BYTES))) return undefined;
    const seconds = new DataView(nonce.buffer, nonce.byteOffset).getUint32(0);
    return this.#uptime() - seconds <= LIFETIME ? seconds : undefined;
  }

  #mac(given: Uint8Array): Uint8Array {
    return new Uint8Array(createHmac('sha256', this.#key).update(given).digest().subarray(0, MAC_BYTES));
  }
}
