import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type CborKey,
  type CborMap,
  type CborValue,
  decodeCbor,
  encodeCbor,
  isCborMap,
} from '../../../src/codec/cbor.ts';
import { coseKeyFromJwk, coseThumbprint, importJwk, jwkFromCoseKey } from '../../../src/codec/cose/key.ts';
import { isOnP256 } from '../../../src/codec/cose/p256.ts';
import { fromBase64url, fromHex, hex, utf8 } from '../../../src/core/bytes.ts';
import { isCoded } from '../../../src/core/errors.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { codeOf } from '../../fixtures/code-of.ts';
import { JWK, publicJwk } from '../../fixtures/cose-keys.ts';

/** RFC 9679 §6: the key of its example. */
const RFC_9679 = fromHex(
  'a40102200121582065eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d' +
    '2258201e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c',
);

function map(...entries: readonly (readonly [CborKey, CborValue])[]): CborMap {
  return new Map(entries);
}

function changed(key: CborMap, label: number, value: CborValue | undefined): CborMap {
  const copy = new Map(key);
  if (value === undefined) copy.delete(label);
  else copy.set(label, value);
  return copy;
}

const EC2 = coseKeyFromJwk(JWK.ES256);
const OKP = coseKeyFromJwk(JWK.EdDSA);
const SECRET = coseKeyFromJwk(JWK['HMAC 256/64']);

/** Plain, as the map has them: `fromBase64url` answers with a Buffer, which `toEqual` tells apart. */
function octets(text: string): Uint8Array {
  return new Uint8Array(fromBase64url(text));
}

describe('a COSE_Key', () => {
  it('of an EC JWK has the public part alone, y in full', () => {
    expect(EC2).toEqual(map([1, 2], [-1, 1], [-2, octets(JWK.ES256.x)], [-3, octets(JWK.ES256.y)]));
  });

  it('of an Ed25519 JWK has the public part alone', () => {
    expect(OKP).toEqual(map([1, 1], [-1, 6], [-2, octets(JWK.EdDSA.x)]));
  });

  it('of a secret says what the secret is for', () => {
    const { k } = JWK['HMAC 256/64'];
    expect(SECRET).toEqual(map([1, 4], [2, utf8('mac-64')], [3, 4], [-1, octets(k)]));
  });

  it('becomes the JWK that it came from', () => {
    expect(jwkFromCoseKey(EC2)).toEqual({ kty: 'EC', crv: 'P-256', x: JWK.ES256.x, y: JWK.ES256.y });
    expect(jwkFromCoseKey(OKP)).toEqual({ kty: 'OKP', crv: 'Ed25519', x: JWK.EdDSA.x });
    expect(jwkFromCoseKey(SECRET)).toEqual(JWK['HMAC 256/64']);
  });

  it('survives encoding and import', () => {
    for (const jwk of [publicJwk('ES256'), publicJwk('EdDSA'), JWK.A128GCM]) {
      const decoded = decodeCbor(encodeCbor(coseKeyFromJwk(jwk)));
      if (!isCborMap(decoded)) expect.unreachable('no map');
      else expect(importJwk(jwkFromCoseKey(decoded)).key.equals(importJwk(jwk).key)).toBe(true);
    }
  });

  it('gives up a kid that no JWK can hold', () => {
    expect(jwkFromCoseKey(changed(SECRET, 2, fromHex('ff')))).not.toHaveProperty('kid');
  });

  it('keeps what its key_ops allow', () => {
    expect(importJwk(jwkFromCoseKey(changed(EC2, 4, [2]))).algorithm).toBe('ES256');
    expect(importJwk(jwkFromCoseKey(changed(SECRET, 4, [10]))).algorithm).toBe('HMAC 256/64');
    expect(codeOf(() => importJwk(jwkFromCoseKey(changed(EC2, 4, [7]))))).toBe('jwk_invalid');
    expect(codeOf(() => importJwk(jwkFromCoseKey(changed(EC2, 4, ['verify please']))))).toBe('jwk_invalid');
  });

  it('passes over parameters that are not known', () => {
    expect(jwkFromCoseKey(changed(changed(OKP, -70000, 1), 5, fromHex('00')))).toHaveProperty('x');
  });
});

