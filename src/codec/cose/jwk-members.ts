/** The members of a JWK (RFC 7517 §4, RFC 7518 §6), each checked for its form. */
import { fromBase64url, utf8 } from '../../core/bytes.ts';
import { WRAP_ALGORITHMS, type WrapAlgorithm } from '../../core/device-profile.ts';
import { LatchkeyError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';

/** JWK `alg` names beside the COSE names themselves: RFC 7518 §3.1 and RFC 9864 call the same algorithms so. */
const JOSE_NAMES: ReadonlyMap<string, WrapAlgorithm> = new Map([
  ['HS256', 'HMAC 256/256'],
  ['Ed25519', 'EdDSA'],
]);

/** The algorithm that a JWK's `alg` names, or undefined where it has none. @throws {LatchkeyError} `jwk_invalid` */
export function algorithmFromJwk(jwk: JsonObject): WrapAlgorithm | undefined {
  if (jwk.alg === undefined) return undefined;
  const name = textFromJwk(jwk, 'alg');
  const algorithm = JOSE_NAMES.get(name) ?? WRAP_ALGORITHMS.find((known) => known === name);
  if (algorithm === undefined) throw invalid('alg is none that Latchkey supports');
  return algorithm;
}

/** COSE `kid` of a JWK. @throws {LatchkeyError} `jwk_invalid` for one that is no text */
export function keyIdFromJwk(jwk: JsonObject): Uint8Array | undefined {
  return jwk.kid === undefined ? undefined : utf8(textFromJwk(jwk, 'kid'));
}

/** A member of `length` bytes in base64url. @throws {LatchkeyError} `jwk_invalid` */
export function bytesFromJwk(jwk: JsonObject, name: string, length?: number): Uint8Array {
  let bytes: Uint8Array;
  try {
    // A copy: short Buffers share their memory with whatever else the process decodes.
    bytes = new Uint8Array(fromBase64url(textFromJwk(jwk, name)));
  } catch (error) {
    throw invalid(`${name} is not base64url`, error);
  }
  if (length !== undefined && bytes.length !== length) throw invalid(`${name} is not ${length} bytes`);
  return bytes;
}

/** @throws {LatchkeyError} `jwk_invalid` */
export function textFromJwk(jwk: JsonObject, name: string): string {
  const value = jwk[name];
  if (typeof value !== 'string') throw invalid(`${name} is missing or no text`);
  return value;
}

function invalid(detail: string, cause?: unknown): LatchkeyError {
  return new LatchkeyError('jwk_invalid', detail, cause === undefined ? undefined : { cause });
}
