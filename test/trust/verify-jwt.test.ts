import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { connectAuthorizationServer } from '../../drivers/as/authorization-server.ts';
import { hex, sha256 } from '../../src/core/bytes.ts';
import type { TimeBounds } from '../../src/core/clock.ts';
import { isCoded } from '../../src/core/errors.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { judgeTimes } from '../../src/core/token-times.ts';
import { type IssuerPolicy, issuerPolicy } from '../../src/trust/issuer-policy.ts';
import { Issuers } from '../../src/trust/issuers.ts';
import { KeyRing } from '../../src/trust/key-ring.ts';
import { verifyJwt, verifyJwtWithKeys } from '../../src/trust/verify-jwt.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import {
  type DemoAuthorizationServer,
  issueToken,
  startAuthorizationServer,
  TUBE_AUDIENCE,
} from '../fixtures/authorization-server.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { signingKey, signJwt } from '../fixtures/jwt-signing.ts';
import { rejection } from '../fixtures/key-cache-rig.ts';

const NOW = 1_800_000_000;
const ISSUER = 'https://as.example';
const key = signingKey('P-256', 'k1');
const CLAIMS = { iss: ISSUER, aud: 'tube', sub: 's', exp: NOW + 600, iat: NOW - 5, jti: 'j', scope: 'read  write ' };
const HEADER = { alg: 'ES256', typ: 'at+jwt', kid: 'k1' };
const policy = issuerPolicy({ issuer: ISSUER, source: { kind: 'file', jwks: { keys: [key.jwk] } } });
const keys = new KeyRing({ keys: [key.jwk] }, policy.algorithms);
const SURE: TimeBounds = { earliest: NOW, latest: NOW };
const UNSURE: TimeBounds = { earliest: NOW, latest: undefined };

function verify(jwt: string, options: Partial<Parameters<typeof verifyJwtWithKeys>[1]> = {}) {
  return verifyJwtWithKeys(jwt, {
    policy,
    keys,
    keysAge: 7,
    audience: 'tube',
    time: SURE,
    whenUnsure: 'deny',
    ...options,
  });
}
const jwt = signJwt({ key, header: HEADER, claims: CLAIMS });

function detailOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    if (isCoded(error)) return error.detail;
    throw error;
  }
  throw new Error('was accepted');
}

