/** Messages between the hub and a child process, over a pipe: each has its length before it, and none is longer than the reader allows. */
import type { ErrorCode } from '../src/core/error-catalogue.ts';
import { LatchkeyError } from '../src/core/errors.ts';

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
  readonly #code: ErrorCode;
  #pending: Buffer = Buffer.alloc(0);

  /** @param code of the error that a longer message is */
  constructor(most: number, code: ErrorCode) {
    this.#most = most;
    this.#code = code;
  }

  /** @throws {LatchkeyError} `code` for a message that is too long: what follows cannot be read either */
  push(bytes: Buffer): Buffer[] {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    const messages: Buffer[] = [];
    while (this.#pending.length >= HEADER_BYTES) {
      const length = this.#pending.readUInt32LE(0);
      if (length > this.#most)
        throw new LatchkeyError(this.#code, `a message of ${length} bytes between the hub and it`);
      if (this.#pending.length < HEADER_BYTES + length) break;
      messages.push(this.#pending.subarray(HEADER_BYTES, HEADER_BYTES + length));
      this.#pending = this.#pending.subarray(HEADER_BYTES + length);
    }
    return messages;
  }
}
