/** Access tokens that are encrypted as a whole for the hub: each way to get one past its issuer, and the good ones. */
import { describe, expect, test } from 'vitest';
import type { JweKey } from '../../src/codec/jwe-key.ts';
import { sha256, utf8 } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { LIMITS } from '../../src/core/limits.ts';
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
  return { policy, keys: { forKeyId: async () => held } as unknown as Issuer['keys'] };
}
const issuers = new Map<string, Issuer>([
  [A, issuerOf(A)],
  [B, issuerOf(B)],
]);

function signed(claims: JsonObject = {}, by: typeof A | typeof B = A): string {
  const all = { iss: by, sub: 'nurse-7', aud: DEVICE, iat: NOW - 5, exp: NOW + 600, scope: 'read', ...claims };
  return signJwt({ key: signing[by], header: { alg: 'ES256', typ: 'at+jwt', kid: signing[by].kid }, claims: all });
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
    decryption: { issuers: among, keys },
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
