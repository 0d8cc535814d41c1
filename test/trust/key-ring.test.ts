import { describe, expect, test } from 'vitest';
import type { LatchkeyError } from '../../src/core/errors.ts';
import type { JsonObject, JsonValue } from '../../src/core/json.ts';
import { DEFAULT_ALGORITHMS, JWT_ALGORITHMS } from '../../src/core/jwt-algorithms.ts';
import { KeyRing } from '../../src/trust/key-ring.ts';
import { importVerificationKey } from '../../src/trust/verification-key.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { signingKey } from '../fixtures/jwt-signing.ts';

const es = signingKey('P-256', 'es').jwk;
const ed = signingKey('Ed25519', 'ed').jwk;
const rsa = signingKey('RSA 2048', 'rsa').jwk;
const weak = signingKey('RSA 1024', 'weak').jwk;
const p384 = signingKey('P-384', 'p384').jwk;

function served(jwk: JsonValue): readonly string[] {
  return [...importVerificationKey(jwk, JWT_ALGORITHMS).verifiers.keys()];
}
function without(jwk: JsonObject, name: string): JsonObject {
  return Object.fromEntries(Object.entries(jwk).filter(([member]) => member !== name));
}

describe('a key serves', () => {
  test.each([
    ['P-256: ES256', es, ['ES256']],
    ['Ed25519: EdDSA', ed, ['EdDSA']],
    ['Ed25519 for alg Ed25519: EdDSA', { ...ed, alg: 'Ed25519' }, ['EdDSA']],
    ['RSA: both paddings, each hash', rsa, ['PS256', 'PS384', 'PS512', 'RS256', 'RS384', 'RS512']],
    ['P-384: ES384', p384, ['ES384']],
    ['RSA for alg PS256: that alone', { ...rsa, alg: 'PS256' }, ['PS256']],
    ['use sig and key_ops verify change nothing', { ...es, use: 'sig', key_ops: ['verify'] }, ['ES256']],
  ])('%s', (_name, jwk, algorithms) => {
    expect(served(jwk)).toEqual(algorithms);
  });
});

describe('a key is refused', () => {
  test.each<[string, JsonValue]>([
    ['that is no object', 'key'],
    ['that is null', null],
    ['without kty', without(es, 'kty')],
    ['of a kind that nobody knows', { ...es, kty: 'AKP' }],
    ['whose kty is the name of an object member', { ...es, kty: 'constructor', crv: undefined as never }],
    ['of secp256k1', { ...es, crv: 'secp256k1' }],
    ['of a symmetric kind', { kty: 'oct', k: 'AAAA', alg: 'HS256' }],
    ['that is private', { ...es, d: 'AAAA' }],
    ['RSA with its factors', { ...rsa, p: 'AAAA' }],
    ['for encryption', { ...es, use: 'enc' }],
    ['whose key_ops lack verify', { ...es, key_ops: ['sign'] }],
    ['whose key_ops are no list', { ...es, key_ops: 'verify' }],
    ['whose alg is of another kind', { ...es, alg: 'RS256' }],
    ['whose alg is an HMAC', { ...rsa, alg: 'HS256' }],
    ['whose alg is no text', { ...es, alg: 1 }],
    ['whose kid is no text', { ...es, kid: 1 }],
    ['without x', without(es, 'x')],
    ['without y', without(es, 'y')],
    ['with an empty x', { ...es, x: '' }],
    ['with a point off the curve', { ...es, x: es.y ?? '' }],
    ['Ed25519 of the wrong length', { ...ed, x: 'AAAA' }],
    ['RSA of 1024 bits', weak],
    ['RSA without e', without(rsa, 'e')],
    ['RSA with e = 1', { ...rsa, e: 'AQ' }],
    ['RSA with an even e', { ...rsa, e: 'Ag' }],
    ['RSA with n = 0', { ...rsa, n: 'AA' }],
    ['RSA of 16,384 bits', { ...rsa, n: 'g'.repeat(2_730) }],
  ])('%s', (_name, jwk) => {
    expect(codeOf(() => importVerificationKey(jwk, JWT_ALGORITHMS))).toBe('jwk_invalid');
  });
});

