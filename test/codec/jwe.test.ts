import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { CompactEncrypt, importJWK, type JWK } from 'jose';
import { describe, expect, test } from 'vitest';
import { openJwe } from '../../src/codec/jwe.ts';
import { importJweKey } from '../../src/codec/jwe-key.ts';
import { base64url, fromUtf8, utf8 } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { codeOf } from '../fixtures/code-of.ts';

interface CookbookExample {
  readonly title: string;
  readonly input: {
    readonly plaintext: string;
    readonly key?: JsonObject;
    readonly alg: unknown;
    readonly enc: string;
  };
  readonly output: { readonly compact?: string };
}

const FOLDER = new URL('../vectors/jose-cookbook/jwe/', import.meta.url);
const cookbook = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.json'))
  .map((name) => JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) as CookbookExample);

const accepted = cookbook.filter(({ input }) => ['ECDH-ES+A128KW', 'dir'].includes(String(input.alg)));
const others = cookbook.filter((example) => !accepted.includes(example) && example.output.compact !== undefined);

/** The cookbook's keys name their use as the examples of RFC 7520 §5 do. */
const cookbookKey = (example: CookbookExample) => importJweKey(example.input.key ?? {});

describe('RFC 7520', () => {
  test('the folder holds all thirteen examples, two of them for us', () => {
    expect([cookbook.length, accepted.length, others.length]).toEqual([13, 2, 7]);
  });

  test.each(accepted.map((example) => [example.title, example] as const))('opens "%s"', (_title, example) => {
    const opened = openJwe(example.output.compact ?? '', [cookbookKey(example)]);
    expect(fromUtf8(opened)).toBe(example.input.plaintext);
  });

  test.each(others.map((example) => [example.title, example] as const))('refuses "%s"', (_title, example) => {
    const keys = accepted.map(cookbookKey);
    expect(codeOf(() => openJwe(example.output.compact ?? '', keys))).toBe('jwe_invalid');
  });
});

const hubJwk = privateJwk('ec', 'P-256', 'hub-enc');
const hubKey = importJweKey(hubJwk);
const sharedJwk: JsonObject = { kty: 'oct', kid: 'shared', k: base64url(randomBytes(16)) };
const sharedKey = importJweKey(sharedJwk);
const PLAINTEXT = '{"kty":"oct","k":"c2VjcmV0"}';

function privateJwk(type: 'ec' | 'x25519', curve: string, kid: string): JsonObject {
  const { privateKey } =
    type === 'ec' ? generateKeyPairSync('ec', { namedCurve: curve }) : generateKeyPairSync('x25519');
  return { ...(privateKey.export({ format: 'jwk' }) as JsonObject), kid };
}

function publicPart(jwk: JsonObject): JWK {
  const { d: _private, ...rest } = jwk;
  return rest as JWK;
}

async function encrypt(
  header: { alg: string; enc: string; [name: string]: unknown },
  jwk: JsonObject = hubJwk,
  parties: { apu?: Uint8Array; apv?: Uint8Array } = {},
): Promise<string> {
  const key = await importJWK(header.alg === 'dir' ? (jwk as JWK) : publicPart(jwk), header.alg);
  return new CompactEncrypt(utf8(PLAINTEXT))
    .setProtectedHeader(header)
    .setKeyManagementParameters(parties)
    .encrypt(key);
}

const good = { alg: 'ECDH-ES+A128KW', enc: 'A128GCM', kid: 'hub-enc' };

/** `compact` with its first part replaced by this header. */
function withHeader(compact: string, header: string): string {
  return [base64url(utf8(header)), ...compact.split('.').slice(1)].join('.');
}

function withPart(compact: string, index: number, text: string): string {
  const parts = compact.split('.');
  parts[index] = text;
  return parts.join('.');
}

test.each([
  ['P-256', hubJwk],
  ['P-384', privateJwk('ec', 'P-384', 'hub-enc')],
  ['X25519', privateJwk('x25519', '', 'hub-enc')],
])('opens what jose encrypts to a %s key', async (_curve, jwk) => {
  const compact = await encrypt(good, jwk);
  expect(fromUtf8(openJwe(compact, [importJweKey(jwk)]))).toBe(PLAINTEXT);
});

test('opens what jose encrypts with names for both parties', async () => {
  const compact = await encrypt(good, hubJwk, { apu: utf8('Alice'), apv: utf8('Bob') });
  expect(fromUtf8(openJwe(compact, [hubKey]))).toBe(PLAINTEXT);
});

test('opens what jose encrypts directly', async () => {
  const compact = await encrypt({ alg: 'dir', enc: 'A128GCM', kid: 'shared' }, sharedJwk);
  expect(fromUtf8(openJwe(compact, [hubKey, sharedKey]))).toBe(PLAINTEXT);
});

test('tries every key of the algorithm where the JWE names none', async () => {
  const compact = await encrypt({ alg: 'ECDH-ES+A128KW', enc: 'A128GCM' });
  const other = importJweKey(privateJwk('ec', 'P-256', 'older'));
  expect(fromUtf8(openJwe(compact, [other, hubKey]))).toBe(PLAINTEXT);
});

