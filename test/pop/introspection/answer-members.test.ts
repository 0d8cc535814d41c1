import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import { readAnswer } from '../../../src/pop/introspection/answer-members.ts';
import { codeOf } from '../../fixtures/code-of.ts';

const ISSUER = 'https://as.example';
const JKT = '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I';
const read = (members: JsonObject) => readAnswer({ active: true, ...members }, ISSUER);

describe('an answer', () => {
  test('is read with all that RFC 7662 §2.2 has', () => {
    const members = {
      active: true,
      scope: 'read  configure read',
      client_id: 'doctor-app',
      username: 'jdoe',
      token_type: 'DPoP',
      exp: 1_419_356_238,
      iat: 1_419_350_238,
      nbf: 1_419_350_000.5,
      sub: 'Z5O3upPC88QrAjx00dis',
      aud: ['https://ekg-1.example', 'https://ekg-2.example'],
      iss: ISSUER,
      jti: 'j1',
      cnf: { jkt: JKT },
      extension_field: 'twenty-seven',
    };
    expect(readAnswer(members, ISSUER)).toEqual({
      active: true,
      members,
      scope: ['read', 'configure'],
      clientId: 'doctor-app',
      expiresAt: 1_419_356_238,
      issuedAt: 1_419_350_238,
      notBefore: 1_419_350_000.5,
      subject: 'Z5O3upPC88QrAjx00dis',
      audience: ['https://ekg-1.example', 'https://ekg-2.example'],
      confirmation: { jkt: JKT },
      confirmationKey: undefined,
    });
  });

  test('may say nothing but "active"', () => {
    expect(read({})).toMatchObject({ active: true, expiresAt: undefined, audience: [], scope: [] });
  });

  test('an empty list names no audience (Hydra), and no device sees it', () => {
    const answer = read({ aud: [] });
    expect(answer).toMatchObject({ active: true, audience: [] });
    expect(answer.active && answer.members).not.toHaveProperty('aud');
  });

  test('of an inactive token is not read any further', () => {
    expect(readAnswer({ active: false, exp: 'never', iss: 'https://elsewhere.example' }, ISSUER)).toEqual({
      active: false,
    });
  });

  test.each([
    ['without active', { active: null }],
    ['with active as text', { active: 'true' }],
    ['with active as a number', { active: 1 }],
    ['with exp as text', { exp: '1419356238' }],
    ['with exp in milliseconds', { exp: 1_419_356_238_000 }],
    ['with a negative nbf', { nbf: -1 }],
    ['with iat as a list', { iat: [1] }],
    ['with sub as a number', { sub: 7 }],
    ['with client_id as an object', { client_id: {} }],
    ['with username as a number', { username: 7 }],
    ['with token_type as a list', { token_type: ['DPoP'] }],
    ['with jti as a number', { jti: 7 }],
    ['with scope as a list', { scope: ['read'] }],
    ['with a line break in scope', { scope: 'read\nwrite' }],
    ['with aud as a number', { aud: 7 }],
    ['with a number in aud', { aud: ['https://ekg-1.example', 7] }],
    ['with cnf as text', { cnf: JKT }],
    ['with cnf.jkt as a number', { cnf: { jkt: 7 } }],
    ['with cnf.kid as an object', { cnf: { kid: {} } }],
    ['with cnf.jwk as text', { cnf: { jwk: 'key' } }],
    ['with a private key in cnf', { cnf: { jwk: { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', d: 'd' } } }],
    ['with k in a key that has none', { cnf: { jwk: { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', k: 'k' } } }],
    ['with a symmetric key without k', { cnf: { jwk: { kty: 'oct' } } }],
    ['with a symmetric key that is too short', { cnf: { jwk: { kty: 'oct', k: 'AAAA' } } }],
    ['with a symmetric key that is no base64url', { cnf: { jwk: { kty: 'oct', k: 'AAAAAAAAAAAAAAAAAAAAAA==' } } }],
  ] as const)('%s is refused', (_, members) => {
    expect(codeOf(() => read(members))).toBe('introspection_answer_invalid');
  });

  test('of another issuer is refused', () => {
    expect(codeOf(() => read({ iss: 'https://elsewhere.example' }))).toBe('introspection_answer_untrusted');
  });
});

describe('a confirmation', () => {
  const jwk = { kty: 'oct', alg: 'HS256', kid: 'k1', k: 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr8' };

  test('with a symmetric key gives it apart, in a secret (RFC 9200 §5.9.2)', () => {
    const answer = read({ cnf: { jwk } });
    if (!answer.active) throw new Error('inactive');
    expect(answer.confirmationKey?.expose()).toEqual(jwk);
    expect(answer.confirmation).toEqual({ jwk: { kty: 'oct', alg: 'HS256', kid: 'k1' } });
    expect(JSON.stringify(answer)).not.toContain(jwk.k);
  });

  test('with a public key keeps it', () => {
    const key = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' };
    expect(read({ cnf: { jwk: key } })).toMatchObject({ confirmation: { jwk: key }, confirmationKey: undefined });
  });

  test('by a method that may hold a secret is left out, and the token is still bound', () => {
    const answer = read({ cnf: { osc: { id: 'AQ', ms: 'canary' } } });
    expect(answer).toMatchObject({ confirmation: {}, members: { cnf: {} } });
    expect(JSON.stringify(answer)).not.toContain('canary');
  });
});
