/** Access tokens that are encrypted as a whole for the hub: each way to get one past its issuer, and the good ones. */
import { describe, expect, test } from 'vitest';
import { importJweKey, type JweKey } from '../../src/codec/jwe-key.ts';
import { sha256, utf8 } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { readScopePattern } from '../../src/core/scope-pattern.ts';
import { presentedDigest, type VerifiedToken } from '../../src/core/verified-token.ts';
import { issuerPolicy } from '../../src/trust/issuer-policy.ts';
import type { Issuer } from '../../src/trust/issuers.ts';
import { KeyRing } from '../../src/trust/key-ring.ts';
import { verifyJwt } from '../../src/trust/verify-jwt.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { decryptionJwk, encryptTo, hubKeysOf } from '../fixtures/encrypting-issuer.ts';
import { signingKey, signJwt } from '../fixtures/jwt-signing.ts';

const NOW = 1_800_000_000;
const [A, B] = ['https://a.example', 'https://b.example'] as const;
const DEVICE = 'https://tube-1.example';
const encryption = { [A]: decryptionJwk('hub-a'), [B]: decryptionJwk('hub-b') };
const rsa = decryptionJwk('hub-rsa', 'RSA');
const hubKeys = hubKeysOf(encryption);
const signing = { [A]: signingKey('P-256', 'a-1'), [B]: signingKey('P-256', 'b-1') };

function issuerOf(issuer: typeof A | typeof B): Issuer {
  const jwks = { keys: [signing[issuer].jwk] };
  const policy = issuerPolicy({ issuer, source: { kind: 'file', jwks } });
  const held = { ring: new KeyRing(jwks, policy.algorithms), age: 0 };
  return { policy, keys: { forKeyId: async () => held, ring: () => held.ring } as unknown as Issuer['keys'] };
}
const issuers = new Map<string, Issuer>([
  [A, issuerOf(A)],
  [B, issuerOf(B)],
]);

function signed(claims: JsonObject = {}, by: typeof A | typeof B = A, typ = 'at+jwt'): string {
  const all = { iss: by, sub: 'nurse-7', aud: DEVICE, iat: NOW - 5, exp: NOW + 600, scope: 'read', ...claims };
  return signJwt({ key: signing[by], header: { alg: 'ES256', typ, kid: signing[by].kid }, claims: all });
}

const sealed = (content: string, header: JsonObject = {}, to: JsonObject = encryption[A]) =>
  encryptTo(to, content, { header: { cty: 'JWT', ...header } });

interface Setup {
  readonly among?: readonly string[];
  readonly keys?: typeof hubKeys;
}

const verify = (token: string, { among = [A, B], keys = hubKeys }: Setup = {}): Promise<VerifiedToken> =>
  verifyJwt(token, {
    issuers: { find: (name) => (among.includes(name) ? issuers.get(name) : undefined) },
    decryption: { issuers: among, keys, inTurn: (decrypt) => decrypt() },
    audience: DEVICE,
    time: { earliest: NOW, latest: NOW },
    whenUnsure: 'deny',
  });
const codeFor = (token: string, setup: Setup = {}) => asyncCodeOf(verify(token, setup));

