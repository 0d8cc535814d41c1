/** JWK thumbprints (RFC 7638, RFC 8037 §2) of public keys, synchronous, for the way of every proof. */
import { createHash } from 'node:crypto';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';

/** 32 bytes in base64url: the length of a P-256 coordinate and of an Ed25519 public key. */
const COORDINATE = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;

/**
 * SHA-256 thumbprint of an EC P-256 or OKP Ed25519 public key, base64url. Coordinates must be in the one spelling that
 * base64url has for 32 bytes, so a key has one thumbprint. Whether the point is on the curve is the importer's to check.
 * @throws {LatchkeyError} `jwk_invalid` for any other key
 */
export function jwkThumbprint(jwk: JsonObject): string {
  const x = coordinate(jwk.x);
  // RFC 7638 §3.3: required members only, in lexicographic order, no white space. Nothing here needs JSON escapes.
  if (jwk.kty === 'EC' && jwk.crv === 'P-256') {
    return digest(`{"crv":"P-256","kty":"EC","x":"${x}","y":"${coordinate(jwk.y)}"}`);
  }
  if (jwk.kty === 'OKP' && jwk.crv === 'Ed25519') return digest(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`);
  throw new LatchkeyError('jwk_invalid', 'neither EC P-256 nor OKP Ed25519');
}

function coordinate(value: JsonValue | undefined): string {
  if (typeof value !== 'string' || !COORDINATE.test(value)) {
    throw new LatchkeyError('jwk_invalid', 'a coordinate is not 32 bytes in base64url');
  }
  return value;
}

function digest(canonical: string): string {
  return createHash('sha256').update(canonical).digest('base64url');
}
