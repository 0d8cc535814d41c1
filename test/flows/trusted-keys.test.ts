import { expect, test } from 'vitest';
import { encodeDeviceTrust } from '../../src/codec/device-trust-map.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { trustedKeys } from '../../src/flows/trusted-keys.ts';
import { JWK } from '../fixtures/cose-keys.ts';
import { signingJwk, TRUST } from '../fixtures/device-trust.ts';

const { alg: _, ...bare } = signingJwk('ES256', 'as-1');

test('keys of both algorithms come with their alg, and without what is of no use on a device', () => {
  const published = [{ ...bare, use: 'sig', x5c: ['MII'] }, signingJwk('EdDSA')] as unknown as readonly JsonObject[];
  expect(trustedKeys({ keys: published })).toEqual([signingJwk('ES256', 'as-1'), signingJwk('EdDSA')]);
});

test.each<[string, JsonObject]>([
  ['an RSA key', { kty: 'RSA', n: 'AQAB', e: 'AQAB', alg: 'RS256' }],
  ['a key of another curve', { ...bare, crv: 'P-384' }],
  ['a private key', { ...JWK.ES256 }],
  ['a secret', { ...JWK['HMAC 256/64'] }],
  ['a key to encrypt with', { ...bare, use: 'enc' }],
])('%s is left out', (_name, jwk) => {
  expect(trustedKeys({ keys: [jwk, signingJwk('EdDSA', 'good')] })).toEqual([signingJwk('EdDSA', 'good')]);
});

test('of two keys with one kid the first counts, and of many as many as a device has room for', () => {
  const many = Array.from({ length: 20 }, (_name, index) => signingJwk('ES256', `k${index}`));
  const keys = trustedKeys({ keys: [signingJwk('EdDSA', 'k0'), ...many] });
  expect(keys).toHaveLength(16);
  expect(keys[0]).toEqual(signingJwk('EdDSA', 'k0'));
  expect(() => encodeDeviceTrust({ ...TRUST, issuers: [{ issuer: 'https://as.example', keys }] })).not.toThrow();
});

test('what is no key set has no keys', () => {
  expect(trustedKeys({ keys: 'x' })).toEqual([]);
});