describe('a token that is encrypted as a whole', () => {
  test('is what its signature says, and named by the JWT inside', async () => {
    const jwt = signed();
    const token = await sealed(jwt);
    const verified = await verify(token);
    expect(verified).toMatchObject({ issuer: A, subject: 'nurse-7', scope: ['read'], bytes: jwt.length });
    expect(verified.envelope?.bytes).toBe(token.length);
    expect(verified.digest).toEqual((await verify(jwt)).digest);
    // A DPoP proof is over what the client has: the JWE.
    expect(presentedDigest(verified)).toEqual(sha256(utf8(token)));
    expect(presentedDigest(await verify(jwt))).toEqual(sha256(utf8(jwt)));
  });

  test('is named alike however often it is encrypted', async () => {
    const jwt = signed();
    const [first, second] = [await verify(await sealed(jwt)), await verify(await sealed(jwt))];
    expect(first.digest).toEqual(second.digest);
    expect(first.identity).toEqual(second.identity);
    expect(first.identity).toEqual((await verify(jwt)).identity);
    expect(presentedDigest(first)).not.toEqual(presentedDigest(second));
  });

  test.each(['JWT', 'jwt', 'application/at+jwt', undefined])('may have %s as cty', async (cty) => {
    expect(await codeFor(await sealed(signed(), { cty: cty as string }))).toBe('none');
  });

  test('may be encrypted to an RSA key, as Auth0 does', async () => {
    const token = await encryptTo(rsa, signed(), { header: { alg: 'RSA-OAEP-256', enc: 'A256GCM', cty: 'JWT' } });
    expect(await codeFor(token, { keys: hubKeysOf({ [A]: rsa }) })).toBe('none');
  });

  test('needs no kid where one issuer is possible, or where it replicates iss', async () => {
    const unnamed = await sealed(signed(), { kid: undefined as never });
    expect(await codeFor(unnamed, { among: [A] })).toBe('none');
    expect(await codeFor(await sealed(signed(), { kid: undefined as never, iss: A }))).toBe('none');
  });

  test('may replicate its claims in the header', async () => {
    expect(await codeFor(await sealed(signed(), { iss: A, sub: 'nurse-7', aud: DEVICE }))).toBe('none');
  });
});

describe('is refused:', () => {
  test.each<[string, () => Promise<string>, string]>([
    ['a token of one issuer, encrypted to the key for another', () => sealed(signed({}, B)), 'jwe_foreign'],
    ['the same without kid', () => sealed(signed({}, B), { kid: undefined as never, iss: A }), 'jwe_foreign'],
    ['another iss in the header', () => sealed(signed(), { iss: B }), 'jwe_foreign'],
    ['another sub in the header', () => sealed(signed(), { sub: 'nurse-8' }), 'jwe_foreign'],
    ['another aud in the header', () => sealed(signed(), { aud: 'https://tube-2.example' }), 'jwe_foreign'],
    ['a key of another recipient', () => sealed(signed(), {}, decryptionJwk('theirs')), 'token_encrypted'],
    ['no kid, with several issuers', () => sealed(signed(), { kid: undefined as never }), 'token_encrypted'],
    ['another key under the name of ours', () => sealed(signed(), {}, decryptionJwk('hub-a')), 'jwe_decryption_failed'],
    ['an algorithm that is not accepted', () => sealed(signed(), { enc: 'A256CBC-HS512' }), 'jwe_invalid'],
    ['cty of something else', () => sealed(signed(), { cty: 'jwk+json' }), 'jwe_invalid'],
    [
      'claims without a signature',
      () => sealed(JSON.stringify({ iss: A, aud: DEVICE, exp: NOW + 600 })),
      'jwt_malformed',
    ],
    ['a JWE in the JWE', async () => sealed(await sealed(signed())), 'jwt_malformed'],
    ['another signature', () => sealed(`${signed().slice(0, -8)}AAAAAAAA`), 'jwt_signature_invalid'],
    ['another audience', () => sealed(signed({ aud: 'https://tube-2.example' })), 'jwt_audience_mismatch'],
    ['more than 16 KiB', async () => `${await sealed(signed())}${'A'.repeat(LIMITS.jwtBytes)}`, 'jwt_too_large'],
  ])('%s', async (_name, make, code) => {
    expect(await codeFor(await make())).toBe(code);
  });

  test('a key for an issuer that the device does not accept', async () => {
    expect(await codeFor(await sealed(signed({}, B), {}, encryption[B]), { among: [A] })).toBe('jwt_issuer_unknown');
  });
});

test.each([
  ['with the type of any JWT', { nonce: 'n' }, 'JWT'],
  ['with the type of an access token', { at_hash: 'x' }, 'at+jwt'],
  ['that is for a code', { c_hash: 'x' }, 'at+jwt'],
])('an ID token %s is refused inside a JWE as it is outside', async (_name, claims, typ) => {
  const jwt = signed(claims, A, typ);
  expect(await codeFor(jwt)).toBe('jwt_type_refused');
  expect(await codeFor(await sealed(jwt))).toBe('jwt_type_refused');
});

