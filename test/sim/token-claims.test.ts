import { expect, test } from 'vitest';
import { decodeCbor, encodeCbor } from '../../src/codec/cbor.ts';
import { codeText } from '../../src/codec/coap/codes.ts';
import { makeEncrypt0 } from '../../src/codec/cose/encrypt0.ts';
import { coseKeyFromJwk } from '../../src/codec/cose/key-map.ts';
import type { CwtClaims } from '../../src/codec/cwt.ts';
import { readTrustFile, writeTrustFile } from '../../src/codec/trust-file.ts';
import { utf8 } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { TokenRefusal } from '../../src/sim/judge-token.ts';
import {
  AUDIENCE,
  aif,
  ENCRYPTION_KEY,
  expectTokenRefusal,
  MAC_KEY,
  macToken,
  NOW,
  SHARED_JWK,
  STRANGE_MAC_KEY,
  trustFile,
  trustFileContents,
  tube,
} from './tube.ts';

const REFUSED_CLAIMS: readonly (readonly [string, Partial<CwtClaims>, string, TokenRefusal])[] = [
  ['without exp', { expiresAt: undefined }, '4.01', 'expiry_missing'],
  ['that expires this very second', { expiresAt: NOW }, '4.01', 'expired'],
  ['whose nbf is ahead', { notBefore: NOW + 1 }, '4.01', 'not_yet_valid'],
  ['for another tube', { audience: 'https://tube-2.devices.example' }, '4.03', 'audience_foreign'],
  ['without an audience', { audience: undefined }, '4.03', 'audience_foreign'],
  ['with an audience of another case', { audience: AUDIENCE.toUpperCase() }, '4.03', 'audience_foreign'],
  ['without scope', { scope: undefined }, '4.00', 'scope_unknown'],
  ['with an empty scope', { scope: '' }, '4.00', 'scope_unknown'],
  ['with a scope that is not known', { scope: 'write' }, '4.00', 'scope_unknown'],
  ['with one scope known and one not', { scope: 'read write' }, '4.00', 'scope_unknown'],
  ['with a scope that every object has', { scope: 'constructor' }, '4.00', 'scope_unknown'],
  ['with a scope in bytes where the device reads text', { scope: utf8('read') }, '4.00', 'scope_unknown'],
  ['with exi', { expiresIn: 60 }, '4.00', 'claim_unsupported'],
  ['with cnonce', { cnonce: new Uint8Array(8) }, '4.00', 'claim_unsupported'],
  ['without cnf', { confirmation: undefined }, '4.00', 'confirmation_missing'],
  [
    'with a kid that was not provisioned',
    { confirmation: { method: 'kid', keyId: utf8('else') } },
    '4.00',
    'confirmation_unusable',
  ],
  [
    'with a thumbprint alone',
    { confirmation: { method: 'ckt', thumbprint: new Uint8Array(32) } },
    '4.00',
    'confirmation_unusable',
  ],
  [
    'with a key that is on no curve',
    {
      confirmation: {
        method: 'COSE_Key',
        key: new Map<number, number | Uint8Array>([
          [1, 2],
          [-1, 1],
          [-2, new Uint8Array(32)],
          [-3, new Uint8Array(32)],
        ]),
      },
    },
    '4.00',
    'confirmation_unusable',
  ],
];

test.each(REFUSED_CLAIMS)('a token %s is refused', async (_, wrong, code, reason) => {
  await expectTokenRefusal(tube(), macToken(wrong), code, reason);
});

test('a token of another issuer is refused where an issuer is provisioned', async () => {
  const given = tube({ trust: trustFile({ issuer: 'https://as.example' }) });
  await expectTokenRefusal(given, macToken({ issuer: 'https://other.example' }), '4.01', 'issuer_foreign');
});

test.each([
  ['an empty list of issuers', []],
  ['a list without its issuer', [{ issuer: 'https://as.example', keys: [] }]],
])('a token that says whose it is, is refused with %s', async (_, issuers) => {
  const given = tube({ trust: trustFile({ issuers }) });
  await expectTokenRefusal(given, macToken({ issuer: 'https://rsa.example' }), '4.01', 'issuer_foreign');
});

test('a file without a list of issuers has none', async () => {
  const { issuers: _, ...rest } = JSON.parse(writeTrustFile(trustFileContents())) as JsonObject;
  const given = tube({ trust: readTrustFile(JSON.stringify(rest)) });
  await expectTokenRefusal(given, macToken({ issuer: 'https://as.example' }), '4.01', 'issuer_foreign');
});

