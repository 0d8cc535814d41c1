import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { CompactEncrypt, calculateJwkThumbprint, importJWK, type JWK } from 'jose';
import { describe, expect, test } from 'vitest';
import { runCommandLine } from '../../src/cli/program.ts';
import { MEMBERS } from '../../src/cli/translation-profile.ts';
import { importJwk } from '../../src/codec/cose/key.ts';
import { openCwt } from '../../src/codec/cwt.ts';
import { base64url, fromHex, utf8 } from '../../src/core/bytes.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { claimsToJson } from '../../src/token/claims-json.ts';
import { JWK as DEVICE_JWK, publicJwk } from '../fixtures/cose-keys.ts';
import { decryptionJwk, encryptTo } from '../fixtures/encrypting-issuer.ts';
import { type SigningKey, signingKey, signJwt } from '../fixtures/jwt-signing.ts';

const NOW = 1_700_000_000;
const ISSUER = 'https://as.example';
const AUDIENCE = 'https://tube-1.example';
const issuer = signingKey('P-256', 'as-1', { alg: 'ES256' });
const clientJwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }) as JsonObject;
const macKey: JsonObject = { kty: 'oct', kid: 'tube', k: base64url(randomBytes(32)) };
const cipherKey: JsonObject = { kty: 'oct', kid: 'tub2', k: base64url(randomBytes(16)) };

const PROFILE: JsonObject = { wrap: 'mac0', key: macKey, scopes: ['read'], claims: 'slim' };

interface Setting {
  readonly claims?: JsonObject;
  readonly header?: JsonObject | string;
  readonly key?: SigningKey;
  readonly token?: string;
  readonly profile?: JsonObject | string;
  readonly jwks?: JsonObject | string;
  readonly options?: readonly string[];
}

interface Outcome {
  readonly status: number;
  readonly printed: readonly string[];
  readonly noted: readonly string[];
}

function jwt({
  claims = {},
  header = { alg: 'ES256', typ: 'at+jwt', kid: 'as-1' },
  key = issuer,
}: Setting = {}): string {
  return signJwt({
    key,
    header,
    claims: {
      iss: ISSUER,
      sub: 'ekg-17',
      aud: AUDIENCE,
      exp: NOW + 600,
      nbf: NOW - 1,
      iat: NOW - 1,
      jti: 'a',
      client_id: 'c',
      scope: 'openid read',
      cnf: { jwk: clientJwk },
      ...claims,
    },
  });
}

/** Runs `latchkey token translate` over files that exist in memory only. */
async function run(setting: Setting = {}): Promise<Outcome> {
  const text = (content: JsonObject | string) => (typeof content === 'string' ? content : JSON.stringify(content));
  const files: Readonly<Record<string, string>> = {
    'jwks.json': text(setting.jwks ?? { keys: [issuer.jwk] }),
    'profile.json': text(setting.profile ?? PROFILE),
    '-': setting.token ?? jwt(setting),
  };
  const printed: string[] = [];
  const noted: string[] = [];
  const required = ['--jwks', 'jwks.json', '--issuer', ISSUER, '--audience', AUDIENCE, '--profile', 'profile.json'];
  const status = await runCommandLine(
    ['token', 'translate', ...required, '--now', String(NOW), ...(setting.options ?? []), '-'],
    {
      environment: {},
      print: (line) => printed.push(line),
      heading: (line) => printed.push(line),
      note: (line) => noted.push(line),
      ask: async () => undefined,
      read: async (file, maxBytes) => {
        const content = files[file];
        if (content === undefined) throw new LatchkeyError('file_unreadable', file);
        if (content.length > maxBytes) throw new LatchkeyError('request_too_large', file);
        return utf8(content);
      },
    },
  );
  return { status, printed, noted };
}

async function translated(setting: Setting = {}) {
  const { status, printed, noted } = await run({ ...setting, options: ['--json', ...(setting.options ?? [])] });
  expect(noted).toEqual([]);
  expect(status).toBe(0);
  expect(printed).toHaveLength(1);
  return JSON.parse(printed[0] ?? '') as { cwt: string; bytes: number; wrap: string; claims: JsonObject };
}

