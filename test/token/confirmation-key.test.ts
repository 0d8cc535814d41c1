import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { jwkFromCoseKey } from '../../src/codec/cose/key-map.ts';
import { base64url } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { openConfirmationKey } from '../../src/token/confirmation-key.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { decryptionJwk, encryptTo, hubKeysOf } from '../fixtures/encrypting-issuer.ts';

const ISSUER = 'https://as.example';
const OTHER = 'https://other.example';
const AUDIENCE = 'https://tube-1.example';
const hubJwk = decryptionJwk('hub-enc');
const otherJwk = decryptionJwk('hub-enc-other');
const hubKeys = hubKeysOf({ [ISSUER]: hubJwk, [OTHER]: otherJwk });
const secretJwk: JsonObject = { kty: 'oct', kid: 'session', alg: 'HS256', k: base64url(randomBytes(32)) };
const envelope = { digest: new Uint8Array(32), bytes: 1_000 };

const tokenWith = (confirmation: JsonObject | undefined, changes: object = {}) => ({
  issuer: ISSUER,
  subject: 'nurse-7',
  statedAudience: [AUDIENCE],
  confirmation,
  ...changes,
});
const jweOf = (content: unknown, header: JsonObject = {}, jwk = hubJwk) =>
  encryptTo(jwk, typeof content === 'string' ? content : JSON.stringify(content), { header });
const opened = async (confirmation: JsonObject | undefined, changes: object = {}) => {
  const key = await openConfirmationKey(tokenWith(confirmation, changes), hubKeys);
  return key === undefined ? undefined : jwkFromCoseKey(key.expose());
};
const refusal = (confirmation: JsonObject) => asyncCodeOf(opened(confirmation));

describe('cnf.jwe', () => {
  test('holds a symmetric key', async () => {
    expect(await opened({ jwe: await jweOf(secretJwk) })).toEqual({ ...secretJwk, alg: 'HMAC 256/256' });
  });

  test('serves HMAC 256/256 where the issuer named no algorithm', async () => {
    const { alg: _alg, ...unnamed } = secretJwk;
    expect((await opened({ jwe: await jweOf(unnamed) }))?.alg).toBe('HMAC 256/256');
  });

  test.each<[string, JsonObject]>([
    ['iss', { iss: ISSUER }],
    ['sub', { sub: 'nurse-7' }],
    ['aud', { aud: AUDIENCE }],
    ['aud as a list', { aud: [AUDIENCE] }],
    ['all of them', { iss: ISSUER, sub: 'nurse-7', aud: AUDIENCE }],
  ])('may replicate claims of the token in its header (RFC 7519 section 5.3): %s', async (_name, header) => {
    expect(await refusal({ jwe: await jweOf(secretJwk, header) })).toBe('none');
  });

  test.each<[string, JsonObject]>([
    ['iss', { iss: OTHER }],
    ['iss as a list', { iss: [ISSUER] }],
    ['sub', { sub: 'nurse-8' }],
    ['aud', { aud: 'https://tube-2.example' }],
    ['one aud more', { aud: [AUDIENCE, 'https://tube-2.example'] }],
    ['no aud at all', { aud: [] }],
    ['aud as a number', { aud: 1 }],
  ])('is refused where its header replicates another %s', async (_name, header) => {
    expect(await refusal({ jwe: await jweOf(secretJwk, header) })).toBe('jwe_foreign');
  });

  test('is refused where its kid is of a key for another issuer', async () => {
    expect(await refusal({ jwe: await jweOf(secretJwk, {}, otherJwk) })).toBe('jwe_foreign');
  });

  test('is refused where it is encrypted to the key for another issuer, without kid', async () => {
    const jwe = await encryptTo(otherJwk, JSON.stringify(secretJwk), { header: { kid: undefined } });
    expect(await refusal({ jwe })).toBe('jwe_decryption_failed');
  });

  test('is refused where it is no JWE, or no text', async () => {
    expect([await refusal({ jwe: 'x' }), await refusal({ jwe: {} })]).toEqual(['jwe_invalid', 'confirmation_invalid']);
  });

  test('is refused beside another key', async () => {
    expect(await refusal({ jwe: await jweOf(secretJwk), kid: 'x' })).toBe('confirmation_invalid');
  });

  test.each([
    ['a public key', generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })],
    ['no JSON', 'x'],
    ['no k', '{"kty":"oct"}'],
    ['a short k', '{"kty":"oct","k":"AAAA"}'],
    ['a long k', { kty: 'oct', k: base64url(randomBytes(65)) }],
    ['an algorithm that is not known', { ...secretJwk, alg: 'HS512' }],
  ])('is refused with %s inside', async (_name, content) => {
    expect(await refusal({ jwe: await jweOf(content) })).toBe('confirmation_invalid');
  });
});

describe('a symmetric cnf.jwk', () => {
  test('of a token that is encrypted as a whole is a secret (RFC 7800 section 3.2)', async () => {
    expect(await opened({ jwk: secretJwk }, { envelope })).toEqual({ ...secretJwk, alg: 'HMAC 256/256' });
  });

  test('of a token that is only signed is not read', async () => {
    expect(await opened({ jwk: secretJwk })).toBeUndefined();
  });

  test('is refused where it is no key', async () => {
    expect(await asyncCodeOf(opened({ jwk: { kty: 'oct' } }, { envelope }))).toBe('confirmation_invalid');
  });
});

test.each([undefined, { jkt: 'x' }, { kid: 'x' }, { jwk: { kty: 'EC' } }])(
  'a token with %j holds no secret',
  async (cnf) => {
    expect(await opened(cnf, { envelope })).toBeUndefined();
  },
);
