/** Byte helpers. Every function takes and returns plain `Uint8Array`s; nothing here keeps a reference to its input. */
import { hash, timingSafeEqual } from 'node:crypto';
import { LatchkeyError } from './errors.ts';

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const utf8Encoder = new TextEncoder();

/** What `toString('latin1')` of a Buffer comes down to. Called by name it needs no Buffer made around the bytes first. */
const { latin1Slice } = Buffer.prototype as unknown as {
  latin1Slice(this: Uint8Array, start: number, end: number): string;
};

export const EMPTY = new Uint8Array(0);

const POOL_BYTES = 8_192;
let pool = new ArrayBuffer(POOL_BYTES);
let poolUsed = 0;

/**
 * Zeroed bytes, out of a pool where they are few: memory outside the heap that each short message would ask for on its own
 * costs more than to encode it. A pool is given out once and from its start to its end, so no reader finds in it what
 * another wrote; it is kept as long as any part of it.
 */
export function allocate(length: number): Uint8Array<ArrayBuffer> {
  if (length > POOL_BYTES / 8) return new Uint8Array(length);
  if (poolUsed + length > POOL_BYTES) {
    pool = new ArrayBuffer(POOL_BYTES);
    poolUsed = 0;
  }
  const bytes = new Uint8Array(pool, poolUsed, length);
  poolUsed += length;
  return bytes;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

export function utf8(text: string): Uint8Array {
  const bytes = allocate(text.length);
  const { read, written } = utf8Encoder.encodeInto(text, bytes);
  // All of it was ASCII, as nearly every text is.
  if (read === text.length && written === text.length) return bytes;
  return utf8Encoder.encode(text);
}

/** Text from UTF-8. @throws {LatchkeyError} `utf8_invalid` for anything that is not well-formed UTF-8 (RFC 3629). */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    throw new LatchkeyError('utf8_invalid');
  }
}

/** Text from bytes that are known to be ASCII. */
export function fromAscii(bytes: Uint8Array): string {
  return latin1Slice.call(bytes, 0, bytes.length);
}

/**
 * An ASCII text that stands for itself: one that was cut out of another keeps all of that in memory, which for what is
 * kept may be a whole token.
 */
export function detached(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** @throws {LatchkeyError} `hex_invalid` for an odd length or a character outside [0-9a-fA-F]. */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) throw new LatchkeyError('hex_invalid');
  return new Uint8Array(Buffer.from(text, 'hex'));
}

/** Base64url without padding (RFC 7515 §2). */
export function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}

/**
 * Bytes from base64url without padding (RFC 7515 §2). Only the one spelling that `base64url` makes is taken, so two
 * texts never stand for the same bytes.
 * @throws {LatchkeyError} `base64url_invalid`
 */
export function fromBase64url(text: string): Uint8Array {
  return decodeBase64url(utf8(text));
}

/** The same from the characters' bytes between `start` and `end`. @throws {LatchkeyError} `base64url_invalid` */
export function decodeBase64url(characters: Uint8Array, start = 0, end = characters.length): Uint8Array {
  const bytes = allocate(((end - start) * 3) >> 2);
  let offset = 0;
  // What belongs to no character of the alphabet has a bit that no other has, so it is enough to look once, at the end.
  let seen = 0;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const a = sextet(characters, at);
    const b = sextet(characters, at + 1);
    const c = sextet(characters, at + 2);
    const d = sextet(characters, at + 3);
    seen |= a | b | c | d;
    bytes[offset] = (a << 2) | (b >> 4);
    bytes[offset + 1] = (b << 4) | (c >> 2);
    bytes[offset + 2] = (c << 6) | d;
    offset += 3;
  }
  // Of one character too many the last bits would be lost, and bits that fill no byte are zero (RFC 4648 §3.5).
  const rest = end - at;
  if (rest === 1) seen = NO_SEXTET;
  if (rest >= 2) {
    const a = sextet(characters, at);
    const b = sextet(characters, at + 1);
    const c = rest === 3 ? sextet(characters, at + 2) : 0;
    seen |= a | b | c;
    bytes[offset] = (a << 2) | (b >> 4);
    if (rest === 3) bytes[offset + 1] = (b << 4) | (c >> 2);
    if ((rest === 3 ? c & 0x03 : b & 0x0f) !== 0) seen = NO_SEXTET;
  }
  if ((seen & NO_SEXTET) !== 0) throw new LatchkeyError('base64url_invalid');
  return bytes;
}

const NO_SEXTET = 64;
const SEXTETS = sextetTable();

function sextetTable(): Uint8Array {
  const table = new Uint8Array(256).fill(NO_SEXTET);
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  for (let value = 0; value < alphabet.length; value++) table[alphabet.charCodeAt(value)] = value;
  return table;
}

function sextet(characters: Uint8Array, at: number): number {
  return SEXTETS[characters[at] as number] as number;
}

/** Compares in time that depends on the lengths only. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

export function sha256(bytes: Uint8Array | string): Uint8Array {
  return fromBinary(hash('sha256', bytes, 'binary'));
}

/**
 * Bytes from a text with one character for each, as node:crypto writes a digest in its encoding `binary`. Digests are
 * asked for in it because one that comes as a Buffer is allocated outside the heap, which takes twice as long as this.
 */
export function fromBinary(text: string): Uint8Array {
  const bytes = allocate(text.length);
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}

/** Lexicographic order of the bytes, as RFC 8949 §4.2.1 sorts encoded map keys. */
export function compare(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}
