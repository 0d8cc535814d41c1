import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type CwtKeys, encodeClaims, openCwt } from '../../src/codec/cwt.ts';
import { exiSequence, exiTokenId } from '../../src/codec/exi-token-id.ts';
import { hex, sha256, utf8 } from '../../src/core/bytes.ts';
import { WRAPS } from '../../src/core/device-profile.ts';
import { isCoded } from '../../src/core/errors.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { TokenFacts } from '../../src/core/verified-token.ts';
import { type TranslationContext, translate } from '../../src/token/translate.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { KEY, VERIFYING_KEY } from '../fixtures/cose-keys.ts';
import { AUDIENCE, deviceProfile, verifiedToken } from '../fixtures/verified-token.ts';

const KEYS: CwtKeys = { authentication: KEY['HMAC 256/64'], encryption: KEY['AES-CCM-16-64-128'] };

function context(changes: Partial<TranslationContext> = {}): TranslationContext {
  return {
    profile: deviceProfile(),
    device: 'tube-1',
    audience: AUDIENCE,
    keys: KEYS,
    random: new FakeTime(),
    time: { earliest: 1_700_000_000, latest: 1_700_000_000 },
    ...changes,
  };
}

const claimsOf = (token: Partial<TokenFacts>, changes: Partial<TranslationContext> = {}) =>
  translate(verifiedToken(token), context(changes)).claims.expose();

const refusal = (token: Partial<TokenFacts>, changes: Partial<TranslationContext> = {}) =>
  codeOf(() => translate(verifiedToken(token), context(changes)));

test.each(WRAPS)('makes a %s that opens to the same claims', (wrap) => {
  const signs = wrap.startsWith('sign1');
  const profile = deviceProfile({ wrap, authentication: signs ? 'ES256' : 'HMAC 256/64' });
  const keys: CwtKeys = signs ? { ...KEYS, authentication: KEY.ES256 } : KEYS;
  const translated = translate(verifiedToken(), context({ profile, keys }));
  const opened = openCwt(translated.cwt.expose(), {
    keys: [VERIFYING_KEY.ES256, VERIFYING_KEY['HMAC 256/64'], VERIFYING_KEY['AES-CCM-16-64-128']],
    expected: wrap,
  });
  expect(encodeClaims(opened.claims)).toEqual(encodeClaims(translated.claims.expose()));
});

test('slim holds what a device needs', () => {
  expect(claimsOf({})).toEqual({
    audience: AUDIENCE,
    expiresAt: 1_700_003_600,
    issuedAt: 1_700_000_000,
    cwtId: verifiedToken().digest.subarray(0, 16),
    confirmation: { method: 'kid', keyId: utf8('client-1') },
    scope: 'read',
  });
});

test('full holds iss, sub and nbf besides', () => {
  expect(claimsOf({}, { profile: deviceProfile({ claims: 'full' }) })).toMatchObject({
    issuer: 'https://as.example',
    subject: 'ekg-17',
    notBefore: 1_700_000_000,
  });
});

test('slim keeps nbf where the hub could not judge it', () => {
  expect(claimsOf({ freshness: { keysAge: 0, clock: 'unsure' } }).notBefore).toBe(1_700_000_000);
});

test('the same JWT makes the same cti for every device, of the length that the device wants', () => {
  const short = claimsOf({}, { profile: deviceProfile({ ctiBytes: 8, claims: 'full' }) }).cwtId;
  expect(short).toEqual(claimsOf({}).cwtId?.subarray(0, 8));
});

test('answers with what the records keep', () => {
  const translated = translate(verifiedToken({ scope: ['openid', 'read'] }), context());
  expect(translated.scope).toEqual(['read']);
  expect(translated.expiresAt).toBe(1_700_003_600);
  expect(translated.cti).toEqual(translated.claims.expose().cwtId);
  expect(hex(translated.tokenHash)).toBe(hex(sha256(translated.cwt.expose())).slice(0, 16));
});

test('prints neither the CWT nor its claims', () => {
  const translated = translate(verifiedToken(), context());
  expect(JSON.stringify(translated)).not.toContain('client-1');
  expect(JSON.parse(JSON.stringify(translated))).toMatchObject({ cwt: '[secret]', claims: '[secret]' });
});

test('says what each claim costs; label, value and head of the map make the whole', () => {
  const translated = translate(verifiedToken(), context());
  const sum = Object.values(translated.cost).reduce((total, bytes) => total + bytes, 0);
  expect(sum + 1).toBe(encodeClaims(translated.claims.expose()).length);
  expect(translated.cost).toMatchObject({ exp: 6, iat: 6, cti: 18 });
});

test('uses a nonce of its own for every encrypted token, of the size that the cipher wants', () => {
  const sizes: number[] = [];
  const random = {
    bytes: (length: number) => {
      sizes.push(length);
      return new Uint8Array(randomBytes(length));
    },
  };
  const ccm = context({ random, profile: deviceProfile({ wrap: 'encrypt0' }) });
  const first = translate(verifiedToken(), ccm).cwt.expose();
  expect(translate(verifiedToken(), ccm).cwt.expose()).not.toEqual(first);
  translate(
    verifiedToken(),
    context({
      random,
      keys: { encryption: KEY.A128GCM },
      profile: deviceProfile({ wrap: 'encrypt0', encryption: 'A128GCM' }),
    }),
  );
  expect(sizes).toEqual([13, 13, 12]);
});

test('a token that is bound to a key may name others too; its CWT names this device alone', () => {
  expect(claimsOf({ audience: ['account', AUDIENCE, 'https://as.example/userinfo'] }).audience).toBe(AUDIENCE);
});

