/** JWTs that the settings of their issuer do not recognise, where the AS is asked about each token: really signed, really verified. */
import { beforeEach, describe, expect, test } from 'vitest';
import { sha256 } from '../../src/core/bytes.ts';
import type { ErrorCode } from '../../src/core/error-catalogue.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { readScopePattern } from '../../src/core/scope-pattern.ts';
import { Secret } from '../../src/core/secret.ts';
import { type RelayIssuer, TokenJudge } from '../../src/flows/token-judge.ts';
import { readAnswer } from '../../src/pop/introspection/answer-members.ts';
import type { SharedAudience } from '../../src/trust/addressee.ts';
import { type IssuerPolicy, issuerPolicy } from '../../src/trust/issuer-policy.ts';
import { Issuers } from '../../src/trust/issuers.ts';
import { readSignedClaims } from '../../src/trust/signed-claims.ts';
import { verifyJwt } from '../../src/trust/verify-jwt.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { connectedDevice } from '../fixtures/connected-device.ts';
import { signingKey, signJwt } from '../fixtures/jwt-signing.ts';

const ISSUER = 'https://as.example';
const key = signingKey('P-256', 'k1');
const device = connectedDevice('ekg-1');
const NEIGHBOUR = 'https://ekg-2.ward.example';
const BOUND = { jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I' };
const freshness = { source: 'introspection', age: 3, stale: false } as const;

let time: FakeTime;
let now: number;
/** What the AS was asked about. */
let asked: string[];

beforeEach(() => {
  time = new FakeTime();
  now = time.now().earliest;
  asked = [];
});

/** Without `typ`: the form of a Keycloak that was set to write few claims, of Spring, of Okta. */
function jwtOf(claims: JsonObject = {}, { type, by = key }: { readonly type?: string; readonly by?: typeof key } = {}) {
  const header = { alg: 'ES256', kid: 'k1', ...(type === undefined ? {} : { typ: type }) };
  return signJwt({ key: by, header, claims: { iss: ISSUER, exp: now + 600, iat: now - 5, jti: 'j', ...claims } });
}

interface Setup {
  /** Members of the answer; or what becomes of the question. */
  readonly says?: JsonObject | ErrorCode | undefined;
  readonly policy?: Partial<IssuerPolicy>;
  readonly issuer?: Partial<RelayIssuer>;
}

const GOOD: JsonObject = { active: true, aud: device.audience, scope: 'read', client_id: 'app', cnf: BOUND };

function judge(jwt: string, { says = GOOD, policy = {}, issuer = {} }: Setup = {}) {
  const issuers = new Issuers({
    policies: [issuerPolicy({ issuer: ISSUER, source: { kind: 'file', jwks: { keys: [key.jwk] } }, ...policy })],
    connect: () => {
      throw new Error('no network');
    },
    store: new FaultyStore(),
    clock: time,
    timers: time,
    random: time,
    log: new QuietLog(),
  });
  const names = { has: (id: string) => id.startsWith('ekg-'), withAudience: () => undefined };
  const about = { id: device.id, audience: device.audience, names };
  const introspect = async (token: Secret<string>) => {
    asked.push(token.expose());
    if (typeof says === 'string') throw new LatchkeyError(says);
    const answer = readAnswer(says, ISSUER);
    const common = { freshness, evidence: undefined };
    return answer.active ? { ...answer, ...common } : ({ ...answer, ...common, code: 'token_inactive' } as const);
  };
  const tokens = new TokenJudge({
    issuers: [
      {
        issuer: ISSUER,
        policy: 'always',
        introspector: { introspect },
        sharedAudience: policy.sharedAudience,
        ...issuer,
      },
    ],
    verify: (text, { audience }) =>
      verifyJwt(text, { issuers, audience, device: about, time: time.now(), whenUnsure: 'deny' }),
    readSigned: (text) => readSignedClaims(text, { issuers, device: about, time: time.now(), whenUnsure: 'deny' }),
    clock: time,
    names,
  });
  return tokens.judge(new Secret(jwt), sha256(jwt), device);
}

describe('a JWT of an unknown form is good by the word of the AS', () => {
  test.each<[string, JsonObject, string | undefined, Partial<IssuerPolicy>]>([
    ['without typ', { aud: device.audience, scope: 'read' }, undefined, {}],
    ['with typ JWT', { aud: device.audience, scope: 'read' }, 'JWT', {}],
    ['without aud', { scope: 'read' }, 'at+jwt', {}],
    ['with an empty aud', { aud: [] }, 'at+jwt', {}],
    ['without a claim that is required, which the answer has', {}, 'at+jwt', { requiredClaims: ['client_id'] }],
    ['with a claim of the required value', { typ: 'Bearer' }, 'JWT', { requiredClaims: ['typ=Bearer|DPoP'] }],
    ['with a nonce, where the type says access token', { nonce: 'n' }, 'at+jwt', {}],
    ['with another client in it than its audience', { aud: device.audience, azp: 'app' }, undefined, {}],
  ])('%s', async (_, claims, type, policy) => {
    const jwt = jwtOf(claims, type === undefined ? {} : { type });
    expect(await judge(jwt, { policy })).toMatchObject({
      active: true,
      freshness: { source: 'introspection' },
      token: {
        issuer: ISSUER,
        audience: [device.audience],
        expiresAt: now + 600,
        members: { iss: ISSUER, aud: device.audience, scope: 'read', client_id: 'app', exp: now + 600 },
        confirmation: BOUND,
        verified: undefined,
      },
    });
    expect(asked).toEqual([jwt]);
  });
});

describe('it is not good, and the AS is not asked,', () => {
  const stranger = signingKey('P-256', 'k1');

  test.each<[string, () => string, ErrorCode, Setup]>([
    ['where a stranger signed it', () => jwtOf({}, { by: stranger }), 'jwt_signature_invalid', {}],
    ['where another issuer is in it', () => jwtOf({ iss: 'https://b.example' }), 'jwt_issuer_unknown', {}],
    [
      'where the issuer is asked about opaque tokens only',
      () => jwtOf(),
      'jwt_type_refused',
      { issuer: { policy: 'opaque' } },
    ],
    ['where the hub is no client of it', () => jwtOf(), 'jwt_type_refused', { issuer: { introspector: undefined } }],
    ['where whole tokens are wanted', () => jwtOf(), 'jwt_type_refused', { policy: { requireRfc9068: true } }],
    ['for another device', () => jwtOf({ aud: NEIGHBOUR }), 'jwt_audience_mismatch', {}],
    ['past its end', () => jwtOf({ exp: now - 1 }), 'jwt_expired', {}],
    ['before its time', () => jwtOf({ nbf: now + 3_600 }), 'jwt_not_yet_valid', {}],
    ['with a claim of a wrong type', () => jwtOf({ scope: 7 }), 'jwt_claim_invalid', {}],
    ['with a secret in it', () => jwtOf({ cnf: { jwk: { kty: 'oct', k: 'AAAA' } } }), 'confirmation_invalid', {}],
    ['with a type of something else', () => jwtOf({}, { type: 'dpop+jwt' }), 'jwt_type_refused', {}],
    ['with at_hash', () => jwtOf({ at_hash: 'h' }), 'jwt_type_refused', {}],
    ['with s_hash', () => jwtOf({ s_hash: 'h' }), 'jwt_type_refused', {}],
    ['with a nonce', () => jwtOf({ nonce: 'n' }, { type: 'JWT' }), 'jwt_type_refused', {}],
    ['with its client for an audience', () => jwtOf({ aud: 'app', azp: 'app' }), 'jwt_type_refused', {}],
    ['as a logout token', () => jwtOf({ events: {} }), 'jwt_type_refused', {}],
    ['as an ID token of Keycloak', () => jwtOf({ typ: 'ID' }), 'jwt_type_refused', {}],
    ['as an ID token of Cognito', () => jwtOf({ token_use: 'id' }), 'jwt_type_refused', {}],
    ['as a refresh token', () => jwtOf({ token_type: 'refresh_token' }), 'jwt_type_refused', {}],
    [
      'where a claim has another value than the required one',
      () => jwtOf({ use: 'other' }),
      'jwt_claim_required',
      { policy: { requiredClaims: ['use=access'] } },
    ],
  ])('%s', async (_, jwt, code, setup) => {
    expect(await judge(jwt(), setup)).toMatchObject({
      active: false,
      code,
      concealed: false,
      issuer: undefined,
      freshness: undefined,
      evidence: undefined,
    });
    expect(asked).toEqual([]);
  });
});

describe('it is not good, by the word of the AS,', () => {
  test.each<[string, JsonObject, JsonObject, ErrorCode]>([
    ['where that says so', {}, { active: false }, 'token_inactive'],
    ['where that says another device', {}, { ...GOOD, aud: NEIGHBOUR }, 'jwt_audience_mismatch'],
    ['where that calls it a refresh token', {}, { ...GOOD, token_use: 'refresh_token' }, 'jwt_type_refused'],
    ['where that calls it an ID token', {}, { ...GOOD, typ: 'ID' }, 'jwt_type_refused'],
    ['where that names another client', { client_id: 'other' }, GOOD, 'jwt_claim_invalid'],
    ['where that names another key', { cnf: { jkt: 'x' } }, GOOD, 'confirmation_invalid'],
  ])('%s', async (_, claims, says, code) => {
    expect(await judge(jwtOf(claims), { says })).toMatchObject({
      active: false,
      code,
      concealed: true,
      issuer: ISSUER,
    });
    expect(asked).toHaveLength(1);
  });

  test('where that names another device than the token, and an audience is assumed', async () => {
    const issuer = { assumedAudience: device.audience };
    const says = { ...GOOD, aud: NEIGHBOUR };
    expect(await judge(jwtOf({ aud: device.audience }), { says, issuer })).toMatchObject({
      active: false,
      code: 'jwt_audience_mismatch',
      concealed: false,
    });
  });

  test('where a claim that is required is in neither', async () => {
    const policy = { requiredClaims: ['token_use=access'] };
    expect(await judge(jwtOf(), { policy })).toMatchObject({ active: false, code: 'jwt_claim_required' });
  });

  test('and there is no verdict where that cannot be asked', async () => {
    expect(await asyncCodeOf(judge(jwtOf(), { says: 'introspection_overloaded' }))).toBe('introspection_overloaded');
  });
});

describe('the AS cannot widen', () => {
  const membersOf = async (claims: JsonObject, says: JsonObject, policy: Partial<IssuerPolicy> = {}) => {
    const verdict = await judge(jwtOf(claims), { says: { ...GOOD, ...says }, policy });
    if (!verdict.active) throw new Error(verdict.code);
    return verdict.token;
  };

  test('the scope', async () => {
    const { members } = await membersOf({ scope: 'read list' }, { scope: 'write read' });
    expect(members.scope).toBe('read');
  });

  test('the scope to all, where both have nothing in common', async () => {
    const { members } = await membersOf({ scope: 'list' }, {});
    expect(members.scope).toBe('');
  });

  test('the audience; a bearer token counts as one for all that either names', async () => {
    const token = await membersOf(
      { aud: [device.audience, 'https://b.example'] },
      { aud: [device.audience, NEIGHBOUR] },
    );
    expect(token.members.aud).toBe(device.audience);
    expect([...token.audience].sort()).toEqual(['https://b.example', device.audience, NEIGHBOUR].sort());
  });

  test('the end', async () => {
    expect(await membersOf({}, { exp: now + 9_000 })).toMatchObject({
      expiresAt: now + 600,
      members: { exp: now + 600 },
    });
    expect(await membersOf({}, { exp: now + 60 })).toMatchObject({ expiresAt: now + 60, members: { exp: now + 60 } });
  });

  test('authorization_details', async () => {
    const [mine, other] = [
      { type: 'd', actions: ['read'] },
      { type: 'd', actions: ['read', 'write'] },
    ];
    const { members } = await membersOf({ authorization_details: [mine] }, { authorization_details: [other, mine] });
    expect(members.authorization_details).toEqual([mine]);
  });

  test('the key to none: what the token has stays', async () => {
    const { cnf: _cnf, ...bearer } = GOOD;
    const verdict = await judge(jwtOf({ cnf: BOUND }), { says: bearer });
    expect(verdict).toMatchObject({ active: true, token: { confirmation: BOUND, members: { cnf: BOUND } } });
  });
});

describe('with an audience that stands for many devices', () => {
  const pattern = readScopePattern('{device}/{scope}');
  if (pattern === undefined) throw new Error('no pattern');
  const SHARED = 'https://devices.example';
  const policyOf = (naming: SharedAudience['naming']) => ({ sharedAudience: { audience: SHARED, naming } });
  const byScope = policyOf({ by: 'scope', pattern });

  test.each<[string, Partial<IssuerPolicy>, JsonObject, JsonObject, string]>([
    ['the AS names the device', byScope, {}, { aud: SHARED, scope: 'ekg-1/read' }, 'read'],
    [
      'the token names it',
      byScope,
      { aud: SHARED, scope: 'ekg-1/read' },
      { aud: undefined, scope: undefined } as unknown as JsonObject,
      'read',
    ],
    [
      'both name it',
      byScope,
      { aud: SHARED, scope: 'ekg-1/read ekg-1/list' },
      { aud: SHARED, scope: 'ekg-1/read ekg-1/write' },
      'read',
    ],
    [
      'a claim of the token names it',
      policyOf({ by: 'claim', claim: 'device' }),
      { device: 'ekg-1', scope: 'read list' },
      { aud: SHARED },
      'read',
    ],
    [
      'details of the token name it',
      policyOf({ by: 'authorization_details', type: 'd' }),
      { aud: SHARED, authorization_details: [{ type: 'd', identifier: 'ekg-1', actions: ['read'] }] },
      { aud: SHARED },
      'read',
    ],
  ])('it is good where %s', async (_, policy, claims, says, scope) => {
    const answer = Object.fromEntries(Object.entries({ ...GOOD, ...says }).filter(([, value]) => value !== undefined));
    expect(await judge(jwtOf(claims), { says: answer as JsonObject, policy })).toMatchObject({
      active: true,
      token: { audience: [device.audience], members: { aud: device.audience, scope } },
    });
  });

  test.each<[string, JsonObject, JsonObject, number]>([
    ['the token names another one', { aud: SHARED, scope: 'ekg-2/read' }, { aud: SHARED, scope: 'ekg-1/read' }, 0],
    ['the AS names another one', { aud: SHARED, scope: 'ekg-1/read' }, { aud: SHARED, scope: 'ekg-2/read' }, 1],
    ['the AS names another one, and the token none', {}, { aud: SHARED, scope: 'ekg-2/read' }, 1],
  ])('it is not good where %s', async (_, claims, says, questions) => {
    const verdict = await judge(jwtOf(claims), { says: { ...GOOD, ...says }, policy: byScope });
    expect(verdict).toMatchObject({ active: false });
    expect(asked).toHaveLength(questions);
  });
});
