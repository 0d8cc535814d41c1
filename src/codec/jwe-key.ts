/** Keys that JWEs are decrypted with. */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { bytesFromJwk } from './cose/jwk-members.ts';
import { isKeyManagement, type JweKeyType, KEY_MANAGEMENT } from './jwe-algorithms.ts';

/** One private key. Its type says which algorithms it serves. The `KeyObject` never prints. */
export interface JweKey {
  readonly keyType: JweKeyType;
  readonly keyId: string | undefined;
  readonly key: KeyObject;
}

/** The keys of the hub: for each issuer one that it encrypts to, and perhaps the one before. */
export interface DecryptionKeys {
  decryptionKeys(issuer: string): readonly JweKey[];
  /** The issuer that a key of this name is for; undefined for a name that no key has. */
  issuerOfKey(keyId: string): string | undefined;
}

/** Curves of RFC 7518 §6.2.1.1 that an ECDH-ES key may be on, with the bytes of a private key. */
const CURVES: ReadonlyMap<unknown, number> = new Map([
  ['P-256', 32],
  ['P-384', 48],
]);
/** RFC 7518 §4.3 has 2048 bits at least. More than 4096 costs the hub more for each token than it is worth. */
const MODULUS_BITS = { least: 2048, most: 4096 } as const;

/** @throws {LatchkeyError} `jwk_invalid` for what is no private EC or RSA key for decryption */
export function importJweKey(jwk: JsonObject): JweKey {
  const { alg, kid, kty, use } = jwk;
  if (kid !== undefined && typeof kid !== 'string') throw new LatchkeyError('jwk_invalid', 'kid');
  if (use !== undefined && use !== 'enc') throw new LatchkeyError('jwk_invalid', 'use is not enc');
  if (kty !== 'EC' && kty !== 'RSA') throw new LatchkeyError('jwk_invalid', 'kty is neither EC nor RSA');
  if (alg !== undefined && !(isKeyManagement(alg) && KEY_MANAGEMENT[alg].keyType === kty))
    throw new LatchkeyError('jwk_invalid', 'alg');
  return { keyType: kty, keyId: kid, key: kty === 'EC' ? importEc(jwk) : importRsa(jwk) };
}

function importEc(jwk: JsonObject): KeyObject {
  const privateBytes = CURVES.get(jwk.crv);
  if (privateBytes === undefined) throw new LatchkeyError('jwk_invalid', 'crv');
  // OpenSSL accepts a private key of any length, even of none.
  bytesFromJwk(jwk, 'd', privateBytes);
  return importPrivate(jwk);
}

function importRsa(jwk: JsonObject): KeyObject {
  const key = importPrivate(jwk);
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < MODULUS_BITS.least || bits > MODULUS_BITS.most) throw new LatchkeyError('jwk_invalid', `${bits} bits`);
  return key;
}

function importPrivate(jwk: JsonObject): KeyObject {
  if (jwk.d === undefined) throw new LatchkeyError('jwk_invalid', 'a public key');
  try {
    return createPrivateKey({ key: jwk, format: 'jwk' });
  } catch (error) {
    // The library's message may quote members: only its code is kept.
    throw new LatchkeyError('jwk_invalid', errorCode(error));
  }
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'import failed';
}