describe('refuses', () => {
  test('a bearer token with several audiences, for a client that shows a key too', () => {
    const audience = [AUDIENCE, 'https://tube-2.example'];
    expect(refusal({ audience, confirmation: undefined })).toBe('audience_ambiguous');
    const proofKey: JsonObject = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' };
    const changes = { profile: deviceProfile(), bindsToPresenter: true, proofKey };
    expect(refusal({ audience, confirmation: undefined }, changes)).toBe('audience_ambiguous');
  });

  test('a token that is bound to a key, and names other devices alone', () => {
    expect(refusal({ audience: ['account', 'https://tube-2.example'] })).toBe('jwt_audience_mismatch');
  });

  test('a token for another device', () => {
    expect(refusal({ audience: ['https://tube-2.example'] })).toBe('jwt_audience_mismatch');
  });

  test('a token without audience', () => {
    expect(refusal({ audience: [] })).toBe('jwt_audience_mismatch');
  });

  test('a token of whose life nothing is left after rounding', () => {
    expect(refusal({ expiresAt: 1_700_000_000.9, issuedAt: 1_700_000_000.1 })).toBe('lifetime_empty');
  });

  test('a token whose scopes the device does not know', () => {
    expect(refusal({ scope: ['openid'] })).toBe('scope_empty');
  });

  test('a token without a key', () => {
    expect(refusal({ confirmation: undefined })).toBe('confirmation_missing');
  });

  test('a wrap without its key', () => {
    expect(refusal({}, { keys: {} })).toBe('profile_invalid');
  });

  test('a token that is too large, and says what costs most', () => {
    const profile = deviceProfile({ maxTokenBytes: 100, claims: 'full' });
    const subject = 'x'.repeat(80);
    try {
      translate(verifiedToken({ subject }), context({ profile }));
      expect.unreachable();
    } catch (error) {
      if (!isCoded(error, 'token_too_large_for_device')) throw error;
      expect(error.detail).toMatch(/^\d+ bytes, the device takes 100; sub 83, aud 24, iss 20$/);
    }
  });
});

test('a token of exactly the size that the device takes goes through', () => {
  const bytes = translate(verifiedToken(), context()).cwt.expose().length;
  expect(refusal({}, { profile: deviceProfile({ maxTokenBytes: bytes }) })).toBe('none');
  expect(refusal({}, { profile: deviceProfile({ maxTokenBytes: bytes - 1 }) })).toBe('token_too_large_for_device');
});

describe('for a device without a clock', () => {
  const CNONCE = Uint8Array.of(1, 2, 3, 4);
  const none = context({ profile: deviceProfile({ clock: 'none' }) });
  const fit = { expiresIn: 300, cnonce: CNONCE } as const;

  test('exi and cnonce travel, exp does not, and cti is the number of the token at this device', () => {
    const translated = translate(verifiedToken(fit), none);
    expect(translated.claims.expose()).toEqual({
      audience: AUDIENCE,
      issuedAt: 1_700_000_000,
      cwtId: exiTokenId('tube-1', exiSequence(1_700_000_000, verifiedToken().digest)),
      confirmation: { method: 'kid', keyId: utf8('client-1') },
      scope: 'read',
      cnonce: CNONCE,
      expiresIn: 300,
    });
    expect(translated).toMatchObject({ expiresAt: 1_700_003_600, expiresIn: 300 });
  });

  test('the same JWT makes the same cti, another one another', () => {
    const cti = (digest: Uint8Array) => hex(translate(verifiedToken({ ...fit, digest }), none).cti);
    expect(cti(sha256('a'))).toBe(cti(sha256('a')));
    expect(cti(sha256('b'))).not.toBe(cti(sha256('a')));
  });

  test('exi is rounded down, and no longer than exp would have it', () => {
    expect(translate(verifiedToken({ ...fit, expiresIn: 299.9 }), none).expiresIn).toBe(299);
    expect(translate(verifiedToken({ ...fit, expiresIn: 86_400 }), none).expiresIn).toBe(3_600);
  });

  test('exi is no longer than what is left until exp, by the latest that it may be now', () => {
    const at = (earliest: number, latest: number | undefined) =>
      translate(verifiedToken({ ...fit, expiresIn: 3_600 }), { ...none, time: { earliest, latest } }).expiresIn;
    expect(at(1_700_003_000, 1_700_003_400)).toBe(200);
    expect(at(1_700_003_000, 1_700_003_400.5)).toBe(199);
    expect(at(1_700_003_000, undefined)).toBe(600);
    expect(codeOf(() => at(1_700_003_000, 1_700_003_599.5))).toBe('lifetime_empty');
  });

  test.each<[string, Partial<TokenFacts>, string]>([
    ['without exi', { cnonce: CNONCE }, 'jwt_claim_missing'],
    ['without cnonce', { expiresIn: 300 }, 'cnonce_missing'],
    ['without exi and cnonce, such as a first one', {}, 'cnonce_missing'],
    ['without iat', { ...fit, issuedAt: undefined }, 'jwt_claim_missing'],
    ['with a life under a second', { ...fit, expiresIn: 0.9 }, 'lifetime_empty'],
    ['with a life past 32 bits', { ...fit, expiresIn: 0x1_0000_0000 }, 'claim_not_translatable'],
  ])('a token %s is refused', (_, facts, code) => {
    expect(codeOf(() => translate(verifiedToken(facts), none))).toBe(code);
  });

  test('a device with a clock gets exp, and neither exi nor cnonce', () => {
    const { cnonce, expiresAt, expiresIn } = claimsOf(fit);
    expect({ cnonce, expiresAt, expiresIn }).toEqual({
      cnonce: undefined,
      expiresAt: 1_700_003_600,
      expiresIn: undefined,
    });
  });
});