/** Status and code of a refusal, which is one JSON line on standard error and nothing on standard output. */
async function refusal(setting: Setting): Promise<{ status: number; code: unknown }> {
  const { status, printed, noted } = await run(setting);
  expect(printed).toEqual([]);
  expect(noted).toHaveLength(1);
  const answer = JSON.parse(noted[0] ?? '') as { error: { code: string } };
  return { status, code: answer.error.code };
}

test('prints the CWT in hexadecimal', async () => {
  const { status, printed } = await run();
  expect(status).toBe(0);
  const { claims } = openCwt(fromHex(printed.join('')), { keys: [importJwk(macKey, 'HMAC 256/64')], expected: 'mac0' });
  expect(claims).toMatchObject({ audience: AUDIENCE, expiresAt: NOW + 600, scope: 'read' });
});

test('prints with --json the CWT, its size, its wrap and its claims', async () => {
  const { cwt, bytes, wrap, claims } = await translated();
  expect(wrap).toBe('mac0');
  expect(bytes).toBe(cwt.length / 2);
  expect(claims).toEqual({
    aud: AUDIENCE,
    exp: NOW + 600,
    iat: NOW - 1,
    cti: expect.stringMatching(/^[0-9a-f]{32}$/),
    cnf: { jwk: clientJwk },
    scope: 'read',
  });
  const opened = openCwt(fromHex(cwt), { keys: [importJwk(macKey, 'HMAC 256/64')] });
  expect(claimsToJson(opened.claims)).toEqual(claims);
});

test('uses the clock of the machine without --now', async () => {
  const seconds = Math.floor(Date.now() / 1000);
  const token = jwt({ claims: { iat: seconds, nbf: seconds, exp: seconds + 600 } });
  const files: Readonly<Record<string, string>> = {
    'jwks.json': JSON.stringify({ keys: [issuer.jwk] }),
    'profile.json': JSON.stringify(PROFILE),
    'token.jwt': `${token}\n`,
  };
  const printed: string[] = [];
  const status = await runCommandLine(
    [
      'token',
      'translate',
      '--jwks',
      'jwks.json',
      '--issuer',
      ISSUER,
      '--audience',
      AUDIENCE,
      '--profile',
      'profile.json',
      'token.jwt',
    ],
    {
      environment: {},
      print: (line) => printed.push(line),
      heading: (line) => printed.push(line),
      note: () => {},
      ask: async () => undefined,
      read: async (file) => utf8(files[file] ?? ''),
    },
  );
  expect(status).toBe(0);
  expect(printed).toHaveLength(1);
});

describe('wraps', () => {
  test('sign1 with the private key of the hub', async () => {
    const { cwt } = await translated({ profile: { ...PROFILE, wrap: 'sign1', key: DEVICE_JWK.ES256 } });
    const keys = [importJwk(publicJwk('ES256'))];
    expect(openCwt(fromHex(cwt), { keys, expected: 'sign1' }).kids).toEqual([utf8('hub-es')]);
  });

  test('sign1 with an Ed25519 key', async () => {
    const { cwt } = await translated({ profile: { ...PROFILE, wrap: 'sign1', key: DEVICE_JWK.EdDSA } });
    expect(openCwt(fromHex(cwt), { keys: [importJwk(publicJwk('EdDSA'))], expected: 'sign1' }).wrap).toBe('sign1');
  });

  test('mac0 with the algorithm that the key names', async () => {
    const key = { ...macKey, alg: 'HS256' };
    const { cwt } = await translated({ profile: { ...PROFILE, key } });
    expect(openCwt(fromHex(cwt), { keys: [importJwk(key)] }).wrap).toBe('mac0');
  });

  test('encrypt0 with AES-CCM-16-64-128 by default', async () => {
    const { cwt } = await translated({ profile: { ...PROFILE, wrap: 'encrypt0', key: cipherKey } });
    const keys = [importJwk(cipherKey, 'AES-CCM-16-64-128')];
    expect(openCwt(fromHex(cwt), { keys, expected: 'encrypt0' }).wrap).toBe('encrypt0');
  });

  test('mac0 inside encrypt0, each with its key', async () => {
    const profile = {
      ...PROFILE,
      wrap: 'mac0+encrypt0',
      algorithm: 'HMAC 256/256',
      encryptionKey: cipherKey,
      encryptionAlgorithm: 'A128GCM',
    };
    const { cwt } = await translated({ profile });
    const keys = [importJwk(macKey, 'HMAC 256/256'), importJwk(cipherKey, 'A128GCM')];
    expect(openCwt(fromHex(cwt), { keys }).wrap).toBe('mac0+encrypt0');
  });
});

