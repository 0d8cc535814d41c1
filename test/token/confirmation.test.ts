import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { CompactEncrypt, calculateJwkThumbprint, importJWK, type JWK } from 'jose';
import { describe, expect, test } from 'vitest';
import { type CborMap, decodeCbor, encodeCbor } from '../../src/codec/cbor.ts';
import { openEncrypt0 } from '../../src/codec/cose/encrypt0.ts';
import { jwkFromCoseKey } from '../../src/codec/cose/key-map.ts';
import { importJweKey } from '../../src/codec/jwe-key.ts';
import { jwkThumbprint } from '../../src/codec/jwk-thumbprint.ts';
import { base64url, utf8 } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { type ConfirmationContext, translateConfirmation } from '../../src/token/confirmation.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { KEY, testNonce, VERIFYING_KEY } from '../fixtures/cose-keys.ts';

const publicJwk = (type: 'ec' | 'ed25519'): JsonObject => {
  const { publicKey } =
    type === 'ec' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  return publicKey.export({ format: 'jwk' }) as JsonObject;
};
const jwk = publicJwk('ec');
const hubJwk: JsonObject = {
  ...(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }) as JsonObject),
  kid: 'hub-enc',
};
const secretJwk: JsonObject = { kty: 'oct', kid: 'session', alg: 'HS256', k: base64url(randomBytes(32)) };

function context(changes: Partial<ConfirmationContext> = {}): ConfirmationContext {
  return {
    profile: { wrap: 'mac0' },
    proofKey: undefined,
    bindsToPresenter: false,
    hubKeys: [importJweKey(hubJwk)],
    isForeignKey: () => false,
    claims: { issuer: 'https://as.example', subject: 'nurse-7', statedAudience: ['https://tube-1.example'] },
    encryption: KEY['AES-CCM-16-64-128'],
    nonce: testNonce,
    ...changes,
  };
}

async function jweOf(content: string, header: JsonObject = {}): Promise<string> {
  const { d: _private, ...encryptionKey } = hubJwk;
  return new CompactEncrypt(utf8(content))
    .setProtectedHeader({ alg: 'ECDH-ES+A128KW', enc: 'A128GCM', kid: 'hub-enc', ...header })
    .encrypt(await importJWK(encryptionKey as JWK, 'ECDH-ES+A128KW'));
}

const refusal = (confirmation: JsonObject | undefined, changes: Partial<ConfirmationContext> = {}) =>
  codeOf(() => translateConfirmation(confirmation, context(changes)));

/** The COSE_Key of a confirmation, or a failed test. */
function coseKey(confirmation: ReturnType<typeof translateConfirmation>): CborMap {
  if (confirmation?.method !== 'COSE_Key') throw new Error(`not a COSE_Key: ${confirmation?.method}`);
  return confirmation.key;
}

describe('jwk', () => {
  test.each(['ec', 'ed25519'] as const)('becomes a COSE_Key of the same %s key', (type) => {
    const own = publicJwk(type);
    expect(jwkFromCoseKey(coseKey(translateConfirmation({ jwk: own }, context())))).toEqual(own);
  });

  test('loses what costs the device bytes', () => {
    const named = { ...jwk, kid: 'a name', alg: 'ES256', use: 'sig', key_ops: ['verify'] };
    expect(jwkFromCoseKey(coseKey(translateConfirmation({ jwk: named }, context())))).toEqual(jwk);
  });

  test('may stand beside members that nobody understands (RFC 7800 section 3.1)', () => {
    expect(refusal({ jwk, 'https://example.org/extra': 1 })).toBe('none');
  });

  test.each([
    ['a private key', { ...jwk, d: 'AAAA' }],
    ['a symmetric key, readable by everybody', secretJwk],
    ['a key of a curve that devices lack', { kty: 'EC', crv: 'P-384', x: 'AAAA', y: 'AAAA' }],
    ['an RSA key', { kty: 'RSA', n: 'AQAB', e: 'AQAB' }],
    ['a point off its curve', { ...jwk, y: jwk.x as string }],
    ['text', 'x'],
  ])('is refused with %s', (_name, value) => {
    expect(refusal({ jwk: value })).toBe('confirmation_invalid');
  });
});

