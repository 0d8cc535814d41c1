import { generateKeyPairSync, verify } from 'node:crypto';
import { exportJWK } from 'jose';
import { expect, test } from 'vitest';
import { bearerToken, requestKey } from '../../src/client/access-token.ts';
import { DpopKey } from '../../src/client/dpop-key.ts';
import type { JsonObject } from '../../src/core/json.ts';

const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const privateJwk = p256.privateKey.export({ format: 'jwk' }) as JsonObject;

test('a generated key cannot be exported', async () => {
  const key = await DpopKey.generate();
  await expect(exportJWK(key.pair.privateKey)).rejects.toThrow();
});

test('a key from a JWK keeps its thumbprint and signs', async () => {
  const key = await DpopKey.fromJwk(privateJwk);
  const again = await DpopKey.fromJwk(privateJwk);
  expect(again.thumbprint).toBe(key.thumbprint);
  expect(key.publicJwk).not.toHaveProperty('d');
  expect(key.coseKey).toMatchObject({ algorithm: 'ES256', keyId: undefined });
  const { sign } = await import('node:crypto');
  const signature = sign('sha256', Buffer.from('x'), key.coseKey.key);
  expect(verify('sha256', Buffer.from('x'), p256.publicKey, signature)).toBe(true);
});

test('a public JWK is refused', async () => {
  const { d: _, ...publicJwk } = privateJwk;
  await expect(DpopKey.fromJwk(publicJwk)).rejects.toMatchObject({ code: 'jwk_invalid' });
});

test('a JWK that is no key is refused without quoting it', async () => {
  const error: unknown = await DpopKey.fromJwk({ ...privateJwk, x: 'not-a-coordinate' }).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code: 'jwk_invalid' });
  expect(String((error as Error).stack)).not.toContain(String(privateJwk.d));
  expect((error as Error).cause).toBeUndefined();
});

test('a shared secret is no DPoP key', async () => {
  await expect(DpopKey.fromJwk({ kty: 'oct', k: 'AAAA', d: 'AAAA' })).rejects.toMatchObject({ code: 'jwk_invalid' });
});

test('a bearer token without its key makes no requests', () => {
  expect(() => requestKey(bearerToken('t'))).toThrowError(expect.objectContaining({ code: 'client_key_missing' }));
});
