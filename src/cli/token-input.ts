/** Which token a file holds, and in which writing. */
import { fromBase64url, fromHex } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';

export type TokenInput =
  | { readonly kind: 'jwt'; readonly text: string }
  | { readonly kind: 'cwt'; readonly bytes: Uint8Array };

const COMPACT = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){2,4}$/;

/**
 * Recognizes a compact JWT or JWE, or a CWT: raw, or as hexadecimal, base64 or base64url text, white space aside. A
 * token never starts like text: the first byte of a COSE message is a tag or an array.
 * @throws {LatchkeyError} `token_unreadable` for text that is none of these
 */
export function recognizeToken(bytes: Uint8Array): TokenInput {
  if (!bytes.every((byte) => (byte >= 0x20 && byte < 0x7f) || byte === 0x0a || byte === 0x0d || byte === 0x09)) {
    return { kind: 'cwt', bytes };
  }
  const text = Buffer.from(bytes).toString('latin1').replace(/\s+/g, '');
  if (COMPACT.test(text)) return { kind: 'jwt', text };
  const decoded = decodeText(text);
  const inner = Buffer.from(decoded).toString('latin1').trim();
  return COMPACT.test(inner) ? { kind: 'jwt', text: inner } : { kind: 'cwt', bytes: decoded };
}

function decodeText(text: string): Uint8Array {
  if (text.length > 0 && text.length % 2 === 0 && /^[0-9a-fA-F]+$/.test(text)) return fromHex(text);
  if (/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) {
    return fromBase64url(text.replace(/=+$/, '').replaceAll('+', '-').replaceAll('/', '_'));
  }
  throw new LatchkeyError('token_unreadable');
}
