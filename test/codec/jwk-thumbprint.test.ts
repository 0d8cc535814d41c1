import { generateKeyPairSync } from 'node:crypto';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { expect, test } from 'vitest';
import { jwkThumbprint } from '../../src/codec/jwk-thumbprint.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { JsonObject } from '../../src/core/json.ts';

const ed25519 = {
  // RFC 8037 appendix A.2 and A.3
  kty: 'OKP',
  crv: 'Ed25519',
  x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
};
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }) as JsonObject;

function code(jwk: JsonObject): string {
  try {
    jwkThumbprint(jwk);
  } catch (error) {
    if (error instanceof LatchkeyError) return error.code;
    throw error;
  }
  return 'none';
}

test('gives the thumbprint of RFC 8037 appendix A.3', () => {
  expect(jwkThumbprint(ed25519)).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
});

test('agrees with jose on a P-256 key, whatever else the JWK holds and in whatever order', async () => {
  const jwk = { use: 'sig', kid: 'a', y: p256.y, x: p256.x, crv: 'P-256', kty: 'EC' } as JsonObject;
  expect(jwkThumbprint(jwk)).toBe(await calculateJwkThumbprint(jwk as unknown as JWK));
});

test('refuses an RSA key', () => {
  expect(code({ kty: 'RSA', n: 'AQAB', e: 'AQAB' })).toBe('jwk_invalid');
});

test('refuses an EC key without y', () => {
  expect(code({ kty: 'EC', crv: 'P-256', x: p256.x as string })).toBe('jwk_invalid');
});

test('refuses a coordinate with padding', () => {
  expect(code({ ...ed25519, x: `${ed25519.x}=` })).toBe('jwk_invalid');
});

test('refuses a coordinate in a second spelling of the same bytes', () => {
  expect(code({ ...ed25519, x: `${ed25519.x.slice(0, -1)}p` })).toBe('jwk_invalid');
});

test('refuses a coordinate of 31 bytes', () => {
  expect(code({ ...ed25519, x: Buffer.alloc(31, 7).toString('base64url') })).toBe('jwk_invalid');
});
