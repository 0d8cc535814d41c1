import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CborKey, type CborValue, encodeCbor } from '../../src/codec/cbor.ts';
import { coseKeyFromJwk } from '../../src/codec/cose/key.ts';
import { type CwtClaims, type CwtConfirmation, decodeClaims, encodeClaims } from '../../src/codec/cwt.ts';
import { fromHex, hex } from '../../src/core/bytes.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { publicJwk } from '../fixtures/cose-keys.ts';

function decode(...entries: readonly (readonly [CborKey, CborValue])[]): CwtClaims {
  return decodeClaims(encodeCbor(new Map(entries)));
}

const KEY = coseKeyFromJwk(publicJwk('ES256'));
const CONFIRMATIONS: readonly CwtConfirmation[] = [
  { method: 'COSE_Key', key: KEY },
  {
    method: 'Encrypted_COSE_Key',
    message: [fromHex('a1010a'), new Map([[5, new Uint8Array(13)]]), new Uint8Array(40)],
  },
  { method: 'kid', keyId: fromHex('0102') },
  { method: 'ckt', thumbprint: new Uint8Array(32).fill(3) },
];

describe('claims', () => {
  it('are the bytes of RFC 8392 A.1', () => {
    const claims: CwtClaims = {
      issuer: 'coap://as.example.com',
      subject: 'erikw',
      audience: 'coap://light.example.com',
      expiresAt: 1_444_064_944,
      notBefore: 1_443_944_944,
      issuedAt: 1_443_944_944,
      cwtId: fromHex('0b71'),
    };
    const encoded =
      'a70175636f61703a2f2f61732e6578616d706c652e636f6d02656572696b77037818636f61703a2f2f6c696768742e6578616d706c652e636f' +
      '6d041a5612aeb0051a5610d9f0061a5610d9f007420b71';
    expect(hex(encodeClaims(claims))).toBe(encoded);
    expect(decodeClaims(fromHex(encoded))).toMatchObject(claims);
  });

  it('carry what RFC 9200 adds', () => {
    const claims: CwtClaims = { scope: fromHex('72'), aceProfile: 2, cnonce: fromHex('aabb'), expiresIn: 3600 };
    expect(hex(encodeClaims(claims))).toBe('a4094172182602182742aabb1828190e10');
    expect(decodeClaims(encodeClaims(claims))).toMatchObject(claims);
  });

  for (const confirmation of CONFIRMATIONS) {
    it(`carry a confirmation by ${confirmation.method}`, () => {
      expect(decodeClaims(encodeClaims({ confirmation })).confirmation).toEqual(confirmation);
    });
  }

  it('round-trip in any combination', () => {
    const bytes = fc.uint8Array({ maxLength: 20 });
    const arbitrary: fc.Arbitrary<CwtClaims> = fc.record(
      {
        issuer: fc.string(),
        subject: fc.string({ unit: 'grapheme' }),
        audience: fc.string(),
        expiresAt: fc.maxSafeNat(),
        notBefore: fc.maxSafeNat(),
        issuedAt: fc.maxSafeNat(),
        cwtId: bytes,
        confirmation: fc.constantFrom(...CONFIRMATIONS),
        scope: fc.oneof(fc.string(), bytes),
        aceProfile: fc.nat(),
        cnonce: bytes,
        expiresIn: fc.nat(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(arbitrary, (claims) => {
        const decoded = decodeClaims(encodeClaims(claims));
        expect(Object.fromEntries(Object.entries(decoded).filter(([, value]) => value !== undefined))).toEqual(claims);
      }),
    );
  });

  it('pass over what is not known (RFC 8392 §3)', () => {
    expect(decode([3, 'tube-1'], [-70000, 1], ['exp', 'text keys are other claims'], [170, []])).toEqual(
      decode([3, 'tube-1']),
    );
  });
});

describe('claims are refused', () => {
  const cases: readonly (readonly [string, CborKey, CborValue])[] = [
    ['iss as bytes', 1, fromHex('00')],
    ['iss as a number', 1, 1],
    ['sub as null', 2, null],
    ['aud as an array: one token, one device', 3, ['tube-1']],
    ['aud as a number', 3, 3],
    ['exp as text', 4, '1700000000'],
    ['exp as bytes', 4, fromHex('00')],
    ['exp below zero', 4, -1],
    ['exp past 2^53', 4, 1n << 53n],
    ['exp as null', 4, null],
    ['exp as true', 4, true],
    ['nbf as text', 5, '0'],
    ['nbf below zero', 5, -5],
    ['iat as an array', 6, [0]],
    ['iat past 64 bits less one', 6, (1n << 64n) - 1n],
    ['cti as text', 7, 'id'],
    ['cti as a number', 7, 7],
    ['scope as an array', 9, ['read']],
    ['scope as a number', 9, 9],
    ['ace_profile as text', 38, 'coap_dtls'],
    ['ace_profile below zero', 38, -1],
    ['cnonce as text', 39, 'nonce'],
    ['exi below zero', 40, -1],
    ['exi as text', 40, '1'],
    ['cnf as a kid without its map', 8, fromHex('01')],
    ['cnf as null', 8, null],
    ['cnf with no method', 8, new Map()],
    [
      'cnf with two methods',
      8,
      new Map<number, CborValue>([
        [1, KEY],
        [3, fromHex('01')],
      ]),
    ],
    ['cnf with a method that is not known', 8, new Map([[4, new Map()]])],
    ['cnf with a method as text', 8, new Map([['jwk', new Map()]])],
    ['cnf with a COSE_Key that is no map', 8, new Map([[1, fromHex('a0')]])],
    ['cnf with an Encrypted_COSE_Key of four', 8, new Map([[2, [fromHex('40'), new Map(), fromHex('40'), []]]])],
    ['cnf with an Encrypted_COSE_Key that is no array', 8, new Map([[2, fromHex('40')]])],
    ['cnf with a kid as text', 8, new Map([[3, 'kid']])],
    ['cnf with a ckt of 31 bytes', 8, new Map([[5, new Uint8Array(31)]])],
    ['cnf with a ckt as text', 8, new Map([[5, 'ckt']])],
  ];
  for (const [name, label, value] of cases) {
    it(name, () => {
      expect(codeOf(() => decode([label, value]))).toBe('cwt_invalid');
    });
  }

  it('exp as a float, by the gate', () => {
    expect(codeOf(() => decodeClaims(fromHex('a104fb41d954fc40000000')))).toBe('cbor_invalid');
  });

  it('exp twice, by the gate', () => {
    expect(codeOf(() => decodeClaims(fromHex('a204000401')))).toBe('cbor_invalid');
  });

  it('anything but a map', () => {
    for (const value of [0, 'claims', [], null, fromHex('a0')]) {
      expect(codeOf(() => decodeClaims(encodeCbor(value)))).toBe('cwt_invalid');
    }
  });

  it('before they are made: fractions, negative dates, empty confirmations', () => {
    for (const claims of [
      { expiresAt: 1.5 },
      { issuedAt: -1 },
      { notBefore: Number.NaN },
      { expiresIn: 2 ** 53 },
      { confirmation: { method: 'ckt', thumbprint: new Uint8Array(8) } },
    ] satisfies readonly CwtClaims[]) {
      expect(codeOf(() => encodeClaims(claims))).toBe('cwt_invalid');
    }
  });
});
