import { constants, type KeyObject, type VerifyKeyObjectInput, verify } from 'node:crypto';
import { verifyAside } from '../core/aside.ts';
import { factsOf, type JwtAlgorithm } from '../core/jwt-algorithms.ts';

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

/** `key`: a public key that fits the algorithm; the caller has judged that (trust/verification-key.ts). */
export function signatureVerifier(algorithm: JwtAlgorithm, key: KeyObject): SignatureVerifier {
  const { digest, signatureBytes = modulusBytes(key) } = factsOf(algorithm);
  const input = verifyInput(algorithm, key);
  const fits = (signature: Uint8Array) => signatureBytes === undefined || signature.length === signatureBytes;
  return {
    algorithm,
    verify: (signed, signature) => fits(signature) && verify(digest, signed, input, signature),
    verifyAside: async (signed, signature) => fits(signature) && (await verifyAside(digest, signed, input, signature)),
  };
}

/**
 * Length of an RSA signature (RFC 8017 §8.1.2, §8.2.2, step 1). OpenSSL accepts one for PSS whose first byte is 0 without that byte too: one of
 * 256 tokens could be spelled in two ways.
 */
function modulusBytes({ asymmetricKeyDetails }: KeyObject): number | undefined {
  const bits = asymmetricKeyDetails?.modulusLength;
  return bits === undefined ? undefined : Math.ceil(bits / 8);
}

/** ECDSA: two big-endian integers, r then s (RFC 7518 §3.4). */
function verifyInput(algorithm: JwtAlgorithm, key: KeyObject): KeyObject | VerifyKeyObjectInput {
  const { form, saltBytes } = factsOf(algorithm);
  switch (form) {
    case 'ecdsa':
      return { key, dsaEncoding: 'ieee-p1363' };
    case 'eddsa':
      return key;
    case 'rsa-pss':
      return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: saltBytes };
    case 'rsa-pkcs1':
      return { key, padding: constants.RSA_PKCS1_PADDING };
  }
}
