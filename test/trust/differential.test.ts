import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyOptions, jwtVerify } from 'jose';
import { describe, expect, test } from 'vitest';
import { isCoded } from '../../src/core/errors.ts';
import { type IssuerPolicy, issuerPolicy } from '../../src/trust/issuer-policy.ts';
import { KeyRing } from '../../src/trust/key-ring.ts';
import { verifyJwtWithKeys } from '../../src/trust/verify-jwt.ts';
import { AUDIENCE, BAD_CASES, GOOD_CASES, ISSUER, JWKS, type JwtCase, NOW } from './jwt-cases.ts';

function policyOf({ policy = {} }: JwtCase): IssuerPolicy {
  return issuerPolicy({ issuer: ISSUER, source: { kind: 'file', jwks: JWKS }, ...policy });
}

/** What our verifier says: a code, or undefined for "accepted". */
function judgedByUs(one: JwtCase): string | undefined {
  const policy = policyOf(one);
  const keys = new KeyRing(one.jwks ?? JWKS, policy.algorithms);
  try {
    verifyJwtWithKeys(one.jwt, {
      policy,
      keys,
      keysAge: 0,
      audience: AUDIENCE,
      time: { earliest: NOW, latest: NOW },
      whenUnsure: 'deny',
      withoutClock: one.withoutClock === true,
    });
    return undefined;
  } catch (error) {
    return isCoded(error) ? error.code : `uncoded: ${String(error)}`;
  }
}

/** What jose says under the same policy, as far as its options can express it. */
async function acceptedByJose(one: JwtCase): Promise<boolean> {
  const policy = policyOf(one);
  const options: JWTVerifyOptions = {
    issuer: ISSUER,
    audience: AUDIENCE,
    algorithms: policy.algorithms.flatMap((name) => (name === 'EdDSA' ? ['EdDSA', 'Ed25519'] : [name])),
    currentDate: new Date(NOW * 1000),
    requiredClaims: policy.requireRfc9068 ? ['exp', 'sub', 'client_id', 'jti', 'iat'] : ['exp'],
  };
  // jose takes one type; a token without typ is its default.
  const [type] = policy.tokenTypes;
  if (type !== 'none' && type !== undefined) options.typ = type;
  try {
    await jwtVerify(one.jwt, createLocalJWKSet((one.jwks ?? JWKS) as unknown as JSONWebKeySet), options);
    return true;
  } catch {
    return false;
  }
}

describe('JWTs that must be accepted', () => {
  test.each(GOOD_CASES)('$name', async (one) => {
    expect(judgedByUs(one)).toBeUndefined();
    expect(await acceptedByJose(one)).toBe(one.difference === undefined);
  });
});

describe('JWTs that must be refused', () => {
  test.each(BAD_CASES)('$name: $code', async (one) => {
    expect(judgedByUs(one)).toBe(one.code);
    expect(await acceptedByJose(one)).toBe(one.difference !== undefined);
  });
});

test('the table is large enough, and no case stands in it twice', () => {
  const all = [...GOOD_CASES, ...BAD_CASES];
  const differences = all.filter(({ difference }) => difference !== undefined);
  process.stdout.write(
    `JWT cases: ${GOOD_CASES.length} good, ${BAD_CASES.length} bad; jose agrees on ${all.length - differences.length}, ` +
      `differs with a stated reason on ${differences.length}\n`,
  );
  expect(GOOD_CASES.length).toBeGreaterThanOrEqual(15);
  expect(BAD_CASES.length).toBeGreaterThanOrEqual(60);
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
});
