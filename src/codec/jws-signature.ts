import { constants, type KeyObject, type VerifyKeyObjectInput, verify } from 'node:crypto';
import { verifyAside } from '../core/aside.ts';

/**
 * Algorithms that an issuer may sign with (RFC 7518 §3.1, RFC 8037 §3.1). `none` and the HMACs are not among them: a key
 * that the hub could sign with is no key of the AS alone. RFC 9864 spells EdDSA with this curve `Ed25519`.
 */
export const JWT_ALGORITHMS = ['ES256', 'EdDSA', 'PS256', 'RS256'] as const;
export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number];

const BY_NAME: ReadonlyMap<string, JwtAlgorithm> = new Map([
  ...JWT_ALGORITHMS.map((name) => [name, name] as const),
  ['Ed25519', 'EdDSA'],
]);

/** The algorithm that a JOSE header or a JWK names, or undefined for every other one. */
export function jwtAlgorithm(name: string): JwtAlgorithm | undefined {
  return BY_NAME.get(name);
}

/** A public key made ready for one algorithm; making it once is what keeps the hot path at the speed of the signature. */
export interface SignatureVerifier {
  readonly algorithm: JwtAlgorithm;
  /**
   * Whether `signature` is one of this key over `signingInput`. Never throws for what a peer sent.
   */
  verify(signingInput: Uint8Array, signature: Uint8Array): boolean;
  /** The same on another thread (core/aside.ts). */
  verifyAside(signingInput: Uint8Array, signature: Uint8Array): Promise<boolean>;
}

/** ES256: two 32-byte big-endian integers, r then s (RFC 7518 §3.4). Ed25519: 64 bytes (RFC 8032 §5.1.6). */
const EC_SIGNATURE_BYTES = 64;

/** `key`: a public key that fits the algorithm; the caller has judged that (trust/verification-key.ts). */
export function signatureVerifier(algorithm: JwtAlgorithm, key: KeyObject): SignatureVerifier {
  switch (algorithm) {
    case 'ES256':
      return verifierOf(algorithm, 'sha256', { key, dsaEncoding: 'ieee-p1363' }, EC_SIGNATURE_BYTES);
    case 'EdDSA':
      return verifierOf(algorithm, undefined, key, EC_SIGNATURE_BYTES);
    case 'PS256':
      // RFC 7518 §3.5: the salt is as long as the hash.
      return verifierOf(algorithm, 'sha256', { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 });
    case 'RS256':
      return verifierOf(algorithm, 'sha256', { key, padding: constants.RSA_PKCS1_PADDING });
  }
}

/** @param bytes length of every signature; undefined where node judges that */
function verifierOf(
  algorithm: JwtAlgorithm,
  digest: string | undefined,
  key: KeyObject | VerifyKeyObjectInput,
  bytes?: number,
): SignatureVerifier {
  const fits = (signature: Uint8Array) => bytes === undefined || signature.length === bytes;
  return {
    algorithm,
    verify: (input, signature) => fits(signature) && verify(digest, input, key, signature),
    verifyAside: async (input, signature) => fits(signature) && (await verifyAside(digest, input, key, signature)),
  };
}
