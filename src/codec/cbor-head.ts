/**
 * Byte strings with their heads (RFC 8949 §3) put straight into place: for COSE structures, whose order never changes and
 * which are made for every token. Everything else goes through `encodeCbor`; a test holds the two together.
 */
import { BYTES } from './cbor-major.ts';

/** Bytes that the byte string takes with its head. Lengths are below 2^32. */
export function byteStringLength(bytes: Uint8Array): number {
  return headLength(bytes.length) + bytes.length;
}

/** Puts the byte string at `offset` in the shortest form; the answer is the offset after it. */
export function putByteString(out: Uint8Array, offset: number, bytes: Uint8Array): number {
  const length = headLength(bytes.length);
  if (length === 1) {
    out[offset] = (BYTES << 5) | bytes.length;
  } else {
    // 24, 25 and 26 announce 1, 2 and 4 bytes, big-endian.
    out[offset] = (BYTES << 5) | (length === 2 ? 24 : length === 3 ? 25 : 26);
    for (let index = length - 1, rest = bytes.length; index > 0; index--) {
      out[offset + index] = rest & 0xff;
      rest >>>= 8;
    }
  }
  out.set(bytes, offset + length);
  return offset + length + bytes.length;
}

function headLength(length: number): number {
  if (length < 24) return 1;
  if (length < 0x100) return 2;
  return length < 0x10000 ? 3 : 5;
}
