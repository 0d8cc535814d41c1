import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openJwe } from '../../src/codec/jwe.ts';
import { CONTENT_ENCRYPTION, KEY_MANAGEMENT, type KeyManagement } from '../../src/codec/jwe-algorithms.ts';
import { importJweKey } from '../../src/codec/jwe-key.ts';
import { base64url, fromUtf8, utf8 } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { decryptionJwk, encryptTo, type JweOptions, publicJwk } from '../fixtures/encrypting-issuer.ts';

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

/** What the hub does not accept of the cookbook: RSA1_5, RSA-OAEP with SHA-1, PBES2, symmetric keys, A192GCM, A256CBC-HS512, zip. */
const isAccepted = ({ input }: CookbookExample) =>
  Object.hasOwn(KEY_MANAGEMENT, String(input.alg)) && Object.hasOwn(CONTENT_ENCRYPTION, input.enc);
const accepted = cookbook.filter(isAccepted);
const others = cookbook.filter((example) => !isAccepted(example) && example.output.compact !== undefined);

const cookbookKey = (example: CookbookExample) => importJweKey(example.input.key ?? {});

describe('RFC 7520', () => {
  test('the folder holds all thirteen examples', () => {
    expect([cookbook.length, accepted.length, others.length]).toEqual([13, 2, 7]);
  });

  test.each(accepted.map((example) => [example.title, example] as const))('opens "%s"', async (_title, example) => {
    const opened = await openJwe(example.output.compact ?? '', [cookbookKey(example)]);
    expect(fromUtf8(opened)).toBe(example.input.plaintext);
  });

  test.each(others.map((example) => [example.title, example] as const))('refuses "%s"', async (_title, example) => {
    const keys = accepted.map(cookbookKey);
    expect(await asyncCodeOf(openJwe(example.output.compact ?? '', keys))).toBe('jwe_invalid');
  });
});

const hubJwk = decryptionJwk('hub-enc');
const hubKey = importJweKey(hubJwk);
const rsaJwk = decryptionJwk('hub-rsa', 'RSA');
const rsaKey = importJweKey(rsaJwk);
const PLAINTEXT = '{"kty":"oct","k":"c2VjcmV0"}';
const good = { alg: 'ECDH-ES+A128KW', enc: 'A128GCM', kid: 'hub-enc' };

const encrypt = (header: JweOptions['header'] = {}, jwk = hubJwk, parties: JweOptions['parties'] = {}) =>
  encryptTo(jwk, PLAINTEXT, { header, parties });
const codeFor = (compact: string, keys = [hubKey, rsaKey]) => asyncCodeOf(openJwe(compact, keys));

/** `compact` with its first part replaced by this header. */
function withHeader(compact: string, header: string): string {
  return [base64url(utf8(header)), ...compact.split('.').slice(1)].join('.');
}

function withPart(compact: string, index: number, text: string): string {
  const parts = compact.split('.');
  parts[index] = text;
  return parts.join('.');
}

function headerOf(compact: string): JsonObject {
  return JSON.parse(Buffer.from(compact.split('.')[0] ?? '', 'base64url').toString());
}

const ALGORITHMS = Object.keys(KEY_MANAGEMENT) as KeyManagement[];
const COMBINATIONS = ALGORITHMS.flatMap((alg) => Object.keys(CONTENT_ENCRYPTION).map((enc) => ({ alg, enc })));

describe.each(COMBINATIONS)('$alg with $enc', ({ alg, enc }) => {
  const jwk = KEY_MANAGEMENT[alg].keyType === 'RSA' ? rsaJwk : hubJwk;

  test('is opened', async () => {
    expect(fromUtf8(await openJwe(await encrypt({ alg, enc }, jwk), [hubKey, rsaKey]))).toBe(PLAINTEXT);
  });

  test('gives one refusal for whatever was altered', async () => {
    const compact = await encrypt({ alg, enc }, jwk);
    for (const index of [1, 2, 3, 4]) {
      const part = Buffer.from(compact.split('.')[index] ?? '', 'base64url');
      if (part.length === 0) continue;
      part[0] = (part[0] ?? 0) ^ 1;
      expect(await codeFor(withPart(compact, index, base64url(part)))).toBe('jwe_decryption_failed');
    }
    const altered = withHeader(compact, JSON.stringify({ ...headerOf(compact), cty: 'json' }));
    expect(await codeFor(altered)).toBe('jwe_decryption_failed');
  });

  test('is refused with an encrypted key of another length', async () => {
    const compact = withPart(await encrypt({ alg, enc }, jwk), 1, base64url(new Uint8Array(23)));
    // How long a modulus is the hub knows by the key alone.
    expect(await codeFor(compact)).toBe(alg === 'RSA-OAEP-256' ? 'jwe_decryption_failed' : 'jwe_invalid');
  });
});

test('opens what is encrypted to a P-384 key', async () => {
  const jwk = decryptionJwk('hub-enc', 'P-384');
  expect(fromUtf8(await openJwe(await encrypt({}, jwk), [importJweKey(jwk)]))).toBe(PLAINTEXT);
});

test('opens what is encrypted with names for both parties', async () => {
  const compact = await encrypt({}, hubJwk, { apu: utf8('Alice'), apv: utf8('Bob') });
  expect(fromUtf8(await openJwe(compact, [hubKey]))).toBe(PLAINTEXT);
});

test('tries every key of the type where the JWE names none', async () => {
  const compact = await encrypt({ kid: undefined });
  const other = importJweKey(decryptionJwk('older'));
  expect(fromUtf8(await openJwe(compact, [rsaKey, other, hubKey]))).toBe(PLAINTEXT);
});

