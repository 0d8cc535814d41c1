/** Sends one value as an indication. bleno cuts it to the MTU less 3 bytes, and says nothing of it. */
export type Indicate = (value: Buffer) => void;

/**
 * What the upstream characteristic of one connection says. Indications go out one at a time, the next one when the last
 * was confirmed (Bluetooth Core 5.4, Vol 3 Part F §3.4.7.2): bleno has no queue of its own.
 */
export class Indications {
  readonly #indicate: Indicate;
  readonly #waiting: Uint8Array[] = [];
  #unconfirmed = false;
  #message: Uint8Array = new Uint8Array(0);

  constructor(indicate: Indicate) {
    this.#indicate = indicate;
  }

  /**
   * What the characteristic reads as: the last message that was not empty, whole, for a hub that got its beginning. An
   * acknowledgement, which is one byte, does not replace it: it may come before the hub has read everything.
   */
  get readable(): Uint8Array {
    return this.#message;
  }

  send(value: Uint8Array): void {
    this.#waiting.push(value);
    this.#next();
  }

  confirmed(): void {
    this.#unconfirmed = false;
    this.#next();
  }

  #next(): void {
    if (this.#unconfirmed) return;
    const value = this.#waiting.shift();
    if (value === undefined) return;
    if (value.length > 1) this.#message = value;
    this.#unconfirmed = true;
    this.#indicate(Buffer.from(value));
  }
}
