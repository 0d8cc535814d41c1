import { createPublicKey } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { signatureVerifier } from '../../../src/codec/jws-signature.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import {
  judgeSignedAnswer,
  type SignedAnswerRules,
  takeAnswerApart,
} from '../../../src/pop/introspection/signed-answer.ts';
import { codeOf } from '../../fixtures/code-of.ts';
import { type SigningKey, signingKey, signJwt } from '../../fixtures/jwt-signing.ts';

const ISSUER = 'https://as.example';
const NOW = 1_700_000_000;
let key: SigningKey;
let other: SigningKey;
let rules: SignedAnswerRules;
beforeAll(() => {
  key = signingKey('P-256', 'k1');
  other = signingKey('P-256', 'k1');
  rules = {
    verifiers: [signatureVerifier('ES256', createPublicKey(key.privateKey))],
    issuer: ISSUER,
    clientId: 'hub',
    time: { earliest: NOW, latest: NOW },
    leeway: 60,
  };
});

const HEADER = { alg: 'ES256', typ: 'token-introspection+jwt', kid: 'k1' };
const CLAIMS = { iss: ISSUER, aud: 'hub', iat: NOW, token_introspection: { active: true, sub: 'doctor-7' } };

interface Wrong {
  readonly header?: JsonObject;
  readonly claims?: JsonObject;
  readonly key?: SigningKey;
  readonly rules?: Partial<SignedAnswerRules>;
}

function judge(wrong: Wrong = {}) {
  const header = { ...HEADER, ...wrong.header };
  const jws = signJwt({ key: wrong.key ?? key, header, claims: { ...CLAIMS, ...wrong.claims } });
  return judgeSignedAnswer(takeAnswerApart(jws), { ...rules, ...wrong.rules });
}

describe('a signed answer', () => {
  test('gives the members that it vouches for', () => {
    expect(judge()).toEqual({ active: true, sub: 'doctor-7' });
  });

  test('may spell its type in full (RFC 7515 §4.1.9)', () => {
    expect(judge({ header: { typ: 'application/Token-Introspection+JWT' } })).toMatchObject({ active: true });
  });

  test('may be for others too', () => {
    expect(judge({ claims: { aud: ['elsewhere', 'hub'] } })).toMatchObject({ active: true });
  });

  test('tells of its time, which raises the floor', () => {
    const seen: number[] = [];
    judge({ rules: { witness: (issuedAt) => seen.push(issuedAt) } });
    expect(seen).toEqual([NOW]);
  });

  test('from the future of an unsure clock is believed', () => {
    expect(
      judge({ claims: { iat: NOW + 9_999 }, rules: { time: { earliest: NOW, latest: undefined } } }),
    ).toBeDefined();
  });
});

const REFUSED: readonly (readonly [string, () => Wrong])[] = [
  ['of another issuer', () => ({ claims: { iss: 'https://elsewhere.example' } })],
  ['without issuer', () => ({ claims: { iss: null } })],
  ['for another client', () => ({ claims: { aud: 'elsewhere' } })],
  ['for several other clients', () => ({ claims: { aud: ['elsewhere', 'hub-2'] } })],
  ['without audience', () => ({ claims: { aud: null } })],
  ['without time', () => ({ claims: { iat: null } })],
  ['that was made long ago', () => ({ claims: { iat: NOW - 61 } })],
  [
    'that was made before the floor',
    () => ({ claims: { iat: NOW - 61 }, rules: { time: { earliest: NOW, latest: undefined } } }),
  ],
  ['from the future', () => ({ claims: { iat: NOW + 61 } })],
  ['that vouches for nothing', () => ({ claims: { token_introspection: null } })],
  ['that vouches for a list', () => ({ claims: { token_introspection: [] } })],
  ['signed by another key', () => ({ key: other })],
  ['that no key is known for', () => ({ rules: { verifiers: [] } })],
  ['of the type of an access token', () => ({ header: { typ: 'at+jwt' } })],
  ['of the type of an ID token', () => ({ header: { typ: 'JWT' } })],
  ['with an algorithm that is not allowed', () => ({ header: { alg: 'HS256' } })],
  ['without signature', () => ({ header: { alg: 'none' } })],
  ['that brings its own key', () => ({ header: { jwk: { kty: 'EC' } } })],
  ['with a critical header', () => ({ header: { crit: ['exp'], exp: 1 } })],
];

test.each(REFUSED)('a signed answer %s is refused', (_, wrong) => {
  expect(codeOf(() => judge(wrong()))).toBe('introspection_answer_untrusted');
});

test.each([
  ['that is no JWS', 'active'],
  ['with a member twice', `${Buffer.from('{"alg":"ES256","alg":"ES256"}').toString('base64url')}.e30.c2ln`],
  ['that is too large', `${'a'.repeat(16_385)}`],
])('a signed answer %s is refused', (_, text) => {
  expect(codeOf(() => takeAnswerApart(text))).toBe('introspection_answer_untrusted');
});
