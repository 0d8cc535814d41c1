import { LIMITS } from '../../src/core/limits.ts';

export interface IndicationsOptions {
  /** Sends one value as an indication. bleno cuts it to the MTU less 3 bytes, and says nothing of it. */
  readonly indicate: (value: Buffer) => void;
  /** Bytes of a value that an indication carries: the MTU less opcode and handle. */
  readonly size: number;
}

/** A read answers with two bytes more than an indication carries: it names no handle. */
const READ_CARRIES_MORE = 2;

/**
 * What the upstream characteristic of one connection says. Indications go out one at a time, the next one when the last
 * was confirmed (Bluetooth Core 5.4, Vol 3 Part F §3.4.7.2): bleno has no queue of its own. A value that is longer than an
 * indication is read by the hub, and nothing but an acknowledgement goes out before it has been.
 */
export class Indications {
  readonly #options: IndicationsOptions;
  readonly #waiting: Uint8Array[] = [];
  #unconfirmed = false;
  #unread = false;
  #message: Uint8Array = new Uint8Array(0);

  constructor(options: IndicationsOptions) {
    this.#options = options;
  }

  /** A hub that writes and confirms nothing gets no more than its radio can hold; the rest of the answers is lost. */
  send(value: Uint8Array): void {
    if (this.#waiting.length === LIMITS.gattWaiting) return;
    this.#waiting.push(value);
    this.#next();
  }

  confirmed(): void {
    this.#unconfirmed = false;
    this.#next();
  }

  /**
   * What the characteristic reads as: the last message that was not empty, whole. An acknowledgement, which is one byte,
   * does not replace it: it may come before the hub has read everything. Undefined for an offset past the end.
   */
  read(offset: number): Uint8Array | undefined {
    const rest = offset > this.#message.length ? undefined : this.#message.subarray(offset);
    if (rest !== undefined && rest.length <= this.#options.size + READ_CARRIES_MORE) {
      this.#unread = false;
      // After the answer, of which `rest` is a part.
      queueMicrotask(() => this.#next());
    }
    return rest;
  }

  #next(): void {
    const value = this.#waiting[0];
    if (value === undefined || this.#unconfirmed) return;
    const isEmpty = value.length === 1;
    // Two messages can be on their way when both sides began at once: each looks like the acknowledgement of the other.
    if (this.#unread && !isEmpty) return;
    this.#waiting.shift();
    if (!isEmpty) {
      this.#message = value;
      this.#unread = value.length > this.#options.size;
    }
    this.#unconfirmed = true;
    this.#options.indicate(Buffer.from(value));
  }
}