describe('a verified token', () => {
  test('tells what the JWT says, and how fresh the knowledge was', () => {
    expect(verify(jwt)).toEqual({
      issuer: ISSUER,
      subject: 's',
      audience: ['tube'],
      statedAudience: ['tube'],
      statedScope: ['read', 'write'],
      expiresAt: NOW + 600,
      notBefore: undefined,
      issuedAt: NOW - 5,
      jwtId: 'j',
      scope: ['read', 'write'],
      confirmation: undefined,
      digest: expect.anything(),
      identity: sha256(jwt.slice(0, jwt.lastIndexOf('.'))),
      bind: 'token',
      leeway: 60,
      bytes: jwt.length,
      freshness: { keysAge: 7, clock: 'sure' },
    });
  });

  test('is named by the hash of the JWT as it was received', () => {
    expect(hex(verify(jwt).digest)).toBe(hex(sha256(jwt)));
  });

  test('has one identity, however its signature is written', () => {
    // ES256: with s goes n − s (SEC 1 §4.1.4), so the holder of a token can make a second good one out of it.
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const [input, signature] = [
      jwt.slice(0, jwt.lastIndexOf('.')),
      Buffer.from(jwt.slice(jwt.lastIndexOf('.') + 1), 'base64url'),
    ];
    const other = (order - BigInt(`0x${signature.subarray(32).toString('hex')}`)).toString(16).padStart(64, '0');
    const bent = `${input}.${Buffer.concat([signature.subarray(0, 32), Buffer.from(other, 'hex')]).toString('base64url')}`;
    expect(hex(verify(bent).digest)).not.toBe(hex(verify(jwt).digest));
    expect(hex(verify(bent).identity)).toBe(hex(verify(jwt).identity));
  });

  test('has a kid for a jkt, where its issuer writes thumbprints', () => {
    const cnf = { kid: 'V6N_HMPagNpYS_wxM14X73q3eWzbTr9Z31RyHkIcN0Y', xms_ksl: 'sw' };
    const entra = signJwt({ key, header: HEADER, claims: { ...CLAIMS, cnf } });
    expect(verify(entra).confirmation).toEqual(cnf);
    const { confirmation } = verify(entra, { policy: { ...policy, confirmationKid: 'thumbprint' } });
    expect(confirmation).toEqual({ jkt: cnf.kid, xms_ksl: 'sw' });
  });

  test('is for an audience that a function may choose', () => {
    expect(codeOf(() => verify(jwt, { audience: (audience) => audience.startsWith('tu') }))).toBe('none');
    expect(codeOf(() => verify(jwt, { audience: () => false }))).toBe('jwt_audience_mismatch');
  });

  // A nested claim takes a token past the fast reader, to the strict one.
  test.each<[string, JsonObject, readonly string[]]>([
    ['scp is a text', { scp: 'read  write read' }, ['read', 'write']],
    ['scp is a text, read strictly', { scp: 'read write', nested: {} }, ['read', 'write']],
    ['scp is a list', { scp: ['write', 'read', 'write'] }, ['write', 'read']],
    ['scp is an empty list', { scp: [] }, []],
    ['both are there: scope counts', { scope: 'read', scp: 'admin' }, ['read']],
    ['both are there, read strictly: scope counts', { scope: 'read', scp: ['admin'] }, ['read']],
    ['both are there, and scope is empty: it counts all the same', { scope: '', scp: 'admin' }, []],
    ['neither is there', {}, []],
  ])('has its scopes where %s', (_name, scopes, expected) => {
    const { scope: _scope, ...claims } = CLAIMS;
    expect(verify(signJwt({ key, header: HEADER, claims: { ...claims, ...scopes } })).scope).toEqual(expected);
  });

  test('is judged alike the second time, when its header is known', () => {
    verify(jwt);
    expect(codeOf(() => verify(jwt, { policy: { ...policy, algorithms: ['EdDSA'] } }))).toBe('jwt_algorithm_refused');
    expect(codeOf(() => verify(jwt, { policy: { ...policy, tokenTypes: ['jwt'] } }))).toBe('jwt_type_refused');
    expect(codeOf(() => verify(`${jwt.slice(0, -4)}AAAA`))).toBe('jwt_signature_invalid');
  });

  test('has a header that one issuer may have and another may not, whichever comes first', () => {
    const zipped = signJwt({ key, header: { ...HEADER, zip: 'NONE' }, claims: CLAIMS });
    const lenient = { policy: { ...policy, ignoredHeaders: ['zip=NONE'] } };
    expect(codeOf(() => verify(zipped))).toBe('jwt_header_refused');
    expect(codeOf(() => verify(zipped, lenient))).toBe('none');
    expect(codeOf(() => verify(zipped))).toBe('jwt_header_refused');
  });

  const ALLOWED = 'expected "ES256" or "EdDSA" or "PS256" or "RS256"';

  test.each<[string, JsonObject, string]>([
    [
      'an algorithm that the operator may allow',
      { alg: 'PS512' },
      `alg is "PS512", ${ALLOWED}: algorithms of the issuer may have it`,
    ],
    ['an algorithm that no operator may allow', { alg: 'HS512' }, `alg is "HS512", ${ALLOWED}: no issuer may use it`],
    ['a text as algorithm', { alg: 'own\ntext' }, `alg is "own\\ntext", ${ALLOWED}: no issuer may use it`],
    ['no typ', { typ: undefined as never }, 'typ is missing, expected "at+jwt": token_types may have "none"'],
    ['the type JWT', { typ: 'JWT' }, 'typ is "JWT", expected "at+jwt": token_types may have "JWT"'],
    ['another type', { typ: 'own\u202etext' }, 'typ is "own\\u202etext", expected "at+jwt"'],
    ['a certificate', { x5c: ['a'] }, 'header member x5c, and ignored_headers does not name it'],
    ['a member as text', { zip: 'DEF' }, 'header member zip is "DEF", and ignored_headers does not name it'],
  ])('is refused for %s with what it has and what is expected', (_name, header, detail) => {
    const refused = signJwt({ key, header: { ...HEADER, ...header }, claims: CLAIMS, algorithm: 'ES256' });
    expect(detailOf(() => verify(refused))).toBe(detail);
  });

  test('can be made in one file only', () => {
    const root = new URL('../../src/', import.meta.url);
    const casting = readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .filter((path) => /\bas (unknown as )?VerifiedToken\b/.test(readFileSync(new URL(path, root), 'utf8')));
    expect(casting).toEqual(['trust/verify-jwt.ts']);
  });
});

describe('what a forged token learns', () => {
  const forged = (claims: object) =>
    `${jwt.slice(0, jwt.indexOf('.'))}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${'A'.repeat(86)}`;

  test.each([
    ['for another audience', { ...CLAIMS, aud: 'other' }],
    ['expired', { ...CLAIMS, exp: 1 }],
    ['without exp', { ...CLAIMS, exp: undefined }],
    ['with a scope that is no text', { ...CLAIMS, scope: 1 }],
  ])('one %s: only that its signature is bad', (_name, claims) => {
    expect(codeOf(() => verify(forged(claims)))).toBe('jwt_signature_invalid');
  });

  test('it does not raise the time floor', () => {
    const witnessed: number[] = [];
    codeOf(() => verify(forged(CLAIMS), { witness: (issuedAt) => witnessed.push(issuedAt) }));
    expect(witnessed).toEqual([]);
  });
});

