/** Byte helpers. Every function takes and returns plain `Uint8Array`s; nothing here keeps a reference to its input. */
import { hash, timingSafeEqual } from 'node:crypto';
import { LatchkeyError } from './errors.ts';

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const utf8Encoder = new TextEncoder();

export const EMPTY = new Uint8Array(0);

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
  const bytes = Buffer.from(text, 'base64url');
  if (!isSpelledAs(bytes, text)) throw new LatchkeyError('base64url_invalid');
  return bytes;
}

/**
 * Whether encoding `bytes`, decoded from `text`, gives `text` again, told without encoding: the decoder leaves out what
 * it does not know, so a foreign character shows in the length; it takes `+` and `/` for `-` and `_`; it ignores the bits
 * of the last character that fill no byte; and past ASCII it looks at the low byte of a character alone (`Ł` counts as `A`).
 */
function isSpelledAs(bytes: Uint8Array, text: string): boolean {
  const spare = text.length % 4;
  if (spare === 1 || bytes.length !== (text.length * 3) >> 2) return false;
  if (Buffer.byteLength(text) !== text.length || text.includes('+') || text.includes('/')) return false;
  const last = text.charAt(text.length - 1);
  return spare === 0 || (spare === 2 ? 'AQgw' : 'AEIMQUYcgkosw048').includes(last);
}

/** Compares in time that depends on the lengths only. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

export function sha256(bytes: Uint8Array | string): Uint8Array {
  // By way of a text, since a hash that answers with a Buffer allocates it outside the heap: measured, a third slower.
  return Buffer.from(hash('sha256', bytes, 'binary'), 'latin1');
}

/** Lexicographic order of the bytes, as RFC 8949 §4.2.1 sorts encoded map keys. */
export function compare(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}