describe('confirmation', () => {
  test('jkt with the proof key of the profile', async () => {
    const cnf = { jkt: await calculateJwkThumbprint(clientJwk as JWK) };
    const { claims } = await translated({ claims: { cnf }, profile: { ...PROFILE, proofKey: clientJwk } });
    expect(claims.cnf).toEqual({ jwk: clientJwk });
  });

  test('jkt without a proof key is refused', async () => {
    const cnf = { jkt: await calculateJwkThumbprint(clientJwk as JWK) };
    expect(await refusal({ claims: { cnf } })).toEqual({ status: 3, code: 'proof_missing' });
  });

  test('jwe with the key of the hub, encrypted again for the device', async () => {
    const hubKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
      format: 'jwk',
    }) as JsonObject;
    const { d: _private, ...hubPublic } = hubKey;
    const jwe = await new CompactEncrypt(utf8(JSON.stringify({ kty: 'oct', k: base64url(randomBytes(32)) })))
      .setProtectedHeader({ alg: 'ECDH-ES+A128KW', enc: 'A128GCM' })
      .encrypt(await importJWK(hubPublic as JWK, 'ECDH-ES+A128KW'));
    const profile = { ...PROFILE, hubKey, encryptionKey: cipherKey };
    const { claims } = await translated({ claims: { cnf: { jwe } }, profile });
    expect(claims.cnf).toEqual({ encrypted: expect.any(Number) });
  });

  test('of a token that is encrypted as a whole, with the key of the hub in the profile and not without', async () => {
    const hubKey = decryptionJwk('hub-1', 'RSA');
    const header = { alg: 'RSA-OAEP-256', enc: 'A256GCM', cty: 'JWT' };
    const signed = jwt();
    const token = await encryptTo(hubKey, signed, { header });
    const plain = await translated({ token: signed });
    expect((await translated({ token, profile: { ...PROFILE, hubKey } })).claims).toEqual(plain.claims);
    expect(await refusal({ token })).toEqual({ status: 3, code: 'token_encrypted' });
    const broken = { token: `${token.slice(0, -4)}AAAA`, profile: { ...PROFILE, hubKey } };
    expect(await refusal(broken)).toEqual({ status: 3, code: 'jwe_decryption_failed' });
  });

  test('none, and it is bound to the key of the client by a profile that says so', async () => {
    const claims = { cnf: undefined as unknown as JsonObject };
    const profile = { ...PROFILE, bind: 'first-presenter', proofKey: clientJwk };
    const bound = (await translated({ claims, profile })).claims.cnf;
    const cnf = { jkt: await calculateJwkThumbprint(clientJwk as JWK) };
    expect(bound).toEqual(
      (await translated({ claims: { cnf }, profile: { ...PROFILE, proofKey: clientJwk } })).claims.cnf,
    );
    const withoutKey = await refusal({ claims, profile: { ...PROFILE, bind: 'first-presenter' } });
    expect(withoutKey).toEqual({ status: 3, code: 'proof_missing' });
  });

  test('none: no profile has a device that takes it so', async () => {
    expect(await refusal({ profile: { ...PROFILE, bearer: true } })).toEqual({ status: 1, code: 'profile_invalid' });
  });

  test('none is refused otherwise', async () => {
    const token = jwt({ claims: { cnf: undefined as unknown as JsonObject } });
    expect(await refusal({ token })).toEqual({ status: 3, code: 'confirmation_missing' });
  });
});

