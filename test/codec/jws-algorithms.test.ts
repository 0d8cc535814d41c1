/** Every signature that an issuer may use, against jose, and Ed448 against RFC 8032, which jose does not speak. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { CompactSign } from 'jose';
import { describe, expect, test } from 'vitest';
import { parseCompact } from '../../src/codec/jws.ts';
import { isOfSmallOrder448 } from '../../src/codec/small-order.ts';
import { base64url, fromHex, utf8 } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/json.ts';
import {
  ALGORITHM_NAMES,
  type AlgorithmName,
  algorithmsNamed,
  JWT_ALGORITHMS,
  type JwtAlgorithm,
} from '../../src/core/jwt-algorithms.ts';
import { KeyRing } from '../../src/trust/key-ring.ts';
import { importVerificationKey } from '../../src/trust/verification-key.ts';
import { codeOf } from '../fixtures/code-of.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve });
const ed448 = generateKeyPairSync('ed448');
const KEYS: Readonly<Record<string, { readonly publicKey: KeyObject; readonly privateKey: KeyObject }>> = {
  ES256: ec('P-256'),
  ES384: ec('P-384'),
  ES512: ec('P-521'),
  EdDSA: generateKeyPairSync('ed25519'),
  Ed448: ed448,
};
const keysOf = (name: AlgorithmName) => KEYS[name === 'Ed25519' ? 'EdDSA' : name] ?? rsa;
const jwkOf = (key: KeyObject) => key.export({ format: 'jwk' }) as JsonObject;
const BY_JOSE = ALGORITHM_NAMES.filter((name) => name !== 'Ed448');

/** Whether a key of an issuer verifies the token under the `alg` of its header. */
function verifies(jws: string, key: KeyObject, allowed: readonly JwtAlgorithm[] = JWT_ALGORITHMS): boolean {
  const { header, signature, signingInput } = parseCompact(jws);
  const candidates = new KeyRing({ keys: [jwkOf(key)] }, allowed).candidates(
    undefined,
    algorithmsNamed(header.algorithm).filter((algorithm) => allowed.includes(algorithm)),
  );
  return candidates.some((verifier) => verifier.verify(signingInput, signature));
}

const signed = (alg: string, key: KeyObject) => new CompactSign(utf8('{}')).setProtectedHeader({ alg }).sign(key);

describe.each(BY_JOSE)('%s', (name) => {
  const { privateKey, publicKey } = keysOf(name);

  test('verifies what jose signed', async () => {
    expect(verifies(await signed(name, privateKey), publicKey)).toBe(true);
  });

  test('does not verify an altered signature, one cut short or one with more', async () => {
    const jws = await signed(name, privateKey);
    const { signature } = parseCompact(jws);
    const input = jws.slice(0, jws.lastIndexOf('.'));
    for (const index of [0, signature.length >> 1, signature.length - 1]) {
      const altered = signature.map((byte, at) => (at === index ? byte ^ 1 : byte));
      expect(verifies(`${input}.${base64url(altered)}`, publicKey)).toBe(false);
    }
    expect(verifies(`${input}.${base64url(signature.subarray(1))}`, publicKey)).toBe(false);
    expect(verifies(`${input}.${base64url(new Uint8Array([...signature, 0]))}`, publicKey)).toBe(false);
    expect(verifies(`${input}.${base64url(new Uint8Array(signature.length))}`, publicKey)).toBe(false);
    expect(verifies(`${input}.`, publicKey)).toBe(false);
  });

  test('does not verify with another key of its kind', async () => {
    const kind = jwkOf(publicKey).crv;
    const other =
      kind === undefined
        ? generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey
        : kind === 'Ed25519'
          ? generateKeyPairSync('ed25519').publicKey
          : ec(String(kind)).publicKey;
    expect(verifies(await signed(name, privateKey), other)).toBe(false);
  });

  test('is served by a key whose alg names it, and by none whose alg names another one', async () => {
    const algorithms = algorithmsNamed(name).filter((algorithm) => algorithm !== 'Ed448');
    expect([...importVerificationKey({ ...jwkOf(publicKey), alg: name }, JWT_ALGORITHMS).verifiers.keys()]).toEqual(
      algorithms,
    );
    const other = { ...jwkOf(publicKey), alg: name === 'PS256' ? 'RS256' : 'PS256' };
    const served = codeOf(() => importVerificationKey(other, algorithms));
    expect(served).toBe('jwk_invalid');
  });

  test('is not served where the issuer may not use it', async () => {
    const others = JWT_ALGORITHMS.filter((algorithm) => !algorithmsNamed(name).includes(algorithm));
    const jws = await signed(name, privateKey);
    expect(['jwks_invalid', 'jwt_algorithm_refused']).toContain(codeOf(() => verifies(jws, publicKey, others)));
  });
});

