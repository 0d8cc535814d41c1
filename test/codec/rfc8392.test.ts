/** Every example of RFC 8392 appendix A, as the RFC prints it: with its kids and, in A.4, the CWT tag. */
import { describe, expect, it } from 'vitest';
import { openEncrypt0 } from '../../src/codec/cose/encrypt0.ts';
import { type CoseKey, importJwk } from '../../src/codec/cose/key.ts';
import { openMac0 } from '../../src/codec/cose/mac0.ts';
import { type CwtClaims, encodeClaims, makeCwt, openCwt } from '../../src/codec/cwt.ts';
import { base64url, fromHex, hex } from '../../src/core/bytes.ts';
import type { Wrap } from '../../src/core/device-profile.ts';
import { codeOf } from '../fixtures/code-of.ts';

const SIGNING = importJwk({
  kty: 'EC',
  crv: 'P-256',
  kid: 'AsymmetricECDSA256',
  x: base64url(fromHex('143329cce7868e416927599cf65a34f3ce2ffda55a7eca69ed8919a394d42f0f')),
  y: base64url(fromHex('60f7f1a780d8a783bfb7a2dd6b2796e8128dbbcef9d3d168db9529971a36e7b9')),
  d: base64url(fromHex('6c1382765aec5358f117733d281c1c7bdc39884d04a45a1e6c67c858bc206c19')),
});
const MAC = importJwk({
  kty: 'oct',
  kid: 'Symmetric256',
  alg: 'HMAC 256/64',
  k: base64url(fromHex('403697de87af64611c1d32a05dab0fe1fcb715a86ab435f1ec99192d79569388')),
});
const ENCRYPTION = importJwk({
  kty: 'oct',
  kid: 'Symmetric128',
  alg: 'AES-CCM-16-64-128',
  k: base64url(fromHex('231f4c4d4d3051fdc2ec0a3851d5b383')),
});
const KEYS: readonly CoseKey[] = [SIGNING, MAC, ENCRYPTION];

const CLAIMS: CwtClaims = {
  issuer: 'coap://as.example.com',
  subject: 'erikw',
  audience: 'coap://light.example.com',
  expiresAt: 1_444_064_944,
  notBefore: 1_443_944_944,
  issuedAt: 1_443_944_944,
  cwtId: fromHex('0b71'),
};
const CLAIMS_HEX =
  'a70175636f61703a2f2f61732e6578616d706c652e636f6d02656572696b77037818636f61703a2f2f6c696768742e6578616d706c652e636f6d' +
  '041a5612aeb0051a5610d9f0061a5610d9f007420b71';

const A3 =
  `d28443a10126a104524173796d6d657472696345434453413235365850${CLAIMS_HEX}` +
  '58405427c1ff28d23fbad1f29c4c7c6a555e601d6fa29f9179bc3d7438bacaca5acd' +
  '08c8d4d4f96131680c429a01f85951ecee743a52b9b63632c57209120e1c9e30';
const A4 = `d83dd18443a10104a1044c53796d6d65747269633235365850${CLAIMS_HEX}48093101ef6d789200`;
const A5 =
  'd08343a1010aa2044c53796d6d6574726963313238054d99a0d7846e762c49ffe8a63e0b5858b918a11fd81e438b7f973d9e2e119bcb22424ba0' +
  'f38a80f27562f400ee1d0d6c0fdb559c02421fd384fc2ebe22d7071378b0ea7428fff157444d45f7e6afcda1aae5f6495830c58627087fc5b497' +
  '4f319a8707a635dd643b';
const A6 =
  'd08343a1010aa2044c53796d6d6574726963313238054d4a0694c0e69ee6b5956655c7b258b7f6b0914f993de822cc47e5e57a188d7960b528a7' +
  '47446fe12f0e7de05650dec74724366763f167a29c002dfd15b34d8993391cf49bc91127f545dba8703d66f5b7f1ae91237503d371e6333df970' +
  '8d78c4fb8a8386c8ff09dc49af768b23179deab78d96490a66d5724fb33900c60799d9872fac6da3bdb89043d67c2a05414ce331b5b8f1ed8ff7' +
  '138f45905db2c4d5bc8045ab372bff142631610a7e0f677b7e9b0bc73adefdcee16d9d5d284c616abeab5d8c291ce0';
const A7 = 'd18443a10104a1044c53796d6d65747269633235364ba106fb41d584367c20000048b8816f34c0542892';

const EXAMPLES: readonly (readonly [name: string, bytes: string, wrap: Wrap])[] = [
  ['A.3, signed', A3, 'sign1'],
  ['A.4, MACed, with the CWT tag', A4, 'mac0'],
  ['A.5, encrypted', A5, 'encrypt0'],
  ['A.6, signed and encrypted', A6, 'sign1+encrypt0'],
];

describe('RFC 8392', () => {
  for (const [name, bytes, wrap] of EXAMPLES) {
    it(`${name}: opens`, () => {
      const opened = openCwt(fromHex(bytes), { keys: KEYS, expected: wrap });
      expect(opened.claims).toMatchObject(CLAIMS);
    });
  }

  it('A.1: the claims are these bytes', () => {
    expect(hex(encodeClaims(CLAIMS))).toBe(CLAIMS_HEX);
  });

  it('A.4 is what is made here', () => {
    const made = makeCwt(CLAIMS, {
      wrap: 'mac0',
      keys: { authentication: MAC },
      cwtTag: true,
      nonce: () => new Uint8Array(0),
    });
    expect(hex(made)).toBe(A4);
  });

  it('A.5 is what is made here with its nonce', () => {
    const nonce = () => fromHex('99a0d7846e762c49ffe8a63e0b');
    const made = makeCwt(CLAIMS, { wrap: 'encrypt0', keys: { encryption: ENCRYPTION }, cwtTag: false, nonce });
    expect(hex(made)).toBe(A5);
  });

  it('A.6 has A.3 inside', () => {
    expect(hex(openEncrypt0(fromHex(A6), { key: ENCRYPTION }).payload)).toBe(A3);
  });

  it('A.7: the MAC is right, and the claims are refused for their float', () => {
    expect(hex(openMac0(fromHex(A7), { key: MAC }).payload)).toBe('a106fb41d584367c200000');
    expect(codeOf(() => openCwt(fromHex(A7), { keys: KEYS }))).toBe('cbor_invalid');
  });
});
