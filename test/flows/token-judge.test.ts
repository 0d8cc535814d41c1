import { describe, expect, test } from 'vitest';
import { sha256 } from '../../src/core/bytes.ts';
import type { ErrorCode } from '../../src/core/error-catalogue.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { IntrospectedToken } from '../../src/core/introspected-token.ts';
import { readScopePattern } from '../../src/core/scope-pattern.ts';
import { Secret } from '../../src/core/secret.ts';
import type { VerifiedToken } from '../../src/core/verified-token.ts';
import type { Device } from '../../src/devices/device.ts';
import { type RelayIssuer, TokenJudge } from '../../src/flows/token-judge.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { connectedDevice } from '../fixtures/connected-device.ts';
import { verifiedToken } from '../fixtures/verified-token.ts';

const ISSUER = 'https://as.example';
const OTHER = 'https://other.example';
const device = connectedDevice('ekg-1');
const time = new FakeTime();
const END = time.now().earliest + 600;
const OPAQUE = 'reference-into-the-memory-of-the-AS';
const JWT = `${Buffer.from('{"alg":"ES256","typ":"at+jwt"}').toString('base64url')}.e30.AAAA`;
const BOUND = { jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I' };

const freshness = { source: 'introspection', age: 3, stale: false } as const;
const NO: IntrospectedToken = { active: false, code: 'token_inactive', freshness, evidence: undefined };

function yes(changes: Partial<Extract<IntrospectedToken, { active: true }>> = {}): IntrospectedToken {
  return {
    active: true,
    freshness,
    evidence: undefined,
    members: { active: true, scope: 'read' },
    expiresAt: END,
    audience: [device.audience],
    scope: ['read'],
    subject: 'doctor-7',
    clientId: 'doctor-app',
    confirmation: BOUND,
    confirmationKey: undefined,
    ...changes,
  };
}

type Said = IntrospectedToken | ErrorCode;

/** An issuer that says one thing, or fails, and counts how often it is asked. What comes after the first is said from then on. */
function issuer(says: Said | readonly [Said, Said], changes: Partial<RelayIssuer> = {}) {
  const asked = { times: 0 };
  const [first, then] = Array.isArray(says) ? (says as readonly [Said, Said]) : [says as Said, says as Said];
  const introspect = async () => {
    asked.times += 1;
    const said = asked.times === 1 ? first : then;
    if (typeof said === 'string') throw new LatchkeyError(said);
    return said;
  };
  return { asked, issuer: ISSUER, policy: 'opaque' as const, introspector: { introspect }, ...changes };
}

function jwt(changes: Partial<VerifiedToken> = {}): VerifiedToken {
  return verifiedToken({
    issuer: ISSUER,
    audience: [device.audience],
    expiresAt: END,
    confirmation: BOUND,
    scope: ['read'],
    freshness: { keysAge: 6.5, clock: 'sure' },
    ...changes,
  });
}

interface Setup {
  readonly issuers: readonly RelayIssuer[];
  readonly verify?: VerifiedToken | ErrorCode;
  readonly of?: Device;
}

const NEIGHBOUR = 'ekg-2';

function judge(token: string, setup: Setup) {
  return judgeOf(setup)(token, setup.of);
}

/** The same judge for several tokens. */
function judgeOf({ issuers, verify = 'jwt_malformed' }: Setup) {
  const tokens = new TokenJudge({
    names: { has: (id) => [device.id, NEIGHBOUR].includes(id), withAudience: () => undefined },
    issuers,
    clock: time,
    readSigned: async () => undefined,
    verify: async () => {
      if (typeof verify === 'string') throw new LatchkeyError(verify);
      return verify;
    },
  });
  return (token: string, of: Device = device) => tokens.judge(new Secret(token), sha256(token), of);
}

describe('exi of a good token ends with exp', () => {
  const left = END - time.now().earliest;

  test.each([
    ['cut to what is left', left + 600, left],
    ['as it is, where that is less', left - 1, left - 1],
  ])('%s', async (_, exi, expected) => {
    const opaque = await judge(OPAQUE, { issuers: [issuer(yes({ members: { active: true, scope: 'read', exi } }))] });
    expect(opaque).toMatchObject({ token: { members: { exi: expected } } });
    const signed = await judge(JWT, { issuers: [], verify: jwt({ expiresIn: exi }) });
    expect(signed).toMatchObject({ token: { members: { exi: expected } } });
  });
});

test.each([
  [600, 600 - freshness.age],
  [1, 0],
])('exi of a token without exp, %i, is cut by what the answer is old', async (exi, expected) => {
  const said = yes({ expiresAt: undefined, members: { active: true, scope: 'read', exi } });
  expect(freshness.age).toBeGreaterThan(1);
  expect(await judge(OPAQUE, { issuers: [issuer(said)] })).toMatchObject({ token: { members: { exi: expected } } });
});

describe('an opaque token is not good', () => {
  test('where its issuer says so', async () => {
    expect(await judge(OPAQUE, { issuers: [issuer(NO)] })).toEqual({
      active: false,
      code: 'token_inactive',
      concealed: true,
      issuer: ISSUER,
      evidence: undefined,
      freshness: { ...freshness, clock: 'sure' },
    });
  });

  test.each<[string, readonly string[]]>([
    ['for another audience', ['https://ekg-2.ward.example']],
    ['for nobody in particular', []],
  ])('%s', async (_, audience) => {
    const verdict = await judge(OPAQUE, { issuers: [issuer(yes({ audience }))] });
    expect(verdict).toMatchObject({ active: false, code: 'jwt_audience_mismatch' });
  });

  test.each([
    ['token_use', 'refresh_token'],
    ['token_type', 'id_token'],
    ['typ', 'Refresh'],
  ])('that its issuer calls a token of another kind by %s', async (name, kind) => {
    const said = yes({ members: { active: true, scope: 'read', [name]: kind } });
    expect(await judge(OPAQUE, { issuers: [issuer(said)] })).toMatchObject({ active: false, code: 'jwt_type_refused' });
  });

  test('for another audience, and all are asked who would be asked about one that nobody knows', async () => {
    const last = issuer(NO, { issuer: 'https://last.example' });
    const foreign = issuer(yes({ audience: ['https://ekg-2.ward.example'] }), { issuer: OTHER });
    const verdict = await judge(OPAQUE, { issuers: [issuer(NO), foreign, last] });
    expect(verdict).toMatchObject({ code: 'jwt_audience_mismatch', concealed: true, issuer: OTHER });
    expect(last.asked.times).toBe(1);
  });

  test('where every issuer says so, and the first one is named', async () => {
    const issuers = [issuer(NO), issuer(NO, { issuer: OTHER })];
    expect(await judge(OPAQUE, { issuers })).toMatchObject({ active: false, issuer: ISSUER });
  });
});

describe('there is no verdict on an opaque token', () => {
  test.each<[string, readonly RelayIssuer[], ErrorCode]>([
    ['where nobody can be asked', [issuer(NO, { introspector: undefined })], 'introspection_unavailable'],
    ['where nobody is to be asked', [issuer(yes(), { policy: 'never' })], 'introspection_unavailable'],
    ['where its issuer cannot be reached', [issuer('as_unreachable')], 'as_unreachable'],
    ['where one issuer could not be asked', [issuer('as_timeout'), issuer(NO, { issuer: OTHER })], 'as_timeout'],
    [
      'of another device where one issuer could not be asked, as on one that nobody knows',
      [issuer('as_timeout'), issuer(yes({ audience: ['https://ekg-2.ward.example'] }), { issuer: OTHER })],
      'as_timeout',
    ],
    ['while the time is not known', [issuer('clock_unsure')], 'clock_unsure'],
  ])('%s', async (_, issuers, code) => {
    expect(await asyncCodeOf(judge(OPAQUE, { issuers }))).toBe(code);
  });

  test('by an issuer that the device does not take, which is not asked', async () => {
    const known = issuer(yes());
    const of = connectedDevice('ekg-1', { issuers: [OTHER] });
    expect(await asyncCodeOf(judge(OPAQUE, { issuers: [known], of }))).toBe('introspection_unavailable');
    expect(known.asked.times).toBe(0);
  });
});

describe('an issuer that fails', () => {
  const failing = () => issuer('as_timeout', { issuer: 'https://away.example' });

  test('is named in the log, where it could know the token', async () => {
    const verdict = judge(OPAQUE, { issuers: [failing(), issuer(NO)] });
    await expect(verdict).rejects.toMatchObject({ code: 'as_timeout', detail: 'https://away.example' });
  });

  test('does not count for a token that was good by another issuer before', async () => {
    const away = failing();
    const tokens = judgeOf({ issuers: [away, issuer([yes(), NO])] });
    expect(await tokens(OPAQUE)).toMatchObject({ active: true });
    expect(await tokens(OPAQUE)).toMatchObject({ active: false, code: 'token_inactive', issuer: ISSUER });
    expect(await asyncCodeOf(tokens('another'))).toBe('as_timeout');
  });

  test('is not asked again about a token that is good by another one, which goes first', async () => {
    const away = failing();
    const tokens = judgeOf({ issuers: [away, issuer(yes())] });
    await tokens(OPAQUE);
    expect(await tokens(OPAQUE)).toMatchObject({ active: true });
    expect(away.asked.times).toBe(1);
  });

  test('has the say on a token that was good by itself', async () => {
    const other = issuer(NO, { issuer: OTHER });
    const tokens = judgeOf({ issuers: [other, issuer([yes(), 'as_timeout'])] });
    await tokens(OPAQUE);
    expect(await asyncCodeOf(tokens(OPAQUE))).toBe('as_timeout');
  });

  test('takes no token from an issuer that knows it, though that was away at first', async () => {
    const late = issuer(['as_timeout', yes()], { issuer: OTHER });
    const tokens = judgeOf({ issuers: [late, issuer([yes(), NO])] });
    await tokens(OPAQUE);
    expect(await tokens(OPAQUE)).toMatchObject({ active: true, token: { issuer: OTHER } });
  });

  test('counts for another device: what was good there is as an unknown token here', async () => {
    const tokens = judgeOf({ issuers: [failing(), issuer([yes(), yes()])] });
    await tokens(OPAQUE);
    const neighbour = connectedDevice(NEIGHBOUR);
    expect(await asyncCodeOf(tokens(OPAQUE, neighbour))).toBe('as_timeout');
    expect(await asyncCodeOf(tokens('made-up', neighbour))).toBe('as_timeout');
  });

  test('by a fault of the hub ends the question, whoever knows the token', async () => {
    const broken = { ...failing(), introspector: { introspect: () => Promise.reject(new TypeError('broken')) } };
    const tokens = judgeOf({ issuers: [issuer([yes(), NO]), broken] });
    await tokens(OPAQUE);
    await expect(tokens(OPAQUE)).rejects.toThrow('broken');
  });
});

describe('opaque_prefixes', () => {
  const prefixed = (says: Said, changes: Partial<RelayIssuer> = {}) =>
    issuer(says, { issuer: OTHER, opaquePrefixes: ['ory_at_', 'ory2_'], ...changes });

  test('keep the tokens of an issuer from all others', async () => {
    const other = issuer('as_timeout');
    const issuers = [other, prefixed(NO)];
    expect(await judge('ory_at_1', { issuers })).toMatchObject({
      active: false,
      code: 'token_inactive',
      issuer: OTHER,
    });
    expect(other.asked.times).toBe(0);
  });

  test('keep all other tokens from the issuer', async () => {
    const other = prefixed('as_timeout');
    expect(await judge('1_ory_at_', { issuers: [other, issuer(NO)] })).toMatchObject({ active: false, issuer: ISSUER });
    expect(other.asked.times).toBe(0);
  });

  test('of two issuers may be the same: both are asked', async () => {
    const issuers = [prefixed(NO), prefixed(yes(), { issuer: ISSUER })];
    expect(await judge('ory2_1', { issuers })).toMatchObject({ active: true, token: { issuer: ISSUER } });
  });

  test.each([
    ['of an issuer that the device does not take', 'ory_at_1', [ISSUER]],
    ['of no issuer that the device takes', 'made-up', [OTHER]],
  ])('show a token %s, and none is asked', async (_, token, taken) => {
    const both = [issuer('as_timeout'), prefixed('as_timeout')];
    const of = connectedDevice('ekg-1', { issuers: taken });
    expect(await judge(token, { issuers: both, of })).toEqual({
      active: false,
      code: 'token_inactive',
      concealed: true,
      issuer: undefined,
      freshness: undefined,
      evidence: undefined,
    });
    expect(both.map(({ asked }) => asked.times)).toEqual([0, 0]);
  });
});

describe('an opaque token is good', () => {
  test('by the word of the first issuer who knows it, whatever became of the others', async () => {
    const later = issuer(yes(), { issuer: 'https://later.example' });
    const issuers = [issuer('as_unreachable'), issuer(NO), issuer(yes(), { issuer: OTHER }), later];
    expect(await judge(OPAQUE, { issuers })).toMatchObject({
      active: true,
      freshness: { ...freshness, clock: 'sure' },
      token: { issuer: OTHER, subject: 'doctor-7', expiresAt: END, confirmation: BOUND, confidential: true },
    });
    expect(later.asked.times).toBe(0);
  });

  test('as often as its answer is remembered, and for no other device meanwhile', async () => {
    const said = yes();
    const ask = judgeOf({ issuers: [issuer(said)] });
    const first = await ask(OPAQUE);
    const another = { ...device, audience: 'coap://another' };
    expect(await ask(OPAQUE, another)).toMatchObject({ active: false, code: 'jwt_audience_mismatch' });
    expect(await ask(OPAQUE)).toEqual(first);
  });

  test('and what is new of a remembered answer is told: how old it is', async () => {
    const said = yes();
    const older = { ...said, freshness: { ...freshness, age: freshness.age + 9 } };
    const ask = judgeOf({ issuers: [issuer([said, older])] });
    await ask(OPAQUE);
    expect(await ask(OPAQUE)).toMatchObject({ active: true, freshness: { age: freshness.age + 9 } });
  });

  test('and the key that client and AS share is back in its confirmation', async () => {
    const key = { kty: 'oct', k: 'AAAAAAAAAAAAAAAAAAAAAA' };
    const said = yes({ confirmation: { jwk: { kty: 'oct' } }, confirmationKey: new Secret(key) });
    const verdict = await judge(OPAQUE, { issuers: [issuer(said)] });
    expect(verdict).toMatchObject({ token: { confirmation: { jwk: key }, confidential: true } });
    expect(JSON.stringify(verdict.active && verdict.token.members)).not.toContain(key.k);
  });
});

describe('a JWT is not good', () => {
  test.each<ErrorCode>(['jwt_signature_invalid', 'jwt_expired', 'jwt_audience_mismatch', 'key_unknown'])(
    'that is refused as %s, and nobody is asked about it',
    async (code) => {
      const as = issuer(yes(), { policy: 'always' });
      expect(await judge(JWT, { issuers: [as], verify: code })).toMatchObject({
        active: false,
        code,
        concealed: false,
        issuer: undefined,
        freshness: undefined,
      });
      expect(as.asked.times).toBe(0);
    },
  );

  test('that its issuer took back', async () => {
    const verdict = await judge(JWT, { issuers: [issuer(NO, { policy: 'always' })], verify: jwt() });
    expect(verdict).toMatchObject({ active: false, code: 'token_inactive', concealed: false, issuer: ISSUER });
  });

  test('of which its issuer says that it is for others', async () => {
    const said = yes({ audience: ['https://ekg-2.ward.example'] });
    const verdict = await judge(JWT, { issuers: [issuer(said, { policy: 'always' })], verify: jwt() });
    expect(verdict).toMatchObject({ active: false, code: 'jwt_audience_mismatch' });
  });
});

describe('there is no verdict on a JWT', () => {
  test.each<ErrorCode>(['keys_unavailable', 'keys_too_old', 'clock_unsure', 'as_timeout'])('for %s', async (code) => {
    expect(await asyncCodeOf(judge(JWT, { issuers: [issuer(yes())], verify: code }))).toBe(code);
  });

  test('whose issuer is to be asked and cannot be', async () => {
    const issuers = [issuer('introspection_suspended', { policy: 'always' })];
    expect(await asyncCodeOf(judge(JWT, { issuers, verify: jwt() }))).toBe('introspection_suspended');
  });
});

describe('a JWT is good', () => {
  test('by the keys of its issuer', async () => {
    const as = issuer(NO);
    expect(await judge(JWT, { issuers: [as], verify: jwt() })).toMatchObject({
      active: true,
      freshness: { source: 'jwt', age: 7, stale: false, clock: 'sure' },
      token: { issuer: ISSUER, members: { iss: ISSUER, scope: 'read' }, confirmation: BOUND, confidential: false },
    });
    expect(as.asked.times).toBe(0);
  });

  test.each<[string, readonly string[], readonly string[]]>([
    ['by its own word', [device.audience, device.audience, 'https://ekg-2.ward.example'], [device.audience]],
    ['by the word of its issuer', [device.audience], ['https://ekg-2.ward.example', device.audience]],
  ])('for all that it is for %s, each once', async (_, audience, said) => {
    const issuers = [issuer(yes({ audience: said }), { policy: 'always' })];
    const verdict = await judge(JWT, { issuers, verify: jwt({ audience }) });
    const named = verdict.active ? [...verdict.token.audience].sort() : [];
    expect(named).toEqual([device.audience, 'https://ekg-2.ward.example']);
  });

  test('by the word of its issuer where that is asked always; what is left out is as the JWT has it', async () => {
    const said = yes({
      audience: [],
      subject: undefined,
      confirmation: undefined,
      expiresAt: END - 60,
      members: { active: true, scope: 'narrow' },
    });
    const issuers = [issuer(NO, { issuer: OTHER, policy: 'always' }), issuer(said, { policy: 'always' })];
    expect(await judge(JWT, { issuers, verify: jwt() })).toMatchObject({
      active: true,
      freshness: { ...freshness, clock: 'sure' },
      token: {
        issuer: ISSUER,
        subject: 'ekg-17',
        expiresAt: END - 60,
        members: { iss: ISSUER, scope: 'narrow' },
        confirmation: BOUND,
        confidential: false,
      },
    });
  });

  test.each([
    ['its issuer', END - 60, END],
    ['its own signature', END, END - 60],
  ])('until the earlier end, where that is the word of %s', async (_, said, signed) => {
    const word = yes({ expiresAt: said, members: { active: true, exp: said } });
    const verdict = await judge(JWT, {
      issuers: [issuer(word, { policy: 'always' })],
      verify: jwt({ expiresAt: signed }),
    });
    expect(verdict).toMatchObject({ token: { expiresAt: END - 60, members: { exp: END - 60 } } });
  });
});

describe('a JWT with something around it is not opaque: no issuer is asked', () => {
  test.each([
    ['a dot', `${JWT}.`],
    ['two dots, as many as a JWE has', `${JWT}..`],
    ['another part', `${JWT}.AAAA`],
    ['a space', ` ${JWT}`],
    ['its scheme', `Bearer ${JWT}`],
    ['padding in its header', JWT.replace('.', '=.')],
  ])('%s', async (_, token) => {
    const as = issuer(yes({ audience: [], members: { active: true } }), { assumedAudience: device.audience });
    expect(await judge(token, { issuers: [as] })).toMatchObject({ active: false, code: 'jwt_malformed' });
    expect(as.asked.times).toBe(0);
  });
});

describe('an encrypted token', () => {
  const JWE = `${Buffer.from('{"alg":"ECDH-ES","enc":"A128GCM"}').toString('base64url')}..AAAA.AAAA.AAAA`;

  test('that the hub decrypts is judged as the JWT inside, without a question', async () => {
    const as = issuer(NO);
    expect(await judge(JWE, { issuers: [as], verify: jwt() })).toMatchObject({
      active: true,
      freshness: { source: 'jwt' },
    });
    expect(as.asked.times).toBe(0);
  });

  test('that the hub cannot decrypt is opaque: the AS is asked', async () => {
    const as = issuer(yes());
    const verdict = await judge(JWE, { issuers: [as], verify: 'token_encrypted' });
    expect(verdict).toMatchObject({ active: true, freshness: { source: 'introspection' } });
    expect(as.asked.times).toBe(1);
  });

  test.each<ErrorCode>(['jwt_audience_mismatch', 'jwe_decryption_failed', 'token_encrypted'])(
    'is refused without telling why where no AS can be asked (%s)',
    async (code) => {
      const verdict = await judge(JWE, { issuers: [issuer(yes(), { policy: 'never' })], verify: code });
      expect(verdict).toMatchObject({ active: false, concealed: true, code, freshness: undefined });
    },
  );

  test('of another device looks like one that the AS does not know', async () => {
    const as = issuer(NO);
    const verdict = await judge(JWE, { issuers: [as], verify: 'jwt_audience_mismatch' });
    expect(verdict).toMatchObject({ active: false, concealed: true, code: 'token_inactive' });
  });

  test.each<ErrorCode>(['jwt_audience_mismatch', 'jwt_type_refused', 'jwt_expired'])(
    'that the hub has read and refused (%s) is not good by an answer that says less',
    async (code) => {
      const as = issuer(yes({ audience: [], members: { active: true } }), { assumedAudience: device.audience });
      const verdict = await judge(JWE, { issuers: [as], verify: code });
      expect(verdict).toMatchObject({ active: false, concealed: true, code });
      expect(as.asked.times).toBe(1);
    },
  );

  test('that was revoked stays revoked', async () => {
    const as = issuer(NO, { policy: 'always' });
    const verdict = await judge(JWE, { issuers: [as], verify: jwt() });
    expect(verdict).toMatchObject({ active: false, code: 'token_inactive' });
    expect(as.asked.times).toBe(1);
  });
});

describe('of a token with an audience for many devices the device learns what is for it', () => {
  const SHARED = 'https://devices.example';
  const pattern = readScopePattern('{device}/{scope}');
  if (pattern === undefined) throw new Error('no pattern');
  const byScope = { audience: SHARED, naming: { by: 'scope', pattern } } as const;
  const says = (scope: string) => ({
    audience: [SHARED],
    scope: scope.split(' '),
    members: { active: true, aud: SHARED, scope, authorization_details: [{ type: 'payment' }] },
  });

  test('an opaque one', async () => {
    const asked = issuer(yes(says(`openid ${device.id}/read`)), { sharedAudience: byScope });
    const verdict = await judge(OPAQUE, { issuers: [asked] });
    const members = { iss: ISSUER, active: true, aud: device.audience, exp: END, scope: 'read' };
    expect(verdict).toMatchObject({ active: true, token: { audience: [device.audience] } });
    expect(verdict.active && verdict.token.members).toEqual(members);
  });

  test.each([
    ['another device', `${NEIGHBOUR}/read`, 'jwt_audience_mismatch'],
    ['no device', 'read', 'device_unnamed'],
    ['two devices', `${NEIGHBOUR}/read ${device.id}/read`, 'device_ambiguous'],
  ])('and not that an opaque one names %s', async (_, scope, code) => {
    const asked = issuer(yes(says(scope)), { sharedAudience: byScope });
    expect(await judge(OPAQUE, { issuers: [asked] })).toMatchObject({ active: false, concealed: true, code });
  });

  test.each([
    ['as much', `${device.id}/read ${device.id}/write`, 'read write'],
    ['less', `${device.id}/write ${NEIGHBOUR}/read`, 'write'],
    ['nothing', `${NEIGHBOUR}/read`, ''],
  ])('a JWT of which the AS says %s', async (_, scope, expected) => {
    const asked = issuer(yes(says(scope)), { policy: 'always', sharedAudience: byScope });
    const verify = jwt({ scope: ['read', 'write'] });
    expect(await judge(JWT, { issuers: [asked], verify })).toMatchObject({
      active: true,
      token: { audience: [device.audience], members: { aud: device.audience, scope: expected } },
    });
  });

  test('a JWT of which the AS does not say the scope again', async () => {
    const said = yes({ audience: [SHARED], scope: [], members: { active: true, aud: SHARED } });
    const asked = issuer(said, { policy: 'always', sharedAudience: byScope });
    expect(await judge(JWT, { issuers: [asked], verify: jwt() })).toMatchObject({
      token: { members: { scope: 'read' } },
    });
  });
});

describe('of a JWT with an audience for many devices, of which the AS does not say the audience again,', () => {
  const SHARED = 'https://devices.example';
  const byDetails = { audience: SHARED, naming: { by: 'authorization_details', type: 'd' } } as const;
  const detail = (identifier: string, ...actions: string[]) => ({ type: 'd', identifier, actions });
  const mine = [detail(device.id, 'read', 'write'), detail('elsewhere', 'admin')];
  const [wide, openid] = [['read', 'write', 'admin'], ['openid']];

  test.each([
    ['no more than is in the token', 'read write admin', mine, wide, 'read write'],
    ['less, where its scope has less', 'read', mine, wide, 'read'],
    ['less, where its details have less', 'read write admin', [detail(device.id, 'write')], wide, 'write'],
    ['nothing, where its details are of others', 'read', [detail('elsewhere', 'read')], wide, ''],
    ['nothing, where its scope lost all actions', 'admin', undefined, wide, ''],
    ['what is in the token, where no scope speaks of actions', 'openid', undefined, openid, 'read write'],
  ])('the device learns %s', async (_, scope, details, statedScope, expected) => {
    const members = {
      active: true,
      scope,
      ...(details === undefined ? {} : { authorization_details: details }),
    };
    const said = yes({ audience: [], scope: scope.split(' '), members });
    const asked = issuer(said, { policy: 'always', sharedAudience: byDetails });
    const verify = jwt({ statedAudience: [SHARED], scope: ['read', 'write'], statedScope });
    const verdict = await judge(JWT, { issuers: [asked], verify });
    expect(verdict).toMatchObject({ token: { members: { scope: expected, aud: device.audience } } });
    expect(verdict.active && verdict.token.members).not.toHaveProperty('authorization_details');
  });
});

test('a kid in an answer is the thumbprint of a key, where the issuer writes it so', async () => {
  const cnf = { kid: 'V6N_HMPagNpYS_wxM14X73q3eWzbTr9Z31RyHkIcN0Y' };
  const said = yes({ confirmation: cnf });
  expect(await judge(OPAQUE, { issuers: [issuer(said)] })).toMatchObject({ token: { confirmation: cnf } });
  const asked = issuer(said, { kidIsThumbprint: true });
  expect(await judge(OPAQUE, { issuers: [asked] })).toMatchObject({ token: { confirmation: { jkt: cnf.kid } } });
});

describe('an answer that names no audience', () => {
  const nameless = yes({ audience: [] });

  test('is good for no device', async () => {
    expect(await judge(OPAQUE, { issuers: [issuer(nameless)] })).toMatchObject({
      active: false,
      code: 'jwt_audience_mismatch',
    });
  });

  test('is good for the device of the assumed audience, which is told of it', async () => {
    const issuers = [issuer(nameless, { assumedAudience: device.audience })];
    expect(await judge(OPAQUE, { issuers })).toMatchObject({
      active: true,
      token: { audience: [device.audience], members: { aud: device.audience } },
    });
  });

  test('is good for no other device', async () => {
    const issuers = [issuer(nameless, { assumedAudience: 'https://another.example' })];
    expect(await judge(OPAQUE, { issuers })).toMatchObject({ active: false, code: 'jwt_audience_mismatch' });
  });

  test('names its device by scope where the assumed audience is the shared one', async () => {
    const pattern = readScopePattern('{device}/{scope}');
    if (pattern === undefined) throw new Error('no pattern');
    const shared = { audience: 'https://site.example', naming: { by: 'scope', pattern } } as const;
    const changes = { assumedAudience: shared.audience, sharedAudience: shared };
    const about = (id: string) => yes({ audience: [], scope: [`${id}/read`] });
    expect(await judge(OPAQUE, { issuers: [issuer(about(device.id), changes)] })).toMatchObject({
      active: true,
      token: { members: { aud: device.audience, scope: 'read' } },
    });
    expect(await judge(OPAQUE, { issuers: [issuer(about(NEIGHBOUR), changes)] })).toMatchObject({ active: false });
  });
});

test('an audience that the answer names is not replaced by the assumed one', async () => {
  const issuers = [issuer(yes({ audience: ['https://another.example'] }), { assumedAudience: device.audience })];
  expect(await judge(OPAQUE, { issuers })).toMatchObject({ active: false, code: 'jwt_audience_mismatch' });
});

test('the device learns which issuer answered, where the answer has no iss', async () => {
  const issuers = [issuer(NO), issuer(yes(), { issuer: OTHER })];
  expect(await judge(OPAQUE, { issuers })).toMatchObject({ active: true, token: { members: { iss: OTHER } } });
});
