import type { JsonObject } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';
import type { KeyRing } from './key-ring.ts';

/**
 * Keys of an issuer as devices are given them: those that a small device can check signatures with, ES256 and EdDSA, each
 * with what is needed for that and its `alg`. In an order of their own, so that a server that shuffles its key set changes
 * nothing for devices; of one `kid` only the first, and no more than a device takes.
 */
export function keysForDevices(ring: KeyRing): readonly JsonObject[] {
  const byName = new Map<string, JsonObject>();
  for (const [index, { keyId, verifiers }] of ring.keys.entries()) {
    const alg = verifiers.has('ES256') ? 'ES256' : verifiers.has('EdDSA') ? 'EdDSA' : undefined;
    const jwk = ring.jwks[index];
    if (alg === undefined || jwk === undefined) continue;
    const { kty, crv, x, y } = jwk;
    const name = keyId === undefined ? `x ${String(x)}` : `kid ${keyId}`;
    if (byName.has(name)) continue;
    byName.set(name, {
      kty,
      crv,
      x,
      ...(y === undefined ? {} : { y }),
      ...(keyId === undefined ? {} : { kid: keyId }),
      alg,
    } as JsonObject);
  }
  return [...byName]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, LIMITS.trustedIssuerKeys)
    .map(([, jwk]) => jwk);
}