describe('a header as Keycloak writes it', () => {
  const header = '{"alg" : "ES256","typ" : "JWT","kid" : "as-1"}';

  test('is taken where JWT is a token type by option', async () => {
    expect((await translated({ header, options: ['--token-type', 'JWT', '--token-type', 'at+jwt'] })).wrap).toBe(
      'mac0',
    );
  });

  test('is taken where JWT is a token type by profile', async () => {
    expect((await translated({ header, profile: { ...PROFILE, tokenTypes: ['at+jwt', 'JWT'] } })).wrap).toBe('mac0');
  });

  test('is refused otherwise: it may be an ID token', async () => {
    expect(await refusal({ header })).toEqual({ status: 3, code: 'jwt_type_refused' });
  });
});

describe('the dialect of a server', () => {
  const cognito = {
    header: { alg: 'ES256', kid: 'as-1' },
    claims: { aud: undefined as never, client_id: AUDIENCE, token_use: 'access' },
  };

  test('takes what the server writes', async () => {
    expect((await translated({ ...cognito, options: ['--dialect', 'cognito'] })).claims.aud).toBe(AUDIENCE);
  });

  test('keeps its ID tokens out, and says what was demanded', async () => {
    const token = { ...cognito, claims: { ...cognito.claims, token_use: 'id' } };
    const { noted } = await run({ ...token, options: ['--dialect', 'cognito'] });
    const { error } = JSON.parse(noted[0] ?? '') as { error: Record<string, string> };
    expect(error.code).toBe('jwt_claim_required');
    expect(error.detail).toContain(
      'token_use is "id", expected "access", as --dialect cognito demands it; the claims are',
    );
  });

  test('gives way to --token-type', async () => {
    const options = ['--dialect', 'cognito', '--token-type', 'at+jwt'];
    expect(await refusal({ ...cognito, options })).toEqual({ status: 3, code: 'jwt_type_refused' });
  });

  test('with --bind a token without cnf is for the key of its presenter', async () => {
    const token = { claims: { cnf: undefined as never }, profile: { ...PROFILE, proofKey: clientJwk } };
    const { claims } = await translated({ ...token, options: ['--bind', 'first-presenter'] });
    expect(claims.cnf).toBeDefined();
    expect(await refusal(token)).toEqual({ status: 3, code: 'confirmation_missing' });
    const ofDevice = { ...token, profile: { ...token.profile, bind: 'token' }, options: ['--bind', 'first-presenter'] };
    expect(await refusal(ofDevice)).toEqual({ status: 3, code: 'confirmation_missing' });
  });

  test('that is none is a mistake on the command line', async () => {
    expect(await refusal({ options: ['--dialect', 'okto'] })).toEqual({ status: 2, code: 'usage' });
  });
});
const UNBOUND = { cnf: undefined as unknown as JsonObject };

describe('a refused token ends with status 3:', () => {
  test.each<[string, Setting, string]>([
    ['no JWT', { token: 'x' }, 'token_opaque'],
    ['nothing', { token: '' }, 'token_opaque'],
    ['too large', { token: `a.b.${'c'.repeat(20_000)}` }, 'jwt_too_large'],
    ['expired', { claims: { exp: NOW } }, 'jwt_expired'],
    ['not valid yet', { claims: { nbf: NOW + 300 } }, 'jwt_not_yet_valid'],
    ['another issuer', { claims: { iss: 'https://other.example' } }, 'jwt_issuer_unknown'],
    ['another audience', { claims: { aud: 'https://tube-2.example' } }, 'jwt_audience_mismatch'],
    ['several audiences and no key', { claims: { aud: [AUDIENCE, 'x'], ...UNBOUND } }, 'audience_ambiguous'],
    ['a forged signature', { key: signingKey('P-256', 'as-1') }, 'jwt_signature_invalid'],
    ['an unknown key', { header: { alg: 'ES256', typ: 'at+jwt', kid: 'as-2' } }, 'key_unknown'],
    ['no scope that is known', { claims: { scope: 'openid' } }, 'scope_empty'],
    ['a certificate as cnf', { claims: { cnf: { 'x5t#S256': 'x' } } }, 'confirmation_unsupported'],
    ['two keys as cnf', { claims: { cnf: { jwk: clientJwk, kid: 'x' } } }, 'confirmation_invalid'],
    ['too large for the device', { profile: { ...PROFILE, maxTokenBytes: 64 } }, 'token_too_large_for_device'],
  ])('%s', async (_name, setting, code) => {
    expect(await refusal(setting)).toEqual({ status: 3, code });
  });
});

