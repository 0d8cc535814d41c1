/** What each COSE algorithm that Latchkey speaks needs: its message kind and its sizes in bytes (RFC 9053). */
import type { WrapAlgorithm } from '../../core/device-profile.ts';
import { LatchkeyError } from '../../core/errors.ts';
import type { CborValue } from '../cbor.ts';
import { COSE_ALGORITHM } from '../iana.ts';

export type CoseKind = 'sign1' | 'mac0' | 'encrypt0';

const KIND: Readonly<Record<WrapAlgorithm, CoseKind>> = {
  ES256: 'sign1',
  EdDSA: 'sign1',
  'HMAC 256/64': 'mac0',
  'HMAC 256/256': 'mac0',
  'AES-CCM-16-64-128': 'encrypt0',
  A128GCM: 'encrypt0',
};

const BY_NUMBER: ReadonlyMap<CborValue | undefined, WrapAlgorithm> = new Map(
  Object.entries(COSE_ALGORITHM).map(([name, number]) => [number, name as WrapAlgorithm]),
);

/** The kind of message that an algorithm protects. */
export function kindOf(algorithm: WrapAlgorithm): CoseKind {
  return KIND[algorithm];
}

/** The algorithm of an `alg` header or of a COSE_Key's `alg`, or undefined where it is none that Latchkey supports. */
export function algorithmOf(value: CborValue | undefined): WrapAlgorithm | undefined {
  return BY_NUMBER.get(value);
}

/**
 * Bytes of the secret: HMAC keys are as long as the hash (RFC 9053 §3.1) or longer, AES keys exactly 16.
 * @throws {LatchkeyError} `cose_algorithm_refused` for a signature algorithm
 */
export function secretLength(algorithm: WrapAlgorithm): number {
  switch (KIND[algorithm]) {
    case 'mac0':
      return 32;
    case 'encrypt0':
      return 16;
    case 'sign1':
      throw new LatchkeyError('cose_algorithm_refused', `${algorithm} has no shared secret`);
  }
}

/**
 * Bytes of the nonce (RFC 9053 §4.1, §4.2): 13 for AES-CCM-16-64-128, 12 for A128GCM.
 * @throws {LatchkeyError} `cose_algorithm_refused` for an algorithm that does not encrypt
 */
export function nonceLength(algorithm: WrapAlgorithm): number {
  if (algorithm === 'AES-CCM-16-64-128') return 13;
  if (algorithm === 'A128GCM') return 12;
  throw new LatchkeyError('cose_algorithm_refused', `${algorithm} does not encrypt`);
}

/** @throws {LatchkeyError} `cose_algorithm_refused` where a key of `algorithm` protects no message of this kind */
export function requireKind(algorithm: WrapAlgorithm, kind: CoseKind): void {
  if (KIND[algorithm] !== kind) throw new LatchkeyError('cose_algorithm_refused', `${algorithm} makes no ${kind}`);
}
