/** The token that figures are taken with: what an AS writes by RFC 9068 §2.2, bound to a P-256 key, for one scope. */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { systemRandom } from '../drivers/system-time.ts';
import { type CoseKey, importJwk } from '../src/codec/cose/key.ts';
import type { CwtKeys } from '../src/codec/cwt.ts';
import type { Random } from '../src/core/clock.ts';
import type { DeviceProfile, Wrap } from '../src/core/device-profile.ts';
import type { JsonObject } from '../src/core/json.ts';
import type { VerifiedToken } from '../src/core/verified-token.ts';
import { translate } from '../src/token/translate.ts';
import { issuerPolicy } from '../src/trust/issuer-policy.ts';
import { KeyRing } from '../src/trust/key-ring.ts';
import { verifyJwtWithKeys } from '../src/trust/verify-jwt.ts';

export const ISSUER = 'https://as.example.com';
export const AUDIENCE = 'https://tube-1.example.com';
export const NOW = 1_764_000_000;
export const TIME = { earliest: NOW, latest: NOW };

const issuerKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const hubKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const clientKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });

export const issuerPrivateKey: KeyObject = issuerKeys.privateKey;
export const issuerPublicKey: KeyObject = issuerKeys.publicKey;
/** What the client signs its requests to the device with. */
export const clientKey: CoseKey = importJwk(clientKeys.privateKey.export({ format: 'jwk' }) as JsonObject);
export const clientPublicJwk = clientKeys.publicKey.export({ format: 'jwk' }) as JsonObject;

const policy = issuerPolicy({ issuer: ISSUER, source: { kind: 'file', jwks: {} } });
const ring = new KeyRing(
  { keys: [{ ...(issuerKeys.publicKey.export({ format: 'jwk' }) as JsonObject), kid: 'as-2026-01', alg: 'ES256' }] },
  policy.algorithms,
);

export const random: Random = systemRandom;

export const KEYS: CwtKeys = {
  authentication: importJwk({ kty: 'oct', kid: 'K7fQ', k: randomBytes(32).toString('base64url') }, 'HMAC 256/64'),
  encryption: importJwk({ kty: 'oct', kid: 'e2Lp', k: randomBytes(16).toString('base64url') }, 'AES-CCM-16-64-128'),
};

export const SIGN_KEYS: CwtKeys = {
  authentication: importJwk({ ...(hubKeys.privateKey.export({ format: 'jwk' }) as JsonObject), kid: 'hub1' }),
};

/** A compact JWT with these claims beside the registered ones. */
export function makeJwt(claims: JsonObject = { cnf: { jwk: clientPublicJwk } }): string {
  const header = { typ: 'at+jwt', alg: 'ES256', kid: 'as-2026-01' };
  const payload = {
    iss: ISSUER,
    sub: '248289761001-ekg-ward-3',
    aud: AUDIENCE,
    client_id: 'ekg-machine-17',
    exp: NOW + 3600,
    nbf: NOW - 1,
    iat: NOW - 1,
    jti: '7c1d3c1e-7d0e-4f0b-9f3e-1f2d3c4b5a69',
    scope: 'temperature',
    ...claims,
  };
  const input = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const signature = sign('sha256', Buffer.from(input), { key: issuerPrivateKey, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

export function verifyReference(jwt: string): VerifiedToken {
  return verifyJwtWithKeys(jwt, {
    policy,
    keys: ring,
    keysAge: 0,
    audience: AUDIENCE,
    time: TIME,
    whenUnsure: 'deny',
  });
}

export function deviceProfile(wrap: Wrap, claims: 'slim' | 'full'): DeviceProfile {
  return {
    wrap,
    authentication: wrap.startsWith('sign1') ? 'ES256' : 'HMAC 256/64',
    encryption: 'AES-CCM-16-64-128',
    claims,
    scopes: ['temperature'],
    scopeForm: 'text',
    permissions: {},
    maxTokenBytes: 1024,
    cwtTag: false,
    ctiBytes: 16,
    bearer: false,
    checksProofs: false,
    bind: 'issuer',
    receipt: 'mac0',
    clock: 'own',
  };
}

/** The whole way that figures speak of: verify the JWT, make the CWT. */
export function verifyAndTranslate(jwt: string, profile: DeviceProfile, keys: CwtKeys): Uint8Array {
  return translate(verifyReference(jwt), {
    profile,
    device: 'tube-1',
    audience: AUDIENCE,
    keys,
    random,
    time: TIME,
  }).cwt.expose();
}
