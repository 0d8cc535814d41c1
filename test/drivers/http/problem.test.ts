import { expect, test } from 'vitest';
import { challengeFor, problemAnswer, problemOf, retryAfterHeader } from '../../../drivers/http/problem.ts';
import type { ErrorCode } from '../../../src/core/error-catalogue.ts';
import { LatchkeyError } from '../../../src/core/errors.ts';

const BEARER = 'Bearer eyJ';
const DPOP = 'DPoP eyJ';
const ALGORITHMS = 'algs="ES256 EdDSA"';

test.each<[ErrorCode, string | undefined, string]>([
  ['token_missing', undefined, `Bearer, DPoP ${ALGORITHMS}`],
  ['jwt_expired', DPOP, `DPoP error="invalid_token", ${ALGORITHMS}`],
  ['jwt_expired', BEARER, `Bearer error="invalid_token", DPoP ${ALGORITHMS}`],
  ['jwt_expired', 'bearer eyJ', `Bearer error="invalid_token", DPoP ${ALGORITHMS}`],
  ['scope_empty', DPOP, `DPoP error="insufficient_scope", ${ALGORITHMS}`],
  ['scope_empty', BEARER, `Bearer error="insufficient_scope", DPoP ${ALGORITHMS}`],
  ['proof_replayed', DPOP, `DPoP error="invalid_dpop_proof", ${ALGORITHMS}`],
  ['proof_missing', BEARER, `DPoP error="invalid_dpop_proof", ${ALGORITHMS}`],
  ['proof_nonce_required', DPOP, `DPoP error="use_dpop_nonce", ${ALGORITHMS}`],
])('%s after "%s" is challenged with %s', (code, authorization, challenge) => {
  expect(challengeFor(new LatchkeyError(code), authorization)).toBe(challenge);
});

test.each<ErrorCode>(['request_invalid', 'device_unknown', 'proof_window_full', 'internal', 'confirmation_missing'])(
  '%s is no challenge',
  (code) => {
    expect(challengeFor(new LatchkeyError(code), BEARER)).toBeUndefined();
  },
);

test.each<[ErrorCode, number | undefined, object]>([
  ['proof_window_full', 214.2, { 'retry-after': '215' }],
  ['introspection_suspended', 1, { 'retry-after': '1' }],
  ['keys_unavailable', undefined, { 'retry-after': '5' }],
  ['key_unknown', undefined, {}],
])('%s after %s s has the headers %j', (code, retryAfter, headers) => {
  const options = retryAfter === undefined ? {} : { retryAfter };
  expect(retryAfterHeader(new LatchkeyError(code, undefined, options))).toEqual(headers);
});

const REQUEST = { id: 'id1', errorPages: 'https://hub.example/errors' };

test('the detail of an error never reaches who asked, unless the error allows it', () => {
  const error = new LatchkeyError('jwt_expired', 'canary');
  expect(JSON.stringify(problemOf(error, REQUEST))).not.toContain('canary');
  expect(JSON.stringify(problemAnswer(error, REQUEST))).not.toContain('canary');
  const told = new LatchkeyError('jwt_expired', 'canary', { isForPeer: true });
  expect(problemOf(told, REQUEST)).toMatchObject({ detail: 'canary' });
});

test('a token that lacks a claim is told which, by a registered name alone', () => {
  expect(problemOf(new LatchkeyError('jwt_claim_missing', 'client_id'), REQUEST)).toMatchObject({ claim: 'client_id' });
  expect(JSON.stringify(problemOf(new LatchkeyError('jwt_claim_missing', 'canary'), REQUEST))).not.toContain('canary');
  expect(problemOf(new LatchkeyError('jwt_claim_invalid', 'iat'), REQUEST)).not.toHaveProperty('claim');
});

test('a problem is RFC 9457, with the code, what to do, and the id of the request', () => {
  const error = new LatchkeyError('device_refused_token');
  expect(problemAnswer(error, REQUEST, { headers: { location: '/d' }, deviceCode: '4.01', status: 403 })).toEqual({
    status: 403,
    headers: { location: '/d', 'content-type': 'application/problem+json' },
    body: {
      type: 'https://hub.example/errors/device_refused_token',
      title: error.entry.title,
      status: 403,
      fix: error.entry.fix,
      code: 'device_refused_token',
      id: 'id1',
      device_code: '4.01',
    },
  });
});

test('a problem where nothing has pages about errors is short, and has no address', () => {
  const error = new LatchkeyError('jwt_expired', 'canary', { isForPeer: true });
  expect(problemOf(error, { id: 'id1' })).toEqual({
    type: 'urn:latchkey:error:jwt_expired',
    title: error.entry.title,
    status: 401,
    code: 'jwt_expired',
    id: 'id1',
  });
});
