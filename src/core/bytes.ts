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
  if (bytes.toString('base64url') !== text) throw new LatchkeyError('base64url_invalid');
  return bytes;
}

/** Compares in time that depends on the lengths only. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

export function sha256(bytes: Uint8Array | string): Uint8Array {
  return hash('sha256', bytes, 'buffer');
}

/** Lexicographic order of the bytes, as RFC 8949 §4.2.1 sorts encoded map keys. */
export function compare(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}
