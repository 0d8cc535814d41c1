import { generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { importJwk } from '../../../src/codec/cose/key.ts';
import { signBytes, verifyBytes } from '../../../src/codec/cose/primitives.ts';
import { base64url, fromBase64url, utf8 } from '../../../src/core/bytes.ts';
import { WRAP_ALGORITHMS } from '../../../src/core/device-profile.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { codeOf } from '../../fixtures/code-of.ts';
import { JWK, publicJwk } from '../../fixtures/cose-keys.ts';

const EC: JsonObject = JWK.ES256;
const ED: JsonObject = JWK.EdDSA;
const MAC: JsonObject = JWK['HMAC 256/256'];
const AES: JsonObject = JWK.A128GCM;

function without(jwk: JsonObject, name: string): JsonObject {
  const { [name]: _, ...rest } = jwk;
  return rest;
}

function octets(length: number): string {
  return base64url(new Uint8Array(length).fill(1));
}

/** p − y, so that (x, p − y) is on the curve as well. */
function opposite(y: Uint8Array): Uint8Array {
  const p = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
  const negated = p - BigInt(`0x${Buffer.from(y).toString('hex')}`);
  return Buffer.from(negated.toString(16).padStart(64, '0'), 'hex');
}

describe('a JWK is imported', () => {
  for (const algorithm of WRAP_ALGORITHMS) {
    it(`for ${algorithm}, with the UTF-8 bytes of its kid`, () => {
      const key = importJwk({ ...JWK[algorithm], kid: 'kid-ü' });
      expect(key.algorithm).toBe(algorithm);
      expect(key.keyId).toEqual(utf8('kid-ü'));
    });

    it(`for ${algorithm} by the argument alone`, () => {
      expect(importJwk(without(JWK[algorithm], 'alg'), algorithm).algorithm).toBe(algorithm);
    });
  }

  it('under the JOSE names of the same algorithms', () => {
    expect(importJwk({ ...MAC, alg: 'HS256' }).algorithm).toBe('HMAC 256/256');
    expect(importJwk({ ...ED, alg: 'Ed25519' }).algorithm).toBe('EdDSA');
    expect(importJwk({ ...EC, alg: 'ES256' }).algorithm).toBe('ES256');
  });

  it('with a fitting use and key_ops', () => {
    expect(importJwk({ ...EC, use: 'sig', key_ops: ['verify'] }).algorithm).toBe('ES256');
    expect(importJwk({ ...AES, use: 'enc', key_ops: ['decrypt', 'encrypt'] }).algorithm).toBe('A128GCM');
  });

  it('without a kid', () => {
    expect(importJwk(without(EC, 'kid')).keyId).toBeUndefined();
  });

  it('as the pair that it says it is', () => {
    const data = utf8('data');
    for (const algorithm of ['ES256', 'EdDSA'] as const) {
      const signature = signBytes(algorithm, importJwk(JWK[algorithm]).key, data);
      expect(verifyBytes(algorithm, importJwk(publicJwk(algorithm)).key, data, signature)).toBe(true);
    }
  });

  it('into something that does not print', () => {
    for (const algorithm of WRAP_ALGORITHMS) {
      const key = importJwk(JWK[algorithm]);
      const jwk: JsonObject = JWK[algorithm];
      const secret = String(jwk.d ?? jwk.k);
      const bytes = Buffer.from(secret, 'base64url').toString('hex');
      for (const text of [inspect(key, { depth: 9, showHidden: true }), JSON.stringify(key), String(key.key)]) {
        expect(text).not.toContain(secret);
        expect(text).not.toContain(bytes);
      }
    }
  });
});

describe('a JWK is refused', () => {
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  const strangerEd = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' }) as JsonObject;
  const cases: readonly (readonly [string, JsonObject])[] = [
    ['without kty', without(EC, 'kty')],
    ['with a kty that is no text', { ...EC, kty: 2 }],
    ['with kty RSA', { kty: 'RSA', n: octets(256), e: 'AQAB' }],
    ['on P-384', p384],
    ['on Ed448', { ...ED, crv: 'Ed448' }],
    ['of type OKP on P-256', { ...EC, kty: 'OKP' }],
    ['of type oct with a crv', { ...MAC, crv: 'P-256' }],
    ['without crv', without(EC, 'crv')],
    ['without x', without(EC, 'x')],
    ['without y', without(EC, 'y')],
    ['with x of 31 bytes', { ...EC, x: octets(31) }],
    ['with x of 33 bytes', { ...EC, x: octets(33) }],
    ['with x in padded base64', { ...EC, x: `${String(EC.x)}=` }],
    ['with x in a second spelling', { ...EC, x: `${String(EC.x).slice(0, -1)}J` }],
    ['with x that is no text', { ...EC, x: 7 }],
    ['with x and y swapped: no point of the curve', { ...EC, x: EC.y ?? '', y: EC.x ?? '' }],
    [
      'with the point at zero',
      { ...without(EC, 'd'), x: octets(0) + base64url(new Uint8Array(32)), y: base64url(new Uint8Array(32)) },
    ],
    ['with coordinates past the field', { ...without(EC, 'd'), x: base64url(new Uint8Array(32).fill(0xff)) }],
    ['with d of another EC key', { ...EC, d: String(stranger.d) }],
    ['with y of the opposite point', { ...EC, y: base64url(opposite(fromBase64url(String(EC.y)))) }],
    ['with d of another Ed25519 key', { ...ED, d: String(strangerEd.d) }],
    ['with d of zero', { ...EC, d: base64url(new Uint8Array(32)) }],
    ['with d past the order', { ...EC, d: base64url(new Uint8Array(32).fill(0xff)) }],
    ['with d of 31 bytes', { ...EC, d: octets(31) }],
    ['with d that is no text', { ...ED, d: null }],
    ['with an empty d', { ...EC, d: '' }],
    ['with a kid that is no text', { ...EC, kid: 7 }],
    ['with an alg that is no text', { ...EC, alg: -7 }],
    ['with an alg that is not spoken here', { ...EC, alg: 'ES384' }],
    ['with the alg of another curve', { ...EC, alg: 'EdDSA' }],
    ['with alg HS256 on an EC key', { ...EC, alg: 'HS256' }],
    ['with alg ES256 on a secret', { ...MAC, alg: 'ES256' }],
    ['with alg none', { ...MAC, alg: 'none' }],
    ['with a secret and no alg', without(MAC, 'alg')],
    ['without k', without(MAC, 'k')],
    ['with an HMAC secret of 31 bytes', { ...MAC, k: octets(31) }],
    ['with an HMAC secret of 65 bytes', { ...MAC, k: octets(65) }],
    ['with an AES key of 15 bytes', { ...AES, k: octets(15) }],
    ['with an AES key of 32 bytes', { ...AES, k: octets(32) }],
    ['with an empty secret', { ...MAC, k: '' }],
    ['for signing, with use enc', { ...EC, use: 'enc' }],
    ['for encryption, with use sig', { ...AES, use: 'sig' }],
    ['with key_ops for something else', { ...EC, key_ops: ['deriveKey'] }],
    ['with key_ops that is no array', { ...EC, key_ops: 'verify' }],
  ];
  for (const [name, jwk] of cases) {
    it(name, () => {
      expect(codeOf(() => importJwk(jwk))).toBe('jwk_invalid');
    });
  }

  it('with an argument that contradicts its alg', () => {
    expect(codeOf(() => importJwk(MAC, 'HMAC 256/64'))).toBe('jwk_invalid');
    expect(codeOf(() => importJwk(EC, 'EdDSA'))).toBe('jwk_invalid');
  });

  it('without a word of the key in the error', () => {
    for (const [, jwk] of cases) {
      let message = '';
      try {
        importJwk(jwk);
      } catch (error) {
        message = inspect(error, { depth: 9 });
      }
      for (const name of ['d', 'k']) {
        const secret = jwk[name];
        if (typeof secret === 'string' && secret.length > 8) expect(message).not.toContain(secret);
      }
    }
  });
});
