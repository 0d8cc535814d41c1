import { createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { coseKeyFromJwk, importJwk, jwkFromCoseKey } from '../../src/codec/cose/key.ts';
import { isOfSmallOrder } from '../../src/codec/small-order.ts';
import { fromHex, utf8 } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { JWT_ALGORITHMS } from '../../src/core/jwt-algorithms.ts';
import { ProofKeys } from '../../src/pop/proof-keys.ts';
import { translateConfirmation } from '../../src/token/confirmation.ts';
import { importVerificationKey } from '../../src/trust/verification-key.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { KEY, testNonce } from '../fixtures/cose-keys.ts';
import { smallOrderEncodings } from '../fixtures/small-order-points.ts';

const ENCODINGS = smallOrderEncodings();
const jwkOf = (encoding: string): JsonObject => ({
  kty: 'OKP',
  crv: 'Ed25519',
  x: Buffer.from(encoding, 'hex').toString('base64url'),
});

it('has 14 encodings, as C2SP/CCTV counts them: eight and six', () => {
  expect(new Set(ENCODINGS).size).toBe(14);
});

it('matters: OpenSSL accepts one made-up signature over any message', () => {
  const [identity] = ENCODINGS.filter((encoding) => encoding.startsWith('01') && encoding.endsWith('00'));
  const key = createPublicKey({ key: jwkOf(identity ?? ''), format: 'jwk' });
  const signature = Buffer.concat([Buffer.from(identity ?? '', 'hex'), Buffer.alloc(32)]);
  expect(verify(undefined, utf8('any message'), key, signature)).toBe(true);
});

describe.each(ENCODINGS)('the small-order key %s is refused', (encoding) => {
  const jwk = jwkOf(encoding);
  it('as a key of an issuer', () => {
    expect(codeOf(() => importVerificationKey(jwk, JWT_ALGORITHMS))).toBe('jwk_invalid');
  });
  it('as the key of a DPoP proof', () => {
    expect(codeOf(() => new ProofKeys().find(jwk))).toBe('proof_malformed');
  });
  it('as the key of a COSE proof, and as any COSE_Key', () => {
    const map = new Map<number, number | Uint8Array>([
      [1, 1],
      [-1, 6],
      [-2, new Uint8Array(fromHex(encoding))],
    ]);
    expect(codeOf(() => new ProofKeys().findCose(map))).toBe('proof_malformed');
    expect(codeOf(() => jwkFromCoseKey(map))).toBe('cose_key_invalid');
  });
  it('as the `cnf` of a token for a device', () => {
    const context = {
      profile: { wrap: 'mac0' as const },
      bindsToPresenter: false,
      proofKey: undefined,
      confirmationKey: undefined,
      encryption: KEY['AES-CCM-16-64-128'],
      nonce: testNonce,
    };
    expect(codeOf(() => translateConfirmation({ jwk }, context))).toBe('confirmation_invalid');
    expect(codeOf(() => coseKeyFromJwk(jwk))).toBe('cose_key_invalid');
  });
  it('as a key of hub or device', () => {
    expect(codeOf(() => importJwk(jwk))).toBe('jwk_invalid');
  });
});

it('takes every key of the Wycheproof vectors: none of them is of small order', () => {
  const file = new URL('../vectors/wycheproof/ed25519_test.json', import.meta.url);
  const { testGroups } = JSON.parse(readFileSync(file, 'utf8')) as {
    testGroups: { publicKey: { pk: string } }[];
  };
  expect(testGroups.length).toBeGreaterThan(10);
  for (const { publicKey } of testGroups) {
    expect(isOfSmallOrder(fromHex(publicKey.pk))).toBe(false);
    expect(codeOf(() => importJwk(jwkOf(publicKey.pk)))).toBe('none');
  }
});