test('an RSA signature that begins with 0 does not verify without that byte', async () => {
  let jws = '';
  let signature = new Uint8Array([1]);
  // One of 256, and each PSS signature has another salt.
  while (signature[0] !== 0) {
    jws = await signed('PS256', rsa.privateKey);
    signature = Uint8Array.from(parseCompact(jws).signature);
  }
  expect(verifies(jws, rsa.publicKey)).toBe(true);
  const input = jws.slice(0, jws.lastIndexOf('.'));
  expect(verifies(`${input}.${base64url(signature.subarray(1))}`, rsa.publicKey)).toBe(false);
});

describe('padding and hash of an RSA signature are those that the header names', () => {
  const names = JWT_ALGORITHMS.filter((name) => keysOf(name) === rsa);
  test.each(names)('%s', async (name) => {
    const jws = await signed(name, rsa.privateKey);
    const { signature, signingInput } = parseCompact(jws);
    const { verifiers } = importVerificationKey(jwkOf(rsa.publicKey), JWT_ALGORITHMS);
    const good = [...verifiers].filter(([, verifier]) => verifier.verify(signingInput, signature));
    expect(good.map(([algorithm]) => algorithm)).toEqual([name]);
  });
});

describe('Ed448', () => {
  /** RFC 8032 §7.4, "Blank". */
  const PUBLIC =
    '5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778edf124769b46c7061bd6783df1e50f6cd1fa1abeafe8256180';
  const SIGNATURE =
    '533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f2b233f034f628281f2fd7a22ddd47d7828c59bd0a21bfd3980' +
    'ff0d2028d4b18a9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7cdda8530a113a0f4dbb61149f05a7363268c71d95808ff2e652600';
  const jwk = { kty: 'OKP', crv: 'Ed448', x: base64url(fromHex(PUBLIC)) };

  test('verifies the signature of RFC 8032 over nothing, and no altered one', () => {
    const verifier = importVerificationKey(jwk, JWT_ALGORITHMS).verifiers.get('Ed448');
    const signature = fromHex(SIGNATURE);
    expect(verifier?.verify(new Uint8Array(0), signature)).toBe(true);
    expect(verifier?.verify(utf8('x'), signature)).toBe(false);
    expect(verifier?.verify(new Uint8Array(0), signature.subarray(1))).toBe(false);
    expect(verifier?.verify(new Uint8Array(0), new Uint8Array([...signature, 0]))).toBe(false);
  });

  test('is meant by the name EdDSA too (RFC 8037), where the issuer may use it', () => {
    const served = (alg: string, allowed = JWT_ALGORITHMS) =>
      codeOf(() => importVerificationKey({ ...jwk, alg }, allowed));
    expect(served('EdDSA')).toBe('none');
    expect(served('Ed448')).toBe('none');
    expect(served('Ed25519')).toBe('jwk_invalid');
    expect(served('EdDSA', ['EdDSA'])).toBe('jwk_invalid');
  });

  /** y of the points of small order, little-endian, and what else stands for the same y modulo p. */
  const p = 2n ** 448n - 2n ** 224n - 1n;
  const encodings = [0n, 1n, p - 1n, p, p + 1n].flatMap((y) => {
    const bytes = fromHex(y.toString(16).padStart(112, '0')).toReversed();
    return [0x00, 0x80].map((sign) => new Uint8Array([...bytes, sign]));
  });

  test.each(encodings.map((bytes) => [Buffer.from(bytes).toString('hex'), bytes] as const))(
    'is refused for the small-order key %s',
    (_, bytes) => {
      expect(isOfSmallOrder448(bytes)).toBe(true);
      expect(codeOf(() => importVerificationKey({ ...jwk, x: base64url(bytes) }, JWT_ALGORITHMS))).toBe('jwk_invalid');
    },
  );

  test('is not refused for a key as they are made', () => {
    expect(codeOf(() => importVerificationKey(jwkOf(ed448.publicKey), JWT_ALGORITHMS))).toBe('none');
  });
});

test('names that no issuer may use mean nothing', () => {
  for (const name of ['none', 'HS256', 'HS384', 'HS512', 'ES256K', 'es256', '', 'constructor', 'RSA1_5', 'ML-DSA-44']) {
    expect(algorithmsNamed(name)).toEqual([]);
  }
});