describe('a profile ends with status 1:', () => {
  test.each<[string, JsonObject | string]>([
    ['no JSON', '{'],
    ['a member twice', '{"wrap":"mac0","wrap":"sign1"}'],
    ['an unknown member', { ...PROFILE, keyy: 1 }],
    ['no key', { wrap: 'mac0', scopes: ['read'] }],
    ['a key that is none', { ...PROFILE, key: 'x' }],
    ['no scopes', { wrap: 'mac0', key: macKey }],
    ['an unknown wrap', { ...PROFILE, wrap: 'jws' }],
    ['a wrap that is no text', { ...PROFILE, wrap: 1 }],
    ['a key that does not fit the wrap', { ...PROFILE, wrap: 'sign1' }],
    ['a public key to sign with', { ...PROFILE, wrap: 'sign1', key: publicJwk('ES256') }],
    ['a key of another size', { ...PROFILE, key: cipherKey }],
    ['an algorithm that is unknown', { ...PROFILE, algorithm: 'HS512' }],
    ['an outer layer without a key', { ...PROFILE, wrap: 'mac0+encrypt0' }],
    ['a hub key that opens nothing', { ...PROFILE, hubKey: clientJwk }],
    ['token types that are no list', { ...PROFILE, tokenTypes: 'JWT' }],
  ])('%s', async (_name, profile) => {
    expect(await refusal({ profile })).toEqual({ status: 1, code: 'profile_invalid' });
  });

  test('an unknown member is told with the nearest known one', async () => {
    const { noted } = await run({ profile: { ...PROFILE, keyy: 1 } });
    expect(noted[0]).toContain('did you mean key?');
  });

  test('no part of a key is in what is told', async () => {
    const key = { ...macKey, k: `${String(macKey.k)}!` };
    const { noted } = await run({ profile: { ...PROFILE, key } });
    expect(noted.join('')).not.toContain(String(macKey.k).slice(0, 8));
  });
});

test.each([
  ['no JSON', '{', 'jwks_invalid'],
  ['no keys', { keys: [] }, 'jwks_invalid'],
])('a key set with %s ends with status 1', async (_name, jwks, code) => {
  expect(await refusal({ jwks })).toEqual({ status: 1, code });
});

test('a missing file ends with status 1', async () => {
  expect(await refusal({ options: ['--profile', 'absent.json'] })).toEqual({ status: 1, code: 'file_unreadable' });
});

test.each([
  ['an option that does not exist', ['--jwk', 'x']],
  ['a time that is none', ['--now', 'yesterday']],
  ['two files', ['one']],
])('%s ends with status 2', async (_name, options) => {
  expect(await refusal({ options })).toEqual({ status: 2, code: 'usage' });
});

test('a required option that is missing ends with status 2', async () => {
  const noted: string[] = [];
  const terminal = {
    environment: {},
    print: () => {},
    heading: () => {},
    note: (line: string) => noted.push(line),
    ask: async () => undefined,
    read: async () => utf8(''),
  };
  expect(await runCommandLine(['token', 'translate', '-'], terminal)).toBe(2);
  expect(JSON.parse(noted.join(''))).toMatchObject({ error: { code: 'usage' } });
});

test('--help shows an example', async () => {
  const { status, printed } = await run({ options: ['--help'] });
  expect(status).toBe(0);
  expect(printed.join('\n')).toContain('$ latchkey token translate --jwks');
});

