import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { demandTokenForm, isIntrospected, looksLikeJwt } from '../../../src/pop/introspection/token-form.ts';
import { codeOf } from '../../fixtures/code-of.ts';

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const HEADER = part({ alg: 'ES256', typ: 'at+jwt' });

describe('a token looks like a JWT', () => {
  test('with three parts, the first an object with alg', () => {
    expect(looksLikeJwt(`${HEADER}.${part({ iss: 'x' })}.c2ln`)).toBe(true);
  });

  test('even if nothing else about it is right', () => {
    expect(looksLikeJwt(`${HEADER}..`)).toBe(true);
  });

  test.each([
    ['an opaque token', 'mF_9.B5f-4.1JqM'],
    ['a token of two parts', `${HEADER}.e30`],
    ['a JWE of five parts', `${HEADER}.a.b.c.d`],
    ['four parts', `${HEADER}.a.b.c`],
    ['no header', '.e30.c2ln'],
    ['a header that is no object', `${part('alg')}.e30.c2ln`],
    ['a header without alg', `${part({ typ: 'JWT' })}.e30.c2ln`],
    ['a header that is no base64url', 'e30=.e30.c2ln'],
    ['an empty token', ''],
    ['a header that is far too long', `${part({ alg: 'ES256', x: 'x'.repeat(4_096) })}.e30.c2ln`],
  ])('but not %s', (_, token) => {
    expect(looksLikeJwt(token)).toBe(false);
  });

  test('or not, whatever it is, without an error', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (token) => typeof looksLikeJwt(token) === 'boolean'),
    );
  });
});

test.each([
  ['never', true, false],
  ['never', false, false],
  ['opaque', true, false],
  ['opaque', false, true],
  ['always', true, true],
  ['always', false, true],
] as const)('with the policy %s, a token that is a JWT (%s) is introspected: %s', (policy, isJwt, expected) => {
  expect(isIntrospected(policy, { isJwt })).toBe(expected);
});

test.each([
  ['no characters', '', 'request_invalid'],
  ['a line break', 'a\nb', 'request_invalid'],
  ['half a surrogate pair', 'a\ud800', 'request_invalid'],
  ['more than 16 KiB', 'a'.repeat(16_385), 'request_too_large'],
])('a token of %s is refused', (_, token, code) => {
  expect(codeOf(() => demandTokenForm(token))).toBe(code);
});
