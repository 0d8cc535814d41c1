import { generateKeyPairSync, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { compactDecrypt, importJWK, type JWK } from 'jose';
import { describe, expect, test } from 'vitest';
import { concatKdf } from '../../src/codec/concat-kdf.ts';
import { openJwe } from '../../src/codec/jwe.ts';
import type { JweKey } from '../../src/codec/jwe-key.ts';
import { sealJwe } from '../../src/codec/jwe-seal.ts';
import { base64url, utf8 } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { codeOf } from '../fixtures/code-of.ts';

const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const privateJwk = own.privateKey.export({ format: 'jwk' }) as JsonObject;
const key: JweKey = { keyType: 'EC', keyId: undefined, key: own.privateKey };
const seal = (plaintext: Uint8Array, header: JsonObject = {}) =>
  sealJwe({ plaintext, recipient: own.publicKey, header, iv: new Uint8Array(randomBytes(12)) });

test('derives what RFC 7518 appendix C derives', () => {
  const agreed = Uint8Array.from([
    158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49, 110, 163, 218, 128, 106, 72,
    246, 218, 167, 121, 140, 254, 144, 196,
  ]);
  expect(base64url(concatKdf(agreed, 'A128GCM', [utf8('Alice'), utf8('Bob')]))).toBe('VqqN6vgjbSBcIijNcacQGg');
});

test('jose opens what is sealed', async () => {
  const { plaintext, protectedHeader } = await compactDecrypt(
    seal(utf8('for you'), { cty: 'text' }),
    await importJWK(privateJwk as JWK, 'ECDH-ES'),
  );
  expect(Buffer.from(plaintext).toString()).toBe('for you');
  expect(protectedHeader).toMatchObject({ alg: 'ECDH-ES', enc: 'A128GCM', cty: 'text' });
});

test('the recipient opens what is sealed, of whatever size', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (plaintext) => {
      expect(new Uint8Array(await openJwe(seal(plaintext), [key]))).toEqual(plaintext);
    }),
    { numRuns: 30 },
  );
});

describe('refuses', () => {
  test('to seal to a key that signs', () => {
    const { publicKey: recipient } = generateKeyPairSync('ed25519');
    const options = { plaintext: utf8('x'), recipient, header: {}, iv: new Uint8Array(12) };
    expect(codeOf(() => sealJwe(options))).toBe('session_key_unsupported');
  });

  test('to open what is sealed to another key', async () => {
    const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    expect(await asyncCodeOf(openJwe(seal(utf8('x')), [{ ...key, key: stranger }]))).toBe('jwe_decryption_failed');
  });
});