describe('a refusal says what was found and what was asked for', () => {
  test.each<[string, Setting, string, string]>([
    [
      'of another issuer',
      { claims: { iss: 'https://evil.example' } },
      'jwt_issuer_unknown',
      `iss is "https://evil.example", --issuer is "${ISSUER}"`,
    ],
    [
      'for another audience',
      { claims: { aud: 'coap://other' } },
      'jwt_audience_mismatch',
      `aud is "coap://other", --audience is "${AUDIENCE}"`,
    ],
    [
      'for several audiences',
      { claims: { aud: [AUDIENCE, 'b'], ...UNBOUND } },
      'audience_ambiguous',
      `aud is ["${AUDIENCE}","b"]`,
    ],
    ['of another type', { header: { alg: 'ES256', typ: 'JWT', kid: 'as-1' } }, 'jwt_type_refused', 'typ is "JWT"'],
    ['without a type', { header: { alg: 'ES256', kid: 'as-1' } }, 'jwt_type_refused', 'typ is missing'],
    ['bound by jkt', { claims: { cnf: { jkt: 'x'.repeat(43) } } }, 'proof_missing', 'proofKey'],
  ])('of a token %s', async (_, setting, code, words) => {
    const { noted } = await run(setting);
    const { error } = JSON.parse(noted[0] ?? '') as { error: Record<string, string> };
    expect(error.code).toBe(code);
    expect(error.detail).toContain(words);
    expect(error.cause).not.toBe('');
    expect(error.fix).not.toBe('');
  });

  test('and repeats no more than a little of it', async () => {
    const { noted } = await run({ claims: { aud: 'x'.repeat(5_000) } });
    expect(noted[0]?.length).toBeLessThan(1_000);
  });
});

describe('the profile takes the members of a device profile', () => {
  test('authentication and receipt', async () => {
    const profile = { ...PROFILE, authentication: 'HMAC 256/256', receipt: 'none' };
    const { cwt } = await translated({ profile });
    expect(() => openCwt(fromHex(cwt), { keys: [importJwk(macKey, 'HMAC 256/256')] })).not.toThrow();
  });

  test('encryption, of encrypt0 and of the outer layer', async () => {
    const alone = await translated({
      profile: { wrap: 'encrypt0', key: cipherKey, encryption: 'A128GCM', scopes: ['read'] },
    });
    expect(() => openCwt(fromHex(alone.cwt), { keys: [importJwk(cipherKey, 'A128GCM')] })).not.toThrow();
    const profile = { ...PROFILE, wrap: 'mac0+encrypt0', encryptionKey: cipherKey, encryption: 'A128GCM' };
    const { cwt } = await translated({ profile });
    const keys = [importJwk(macKey, 'HMAC 256/64'), importJwk(cipherKey, 'A128GCM')];
    expect(() => openCwt(fromHex(cwt), { keys })).not.toThrow();
  });

  test.each<[string, JsonObject]>([
    [
      'authentication with encrypt0',
      { wrap: 'encrypt0', key: cipherKey, authentication: 'HMAC 256/64', scopes: ['read'] },
    ],
    ['two algorithms for one key', { ...PROFILE, authentication: 'HMAC 256/64', algorithm: 'HMAC 256/256' }],
    ['another receipt', { ...PROFILE, receipt: 'sign1' }],
  ])('but not %s', async (_, profile) => {
    expect(await refusal({ profile })).toEqual({ status: 1, code: 'profile_invalid' });
  });
});

describe('the section of docs/protocol.md', () => {
  const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
  const section = page.split('### Profile of token translate')[1]?.split('\n## ')[0] ?? '';

  test('has every member of the profile', () => {
    expect(MEMBERS.filter((member) => !section.includes(`\`${member}\``))).toEqual([]);
  });

  test('has an example that works', async () => {
    const [, example = ''] = /```json\n([^`]+)```/.exec(section) ?? [];
    expect(await run({ profile: example })).toMatchObject({ status: 0, noted: [] });
  });
});