describe('a key ring', () => {
  test('holds what it can use, and says why it holds no more', () => {
    const ring = new KeyRing({ keys: [es, { ...ed, use: 'enc' }, weak, { kty: 'AKP', kid: 'pq' }] }, JWT_ALGORITHMS);
    expect(ring.keys.map(({ keyId }) => keyId)).toEqual(['es']);
    expect(ring.skipped.map(({ keyId }) => keyId)).toEqual(['ed', 'weak', 'pq']);
    expect(ring.document).toEqual({ keys: [es] });
  });

  test.each<[string, JsonValue]>([
    ['a set that is empty', { keys: [] }],
    ['a set without keys', {}],
    ['a list', [es]],
    ['keys that are no list', { keys: es }],
    ['no usable key', { keys: [weak, { kty: 'AKP' }] }],
    ['65 keys', { keys: Array(65).fill(es) }],
  ])('refuses %s', (_name, jwks) => {
    expect(codeOf(() => new KeyRing(jwks, JWT_ALGORITHMS))).toBe('jwks_invalid');
  });

  test('names the algorithm that the issuer would have to be allowed', () => {
    const detail = (keys: readonly JsonObject[]) => {
      try {
        return new KeyRing({ keys }, DEFAULT_ALGORITHMS).skipped[0]?.reason;
      } catch (error) {
        return (error as LatchkeyError).detail;
      }
    };
    expect(detail([p384])).toBe('no usable key: for ES384, which is not among the algorithms of the issuer');
    expect(detail([{ ...rsa, alg: 'PS512' }, es])).toBe('for PS512, which is not among the algorithms of the issuer');
    expect(detail([{ kty: 'AKP' }, es])).toBe('of a kind that no algorithm is known for');
  });

  test('does not hold a key whose kid is too long to be repeated', () => {
    const long = (length: number) => ({ ...es, kid: 'k'.repeat(length) });
    const ring = new KeyRing({ keys: [long(128), long(129), long(100_000)] }, JWT_ALGORITHMS);
    expect(ring.keys.map(({ keyId }) => keyId?.length)).toEqual([128]);
    expect(ring.skipped).toEqual([
      { keyId: undefined, reason: 'a kid of 129 characters' },
      { keyId: undefined, reason: 'a kid of 100000 characters' },
    ]);
  });

  test('names no more than eight reasons for having no key', () => {
    const keys = Array.from({ length: 64 }, (_, index) => ({ ...es, kid: 'k'.repeat(200 + index) }));
    try {
      expect(new KeyRing({ keys }, JWT_ALGORITHMS)).toBeUndefined();
    } catch (error) {
      expect((error as LatchkeyError).detail?.length).toBeLessThan(300);
    }
  });

  const ring = new KeyRing({ keys: [es, rsa, { ...ed, kid: undefined as never }] }, JWT_ALGORITHMS);

  test('finds by kid and algorithm', () => {
    expect(ring.candidates('es', 'ES256')).toHaveLength(1);
    expect(ring.candidates('rsa', 'PS256')).toHaveLength(1);
  });

  test('finds the one key that a token without kid can mean', () => {
    expect(ring.candidates(undefined, 'EdDSA')).toHaveLength(1);
  });

  test('has no key for a kid that is not in the set', () => {
    expect(codeOf(() => ring.candidates('gone', 'ES256'))).toBe('key_unknown');
  });

  test('lets no key serve another algorithm than its own', () => {
    expect(codeOf(() => ring.candidates('es', 'EdDSA'))).toBe('jwt_algorithm_refused');
  });

  test('does not guess among several keys', () => {
    const two = new KeyRing({ keys: [es, signingKey('P-256', 'other').jwk] }, JWT_ALGORITHMS);
    expect(codeOf(() => two.candidates(undefined, 'ES256'))).toBe('key_unknown');
  });

  test('tries no more than four keys of one name', () => {
    const many = Array.from({ length: 10 }, () => signingKey('P-256', 'same').jwk);
    expect(new KeyRing({ keys: many }, JWT_ALGORITHMS).candidates('same', 'ES256')).toHaveLength(4);
  });
});
