import { expect, test } from 'vitest';
import { CATALOGUE, type ErrorCode } from '../../src/core/error-catalogue.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { TOLD_TO_HOLDER, toldToHolder, withheld } from '../../src/core/told-to-holder.ts';

const told = (error: unknown) => toldToHolder(error) as LatchkeyError;

test('the detail of an error is not for the peer unless that is said', () => {
  expect(new LatchkeyError('jwt_expired', 'why').peerDetail).toBeUndefined();
  expect(told(new LatchkeyError('jwt_expired', 'why')).peerDetail).toBe('why');
});

test('a copy is made, since two requests may wait for one error', () => {
  const cause = new Error('cause');
  const error = new LatchkeyError('jwt_expired', 'why', { cause, retryAfter: 7 });
  const copy = told(error);
  expect(error.peerDetail).toBeUndefined();
  expect(copy).toMatchObject({ code: 'jwt_expired', detail: 'why', retryAfter: 7, cause, stack: error.stack });
});

test.each<ErrorCode>(['internal', 'store_failing', 'file_unreadable', 'jwe_decryption_failed', 'profile_invalid'])(
  'the detail of %s stays here',
  (code) => {
    expect(told(new LatchkeyError(code, 'canary')).peerDetail).toBeUndefined();
  },
);

test('what is no error of the catalogue stays what it is', () => {
  const error = new TypeError('canary');
  expect(toldToHolder(error)).toBe(error);
  expect(withheld(error)).toBe(error);
});

test('what a holder cannot read is withheld again', () => {
  const error = withheld(told(new LatchkeyError('jwt_expired', 'why'))) as LatchkeyError;
  expect(error).toMatchObject({ code: 'jwt_expired', detail: 'why', peerDetail: undefined });
});

test('only refusals of a token or a proof are told of, never a fault of the hub', () => {
  for (const code of TOLD_TO_HOLDER) expect([401, 403, 413]).toContain(CATALOGUE[code].status);
});
