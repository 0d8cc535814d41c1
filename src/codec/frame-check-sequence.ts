/** The 16-bit frame check sequence of RFC 1662 appendix C.2: polynomial 0x8408 (reflected), all ones before and after. */

const FCS_TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0x8408 : value >>> 1;
  return value;
});

/** What the sequence over a message and its own sequence is, whatever the message (RFC 1662 appendix C.1, before the XOR). */
export const GOOD_RESIDUE = 0xf0b8 ^ 0xffff;

/** FCS-16 over the first `length` bytes as a number; the wire carries its low byte first (RFC 1662 appendix C.2). */
export function frameCheckSequence(bytes: Uint8Array, length: number = bytes.length): number {
  let fcs = 0xffff;
  // By index: this runs over every byte of every line, and an iterator costs several times as much.
  for (let at = 0; at < length; at += 1) fcs = (fcs >>> 8) ^ (FCS_TABLE[(fcs ^ (bytes[at] ?? 0)) & 0xff] ?? 0);
  return fcs ^ 0xffff;
}
