import { equal } from '../core/bytes.ts';
import type { Timers } from '../core/clock.ts';
import { isCoded } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import {
  decodeGattMessage,
  encodeGattMessage,
  type GattBit,
  type GattContent,
  type GattMessage,
  isReserved,
} from './gatt-message.ts';

export interface GattSubLayerOptions {
  /** Puts one value on the radio, reliably and in order: a write with response, or an indication. Must not throw. */
  readonly send: (value: Uint8Array) => void;
  /** A message of the peer, once. */
  readonly onContent: (content: GattContent, confirm: boolean) => void;
  /** What was sent is not acknowledged in time. Nothing goes out on this connection any more: end it. */
  readonly onStalled: () => void;
  readonly timers: Timers;
  /** Milliseconds that an acknowledgement waits for a message to go along with. */
  readonly acknowledgeAfter: number;
  /** Milliseconds that the peer has to acknowledge. */
  readonly acknowledgementDeadline: number;
}

export interface GattCounters {
  valuesReceived: number;
  valuesSent: number;
  /** Values that came again. */
  valuesRepeated: number;
  /** Values with the reserved bit set, which are of a version to come. */
  valuesReserved: number;
  valuesMalformed: number;
  /** Messages not sent because too many wait for the peer's acknowledgement. */
  valuesNotSent: number;
  /** Times that the peer did not acknowledge before the deadline. */
  stalled: number;
}

export function newGattCounters(): GattCounters {
  return {
    valuesReceived: 0,
    valuesSent: 0,
    valuesRepeated: 0,
    valuesReserved: 0,
    valuesMalformed: 0,
    valuesNotSent: 0,
    stalled: 0,
  };
}

/**
 * The message sub-layer of one connection, in its minimal use (draft-ietf-core-coap-over-gatt): reliable values only, C set
 * in every message but the empty ones, and one unacknowledged message at a time. Both sides of a connection are alike.
 *
 * The text there sets A to 0 before anything was received, and M to 0 in the first message. So two first messages that
 * cross look acknowledged: the second message then goes out early, which on a medium that keeps the order loses nothing.
 */
export class GattSubLayer {
  readonly #options: GattSubLayerOptions;
  readonly #counters: GattCounters;
  readonly #waiting: GattContent[] = [];
  /** Turned before each message, so that the first one has 0. */
  #messageId: GattBit = 1;
  #acknowledgement: GattBit = 0;
  /** The peer waits for an acknowledgement that no message took along yet. */
  #owed: (() => void) | undefined;
  /** A message is out and not acknowledged. */
  #outstanding: (() => void) | undefined;
  #lastValue: Uint8Array | undefined;
  #lastConfirmed: { readonly messageId: GattBit; readonly content: Uint8Array } | undefined;
  #closed = false;

  constructor(options: GattSubLayerOptions, counters: GattCounters = newGattCounters()) {
    this.#options = options;
    this.#counters = counters;
  }

  counters(): Readonly<GattCounters> {
    return { ...this.#counters };
  }

  /** Sends a message, now or when the one before it is acknowledged. */
  send(content: GattContent): void {
    if (this.#closed) return;
    if (this.#waiting.length === LIMITS.gattWaiting) {
      this.#counters.valuesNotSent += 1;
      return;
    }
    this.#waiting.push(content);
    this.#sendNext();
  }

  /** Acknowledges at once what still waits to be. */
  flush(): void {
    if (this.#owed === undefined) return;
    this.#put({ messageId: this.#messageId, confirm: false, content: undefined });
  }

  /** Takes one value as it came from the radio. Nothing that it is given makes it throw. */
  receive(value: Uint8Array): void {
    if (this.#closed) return;
    this.#counters.valuesReceived += 1;
    if (isReserved(value)) {
      this.#counters.valuesReserved += 1;
      return;
    }
    const message = this.#decode(value);
    if (message === undefined) return;
    const isRepeated = this.#isRepeated(message, value);
    this.#lastValue = value.slice();
    if (message.acknowledgement === this.#messageId) this.#acknowledged();
    if (isRepeated) this.#counters.valuesRepeated += 1;
    // A repetition says that the acknowledgement did not arrive, so it is acknowledged again.
    if (message.confirm) this.#owe(message);
    if (!isRepeated && message.content !== undefined) this.#options.onContent(message.content, message.confirm);
    this.#sendNext();
  }

  /** No timer is left, and nothing is sent any more. */
  close(): void {
    this.#closed = true;
    this.#owed?.();
    this.#outstanding?.();
    this.#waiting.length = 0;
  }

  #decode(value: Uint8Array): GattMessage | undefined {
    try {
      return decodeGattMessage(value);
    } catch (error) {
      if (!isCoded(error, 'coap_message_invalid')) throw error;
      this.#counters.valuesMalformed += 1;
      return undefined;
    }
  }

  /**
   * "Message deduplication" there compares with the value before. One that is to be confirmed may also come again behind
   * an empty message, with another A in it; a new one has another M.
   */
  #isRepeated({ confirm, messageId, content }: GattMessage, value: Uint8Array): boolean {
    if (this.#lastValue !== undefined && equal(this.#lastValue, value)) return true;
    if (!confirm || content === undefined) return false;
    const last = this.#lastConfirmed;
    const repeated = last !== undefined && last.messageId === messageId && equal(last.content, content.bytes);
    this.#lastConfirmed = { messageId, content: content.bytes };
    return repeated;
  }

  #owe({ messageId }: GattMessage): void {
    this.#acknowledgement = messageId;
    this.#owed ??= this.#options.timers.after(this.#options.acknowledgeAfter, () => this.flush());
  }

  #acknowledged(): void {
    this.#outstanding?.();
    this.#outstanding = undefined;
  }

  #sendNext(): void {
    if (this.#closed || this.#outstanding !== undefined) return;
    const content = this.#waiting.shift();
    if (content === undefined) return;
    this.#messageId = this.#messageId === 0 ? 1 : 0;
    this.#outstanding = this.#options.timers.after(this.#options.acknowledgementDeadline, () => this.#stall());
    this.#put({ messageId: this.#messageId, confirm: true, content });
  }

  #put(message: Omit<GattMessage, 'acknowledgement'>): void {
    this.#owed?.();
    this.#owed = undefined;
    this.#counters.valuesSent += 1;
    this.#options.send(encodeGattMessage({ ...message, acknowledgement: this.#acknowledgement }));
  }

  #stall(): void {
    this.#counters.stalled += 1;
    this.close();
    this.#options.onStalled();
  }
}
