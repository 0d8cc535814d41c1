/** Keys that JWEs for the hub are opened with. */
import { createPrivateKey, createSecretKey, type KeyObject } from 'node:crypto';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { bytesFromJwk } from './cose/jwk-members.ts';

/** `ECDH-ES` without a wrapped key is what a client's copy of a session key is sealed with; `importJweKey` makes no such key. */
type JweAlgorithm = 'ECDH-ES+A128KW' | 'ECDH-ES' | 'dir';

/** One key, one algorithm. The `KeyObject` never prints. */
export interface JweKey {
  readonly algorithm: JweAlgorithm;
  readonly keyId: string | undefined;
  readonly key: KeyObject;
}

/** Curves of RFC 7518 §4.6 and RFC 8037 §3.2 that an ECDH-ES key may be on, with the bytes of a private key. */
const CURVES: ReadonlyMap<unknown, number> = new Map([
  ['P-256', 32],
  ['P-384', 48],
  ['X25519', 32],
]);
const CONTENT_KEY_BYTES = 16;

/**
 * A private EC or OKP JWK serves ECDH-ES+A128KW, a symmetric one of 16 bytes serves dir with A128GCM.
 * @throws {LatchkeyError} `jwk_invalid`
 */
export function importJweKey(jwk: JsonObject): JweKey {
  const { kid, use } = jwk;
  if (kid !== undefined && typeof kid !== 'string') throw new LatchkeyError('jwk_invalid', 'kid');
  if (use !== undefined && use !== 'enc') throw new LatchkeyError('jwk_invalid', 'use is not enc');
  return jwk.kty === 'oct' ? { ...importSymmetric(jwk), keyId: kid } : { ...importPrivate(jwk), keyId: kid };
}

function importSymmetric(jwk: JsonObject): Pick<JweKey, 'algorithm' | 'key'> {
  const { alg } = jwk;
  if (alg !== undefined && alg !== 'dir' && alg !== 'A128GCM') throw new LatchkeyError('jwk_invalid', 'alg');
  return { algorithm: 'dir', key: createSecretKey(bytesFromJwk(jwk, 'k', CONTENT_KEY_BYTES)) };
}

function importPrivate(jwk: JsonObject): Pick<JweKey, 'algorithm' | 'key'> {
  const { alg, crv } = jwk;
  if (alg !== undefined && alg !== 'ECDH-ES+A128KW') throw new LatchkeyError('jwk_invalid', 'alg');
  const privateBytes = CURVES.get(crv);
  if (privateBytes === undefined) throw new LatchkeyError('jwk_invalid', 'crv');
  // OpenSSL takes a private key of any length, even of none.
  bytesFromJwk(jwk, 'd', privateBytes);
  try {
    return { algorithm: 'ECDH-ES+A128KW', key: createPrivateKey({ key: jwk, format: 'jwk' }) };
  } catch (error) {
    // The library's message may quote members: only its code is kept.
    throw new LatchkeyError('jwk_invalid', errorCode(error));
  }
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'import failed';
}
