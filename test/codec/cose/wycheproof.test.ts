/**
 * Project Wycheproof (test/vectors/wycheproof) against the primitives below COSE. Every case runs; those
 * of sizes that COSE does not give its algorithms must be refused.
 */
import { createPublicKey, createSecretKey, hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { encodeCbor } from '../../../src/codec/cbor.ts';
import { openEncrypt0 } from '../../../src/codec/cose/encrypt0.ts';
import { importJwk } from '../../../src/codec/cose/key.ts';
import { checkMac, macBytes, seal, unseal, verifyBytes } from '../../../src/codec/cose/primitives.ts';
import { base64url, concat, fromHex, hex } from '../../../src/core/bytes.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { codeOf } from '../../fixtures/code-of.ts';

type Result = 'valid' | 'invalid' | 'acceptable';

interface Case {
  readonly tcId: number;
  readonly comment: string;
  readonly result: Result;
  readonly [name: string]: string | number | readonly string[];
}

interface Group {
  readonly [name: string]: unknown;
  readonly tests: readonly Case[];
}

interface VectorFile {
  readonly numberOfTests: number;
  readonly testGroups: readonly Group[];
}

const FOLDER = new URL('../../vectors/wycheproof/', import.meta.url);

function load(name: string): VectorFile {
  return JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) as VectorFile;
}

function bytes(test: Case, name: string): Uint8Array {
  return fromHex(String(test[name]));
}

function ecJwk(group: Group): JsonObject {
  const point = fromHex((group.publicKey as { readonly uncompressed: string }).uncompressed);
  return { kty: 'EC', crv: 'P-256', x: base64url(point.subarray(1, 33)), y: base64url(point.subarray(33)) };
}

function okpJwk(group: Group): JsonObject {
  const { pk } = group.publicKey as { readonly pk: string };
  return { kty: 'OKP', crv: 'Ed25519', x: base64url(fromHex(pk)) };
}

function report(name: string, ran: number, file: VectorFile, rest: string): void {
  process.stdout.write(`wycheproof: ${name}: ${ran} of ${file.numberOfTests} cases ran${rest}\n`);
}

describe('Wycheproof, ES256 (ieee-p1363)', () => {
  const file = load('ecdsa_secp256r1_sha256_p1363_test.json');
  let ran = 0;
  for (const group of file.testGroups) {
    const { key } = importJwk(ecJwk(group));
    for (const test of group.tests) {
      it(`${test.tcId} is ${test.result}: ${test.comment}`, () => {
        ran++;
        expect(verifyBytes('ES256', key, bytes(test, 'msg'), bytes(test, 'sig'))).toBe(test.result === 'valid');
      });
    }
  }
  afterAll(() => {
    report('ES256', ran, file, '');
  });
});

describe('Wycheproof, EdDSA over Ed25519', () => {
  const file = load('ed25519_test.json');
  let ran = 0;
  for (const group of file.testGroups) {
    const { key } = importJwk(okpJwk(group));
    for (const test of group.tests) {
      it(`${test.tcId} is ${test.result}: ${test.comment}`, () => {
        ran++;
        expect(verifyBytes('EdDSA', key, bytes(test, 'msg'), bytes(test, 'sig'))).toBe(test.result === 'valid');
      });
    }
  }
  afterAll(() => {
    report('EdDSA', ran, file, '');
  });
});

describe('Wycheproof, HMAC-SHA-256', () => {
  const file = load('hmac_sha256_test.json');
  let ran = 0;
  let cut = 0;
  for (const group of file.testGroups) {
    const whole = group.tagSize === 256;
    for (const test of group.tests) {
      it(`${test.tcId} is ${test.result} at ${String(group.tagSize)} bits: ${test.comment}`, () => {
        ran++;
        const key = createSecretKey(bytes(test, 'key'));
        const tag = bytes(test, 'tag');
        const mac = macBytes('HMAC 256/256', key, bytes(test, 'msg'));
        expect(hex(mac).startsWith(hex(tag))).toBe(test.result === 'valid');
        if (whole) {
          expect(checkMac('HMAC 256/256', key, bytes(test, 'msg'), tag)).toBe(test.result === 'valid');
          return;
        }
        cut++;
        // A tag of 128 bits is none of COSE's, right or wrong; its first 64 bits are.
        expect(checkMac('HMAC 256/256', key, bytes(test, 'msg'), tag)).toBe(false);
        expect(checkMac('HMAC 256/64', key, bytes(test, 'msg'), tag)).toBe(false);
        const truncated = checkMac('HMAC 256/64', key, bytes(test, 'msg'), tag.subarray(0, 8));
        expect(truncated).toBe(hex(mac).startsWith(hex(tag.subarray(0, 8))));
      });
    }
  }
  afterAll(() => {
    report('HMAC-SHA-256', ran, file, `, ${cut} of them cut to 64 bits`);
  });
});

