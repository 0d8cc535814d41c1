import { createECDH, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CborValue, cborTag, decodeCbor, encodeCbor, isCborArray, isCborTag } from '../../../src/codec/cbor.ts';
import { makeEncryptTo, openEncryptTo } from '../../../src/codec/cose/encrypt-to.ts';
import { coseKeyFromJwk } from '../../../src/codec/cose/key.ts';
import { base64url, fromHex, hex, utf8 } from '../../../src/core/bytes.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { codeOf } from '../../fixtures/code-of.ts';
import { HOSTILE_CBOR } from '../../fixtures/hostile-cbor.ts';

interface Vector {
  readonly title: string;
  readonly input: {
    readonly plaintext: string;
    readonly enveloped?: { readonly recipients: readonly { readonly key: JsonObject }[] };
    readonly rng_stream: readonly string[];
  };
  readonly output: { readonly cbor: string };
}

const FOLDER = new URL('../../vectors/cose-wg/ecdh-direct-examples/', import.meta.url);
const SPOKEN = 'p256-hkdf-256-01.json';
const read = (name: string) => JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) as Vector;
const refused = readdirSync(FOLDER).filter((name) => name !== SPOKEN);

function privateKey(jwk: JsonObject): KeyObject {
  const { kty, crv, x, y, d } = jwk;
  return createPrivateKey({ key: { kty, crv, x, y, d } as Record<string, string>, format: 'jwk' });
}

/** The private key whose d the example drew. */
function ephemeralKey(d: Uint8Array): KeyObject {
  const curve = createECDH('prime256v1');
  curve.setPrivateKey(d);
  const point = curve.getPublicKey();
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map(base64url);
  return privateKey({ kty: 'EC', crv: 'P-256', x: x ?? '', y: y ?? '', d: base64url(d) });
}

const TAGS = { tags: new Set([96]) };
const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const PLAINTEXT = utf8('a key for two');
const AAD = utf8('the context');
const NONCE = new Uint8Array(12).fill(7);
const sealed = () => makeEncryptTo({ plaintext: PLAINTEXT, recipient: own.publicKey, externalAad: AAD, nonce: NONCE });
const openOwn = (bytes: Uint8Array) => openEncryptTo(bytes, { key: own.privateKey, externalAad: AAD });

const ZERO = new Uint8Array(32);
const ED25519 = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }) as JsonObject;

/** The header of a recipient with an EC P-256 key of these coordinates. */
function ephemeral(x: CborValue, y: CborValue): CborValue {
  const key = new Map<number, CborValue>([
    [1, 2],
    [-1, 1],
    [-2, x],
    [-3, y],
  ]);
  return new Map([[-1, key]]);
}

/** The message with one part of it exchanged. */
function changed(change: (parts: CborValue[], recipient: CborValue[]) => void, tag = 96): Uint8Array {
  const value = decodeCbor(sealed(), TAGS);
  const parts = isCborTag(value) && isCborArray(value.value) ? [...value.value] : [];
  const recipients = isCborArray(parts[3]) ? parts[3] : [];
  const recipient = isCborArray(recipients[0]) ? [...recipients[0]] : [];
  parts[3] = [recipient];
  change(parts, recipient);
  return encodeCbor(cborTag(tag, parts));
}

describe('the examples of the COSE working group', () => {
  test(`${SPOKEN} opens and is remade`, () => {
    const { input, output } = read(SPOKEN);
    const key = input.enveloped?.recipients[0]?.key ?? {};
    const [d = '', nonce = ''] = input.rng_stream;
    expect(openEncryptTo(fromHex(output.cbor), { key: privateKey(key) })).toEqual(utf8(input.plaintext));
    const remade = makeEncryptTo({
      plaintext: utf8(input.plaintext),
      recipient: createPublicKey(privateKey(key)),
      keyId: utf8(String(key.kid)),
      nonce: fromHex(nonce),
      ephemeral: ephemeralKey(fromHex(d)),
    });
    // The same map in the order of RFC 8949 §4.2.1: 4 before −1.
    expect(decodeCbor(remade, TAGS)).toEqual(decodeCbor(fromHex(output.cbor), TAGS));
    expect(remade).toHaveLength(output.cbor.length / 2);
  });

  test.each(refused)('%s is refused: another cipher, curve, hash, kind of key or message', (name) => {
    const bytes = fromHex(read(name).output.cbor);
    expect(codeOf(() => openOwn(bytes))).toMatch(/^(cose_algorithm_refused|cose_key_invalid|cbor_invalid)$/);
  });

  test('there are five of those', () => {
    expect(refused).toHaveLength(5);
  });
});

test('opens for the recipient whatever was sealed', () => {
  const bytes = fc.uint8Array({ maxLength: 200 });
  fc.assert(
    fc.property(bytes, bytes, (plaintext, externalAad) => {
      const message = makeEncryptTo({ plaintext, recipient: own.publicKey, externalAad, nonce: NONCE });
      expect(hex(openEncryptTo(message, { key: own.privateKey, externalAad }))).toBe(hex(plaintext));
    }),
    { numRuns: 30 },
  );
});

