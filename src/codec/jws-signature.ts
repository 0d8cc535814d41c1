import { constants, type KeyObject, type VerifyKeyObjectInput, verify } from 'node:crypto';

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
}

/** ES256: two 32-byte big-endian integers, r then s (RFC 7518 §3.4). Ed25519: 64 bytes (RFC 8032 §5.1.6). */
const EC_SIGNATURE_BYTES = 64;

/** `key`: a public key that fits the algorithm; the caller has judged that (trust/verification-key.ts). */
export function signatureVerifier(algorithm: JwtAlgorithm, key: KeyObject): SignatureVerifier {
  switch (algorithm) {
    case 'ES256': {
      const check = overSha256({ key, dsaEncoding: 'ieee-p1363' });
      return {
        algorithm,
        verify: (input, signature) => signature.length === EC_SIGNATURE_BYTES && check(input, signature),
      };
    }
    case 'EdDSA':
      return {
        algorithm,
        verify: (input, signature) => signature.length === EC_SIGNATURE_BYTES && verify(null, input, key, signature),
      };
    case 'PS256':
      // RFC 7518 §3.5: the salt is as long as the hash.
      return { algorithm, verify: overSha256({ key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }) };
    case 'RS256':
      return { algorithm, verify: overSha256({ key, padding: constants.RSA_PKCS1_PADDING }) };
  }
}

function overSha256(key: VerifyKeyObjectInput) {
  return (input: Uint8Array, signature: Uint8Array) => verify('sha256', input, key, signature);
}
