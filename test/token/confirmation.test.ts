import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { describe, expect, test } from 'vitest';
import { type CborMap, decodeCbor, encodeCbor } from '../../src/codec/cbor.ts';
import { openEncrypt0 } from '../../src/codec/cose/encrypt0.ts';
import { coseKeyFromJwk, jwkFromCoseKey } from '../../src/codec/cose/key-map.ts';
import { jwkThumbprint } from '../../src/codec/jwk-thumbprint.ts';
import { base64url, utf8 } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { Secret } from '../../src/core/secret.ts';
import { type ConfirmationContext, translateConfirmation } from '../../src/token/confirmation.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { KEY, testNonce, VERIFYING_KEY } from '../fixtures/cose-keys.ts';

const publicJwk = (type: 'ec' | 'ed25519'): JsonObject => {
  const { publicKey } =
    type === 'ec' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  return publicKey.export({ format: 'jwk' }) as JsonObject;
};
const jwk = publicJwk('ec');
const secretJwk: JsonObject = { kty: 'oct', kid: 'session', alg: 'HS256', k: base64url(randomBytes(32)) };

function context(changes: Partial<ConfirmationContext> = {}): ConfirmationContext {
  return {
    profile: { wrap: 'mac0' },
    proofKey: undefined,
    confirmationKey: undefined,
    bindsToPresenter: false,
    encryption: KEY['AES-CCM-16-64-128'],
    nonce: testNonce,
    ...changes,
  };
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

describe('a symmetric key that came encrypted', () => {
  const confirmationKey = new Secret(coseKeyFromJwk({ ...secretJwk, alg: 'HMAC 256/256' }));

  test.each(['jwe', 'jwk'])('goes on encrypted with the key of the device (%s)', (method) => {
    const confirmation = translateConfirmation({ [method]: 'opened' }, context({ confirmationKey }));
    if (confirmation?.method !== 'Encrypted_COSE_Key') throw new Error(`not encrypted: ${confirmation?.method}`);
    const { payload } = openEncrypt0(encodeCbor(confirmation.message), { key: VERIFYING_KEY['AES-CCM-16-64-128'] });
    expect(jwkFromCoseKey(decodeCbor(payload) as CborMap)).toEqual({ ...secretJwk, alg: 'HMAC 256/256' });
  });

  test.each(['encrypt0', 'mac0+encrypt0', 'sign1+encrypt0'] as const)('stands as it is inside %s', (wrap) => {
    const changes = { profile: { wrap }, confirmationKey };
    const confirmation = translateConfirmation({ jwe: 'opened' }, context(changes));
    expect(jwkFromCoseKey(coseKey(confirmation)).k).toBe(secretJwk.k);
  });

  test('is refused where the device has no key to encrypt with', () => {
    expect(refusal({ jwe: 'opened' }, { encryption: undefined, confirmationKey })).toBe('profile_invalid');
  });

  test('is refused where it was not decrypted before', () => {
    expect(refusal({ jwe: 'not opened' })).toBe('jwe_decryption_failed');
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