describe('refuses', () => {
  test('a JWE for a key of another name', async () => {
    expect(await codeFor(await encrypt({ kid: 'other' }))).toBe('jwe_decryption_failed');
  });

  test('a JWE for another key of the same name', async () => {
    expect(await codeFor(await encrypt({}, decryptionJwk('hub-enc')))).toBe('jwe_decryption_failed');
  });

  test('a JWE where the hub has no key', async () => {
    expect(await codeFor(await encrypt(), [])).toBe('jwe_decryption_failed');
  });

  test('a JWE for a key of another type', async () => {
    const compact = withHeader(
      await encrypt({ alg: 'RSA-OAEP-256' }, rsaJwk),
      JSON.stringify({ ...good, alg: 'RSA-OAEP-256' }),
    );
    expect(await codeFor(compact, [hubKey])).toBe('jwe_decryption_failed');
  });

  test.each([
    ['that is not on its curve', (epk: JsonObject) => ({ ...epk, y: epk.x })],
    [
      'at infinity',
      (epk: JsonObject) => ({ ...epk, x: base64url(new Uint8Array(32)), y: base64url(new Uint8Array(32)) }),
    ],
    ['with a short coordinate', (epk: JsonObject) => ({ ...epk, x: 'AA' })],
    ['past the field', (epk: JsonObject) => ({ ...epk, x: base64url(new Uint8Array(32).fill(0xff)) })],
    ['without a coordinate', ({ y: _y, ...epk }: JsonObject) => epk],
    ['of another curve', () => publicJwk(decryptionJwk('x', 'P-384'))],
    ['of a curve that does not exist', (epk: JsonObject) => ({ ...epk, crv: 'P-257' })],
  ])('an ephemeral key %s', async (_name, alter) => {
    for (const alg of ['ECDH-ES', 'ECDH-ES+A128KW']) {
      const compact = await encrypt({ alg });
      const header = headerOf(compact);
      const altered = withHeader(compact, JSON.stringify({ ...header, epk: alter(header.epk as JsonObject) }));
      expect(await codeFor(altered)).toBe('jwe_decryption_failed');
    }
  });

  test.each([
    ['RSA of PKCS #1 v1.5', { ...good, alg: 'RSA1_5' }],
    ['RSA-OAEP with SHA-1', { ...good, alg: 'RSA-OAEP' }],
    ['a password', { ...good, alg: 'PBES2-HS256+A128KW', p2c: 1_000_000_000, p2s: 'AAAAAAAAAAA' }],
    ['a shared key', { ...good, alg: 'dir' }],
    ['a wrap with a shared key', { ...good, alg: 'A128KW' }],
    ['an algorithm that every object has', { ...good, alg: 'constructor' }],
    ['another cipher', { ...good, enc: 'A192GCM' }],
    ['the larger CBC', { ...good, enc: 'A256CBC-HS512' }],
    ['no alg', { enc: 'A128GCM' }],
    ['compression', { ...good, zip: 'DEF' }],
    ['a critical header', { ...good, crit: ['x'], x: 1 }],
    ['a kid that is no text', { ...good, kid: 1 }],
    ['no ephemeral key', { ...good }],
    ['a private ephemeral key', { ...good, epk: hubJwk }],
    ['an ephemeral key of another type', { ...good, epk: { kty: 'OKP', crv: 'X25519', x: 'AAAA' } }],
    ['a party that is no text', { ...good, epk: publicJwk(hubJwk), apu: 1 }],
    ['a party name too long', { ...good, epk: publicJwk(hubJwk), apv: base64url(new Uint8Array(129)) }],
  ])('%s', async (_name, header) => {
    expect(await codeFor(withHeader(await encrypt(), JSON.stringify(header)))).toBe('jwe_invalid');
  });

  test('a header with a member twice', async () => {
    const compact = withHeader(await encrypt(), '{"alg":"dir","alg":"ECDH-ES+A128KW","enc":"A128GCM"}');
    expect(await codeFor(compact)).toBe('jwe_invalid');
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
    expect(await codeFor(alter(await encrypt()))).toBe('jwe_invalid');
  });
});

test('answers every text with a plaintext or a coded refusal', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.base64String(), { maxLength: 7 }), async (parts) => {
      expect(['jwe_invalid', 'jwe_decryption_failed']).toContain(await codeFor(parts.join('.')));
    }),
  );
});

describe('a key for the hub is refused', () => {
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ format: 'jwk' }) as JsonObject;

  test.each<[string, JsonObject]>([
    ['a public key', publicJwk(hubJwk) as JsonObject],
    ['a public RSA key', publicJwk(rsaJwk) as JsonObject],
    ['a key for signing', { ...hubJwk, use: 'sig' }],
    ['a key of another algorithm', { ...hubJwk, alg: 'RSA-OAEP-256' }],
    ['an RSA key for an algorithm that is not accepted', { ...rsaJwk, alg: 'RSA1_5' }],
    ['an RSA key of 1024 bits', small],
    [
      'a curve that is not accepted',
      generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey.export({ format: 'jwk' }) as JsonObject,
    ],
    ['a private key that is broken', { ...hubJwk, d: '' }],
    ['a kid that is no text', { ...hubJwk, kid: 1 }],
    ['a symmetric key', { kty: 'oct', k: base64url(new Uint8Array(16)) }],
  ])('%s', (_name, jwk) => {
    expect(codeOf(() => importJweKey(jwk))).toBe('jwk_invalid');
  });
});