describe('jkt', () => {
  test('becomes the COSE_Key that the presenter showed', async () => {
    const jkt = await calculateJwkThumbprint(jwk as JWK);
    expect(jwkFromCoseKey(coseKey(translateConfirmation({ jkt }, context({ proofKey: jwk }))))).toEqual(jwk);
  });

  test('is refused where no key was shown: neither key nor ckt come from a JWK thumbprint', async () => {
    expect(refusal({ jkt: await calculateJwkThumbprint(jwk as JWK) })).toBe('proof_missing');
  });

  test('is refused where another key was shown', async () => {
    const jkt = await calculateJwkThumbprint(publicJwk('ec') as JWK);
    expect(refusal({ jkt }, { proofKey: jwk })).toBe('proof_key_mismatch');
  });

  test('is refused where it is no text', () => {
    expect(refusal({ jkt: 7 }, { proofKey: jwk })).toBe('confirmation_invalid');
  });
});

describe('kid', () => {
  test('becomes its bytes', () => {
    expect(translateConfirmation({ kid: 'Schlüssel' }, context())).toEqual({ method: 'kid', keyId: utf8('Schlüssel') });
  });

  test.each(['', 'x'.repeat(65), 7])('is refused as %j', (kid) => {
    expect(refusal({ kid })).toBe('confirmation_invalid');
  });
});

describe('jwe', () => {
  test('goes on encrypted with the key of the device', async () => {
    const confirmation = translateConfirmation({ jwe: await jweOf(JSON.stringify(secretJwk)) }, context());
    if (confirmation?.method !== 'Encrypted_COSE_Key') throw new Error(`not encrypted: ${confirmation?.method}`);
    const { payload } = openEncrypt0(encodeCbor(confirmation.message), { key: VERIFYING_KEY['AES-CCM-16-64-128'] });
    expect(jwkFromCoseKey(decodeCbor(payload) as CborMap)).toEqual({ ...secretJwk, alg: 'HMAC 256/256' });
  });

  test.each(['encrypt0', 'mac0+encrypt0', 'sign1+encrypt0'] as const)('stands as it is inside %s', async (wrap) => {
    const jwe = await jweOf(JSON.stringify(secretJwk));
    const confirmation = translateConfirmation({ jwe }, context({ profile: { wrap } }));
    expect(jwkFromCoseKey(coseKey(confirmation)).k).toBe(secretJwk.k);
  });

  test('serves HMAC 256/256 where the issuer named no algorithm', async () => {
    const { alg: _alg, ...unnamed } = secretJwk;
    const jwe = await jweOf(JSON.stringify(unnamed));
    const confirmation = translateConfirmation({ jwe }, context({ profile: { wrap: 'encrypt0' } }));
    expect(jwkFromCoseKey(coseKey(confirmation)).alg).toBe('HMAC 256/256');
  });

  test('is refused where the device has no key to encrypt with', async () => {
    const jwe = await jweOf(JSON.stringify(secretJwk));
    expect(refusal({ jwe }, { encryption: undefined })).toBe('profile_invalid');
  });

  test('is refused where the hub cannot open it', async () => {
    expect(refusal({ jwe: await jweOf('{}') }, { hubKeys: [] })).toBe('jwe_decryption_failed');
  });

  test.each<[string, JsonObject]>([
    ['iss', { iss: 'https://as.example' }],
    ['sub', { sub: 'nurse-7' }],
    ['aud', { aud: 'https://tube-1.example' }],
    ['aud as a list', { aud: ['https://tube-1.example'] }],
    ['all of them', { iss: 'https://as.example', sub: 'nurse-7', aud: 'https://tube-1.example' }],
  ])('may replicate claims of the token in its header (RFC 7519 section 5.3): %s', async (_name, header) => {
    expect(refusal({ jwe: await jweOf(JSON.stringify(secretJwk), header) })).toBe('none');
  });

  test.each<[string, JsonObject]>([
    ['iss', { iss: 'https://other.example' }],
    ['iss as a list', { iss: ['https://as.example'] }],
    ['sub', { sub: 'nurse-8' }],
    ['aud', { aud: 'https://tube-2.example' }],
    ['one aud more', { aud: ['https://tube-1.example', 'https://tube-2.example'] }],
    ['no aud at all', { aud: [] }],
    ['aud as a number', { aud: 1 }],
  ])('is refused where its header replicates another %s', async (_name, header) => {
    const jwe = await jweOf(JSON.stringify(secretJwk), header);
    expect(refusal({ jwe })).toBe('jwe_foreign');
  });

  test('is refused where its kid is of a key for another issuer, before that or any key is used', async () => {
    const jwe = await jweOf(JSON.stringify(secretJwk));
    expect(refusal({ jwe }, { isForeignKey: (keyId) => keyId === 'hub-enc' })).toBe('jwe_foreign');
  });

  test('is refused where it is no JWE', () => {
    expect(refusal({ jwe: 'x' })).toBe('jwe_invalid');
  });

  test('is refused where it is no text', () => {
    expect(refusal({ jwe: {} })).toBe('confirmation_invalid');
  });

  test.each([
    ['a public key', JSON.stringify(jwk)],
    ['no JSON', 'x'],
    ['no k', '{"kty":"oct"}'],
    ['a short k', '{"kty":"oct","k":"AAAA"}'],
    ['a long k', JSON.stringify({ kty: 'oct', k: base64url(randomBytes(65)) })],
    ['an algorithm that nobody knows', JSON.stringify({ ...secretJwk, alg: 'HS512' })],
  ])('is refused with %s inside', async (_name, content) => {
    expect(refusal({ jwe: await jweOf(content) })).toBe('confirmation_invalid');
  });
});