/**
 * No case of the file has all three sizes of AES-CCM-16-64-128 (key of 16 bytes, nonce of 13, tag of 8). So each is asked as
 * far as it goes: tags of 8 bytes in full, at the nonce length that they have; nonces of 13 bytes for the ciphertext,
 * which does not depend on the length of the tag; and everything else for its refusal by COSE_Encrypt0 or on import.
 */
describe('Wycheproof, AES-CCM', () => {
  const file = load('aes_ccm_test.json');
  const algorithm = 'AES-CCM-16-64-128';
  const counts = { inFull: 0, ciphertext: 0, refused: 0 };
  for (const group of file.testGroups) {
    for (const test of group.tests) {
      const sizes = `key ${String(group.keySize)}, nonce ${String(group.ivSize)}, tag ${String(group.tagSize)}`;
      it(`${test.tcId} is ${test.result} (${sizes}): ${test.comment}`, () => {
        const jwk = { kty: 'oct', k: base64url(bytes(test, 'key')), alg: algorithm };
        if (group.keySize !== 128) {
          counts.refused++;
          expect(codeOf(() => importJwk(jwk))).toBe('jwk_invalid');
          return;
        }
        const key = importJwk(jwk);
        const nonce = bytes(test, 'iv');
        const sealing = { algorithm, key: key.key, nonce, additionalData: bytes(test, 'aad') } as const;
        const sealed = concat(bytes(test, 'ct'), bytes(test, 'tag'));
        if (group.ivSize !== 104) {
          const message = encodeCbor([fromHex('a1010a'), new Map([[5, nonce]]), sealed]);
          expect(codeOf(() => openEncrypt0(message, { key }))).toBe('cose_invalid');
        }
        if (group.tagSize === 64) {
          counts.inFull++;
          if (test.result === 'valid') {
            expect(hex(unseal(sealing, sealed))).toBe(test.msg);
            expect(hex(seal(sealing, bytes(test, 'msg')))).toBe(hex(sealed));
          } else expect(codeOf(() => unseal(sealing, sealed))).toBe('cose_verification_failed');
        } else if (group.ivSize === 104) {
          counts.ciphertext++;
          expect(codeOf(() => unseal(sealing, sealed))).toBe('cose_verification_failed');
          const sameCiphertext = hex(seal(sealing, bytes(test, 'msg'))).slice(0, -16) === test.ct;
          expect(sameCiphertext || test.result === 'invalid').toBe(true);
        } else counts.refused++;
      });
    }
  }
  afterAll(() => {
    const { inFull, ciphertext, refused } = counts;
    const rest = `, ${inFull} in full, ${ciphertext} for their ciphertext, ${refused} of other sizes refused`;
    report('AES-CCM', inFull + ciphertext + refused, file, rest);
  });
});

describe('Wycheproof, HKDF-SHA-256', () => {
  const file = load('hkdf_sha256_test.json');
  let ran = 0;
  for (const group of file.testGroups) {
    for (const test of group.tests) {
      it(`${test.tcId} is ${test.result}: ${test.comment}`, () => {
        ran++;
        const derive = () =>
          hex(
            new Uint8Array(
              hkdfSync('sha256', bytes(test, 'ikm'), bytes(test, 'salt'), bytes(test, 'info'), Number(test.size)),
            ),
          );
        if (test.result === 'valid') expect(derive()).toBe(test.okm);
        else expect(derive).toThrow();
      });
    }
  }
  afterAll(() => {
    report('HKDF-SHA-256', ran, file, '');
  });
});

it('the keys of Wycheproof import as OpenSSL has them', () => {
  for (const [name, toJwk] of [
    ['ecdsa_secp256r1_sha256_p1363_test.json', ecJwk],
    ['ed25519_test.json', okpJwk],
  ] as const) {
    for (const group of load(name).testGroups) {
      expect(importJwk(toJwk(group)).key.equals(createPublicKey(String(group.publicKeyPem)))).toBe(true);
    }
  }
});