describe('a clock that is unsure', () => {
  test('denies by default, with a code of its own', () => {
    expect(codeOf(() => verify(jwt, { time: UNSURE }))).toBe('clock_unsure');
  });

  test('may be allowed by the operator, and the verdict says so', () => {
    expect(verify(jwt, { time: UNSURE, whenUnsure: 'allow' }).freshness.clock).toBe('unsure');
  });

  test('denies what is expired at the floor, whatever the operator allowed', () => {
    const time = { earliest: NOW + 600, latest: undefined };
    expect(codeOf(() => verify(jwt, { time, whenUnsure: 'allow' }))).toBe('jwt_expired');
    expect(codeOf(() => verify(jwt, { time }))).toBe('jwt_expired');
  });

  test('learns the iat even of a token that it denies', () => {
    const witnessed: number[] = [];
    codeOf(() => verify(jwt, { time: UNSURE, witness: (issuedAt) => witnessed.push(issuedAt) }));
    expect(witnessed).toEqual([NOW - 5]);
  });
});

describe('a token that is no witness of the time', () => {
  const witnessed = (claims: object) => {
    const moments: number[] = [];
    const token = signJwt({ key, header: HEADER, claimsText: JSON.stringify({ ...CLAIMS, ...claims }), claims: {} });
    codeOf(() => verify(token, { time: UNSURE, witness: (moment) => moments.push(moment) }));
    return moments;
  };

  test.each([
    ['for another audience', { aud: 'pump' }],
    ['with a claim of the wrong type', { scope: 1 }],
    ['issued after its own end', { iat: NOW + 700, exp: NOW + 600 }],
    ['issued at its own end', { iat: NOW + 600, exp: NOW + 600 }],
    ['that lives for more than a day', { iat: NOW, exp: NOW + 86_401 }],
    ['without iat', { iat: undefined }],
  ])('one %s', (_name, claims) => {
    expect(witnessed(claims)).toEqual([]);
  });

  test('one that lives for a day is', () => {
    expect(witnessed({ iat: NOW, exp: NOW + 86_400 })).toEqual([NOW]);
  });
});

describe('times at the edge', () => {
  const judge = (claims: Partial<Parameters<typeof judgeTimes>[0]>, time: TimeBounds = SURE) =>
    codeOf(() =>
      judgeTimes(
        { expiresAt: NOW + 600, notBefore: undefined, issuedAt: undefined, ...claims },
        { time, whenUnsure: 'deny', leeway: 60 },
      ),
    );

  test.each([
    ['exp a fraction ahead', { expiresAt: NOW + 0.25 }, 'none'],
    ['exp now', { expiresAt: NOW }, 'jwt_expired'],
    ['nbf at the leeway', { notBefore: NOW + 60 }, 'none'],
    ['nbf past the leeway', { notBefore: NOW + 60.5 }, 'jwt_not_yet_valid'],
    ['iat at the leeway', { issuedAt: NOW + 60 }, 'none'],
    ['iat past the leeway', { issuedAt: NOW + 61 }, 'jwt_issued_in_future'],
  ])('%s: %3$s', (_name, claims, code) => {
    expect(judge(claims)).toBe(code);
  });

  test('what may be expired within the bounds is expired', () => {
    expect(judge({ expiresAt: NOW + 1 }, { earliest: NOW, latest: NOW + 1 })).toBe('jwt_expired');
  });
});

