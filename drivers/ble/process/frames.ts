import { LatchkeyError } from '../../../src/core/errors.ts';

/** Bytes of the length before each message, least significant byte first. */
const HEADER_BYTES = 4;

export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + message.length);
  frame.writeUInt32LE(message.length, 0);
  frame.set(message, HEADER_BYTES);
  return frame;
}

/** Cuts a stream into messages, however their bytes arrive. No message has more than `most` bytes. */
export class FrameReader {
  readonly #most: number;
  #pending: Buffer = Buffer.alloc(0);

  constructor(most: number) {
    this.#most = most;
  }

  /** @throws {LatchkeyError} `radio_process_failed`: what follows cannot be read either */
  push(bytes: Buffer): Buffer[] {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    const messages: Buffer[] = [];
    while (this.#pending.length >= HEADER_BYTES) {
      const length = this.#pending.readUInt32LE(0);
      if (length > this.#most)
        throw new LatchkeyError('radio_process_failed', `a message of ${length} bytes between the hub and it`);
      if (this.#pending.length < HEADER_BYTES + length) break;
      messages.push(this.#pending.subarray(HEADER_BYTES, HEADER_BYTES + length));
      this.#pending = this.#pending.subarray(HEADER_BYTES + length);
    }
    return messages;
  }
}
