import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isCoded } from '../../src/core/errors.ts';
import { wholeDates } from '../../src/token/dates.ts';
import { codeOf } from '../fixtures/code-of.ts';

test('rounds exp down, nbf and iat up', () => {
  expect(wholeDates({ expiresAt: 200.9, notBefore: 100.1, issuedAt: 99.5 })).toEqual({
    expiresAt: 200,
    notBefore: 101,
    issuedAt: 100,
  });
});

test('leaves whole seconds and absent dates as they are', () => {
  expect(wholeDates({ expiresAt: 200, notBefore: undefined, issuedAt: 100 })).toEqual({
    expiresAt: 200,
    notBefore: undefined,
    issuedAt: 100,
  });
});

test('refuses a life that ends in the second in which it begins', () => {
  expect(codeOf(() => wholeDates({ expiresAt: 100.9, notBefore: 100.1, issuedAt: undefined }))).toBe('lifetime_empty');
});

test('refuses a life that ends in the second in which it was issued', () => {
  expect(codeOf(() => wholeDates({ expiresAt: 100.9, notBefore: undefined, issuedAt: 99.2 }))).toBe('lifetime_empty');
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 1e300, -1, -0.5, -0])('refuses exp %s', (expiresAt) => {
  const code = codeOf(() => wholeDates({ expiresAt, notBefore: undefined, issuedAt: undefined }));
  expect(code).toBe('claim_not_translatable');
});

test('never makes a token live longer than its issuer meant', () => {
  const date = fc.double({ min: 0, max: 253_402_300_799, noNaN: true });
  fc.assert(
    fc.property(date, fc.option(date, { nil: undefined }), fc.option(date, { nil: undefined }), (exp, nbf, iat) => {
      try {
        const whole = wholeDates({ expiresAt: exp, notBefore: nbf, issuedAt: iat });
        expect(whole.expiresAt).toBeLessThanOrEqual(exp);
        expect(exp - whole.expiresAt).toBeLessThan(1);
        expect(whole.notBefore ?? 0).toBeGreaterThanOrEqual(nbf ?? 0);
        expect(whole.issuedAt ?? 0).toBeGreaterThanOrEqual(iat ?? 0);
        expect(whole.expiresAt).toBeGreaterThan(Math.max(whole.notBefore ?? -1, whole.issuedAt ?? -1));
      } catch (error) {
        if (!isCoded(error, 'lifetime_empty')) throw error;
        expect(Math.floor(exp)).toBeLessThanOrEqual(Math.max(Math.ceil(nbf ?? 0), Math.ceil(iat ?? 0)));
      }
    }),
  );
});
