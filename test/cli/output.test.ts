import { describe, expect, test } from 'vitest';
import { defectText, errorJson, errorText, outcome } from '../../src/cli/output.ts';
import { HubRefusal } from '../../src/client/hub-answer.ts';
import { CATALOGUE } from '../../src/core/error-catalogue.ts';
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

describe('a refusal of the hub', () => {
  const refusal = (explanation: HubRefusal['explanation'], code = 'jwt_audience_mismatch') =>
    new HubRefusal('client_delivery_failed', { status: 403, code, explanation });
  const words = { title: 'The token is for another audience', detail: 'aud is "a", expected "b"', fix: 'Ask for "b".' };

  test('is explained in the words of the hub', () => {
    expect(errorText(refusal(words))).toBe(
      'latchkey: The hub did not deliver: jwt_audience_mismatch (403). The token is for another audience: aud is "a", expected "b". Ask for "b". [client_delivery_failed]',
    );
    expect(JSON.parse(errorJson(refusal(words)))).toMatchObject({
      error: { cause: 'The token is for another audience: aud is "a", expected "b".', fix: 'Ask for "b".' },
    });
  });

  test('without words of the hub says what the catalogue has on its code', () => {
    expect(errorText(refusal({}))).toContain(CATALOGUE.jwt_audience_mismatch.fix);
    expect(errorText(refusal({}, 'of_a_later_hub'))).toContain(CATALOGUE.client_delivery_failed.fix);
  });
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
