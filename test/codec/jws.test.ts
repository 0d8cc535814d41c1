import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCompact } from '../../src/codec/jws.ts';
import { signatureVerifier } from '../../src/codec/jws-signature.ts';
import { base64url, utf8 } from '../../src/core/bytes.ts';
import { jwtAlgorithm } from '../../src/core/jwt-algorithms.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { HOSTILE_JWS } from '../fixtures/hostile-text.ts';
import { signBytes } from '../fixtures/jwt-signing.ts';

const part = (text: string) => base64url(utf8(text));
const HEADER = part('{"alg":"ES256","typ":"at+jwt","kid":"k"}');

describe('parseCompact', () => {
  test('takes the three parts apart', () => {
    const jws = parseCompact(`${HEADER}.${part('{}')}.${base64url(new Uint8Array([1, 2, 3]))}`);
    expect(jws.header).toEqual({
      algorithm: 'ES256',
      type: 'at+jwt',
      keyId: 'k',
      members: { alg: 'ES256', typ: 'at+jwt', kid: 'k' },
    });
    expect(new Uint8Array(jws.payload)).toEqual(utf8('{}'));
    expect(new Uint8Array(jws.signature)).toEqual(new Uint8Array([1, 2, 3]));
    expect(jws.signingInput).toEqual(utf8(`${HEADER}.${part('{}')}`));
  });

  test('gives the codes that the caller names', () => {
    const codes = { malformed: 'proof_malformed', tooLarge: 'request_too_large', maxBytes: 10 } as const;
    expect(codeOf(() => parseCompact('a.b', codes))).toBe('proof_malformed');
    expect(codeOf(() => parseCompact('a'.repeat(11), codes))).toBe('request_too_large');
  });

  test('takes jwk where a proof carries its key, and still no other key', () => {
    const proof = (member: string) => `${part(`{"alg":"ES256","${member}":{}}`)}.e30.AA`;
    expect(codeOf(() => parseCompact(proof('jwk'), { embeddedKey: true }))).toBe('none');
    expect(codeOf(() => parseCompact(proof('jwk')))).toBe('jwt_header_refused');
    expect(codeOf(() => parseCompact(proof('jku'), { embeddedKey: true }))).toBe('jwt_header_refused');
  });

  test.each(HOSTILE_JWS)('refuses with a code, or takes apart: $name', ({ text }) => {
    expect(['none', 'jwt_malformed', 'jwt_too_large']).toContain(codeOf(() => parseCompact(text)));
  });

  test('comes back with what was put together, for all parts', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 100 }), (payload, signature) => {
        const jws = parseCompact(`${HEADER}.${base64url(payload)}.${base64url(signature)}`);
        expect(new Uint8Array(jws.payload)).toEqual(payload);
        expect(new Uint8Array(jws.signature)).toEqual(signature);
      }),
    );
  });

  test('never throws anything without a code, for all texts', () => {
    const texts = fc.array(fc.constantFrom('.', 'e', '3', '0', '=', HEADER, 'é', '{'), { maxLength: 12 });
    fc.assert(
      fc.property(texts, (pieces) => {
        expect(codeOf(() => parseCompact(pieces.join('')))).toMatch(/^(none|jwt_malformed)$/);
      }),
    );
  });
});

test('one spelling of each part is taken, and no other', () => {
  const characters = fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= \n.é');
  fc.assert(
    fc.property(fc.array(characters, { maxLength: 12 }), (pieces) => {
      const text = pieces.join('');
      const isCanonical = Buffer.from(text, 'base64url').toString('base64url') === text;
      const expected = isCanonical && !text.includes('.') ? 'none' : 'jwt_malformed';
      expect(codeOf(() => parseCompact(`${HEADER}.${text}.AA`))).toBe(expected);
      expect(codeOf(() => parseCompact(`${HEADER}.AA.${text}`))).toBe(expected);
    }),
    { numRuns: 2_000 },
  );
});

describe('signatureVerifier', () => {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ed = generateKeyPairSync('ed25519');
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const cases = [
    { algorithm: 'ES256', keys: ec },
    { algorithm: 'EdDSA', keys: ed },
    { algorithm: 'PS256', keys: rsa },
    { algorithm: 'RS256', keys: rsa },
  ] as const;

  test.each(cases)(
    '$algorithm takes a signature of its key and no other, here and aside',
    async ({ algorithm, keys }) => {
      const verifier = signatureVerifier(algorithm, keys.publicKey);
      const signature = signBytes(algorithm, keys.privateKey, utf8('a.b'));
      for (const verify of [verifier.verify, verifier.verifyAside]) {
        expect(await verify(utf8('a.b'), signature)).toBe(true);
        expect(await verify(utf8('a.c'), signature)).toBe(false);
        expect(await verify(utf8('a.b'), signature.subarray(1))).toBe(false);
      }
    },
  );

  test.each(cases)('$algorithm refuses any bytes, without an exception', ({ algorithm, keys }) => {
    const verifier = signatureVerifier(algorithm, keys.publicKey);
    return fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        expect(verifier.verify(utf8('a.b'), bytes)).toBe(false);
        expect(await verifier.verifyAside(utf8('a.b'), bytes)).toBe(false);
      }),
      { numRuns: 50 },
    );
  });

  test('bytes that are verified aside are those of the call, whatever becomes of them', async () => {
    const [input, signature] = [utf8('a.b'), signBytes('ES256', ec.privateKey, utf8('a.b'))];
    const verified = signatureVerifier('ES256', ec.publicKey).verifyAside(input, signature);
    input.fill(0);
    signature.fill(0);
    expect(await verified).toBe(true);
  });

  test('EdDSA goes by its name of RFC 9864 too; other names mean nothing', () => {
    expect(jwtAlgorithm('Ed25519')).toBe('EdDSA');
    for (const name of ['none', 'HS256', 'es256', '', 'constructor']) {
      expect(jwtAlgorithm(name)).toBeUndefined();
    }
  });
});