describe('refuses', () => {
  test('a JWE for a key of another name', async () => {
    const compact = await encrypt({ ...good, kid: 'other' });
    expect(codeOf(() => openJwe(compact, [hubKey]))).toBe('jwe_decryption_failed');
  });

  test('a JWE for another key of the same name', async () => {
    const compact = await encrypt(good, privateJwk('ec', 'P-256', 'hub-enc'));
    expect(codeOf(() => openJwe(compact, [hubKey]))).toBe('jwe_decryption_failed');
  });

  test('a JWE where the hub has no key', async () => {
    const compact = await encrypt(good);
    expect(codeOf(() => openJwe(compact, []))).toBe('jwe_decryption_failed');
  });

  test.each([
    ['wrapped key', 1],
    ['initialization vector', 2],
    ['ciphertext', 3],
    ['tag', 4],
  ])('a JWE whose %s was altered', async (_name, index) => {
    const compact = await encrypt(good);
    const part = Buffer.from(compact.split('.')[index] ?? '', 'base64url');
    part[0] = (part[0] ?? 0) ^ 1;
    expect(codeOf(() => openJwe(withPart(compact, index, base64url(part)), [hubKey]))).toBe('jwe_decryption_failed');
  });

  test('a JWE whose header was altered', async () => {
    const compact = await encrypt(good);
    const header = JSON.parse(Buffer.from(compact.split('.')[0] ?? '', 'base64url').toString());
    const altered = withHeader(compact, JSON.stringify({ ...header, cty: 'json' }));
    expect(codeOf(() => openJwe(altered, [hubKey]))).toBe('jwe_decryption_failed');
  });

  test('an ephemeral key that is not on its curve', async () => {
    const compact = await encrypt(good);
    const header = JSON.parse(Buffer.from(compact.split('.')[0] ?? '', 'base64url').toString());
    const altered = withHeader(compact, JSON.stringify({ ...header, epk: { ...header.epk, y: header.epk.x } }));
    expect(codeOf(() => openJwe(altered, [hubKey]))).toBe('jwe_decryption_failed');
  });

  test('an ephemeral key of another curve', async () => {
    const compact = await encrypt(good);
    const epk = publicPart(privateJwk('ec', 'P-384', 'x'));
    expect(codeOf(() => openJwe(withHeader(compact, JSON.stringify({ ...good, epk })), [hubKey]))).toBe(
      'jwe_decryption_failed',
    );
  });

  test.each([
    ['another key management', { ...good, alg: 'ECDH-ES' }],
    ['RSA', { ...good, alg: 'RSA-OAEP' }],
    ['a password', { ...good, alg: 'PBES2-HS256+A128KW', p2c: 1_000_000_000 }],
    ['another cipher', { ...good, enc: 'A256GCM' }],
    ['no alg', { enc: 'A128GCM' }],
    ['compression', { ...good, zip: 'DEF' }],
    ['a critical header', { ...good, crit: ['x'], x: 1 }],
    ['a kid that is no text', { ...good, kid: 1 }],
    ['no ephemeral key', { ...good }],
    ['a private ephemeral key', { ...good, epk: hubJwk }],
    ['a party that is no text', { ...good, epk: publicPart(hubJwk), apu: 1 }],
    ['a party name too long', { ...good, epk: publicPart(hubJwk), apv: base64url(new Uint8Array(129)) }],
  ])('%s', async (_name, header) => {
    const compact = withHeader(await encrypt(good), JSON.stringify(header));
    expect(codeOf(() => openJwe(compact, [hubKey]))).toBe('jwe_invalid');
  });

  test('a header with a member twice', async () => {
    const compact = withHeader(await encrypt(good), '{"alg":"dir","alg":"ECDH-ES+A128KW","enc":"A128GCM"}');
    expect(codeOf(() => openJwe(compact, [hubKey]))).toBe('jwe_invalid');
  });

  test('a wrapped key where the key is used directly', async () => {
    const compact = await encrypt({ alg: 'dir', enc: 'A128GCM', kid: 'shared' }, sharedJwk);
    expect(codeOf(() => openJwe(withPart(compact, 1, 'AAAA'), [sharedKey]))).toBe('jwe_invalid');
  });

  test.each([
    ['four parts', (compact: string) => compact.split('.').slice(0, 4).join('.')],
    ['six parts', (compact: string) => `${compact}.AA`],
    ['padding', (compact: string) => `${compact}=`],
    ['an iv of another length', (compact: string) => withPart(compact, 2, 'AAAA')],
    ['a tag of another length', (compact: string) => withPart(compact, 4, 'AAAA')],
    ['a header that is no object', (compact: string) => withHeader(compact, '[]')],
    ['more than its limit', (compact: string) => withPart(compact, 3, 'A'.repeat(4096))],
  ])('%s', async (_name, alter) => {
    const compact = alter(await encrypt(good));
    expect(codeOf(() => openJwe(compact, [hubKey]))).toBe('jwe_invalid');
  });
});

test('answers every text with a plaintext or a coded refusal', () => {
  fc.assert(
    fc.property(fc.array(fc.base64String(), { maxLength: 7 }), (parts) => {
      expect(['jwe_invalid', 'jwe_decryption_failed']).toContain(
        codeOf(() => openJwe(parts.join('.'), [hubKey, sharedKey])),
      );
    }),
  );
});

describe('a key for the hub is refused', () => {
  test.each([
    ['a public key', publicPart(hubJwk) as JsonObject],
    ['a key for signing', { ...hubJwk, use: 'sig' }],
    ['a key of another algorithm', { ...hubJwk, alg: 'ECDH-ES' }],
    ['a curve that is not taken', privateJwk('ec', 'P-521', 'x')],
    ['a private key that is broken', { ...hubJwk, d: '' }],
    ['a kid that is no text', { ...hubJwk, kid: 1 }],
    ['a symmetric key of 32 bytes', { kty: 'oct', k: base64url(randomBytes(32)) }],
    ['a symmetric key without k', { kty: 'oct' }],
    ['a symmetric key whose k is no base64url', { kty: 'oct', k: 'a b' }],
    ['a symmetric key of another algorithm', { ...sharedJwk, alg: 'A128KW' }],
  ])('%s', (_name, jwk) => {
    expect(codeOf(() => importJweKey(jwk))).toBe('jwk_invalid');
  });
});
