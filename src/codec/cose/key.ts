/** Keys for COSE: ready `KeyObject`s of one algorithm each, from JWK (RFC 7517, RFC 7518 §6, RFC 8037). */
import { createECDH, createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import { base64url, concat, equal } from '../../core/bytes.ts';
import type { WrapAlgorithm } from '../../core/device-profile.ts';
import { LatchkeyError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import { isOfSmallOrder } from '../small-order.ts';
import { kindOf, secretLength } from './algorithm.ts';
import { algorithmFromJwk, bytesFromJwk, keyIdFromJwk, textFromJwk } from './jwk-members.ts';
import { isOnP256 } from './p256.ts';

export { coseKeyFromJwk, coseThumbprint, jwkFromCoseKey } from './key-map.ts';

/** One key, one algorithm (RFC 9052 §7). A `KeyObject` never prints its key. */
export interface CoseKey {
  readonly algorithm: WrapAlgorithm;
  /** COSE `kid`: the UTF-8 bytes of the JWK's. */
  readonly keyId: Uint8Array | undefined;
  readonly key: KeyObject;
}

const IMPLIED: ReadonlyMap<string, WrapAlgorithm> = new Map([
  ['EC P-256', 'ES256'],
  ['OKP Ed25519', 'EdDSA'],
]);
const KEY_OPERATIONS = {
  sign1: ['sign', 'verify'],
  mac0: ['sign', 'verify'],
  encrypt0: ['encrypt', 'decrypt'],
} as const;
const COORDINATE_BYTES = 32;
/** Nobody needs a longer shared secret than the block of SHA-256, past which HMAC hashes it. */
const MAX_SECRET_BYTES = 64;

/**
 * A key from a JWK: EC P-256, OKP Ed25519 (public, or private with `d`) or oct. The algorithm comes from the argument, the
 * JWK's `alg`, or for EC and OKP from the curve; where several say one they must agree.
 * @throws {LatchkeyError} `jwk_invalid`, without any part of the key
 */
export function importJwk(jwk: JsonObject, algorithm?: WrapAlgorithm): CoseKey {
  const kind = `${textFromJwk(jwk, 'kty')}${jwk.crv === undefined ? '' : ` ${textFromJwk(jwk, 'crv')}`}`;
  const chosen = chooseAlgorithm(jwk, kind, algorithm);
  checkUse(jwk, chosen);
  return { algorithm: chosen, keyId: keyIdFromJwk(jwk), key: keyObject(jwk, kind, chosen) };
}

function chooseAlgorithm(jwk: JsonObject, kind: string, asked: WrapAlgorithm | undefined): WrapAlgorithm {
  const implied = IMPLIED.get(kind);
  if (implied === undefined && kind !== 'oct') throw invalid('kty and crv are none that Latchkey supports');
  const candidates = [asked, algorithmFromJwk(jwk), implied].filter((algorithm) => algorithm !== undefined);
  const [chosen] = candidates;
  if (chosen === undefined) throw invalid('an oct key needs alg');
  if (candidates.some((algorithm) => algorithm !== chosen)) throw invalid('the key is of another algorithm');
  if (implied === undefined && kindOf(chosen) === 'sign1') throw invalid('a shared secret signs nothing');
  return chosen;
}

function checkUse(jwk: JsonObject, algorithm: WrapAlgorithm): void {
  const use = jwk.use;
  const expected = kindOf(algorithm) === 'encrypt0' ? 'enc' : 'sig';
  if (use !== undefined && use !== expected) throw invalid('use does not fit the algorithm');
  const operations = jwk.key_ops;
  if (operations === undefined) return;
  const fitting: readonly string[] = KEY_OPERATIONS[kindOf(algorithm)];
  if (!Array.isArray(operations) || !operations.some((name) => fitting.includes(name))) {
    throw invalid('key_ops does not fit the algorithm');
  }
}

function keyObject(jwk: JsonObject, kind: string, algorithm: WrapAlgorithm): KeyObject {
  if (kind === 'oct') return secretKey(jwk, algorithm);
  const x = bytesFromJwk(jwk, 'x', COORDINATE_BYTES);
  const y = kind === 'EC P-256' ? curveY(jwk, x) : undefined;
  if (y === undefined && isOfSmallOrder(x)) throw invalid('a point of small order');
  const members: Record<string, string> =
    y === undefined
      ? { kty: 'OKP', crv: 'Ed25519', x: base64url(x) }
      : { kty: 'EC', crv: 'P-256', x: base64url(x), y: base64url(y) };
  if (jwk.d === undefined) return createPublicKey({ key: members, format: 'jwk' });
  const d = bytesFromJwk(jwk, 'd', COORDINATE_BYTES);
  return y === undefined ? ed25519Private(members, d, x) : p256Private(members, d, concat(x, y));
}

function curveY(jwk: JsonObject, x: Uint8Array): Uint8Array {
  const y = bytesFromJwk(jwk, 'y', COORDINATE_BYTES);
  if (!isOnP256(x, y)) throw invalid('the point is not on the curve');
  return y;
}

/** OpenSSL takes the point beside d as it is: a pair that does not belong together would sign for nobody. */
function p256Private(members: Record<string, string>, d: Uint8Array, point: Uint8Array): KeyObject {
  const curve = createECDH('prime256v1');
  try {
    curve.setPrivateKey(d);
  } catch {
    // Whatever the library says of a private key stays here.
    throw invalid('d is out of range');
  }
  if (!equal(curve.getPublicKey().subarray(1), point)) throw invalid('d is of another key');
  return createPrivateKey({ key: { ...members, d: base64url(d) }, format: 'jwk' });
}

function ed25519Private(members: Record<string, string>, d: Uint8Array, x: Uint8Array): KeyObject {
  const key = createPrivateKey({ key: { ...members, d: base64url(d) }, format: 'jwk' });
  if (createPublicKey(key).export({ format: 'jwk' }).x !== base64url(x)) throw invalid('d is of another key');
  return key;
}

function secretKey(jwk: JsonObject, algorithm: WrapAlgorithm): KeyObject {
  const secret = bytesFromJwk(jwk, 'k');
  const length = secretLength(algorithm);
  const fits =
    kindOf(algorithm) === 'encrypt0'
      ? secret.length === length
      : secret.length >= length && secret.length <= MAX_SECRET_BYTES;
  if (!fits) throw invalid('k has another size than the algorithm needs');
  return createSecretKey(secret);
}

function invalid(detail: string): LatchkeyError {
  return new LatchkeyError('jwk_invalid', detail);
}