describe('with issuers', () => {
  const closing: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const one of closing.splice(0).reverse()) await one.close();
  });

  async function openIssuers(policies: readonly IssuerPolicy[], store = new FaultyStore(), time = new FakeTime()) {
    const issuers = new Issuers({
      policies,
      connect: () => connectAuthorizationServer(),
      store,
      clock: time,
      timers: time,
      random: time,
      log: new QuietLog(),
    });
    closing.push(issuers);
    await issuers.start();
    return issuers;
  }
  async function openServer(
    options?: Parameters<typeof startAuthorizationServer>[0],
  ): Promise<DemoAuthorizationServer> {
    const as = await startAuthorizationServer(options);
    closing.push(as);
    return as;
  }
  const discovered = (as: DemoAuthorizationServer, settings: Partial<IssuerPolicy> = {}) =>
    issuerPolicy({ issuer: as.issuer, source: { kind: 'discovery' }, requireRfc9068: true, ...settings });
  /** node-oidc-provider lives in the present, so its tokens are judged in it. */
  function options(issuers: Issuers) {
    const seconds = Math.floor(Date.now() / 1000);
    return {
      issuers,
      audience: TUBE_AUDIENCE,
      time: { earliest: seconds, latest: seconds },
      whenUnsure: 'deny',
    } as const;
  }

  test('a token of node-oidc-provider is verified, bound to its DPoP key', async () => {
    const as = await openServer();
    const issuers = await openIssuers([discovered(as)]);
    const token = await verifyJwt((await issueToken(as)).jwt, options(issuers));
    expect(token).toMatchObject({
      issuer: as.issuer,
      audience: [TUBE_AUDIENCE],
      scope: ['read'],
      subject: 'ekg-machine',
    });
    expect(Object.keys(token.confirmation ?? {})).toEqual(['jkt']);
  });

  test('an altered token of node-oidc-provider is refused', async () => {
    const as = await openServer();
    const issuers = await openIssuers([discovered(as)]);
    const [header, , signature] = (await issueToken(as)).jwt.split('.');
    const claims = Buffer.from(JSON.stringify({ iss: as.issuer, scope: 'configure' })).toString('base64url');
    expect(await rejection(verifyJwt(`${header}.${claims}.${signature}`, options(issuers)))).toBe(
      'jwt_signature_invalid',
    );
  });

  test('a token of before a rotation is refused, one of after it accepted', async () => {
    const as = await openServer();
    const time = new FakeTime();
    const issuers = await openIssuers([discovered(as)], new FaultyStore(), time);
    const before = await issueToken(as);
    await verifyJwt(before.jwt, options(issuers));
    await as.rotateKeys();
    await time.advance(31_000);
    await verifyJwt((await issueToken(as)).jwt, options(issuers));
    expect(await rejection(verifyJwt(before.jwt, options(issuers)))).toBe('key_unknown');
  });

  test('a token is verified after a cold boot with the server switched off', async () => {
    const as = await startAuthorizationServer();
    const store = new FaultyStore();
    const first = await openIssuers([discovered(as)], store);
    const { jwt: token } = await issueToken(as);
    await verifyJwt(token, options(first));
    await first.close();
    await as.close();
    const second = await openIssuers([discovered(as)], store);
    expect((await verifyJwt(token, options(second))).issuer).toBe(as.issuer);
  });

  test('a token of a server that was never reached is refused as such', async () => {
    const as = await startAuthorizationServer();
    const { jwt: token } = await issueToken(as);
    await as.close();
    const issuers = await openIssuers([discovered(as)]);
    expect(await rejection(verifyJwt(token, options(issuers)))).toBe('keys_unavailable');
  });

  test('a token of an issuer that nobody configured is refused, and nobody is asked', async () => {
    const as = await openServer();
    const issuers = await openIssuers([policy]);
    expect(await rejection(verifyJwt((await issueToken(as)).jwt, options(issuers)))).toBe('jwt_issuer_unknown');
    expect(as.requests('/jwks')).toBe(0);
  });

  test('a token of one issuer in the name of another is refused', async () => {
    const other = signingKey('P-256', 'k1');
    const otherPolicy = issuerPolicy({
      issuer: 'https://b.example',
      source: { kind: 'file', jwks: { keys: [other.jwk] } },
    });
    const issuers = await openIssuers([policy, otherPolicy]);
    const stolen = signJwt({ key: other, header: HEADER, claims: CLAIMS });
    const judging = { issuers, audience: 'tube', time: SURE, whenUnsure: 'deny' } as const;
    expect(await rejection(verifyJwt(jwt, judging))).toBe('none');
    expect(await rejection(verifyJwt(stolen, judging))).toBe('jwt_signature_invalid');
  });

  test('keys of a file have no age', async () => {
    const issuers = await openIssuers([policy]);
    const token = await verifyJwt(jwt, { issuers, audience: 'tube', time: SURE, whenUnsure: 'deny' });
    expect(token.freshness.keysAge).toBe(0);
    expect(issuers.status()).toMatchObject([{ issuer: ISSUER, source: 'file', age: 0, lastError: undefined }]);
  });

  test('one issuer twice is refused', async () => {
    expect(await rejection(openIssuers([policy, policy]))).toBe('config_invalid');
  });

  test('a file without a usable key is refused', async () => {
    const empty = issuerPolicy({ issuer: ISSUER, source: { kind: 'file', jwks: { keys: [] } } });
    expect(await rejection(openIssuers([empty]))).toBe('jwks_invalid');
  });
});
