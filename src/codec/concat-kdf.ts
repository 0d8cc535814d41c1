/** The key derivation of ECDH-ES in JOSE (RFC 7518 §4.6.2): NIST SP 800-56A, one round of SHA-256. */
import { createHash } from 'node:crypto';
import { EMPTY, utf8 } from '../core/bytes.ts';

/**
 * 128 bits; all lengths in 32 bits, big-endian.
 * @param algorithm `enc` where the key encrypts the content itself, `alg` where it wraps another key
 * @param parties PartyUInfo and PartyVInfo
 */
export function concatKdf(
  secret: Uint8Array,
  algorithm: string,
  parties: readonly [Uint8Array, Uint8Array] = [EMPTY, EMPTY],
): Uint8Array {
  const hash = createHash('sha256').update(uint32(1)).update(secret);
  for (const info of [utf8(algorithm), ...parties]) hash.update(uint32(info.length)).update(info);
  return hash.update(uint32(128)).digest().subarray(0, 16);
}

function uint32(value: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value);
  return out;
}
