import { equal } from '../../core/bytes.ts';
import { LatchkeyError } from '../../core/errors.ts';
import { LIMITS } from '../../core/limits.ts';
import { type CoapMessage, type CoapOption, encodeMessage } from './message.ts';
import { decodeUint, encodeUint, type KnownOptions } from './options.ts';

/** Block-wise transfer: the Block1 and Block2 option values and what is put together from them (RFC 7959 §2). */

export interface Block {
  /** Position in units of `size`. */
  readonly number: number;
  readonly more: boolean;
  /** Bytes, a power of two from 16 to 1024. */
  readonly size: number;
}

const SMALLEST_EXPONENT = 4;
const LARGEST_SIZE = 1024;
/** SZX 7 is reserved for reliable transports (RFC 8323 §6). */
const RESERVED_SZX = 7;
/** NUM has 20 bits. */
const MAXIMUM_NUMBER = 0xfffff;

export function blockOption(number: number, block: Block): CoapOption {
  const exponent = Math.log2(block.size) - SMALLEST_EXPONENT;
  return { number, value: encodeUint(block.number * 16 + (block.more ? 8 : 0) + exponent) };
}

/** @throws {LatchkeyError} `coap_block_invalid` for the reserved size, which is 4.00 (RFC 7959 §2.2) */
export function readBlock(options: KnownOptions, number: number): Block | undefined {
  const value = options.get(number)?.[0];
  if (value === undefined) return undefined;
  const bits = decodeUint(value);
  if ((bits & 7) === RESERVED_SZX) throw new LatchkeyError('coap_block_invalid', 'reserved block size');
  return { number: bits >>> 4, more: (bits & 8) !== 0, size: 2 ** ((bits & 7) + SMALLEST_EXPONENT) };
}

/** Block `number` of `body`, cut to `size` bytes. */
export function sliceBlock(body: Uint8Array, number: number, size: number): { block: Block; payload: Uint8Array } {
  const start = number * size;
  return { block: { number, more: start + size < body.length, size }, payload: body.subarray(start, start + size) };
}

/**
 * The largest block that keeps a message of `options` inside `maxMessageBytes`, which is at least 16 even where nothing
 * fits: the encoder then refuses what cannot be.
 */
export function fittingBlockSize(
  message: Pick<CoapMessage, 'token'>,
  options: readonly CoapOption[],
  maxMessageBytes: number,
): number {
  let size = LARGEST_SIZE;
  while (size > 16 && messageBytes(message, options, size) > maxMessageBytes) size /= 2;
  return size;
}

/** Two at most go together, Block1 with Size1 or with Block2: a byte of header, one of delta and three of value each. */
const BLOCK_OPTIONS_BYTES = 2 * 5;

function messageBytes(message: Pick<CoapMessage, 'token'>, options: readonly CoapOption[], payload: number): number {
  return overhead(message, options) + BLOCK_OPTIONS_BYTES + 1 + payload;
}

/** Bytes of header, token and options. */
export function overhead({ token }: Pick<CoapMessage, 'token'>, options: readonly CoapOption[]): number {
  // Type and code do not change the length: any non-Empty message has the same header.
  return encodeMessage({ type: 0, code: 1, messageId: 0, token, options, payload: new Uint8Array(0) }).length;
}

/**
 * A body growing block by block, in order and without gaps.
 */
export class Assembly {
  readonly #limit: number;
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  /** @param limit most bytes that the body may have */
  constructor(limit: number = LIMITS.coapBodyBytes) {
    this.#limit = limit;
  }

  get length(): number {
    return this.#length;
  }

  /**
   * @returns `gap` where the block is not the next one, `size` where a block that is not the last one is not full or any
   *   is overfull, `limit` where the body would grow too large, else `ok`
   */
  add(block: Block, payload: Uint8Array): 'ok' | 'gap' | 'size' | 'limit' {
    if (block.number * block.size !== this.#length) return 'gap';
    if (block.more ? payload.length !== block.size : payload.length > block.size) return 'size';
    if (this.#length + payload.length > this.#limit || block.number === MAXIMUM_NUMBER) return 'limit';
    this.#parts.push(payload);
    this.#length += payload.length;
    return 'ok';
  }

  /** Whether it is the block added last once more, as after a lost link that took the answer to it along. */
  repeats(block: Block, payload: Uint8Array): boolean {
    const last = this.#parts.at(-1);
    return last !== undefined && block.number * block.size === this.#length - last.length && equal(last, payload);
  }

  body(): Uint8Array {
    const body = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      body.set(part, at);
      at += part.length;
    }
    return body;
  }
}