test('a JWE without kid is tried with the newest key alone', async () => {
  const older = decryptionJwk('hub-a-older');
  const keys = {
    decryptionKeys: () => [encryption[A], older].map(importJweKey),
    issuerOfKey: (keyId: string) => (keyId.startsWith('hub-a') ? A : undefined),
  };
  const setup = { among: [A], keys };
  expect(await codeFor(await sealed(signed(), { kid: undefined as never }), setup)).toBe('none');
  expect(await codeFor(await sealed(signed(), {}, older), setup)).toBe('none');
  expect(await codeFor(await sealed(signed(), { kid: undefined as never }, older), setup)).toBe(
    'jwe_decryption_failed',
  );
});

describe('of an issuer with one audience for many devices', () => {
  const SITE = 'https://devices.example';
  const pattern = readScopePattern('{device}:{scope}');
  if (pattern === undefined) throw new Error('no pattern');
  const policy = issuerPolicy({
    issuer: A,
    source: { kind: 'file', jwks: { keys: [signing[A].jwk] } },
    sharedAudience: { audience: SITE, naming: { by: 'scope', pattern } },
  });
  const devices = new Map([
    ['tube-1', DEVICE],
    ['tube-2', 'https://tube-2.example'],
  ]);
  const codeAt = (token: string) =>
    asyncCodeOf(
      verifyJwt(token, {
        issuers: { find: () => ({ policy, keys: issuers.get(A)?.keys as Issuer['keys'] }) },
        decryption: { issuers: [A], keys: hubKeys, inTurn: (decrypt) => decrypt() },
        audience: DEVICE,
        device: {
          id: 'tube-1',
          audience: DEVICE,
          names: {
            has: (id) => devices.has(id),
            withAudience: (audience) => [...devices].find(([, one]) => one === audience)?.[0],
          },
        },
        time: { earliest: NOW, latest: NOW },
        whenUnsure: 'deny',
      }),
    );
  const site = (scope = 'tube-1:read') => signed({ aud: [SITE, 'account'], scope, cnf: { jkt: 'A'.repeat(43) } });

  test.each<[string, JsonObject, string]>([
    ['the audience of the site, as the issuer wrote it', { aud: [SITE, 'account'] }, 'none'],
    ['no audience', {}, 'none'],
    ['a part of what the issuer wrote', { aud: SITE }, 'jwe_foreign'],
    ['another order', { aud: ['account', SITE] }, 'jwe_foreign'],
    ['the audience of the device, which the token does not name', { aud: DEVICE }, 'jwe_foreign'],
    ['the audience of another device', { aud: 'https://tube-2.example' }, 'jwe_foreign'],
    ['an audience that is no text', { aud: [SITE, 1] }, 'jwe_foreign'],
  ])('a JWE that replicates %s', async (_name, header, code) => {
    expect(await codeAt(await sealed(site(), header))).toBe(code);
  });

  test('a JWE for another device is not for this one', async () => {
    expect(await codeAt(await sealed(site('tube-2:read'), { aud: [SITE, 'account'] }))).toBe('jwt_audience_mismatch');
  });
});

test('of the many keys of the hub at most those of one issuer are used', async () => {
  const used: string[] = [];
  const keys = {
    decryptionKeys(issuer: string): readonly JweKey[] {
      used.push(issuer);
      return hubKeys.decryptionKeys(issuer);
    },
    issuerOfKey: (keyId: string) => hubKeys.issuerOfKey(keyId),
  };
  await codeFor(await sealed(signed(), { kid: undefined as never }), { keys });
  expect(used).toEqual([]);
  await codeFor(await sealed(signed()), { keys });
  expect(used).toEqual([A]);
});

test('without keys of the hub it is refused as encrypted', async () => {
  const options = { audience: DEVICE, time: { earliest: NOW, latest: NOW }, whenUnsure: 'deny' } as const;
  const outcome = verifyJwt(await sealed(signed()), { ...options, issuers: { find: (name) => issuers.get(name) } });
  expect(await asyncCodeOf(outcome)).toBe('token_encrypted');
});