test('a token without cnf is refused', () => {
  expect(refusal(undefined)).toBe('confirmation_missing');
});

test('a token without cnf gets the key of its first presenter, where that is allowed', () => {
  const made = translateConfirmation(undefined, context({ bindsToPresenter: true, proofKey: jwk }));
  expect(made).toEqual(translateConfirmation({ jkt: jwkThumbprint(jwk) }, context({ proofKey: jwk })));
  expect(refusal(undefined, { proofKey: jwk })).toBe('confirmation_missing');
  expect(refusal(undefined, { bindsToPresenter: true })).toBe('proof_missing');
});

test('a broken cnf is no missing one', () => {
  expect(refusal({}, { bindsToPresenter: true, proofKey: jwk })).toBe('confirmation_invalid');
});

test.each([
  ['jwk', 'kid'],
  ['jwk', 'jkt'],
  ['jwk', 'x5t#S256'],
  ['jwe', 'jwk'],
])('%s together with %s is refused', (one, other) => {
  expect(refusal({ [one]: 'x', [other]: 'y' })).toBe('confirmation_invalid');
});

test('of a thumbprint and a certificate the thumbprint counts, whose key was shown', () => {
  const cnf = { 'x5t#S256': base64url(randomBytes(32)), jkt: jwkThumbprint(jwk) };
  expect(translateConfirmation(cnf, context({ proofKey: jwk }))).toMatchObject({ method: 'COSE_Key' });
  expect(refusal(cnf, {})).toBe('proof_missing');
  expect(refusal(cnf, { proofKey: publicJwk('ec') })).toBe('proof_key_mismatch');
});

test.each(['x5t#S256', 'jku', 'something'])('%s is refused', (method) => {
  expect(refusal({ [method]: 'x' })).toBe('confirmation_unsupported');
});

test('a method that every object inherits is none', () => {
  expect(refusal({})).toBe('confirmation_invalid');
});
