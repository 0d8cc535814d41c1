/**
 * CBOR heads in their shortest form (RFC 8949 §3, §4.2.1), for structures whose order never changes and that are made for
 * every token. Everything else goes through `encodeCbor`; a test holds the two together.
 */
import { utf8 } from '../core/bytes.ts';

/** Major types that have a length or a number and no content of their own kind here. */
export type HeadMajor = 2 | 3 | 4 | 5 | 6;

/** The head alone. `argument` is a length, count or tag below 2^32. */
export function head(major: HeadMajor, argument: number): Uint8Array {
  const length = headLength(argument);
  const out = new Uint8Array(length);
  writeHead(out, major, argument, length);
  return out;
}

export function byteString(bytes: Uint8Array): Uint8Array {
  return withHead(2, bytes);
}

export function textString(text: string): Uint8Array {
  return withHead(3, utf8(text));
}

function withHead(major: HeadMajor, content: Uint8Array): Uint8Array {
  const length = headLength(content.length);
  const out = new Uint8Array(length + content.length);
  writeHead(out, major, content.length, length);
  out.set(content, length);
  return out;
}

function headLength(argument: number): number {
  if (argument < 24) return 1;
  if (argument < 0x100) return 2;
  return argument < 0x10000 ? 3 : 5;
}

function writeHead(out: Uint8Array, major: HeadMajor, argument: number, length: number): void {
  if (length === 1) {
    out[0] = (major << 5) | argument;
    return;
  }
  // 24, 25 and 26 announce 1, 2 and 4 bytes, big-endian.
  out[0] = (major << 5) | (length === 2 ? 24 : length === 3 ? 25 : 26);
  for (let index = length - 1, rest = argument; index > 0; index--) {
    out[index] = rest & 0xff;
    rest = Math.floor(rest / 256);
  }
}
