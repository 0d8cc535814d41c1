/** The keys of an issuer that a device can check a signature with, out of the key set that the hub holds. */
import { importJwk } from '../codec/cose/key.ts';
import { isCoded } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';

/**
 * Public JWKs with their alg, ES256 and EdDSA alone: small devices have no RSA. No `kid` twice, and no more than a device
 * has room for.
 * @param jwks a JWK Set (RFC 7517 §5)
 */
export function trustedKeys(jwks: JsonObject): readonly JsonObject[] {
  const published: readonly JsonValue[] = Array.isArray(jwks.keys) ? jwks.keys : [];
  const keys = new Map<JsonValue | undefined | JsonObject, JsonObject>();
  for (const jwk of published) {
    const key = isJsonObject(jwk) ? trustedKey(jwk) : undefined;
    if (key !== undefined && !keys.has(key.kid)) keys.set(key.kid ?? key, key);
  }
  return [...keys.values()].slice(0, LIMITS.trustedIssuerKeys);
}

function trustedKey(jwk: JsonObject): JsonObject | undefined {
  const { crv, kid, kty, x, y } = jwk;
  const members = { kty, crv, x, y, kid };
  const isSigning = kty === 'EC' || kty === 'OKP';
  if (!isSigning || jwk.d !== undefined) return undefined;
  try {
    const { algorithm } = importJwk(jwk);
    const named = Object.entries({ ...members, alg: algorithm }).filter(([, value]) => value !== undefined);
    return Object.fromEntries(named) as JsonObject;
  } catch (error) {
    if (isCoded(error)) return undefined;
    throw error;
  }
}