describe('a COSE_Key is refused', () => {
  const cases: readonly (readonly [string, CborMap])[] = [
    ['without anything', map()],
    ['without kty', changed(EC2, 1, undefined)],
    ['with a kty that is not known', changed(EC2, 1, 3)],
    ['with kty as text', changed(EC2, 1, 'EC2')],
    ['without crv', changed(EC2, -1, undefined)],
    ['on P-384', changed(EC2, -1, 2)],
    ['on X25519', changed(OKP, -1, 4)],
    ['without x', changed(EC2, -2, undefined)],
    ['without y', changed(EC2, -3, undefined)],
    ['with a compressed point', changed(EC2, -3, true)],
    ['with x of 31 bytes', changed(EC2, -2, new Uint8Array(31))],
    ['with x of 33 bytes', changed(OKP, -2, new Uint8Array(33))],
    ['off the curve', changed(EC2, -2, octets(JWK.ES256.y))],
    ['at zero', changed(changed(EC2, -2, new Uint8Array(32)), -3, new Uint8Array(32))],
    ['past the field', changed(EC2, -2, new Uint8Array(32).fill(0xff))],
    ['with the private part of an EC2 key', changed(EC2, -4, octets(JWK.ES256.d))],
    ['with the private part of an OKP key', changed(OKP, -4, octets(JWK.EdDSA.d))],
    ['without k', changed(SECRET, -1, undefined)],
    ['with k as text', changed(SECRET, -1, 'secret')],
    ['with kid as text', changed(SECRET, 2, 'kid')],
    ['with an alg that is not spoken here', changed(SECRET, 3, 6)],
    ['with an alg as text', changed(SECRET, 3, 'HS256')],
    ['with key_ops that is no array', changed(EC2, 4, 2)],
    ['with empty key_ops', changed(EC2, 4, [])],
  ];
  for (const [name, key] of cases) {
    it(name, () => {
      expect(codeOf(() => jwkFromCoseKey(key))).toBe('cose_key_invalid');
    });
  }

  it('with an alg that contradicts its curve, on import', () => {
    expect(codeOf(() => importJwk(jwkFromCoseKey(changed(EC2, 3, -8))))).toBe('jwk_invalid');
  });

  it('from a JWK that is off the curve or of another type', () => {
    expect(codeOf(() => coseKeyFromJwk({ ...JWK.ES256, x: JWK.ES256.y }))).toBe('cose_key_invalid');
    expect(codeOf(() => coseKeyFromJwk({ kty: 'RSA' }))).toBe('jwk_invalid');
    expect(codeOf(() => coseKeyFromJwk({ kty: 'EC', crv: 'P-256' }))).toBe('jwk_invalid');
  });

  it('always with a code, whatever it holds', () => {
    const value = fc.oneof(
      fc.integer(),
      fc.string(),
      fc.uint8Array({ maxLength: 40 }),
      fc.constant(null),
      fc.constant([]),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: -5, max: 6 }), value)), (entries) => {
        try {
          importJwk(jwkFromCoseKey(map(...entries)));
        } catch (error) {
          expect(isCoded(error)).toBe(true);
        }
      }),
    );
  });
});

describe('a COSE_Key thumbprint (RFC 9679)', () => {
  it('is the one of the example in §6', () => {
    const key = decodeCbor(RFC_9679);
    if (!isCborMap(key)) expect.unreachable('no map');
    else expect(hex(coseThumbprint(key))).toBe('496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec');
  });

  it('does not depend on optional parameters', () => {
    expect(coseThumbprint(changed(changed(EC2, 2, utf8('kid')), 3, -7))).toEqual(coseThumbprint(EC2));
    expect(coseThumbprint(changed(SECRET, 2, undefined))).toEqual(coseThumbprint(SECRET));
  });

  it('differs from key to key', () => {
    expect(new Set([EC2, OKP, SECRET].map((key) => hex(coseThumbprint(key)))).size).toBe(3);
  });

  it('is refused for a key that is off the curve', () => {
    expect(codeOf(() => coseThumbprint(changed(EC2, -2, new Uint8Array(32))))).toBe('cose_key_invalid');
  });
});

describe('the curve equation', () => {
  it('holds for every key that OpenSSL makes', () => {
    for (let count = 0; count < 20; count++) {
      const jwk: JsonObject = {
        ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }),
      } as JsonObject;
      expect(isOnP256(octets(String(jwk.x)), octets(String(jwk.y)))).toBe(true);
    }
  });

  it('agrees with OpenSSL on any two coordinates', () => {
    const coordinate = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(coordinate, coordinate, (x, y) => {
        let known = true;
        try {
          const key = {
            kty: 'EC',
            crv: 'P-256',
            x: Buffer.from(x).toString('base64url'),
            y: Buffer.from(y).toString('base64url'),
          };
          createPublicKey({ key, format: 'jwk' });
        } catch {
          known = false; // OpenSSL refuses points that are off the curve.
        }
        expect(isOnP256(x, y)).toBe(known);
      }),
    );
  });
});
