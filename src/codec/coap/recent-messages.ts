import { equal } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { LIMITS } from '../../core/limits.ts';

/** A message of the peer, and how it was answered so far: an acknowledgement or a reset, to be repeated as it was. */
export interface RecentMessage {
  readonly bytes: Uint8Array;
  readonly heardAt: number;
  answer: Uint8Array | undefined;
}

/**
 * Deduplication by message id (RFC 7252 §4.5), bounded in number and age. A retransmission is the same message byte for
 * byte; one with the id of an earlier message but other bytes is new, which keeps a device that lost its power, and
 * counts its message ids from the start again, from getting answers to older questions.
 */
export class RecentMessages {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #lifetime: number;
  readonly #byMessageId = new Map<number, RecentMessage>();

  constructor(clock: Pick<Clock, 'monotonic'>, lifetime: number) {
    this.#clock = clock;
    this.#lifetime = lifetime;
  }

  find(messageId: number, bytes: Uint8Array): RecentMessage | undefined {
    const known = this.#byMessageId.get(messageId);
    if (known === undefined || this.#clock.monotonic() - known.heardAt > this.#lifetime) return undefined;
    return equal(known.bytes, bytes) ? known : undefined;
  }

  remember(messageId: number, bytes: Uint8Array): RecentMessage {
    const entry = { bytes: bytes.slice(), heardAt: this.#clock.monotonic(), answer: undefined };
    // Deleted first so that the map's order is the order of arrival, and its first entry the oldest.
    this.#byMessageId.delete(messageId);
    this.#byMessageId.set(messageId, entry);
    const [oldest] = this.#byMessageId.keys();
    if (this.#byMessageId.size > LIMITS.coapExchanges && oldest !== undefined) this.#byMessageId.delete(oldest);
    return entry;
  }

  clear(): void {
    this.#byMessageId.clear();
  }
}