test('never makes the same message twice', () => {
  expect(hex(sealed())).not.toBe(hex(sealed()));
});

describe('refuses to seal', () => {
  test.each([
    ['Ed25519', generateKeyPairSync('ed25519').publicKey],
    ['P-384', generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey],
    ['X25519', generateKeyPairSync('x25519').publicKey],
  ])('to a key of %s', (_name, recipient) => {
    expect(codeOf(() => makeEncryptTo({ plaintext: PLAINTEXT, recipient, nonce: NONCE }))).toBe(
      'session_key_unsupported',
    );
  });

  test('with a nonce of another size', () => {
    const options = { plaintext: PLAINTEXT, recipient: own.publicKey, nonce: new Uint8Array(13) };
    expect(codeOf(() => makeEncryptTo(options))).toBe('cose_invalid');
  });
});

describe('refuses', () => {
  test('a message for somebody else', () => {
    const options = { key: stranger.privateKey, externalAad: AAD };
    expect(codeOf(() => openEncryptTo(sealed(), options))).toBe('cose_verification_failed');
  });

  test('to open with a key of another curve', () => {
    const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    expect(codeOf(() => openEncryptTo(sealed(), { key, externalAad: AAD }))).toBe('cose_verification_failed');
  });

  test('another external_aad', () => {
    expect(codeOf(() => openEncryptTo(sealed(), { key: own.privateKey }))).toBe('cose_verification_failed');
  });

  test('a message without tag', () => {
    const value = decodeCbor(sealed(), TAGS);
    expect(codeOf(() => openOwn(encodeCbor(isCborTag(value) ? value.value : 0)))).toBe('cose_invalid');
  });

  test('another tag', () => {
    expect(codeOf(() => openOwn(changed(() => {}, 16)))).toBe('cbor_invalid');
  });

  test.each<readonly [string, string, number, CborValue]>([
    ['no recipient', 'cose_invalid', 3, []],
    ['another cipher', 'cose_algorithm_refused', 0, encodeCbor(new Map([[1, 3]]))],
    ['no protected header', 'cose_algorithm_refused', 0, new Uint8Array(0)],
    ['a protected header that is no bytes', 'cose_invalid', 0, 0],
    ['an unprotected header that is no map', 'cose_invalid', 1, 0],
    ['no IV', 'cose_invalid', 1, new Map()],
    ['an IV of another size', 'cose_invalid', 1, new Map([[5, new Uint8Array(13)]])],
    ['a ciphertext that is no bytes', 'cose_invalid', 2, null],
    ['a ciphertext shorter than its tag', 'cose_verification_failed', 2, new Uint8Array(15)],
    ['a fifth part', 'cose_invalid', 4, 0],
  ])('%s', (_name, code, at, part) => {
    const bytes = changed((parts) => {
      parts[at] = part;
    });
    expect(codeOf(() => openOwn(bytes))).toBe(code);
  });

  test.each<readonly [string, string, number, CborValue]>([
    ['another agreement', 'cose_algorithm_refused', 0, encodeCbor(new Map([[1, -27]]))],
    ['an encrypted key', 'cose_invalid', 2, new Uint8Array(1)],
    ['a recipient without headers', 'cose_invalid', 1, 0],
    ['no ephemeral key', 'cose_invalid', 1, new Map()],
    ['an ephemeral key off its curve', 'cose_key_invalid', 1, ephemeral(ZERO, ZERO)],
    ['a compressed ephemeral key', 'cose_key_invalid', 1, ephemeral(ZERO, true)],
    ['an ephemeral key that signs', 'cose_key_invalid', 1, new Map([[-1, coseKeyFromJwk(ED25519)]])],
  ])('%s', (_name, code, at, part) => {
    const bytes = changed((_, recipient) => {
      recipient[at] = part;
    });
    expect(codeOf(() => openOwn(bytes))).toBe(code);
  });

  test('two recipients', () => {
    const bytes = changed((parts, recipient) => {
      parts[3] = [recipient, recipient];
    });
    expect(codeOf(() => openOwn(bytes))).toBe('cose_invalid');
  });

  test('any byte changed', () => {
    const bytes = sealed();
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const copy = Uint8Array.from(bytes);
        copy[at] = (copy[at] ?? 0) ^ by;
        expect(codeOf(() => openOwn(copy))).toMatch(/^(cbor|cose)_/);
      }),
    );
  });

  test.each(HOSTILE_CBOR.map(({ name, bytes }) => [name, bytes] as const))('%s', (_name, bytes) => {
    expect(codeOf(() => openOwn(bytes))).toMatch(/^(cbor|cose)_/);
  });
});
