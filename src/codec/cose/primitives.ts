/**
 * The cryptographic primitives below COSE, each over node:crypto with keys imported once. Synchronous, but for a
 * signature that others need not wait for (docs/architecture.md).
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  type KeyObject,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto';
import { verifyAside } from '../../core/aside.ts';
import { allocate, fromBinary } from '../../core/bytes.ts';
import type { WrapAlgorithm } from '../../core/device-profile.ts';
import { LatchkeyError } from '../../core/errors.ts';

/** Bytes of a signature of either algorithm: r and s of 32 bytes, or R and S (RFC 9053 §2.1, §2.2). */
const SIGNATURE_BYTES = 64;

export type SignatureAlgorithm = Extract<WrapAlgorithm, 'ES256' | 'EdDSA'>;
export type MacAlgorithm = Extract<WrapAlgorithm, `HMAC ${string}`>;
export type EncryptionAlgorithm = Extract<WrapAlgorithm, 'AES-CCM-16-64-128' | 'A128GCM'>;

export interface Sealing {
  readonly algorithm: EncryptionAlgorithm;
  readonly key: KeyObject;
  /** 13 bytes for AES-CCM-16-64-128, 12 for A128GCM. */
  readonly nonce: Uint8Array;
  readonly additionalData: Uint8Array;
}

export function signBytes(algorithm: SignatureAlgorithm, key: KeyObject, data: Uint8Array): Uint8Array {
  return algorithm === 'ES256' ? sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' }) : sign(undefined, data, key);
}

export function verifyBytes(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false;
  return algorithm === 'ES256'
    ? verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature)
    : verify(undefined, data, key, signature);
}

/** The same on another thread (core/aside.ts). */
export function verifyBytesAside(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  data: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  if (signature.length !== SIGNATURE_BYTES) return Promise.resolve(false);
  return algorithm === 'ES256'
    ? verifyAside('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature)
    : verifyAside(undefined, data, key, signature);
}

/** HMAC with SHA-256 (RFC 9053 §3.1): all 32 bytes, or the leftmost 8. */
export function macBytes(algorithm: MacAlgorithm, key: KeyObject, data: Uint8Array): Uint8Array {
  const mac = createHmac('sha256', key).update(data).digest('binary');
  return fromBinary(algorithm === 'HMAC 256/64' ? mac.slice(0, 8) : mac);
}

export function checkMac(algorithm: MacAlgorithm, key: KeyObject, data: Uint8Array, mac: Uint8Array): boolean {
  const expected = macBytes(algorithm, key, data);
  return expected.length === mac.length && timingSafeEqual(expected, mac);
}

/** Ciphertext with the authentication tag after it (RFC 9052 §5.3): 8 bytes for CCM, 16 for GCM. */
export function seal({ algorithm, key, nonce, additionalData }: Sealing, plaintext: Uint8Array): Uint8Array {
  const authTagLength = tagLength(algorithm);
  const cipher =
    algorithm === 'A128GCM'
      ? createCipheriv('aes-128-gcm', key, nonce, { authTagLength })
      : createCipheriv('aes-128-ccm', key, nonce, { authTagLength });
  cipher.setAAD(additionalData, { plaintextLength: plaintext.length });
  const out = allocate(plaintext.length + authTagLength);
  out.set(cipher.update(plaintext), 0);
  cipher.final();
  out.set(cipher.getAuthTag(), plaintext.length);
  return out;
}

/** @throws {LatchkeyError} `cose_verification_failed` */
export function unseal({ algorithm, key, nonce, additionalData }: Sealing, sealed: Uint8Array): Uint8Array {
  const authTagLength = tagLength(algorithm);
  const length = sealed.length - authTagLength;
  if (length < 0) throw new LatchkeyError('cose_verification_failed', 'shorter than its tag');
  const decipher =
    algorithm === 'A128GCM'
      ? createDecipheriv('aes-128-gcm', key, nonce, { authTagLength })
      : createDecipheriv('aes-128-ccm', key, nonce, { authTagLength });
  decipher.setAuthTag(sealed.subarray(length));
  decipher.setAAD(additionalData, { plaintextLength: length });
  try {
    // CCM fails in update(), GCM in final().
    const plaintext = decipher.update(sealed.subarray(0, length));
    decipher.final();
    return new Uint8Array(plaintext);
  } catch {
    throw new LatchkeyError('cose_verification_failed');
  }
}

function tagLength(algorithm: EncryptionAlgorithm): number {
  return algorithm === 'A128GCM' ? 16 : 8;
}
