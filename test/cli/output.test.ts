import { describe, expect, test } from 'vitest';
import { defectText, errorJson, errorText, outcome } from '../../src/cli/output.ts';
import { LatchkeyError } from '../../src/core/errors.ts';

test('an error for a person has title, place, cause, fix and code', () => {
  expect(errorText(new LatchkeyError('jwt_expired', 'tube-1'))).toBe(
    'latchkey: The token is expired: tube-1. Its `exp` is past. Ask the authorization server for a new token. [jwt_expired]',
  );
});

test('an error without place has none', () => {
  expect(errorText(new LatchkeyError('jwt_expired'))).toMatch(/^latchkey: The token is expired\. Its/);
});

test('an error of several lines keeps them', () => {
  expect(errorText(new LatchkeyError('config_invalid', 'a:1: x\na:2: y')).split('\n')).toHaveLength(3);
});

test('an error for a program is one line of JSON', () => {
  expect(errorJson(new LatchkeyError('jwt_expired'))).toBe(
    '{"error":{"code":"jwt_expired","title":"The token is expired","cause":"Its `exp` is past.","fix":"Ask the authorization server for a new token."}}',
  );
});

describe('the exit status', () => {
  test('is 2 for a wrong command line, whatever the command says', () => {
    expect(outcome(new LatchkeyError('usage'), () => 3).status).toBe(2);
  });

  test('is what the command says', () => {
    expect(outcome(new LatchkeyError('jwt_expired'), () => 3).status).toBe(3);
  });

  test('is 1 for everything else, and an uncoded error is called internal', () => {
    expect(outcome(new TypeError('canary'))).toMatchObject({
      status: 1,
      error: { code: 'internal', detail: undefined },
    });
  });
});

test('a defect is reported with where it happened and without what it was given', () => {
  const text = defectText(new TypeError('bad value o_HC1OW2BxgpOktcbX6PkA'));
  expect(text).toMatch(/"type":"TypeError".*output\.test/);
  expect(text).toContain('bad value [secret]');
});