test('a token of an issuer that is there by its name alone is taken', async () => {
  const given = tube({ trust: trustFile({ issuers: [{ issuer: 'https://rsa.example', keys: [] }] }) });
  expect(codeText((await given.give(macToken({ issuer: 'https://rsa.example' }))).code)).toBe('2.01');
});

test('a token without iss is taken where an issuer is provisioned: the key is the anchor', async () => {
  const given = tube({ trust: trustFile({ issuer: 'https://as.example' }) });
  expect(codeText((await given.give(macToken())).code)).toBe('2.01');
});

test('a device that does not know the time takes no token', async () => {
  const given = tube();
  given.time.forgetLatest();
  await expectTokenRefusal(given, macToken(), '4.01', 'time_unknown');
});

test('a token that is expired at the floor of an unset clock is refused as expired', async () => {
  const given = tube();
  given.time.forgetLatest();
  await expectTokenRefusal(given, macToken({ expiresAt: NOW - 1 }), '4.01', 'expired');
});

/** RFC 9200 §5.10.1.1: where several things are wrong, the answer is that of the first in its order. */
const everythingWrong: Partial<CwtClaims> = {
  issuer: 'https://other.example',
  expiresAt: NOW - 1,
  audience: 'https://tube-2.devices.example',
  scope: 'write',
  confirmation: undefined,
};
const right = { issuer: 'https://as.example', expiresAt: NOW + 600, audience: AUDIENCE, scope: 'read' };
test.each<readonly [string, Partial<CwtClaims>, typeof MAC_KEY, TokenRefusal]>([
  ['protection comes before iss', everythingWrong, STRANGE_MAC_KEY, 'not_authentic'],
  ['iss comes before exp', everythingWrong, MAC_KEY, 'issuer_foreign'],
  ['exp comes before aud', { ...everythingWrong, issuer: right.issuer }, MAC_KEY, 'expired'],
  [
    'aud comes before scope',
    { ...everythingWrong, issuer: right.issuer, expiresAt: right.expiresAt },
    MAC_KEY,
    'audience_foreign',
  ],
  ['scope comes before cnf', { ...right, scope: 'write', confirmation: undefined }, MAC_KEY, 'scope_unknown'],
])('%s', async (_, wrong, key, reason) => {
  const given = tube({ trust: trustFile({ issuer: right.issuer }) });
  await given.give(macToken(wrong, key));
  expect(given.events.at(-1)).toMatchObject({ reason });
});

test('scope as bytes is read where the device wants bytes', async () => {
  const given = tube({ trust: trustFile({ scopeForm: 'bytes' }) });
  expect(codeText((await given.give(macToken({ scope: utf8('read configure') }))).code)).toBe('2.01');
});

test('scope as AIF is read where the device wants it, inside what it knows', async () => {
  const given = tube({ trust: trustFile({ scopeForm: 'aif' }) });
  expect(codeText((await given.give(macToken({ scope: aif(['/temperature', 16], ['led', 4]) }))).code)).toBe('2.01');
  expect(given.events.at(-1)).toMatchObject({ scope: 'temperature:FETCH led:PUT' });
});

test.each([
  ['a method that no scope of this device permits', aif(['temperature', 4])],
  ['a path that is not known', aif(['door', 16])],
  ['no rows', aif()],
  ['a method set of 0', aif(['temperature', 0])],
  ['something that is no CBOR', utf8('read')],
])('AIF with %s is refused', async (_, scope) => {
  await expectTokenRefusal(
    tube({ trust: trustFile({ scopeForm: 'aif' }) }),
    macToken({ scope }),
    '4.00',
    'scope_unknown',
  );
});

test('an encrypted key is opened with the encryption key of the device (RFC 8747 §3.3)', async () => {
  const given = tube();
  await given.give(macToken({ confirmation: encryptedKey(coseKeyFromJwk(SHARED_JWK)) }));
  expect(given.events.at(-1)).toMatchObject({ event: 'token_accepted' });
  expect(given.device.tokens()[0]?.key.algorithm).toBe('HMAC 256/256');
});

test('an encrypted key that was altered is refused', async () => {
  const confirmation = encryptedKey(coseKeyFromJwk(SHARED_JWK), 1);
  await expectTokenRefusal(tube(), macToken({ confirmation }), '4.00', 'confirmation_unusable');
});

function encryptedKey(key: ReturnType<typeof coseKeyFromJwk>, flip = 0): CwtClaims['confirmation'] {
  const bytes = makeEncrypt0({
    plaintext: encodeCbor(key),
    key: ENCRYPTION_KEY,
    nonce: new Uint8Array(13),
    tagged: false,
  });
  const last = bytes.length - 1;
  bytes[last] = (bytes[last] ?? 0) ^ flip;
  return { method: 'Encrypted_COSE_Key', message: decodeCbor(bytes) };
}
