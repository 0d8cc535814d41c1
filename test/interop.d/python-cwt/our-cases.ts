/** The messages that python-cwt has to open or to refuse. Keys are made anew each time. */
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { nonceLength, secretLength } from '../../../src/codec/cose/algorithm.ts';
import { makeEncryptTo } from '../../../src/codec/cose/encrypt-to.ts';
import { coseKeyFromJwk, importJwk } from '../../../src/codec/cose/key.ts';
import { type CwtClaims, encodeClaims, makeCwt } from '../../../src/codec/cwt.ts';
import { makeSignedRequest } from '../../../src/codec/signed-request.ts';
import { writeTrustFile } from '../../../src/codec/trust-file.ts';
import { base64url, hex, utf8 } from '../../../src/core/bytes.ts';
import type { Wrap, WrapAlgorithm } from '../../../src/core/device-profile.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import type { InteropCase, InteropKeys } from './exchange.ts';

const SIGNATURES = ['ES256', 'EdDSA'] as const;
const MACS = ['HMAC 256/64', 'HMAC 256/256'] as const;
const CIPHERS = ['AES-CCM-16-64-128', 'A128GCM'] as const;
const ALGORITHMS = [...SIGNATURES, ...MACS, ...CIPHERS] as const;

interface Wrapping {
  readonly wrap: Wrap;
  readonly authentication?: WrapAlgorithm;
  readonly encryption?: WrapAlgorithm;
}

const WRAPPINGS: readonly Wrapping[] = [
  ...SIGNATURES.map((authentication): Wrapping => ({ wrap: 'sign1', authentication })),
  ...MACS.map((authentication): Wrapping => ({ wrap: 'mac0', authentication })),
  ...CIPHERS.map((encryption): Wrapping => ({ wrap: 'encrypt0', encryption })),
  ...[...SIGNATURES, ...MACS].flatMap((authentication) =>
    CIPHERS.map(
      (encryption): Wrapping => ({
        wrap: authentication === 'ES256' || authentication === 'EdDSA' ? 'sign1+encrypt0' : 'mac0+encrypt0',
        authentication,
        encryption,
      }),
    ),
  ),
];

function makeKey(algorithm: WrapAlgorithm): JsonObject {
  const common = { kid: `kid ${algorithm}`, alg: algorithm };
  if (algorithm === 'ES256')
    return {
      ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
      ...common,
    } as JsonObject;
  if (algorithm === 'EdDSA')
    return { ...generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }), ...common } as JsonObject;
  return { kty: 'oct', k: base64url(randomBytes(secretLength(algorithm))), ...common };
}

function makeKeys(): Readonly<Record<string, JsonObject>> {
  return Object.fromEntries(ALGORITHMS.map((algorithm) => [algorithm, makeKey(algorithm)]));
}

export function publicPart(jwk: JsonObject): JsonObject {
  const { d: _, ...rest } = jwk;
  return rest;
}

const making = makeKeys();
const opening = Object.fromEntries(Object.entries(making).map(([name, jwk]) => [name, publicPart(jwk)]));
const strangers = Object.fromEntries(Object.entries(makeKeys()).map(([name, jwk]) => [name, publicPart(jwk)]));

export function interopKeys(): InteropKeys {
  return { making, opening, strangers };
}

/** Until 2100, since python-cwt judges the times as well. */
const CLAIMS: CwtClaims = {
  issuer: 'https://as.example.com',
  subject: 'doctor-ü',
  audience: 'coap://tube-1',
  expiresAt: 4_102_444_800,
  notBefore: 1_700_000_000,
  issuedAt: 1_700_000_000,
  cwtId: utf8('cti'),
  confirmation: { method: 'COSE_Key', key: coseKeyFromJwk(jwk(making, 'ES256')) },
  scope: 'read write',
};

function jwk(keys: Readonly<Record<string, JsonObject>>, algorithm: WrapAlgorithm): JsonObject {
  const found = keys[algorithm];
  if (found === undefined) throw new Error(`no key for ${algorithm}`);
  return found;
}

function algorithmsOf({ authentication, encryption }: Wrapping): readonly WrapAlgorithm[] {
  return [authentication, encryption].filter((algorithm) => algorithm !== undefined);
}

/** The keys of a device's trust file, exactly as it holds them. */
function trustFileKeys(wrapping: Wrapping): readonly JsonObject[] {
  const text = writeTrustFile({
    version: 1,
    device: 'tube-1',
    audience: 'coap://tube-1',
    wrap: wrapping.wrap,
    cwtTag: false,
    scopeForm: 'text',
    maxTokenBytes: 1024,
    keys: algorithmsOf(wrapping).map((algorithm) => jwk(opening, algorithm)),
    confirmationKeys: [],
    answerKey: jwk(making, 'HMAC 256/64'),
    receipt: 'none',
    permissions: {},
  });
  return (JSON.parse(text) as { readonly keys: readonly JsonObject[] }).keys;
}

function wrapped(wrapping: Wrapping, cwtTag: boolean): Uint8Array {
  const { wrap, authentication, encryption } = wrapping;
  return makeCwt(CLAIMS, {
    wrap,
    keys: {
      ...(authentication === undefined ? {} : { authentication: importJwk(jwk(making, authentication)) }),
      ...(encryption === undefined ? {} : { encryption: importJwk(jwk(making, encryption)) }),
    },
    cwtTag,
    nonce: () => randomBytes(nonceLength(encryption ?? 'A128GCM')),
  });
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

/** The same `kid` and, where the kinds of key allow it, the same secret, under another algorithm. */
function ofAnotherAlgorithm(algorithm: WrapAlgorithm): JsonObject {
  const pairs: readonly (readonly [WrapAlgorithm, WrapAlgorithm])[] = [SIGNATURES, MACS, CIPHERS];
  const pair = pairs.find((names) => names.includes(algorithm)) ?? SIGNATURES;
  const other = pair[0] === algorithm ? pair[1] : pair[0];
  const { k } = jwk(opening, algorithm);
  const foreign = jwk(opening, other);
  return { ...foreign, kid: jwk(opening, algorithm).kid ?? '', ...(k === undefined ? {} : { k }) };
}

export function cwtCases(): readonly InteropCase[] {
  const claims = hex(encodeClaims(CLAIMS));
  return WRAPPINGS.flatMap((wrapping) => {
    const { wrap } = wrapping;
    const keys = trustFileKeys(wrapping);
    const label = `${wrap} with ${algorithmsOf(wrapping).join(' in ')}`;
    const bytes = wrapped(wrapping, false);
    const sample = (name: string, cwt: Uint8Array, expect: 'open' | 'refuse', with_ = keys): InteropCase => ({
      kind: 'cwt',
      name: `${label}, ${name}`,
      cwt: hex(cwt),
      keys: with_,
      expect,
      claims,
      wrap,
    });
    return [
      sample('without tag 61', bytes, 'open'),
      sample('with tag 61', wrapped(wrapping, true), 'open'),
      sample('last byte changed', flipped(bytes, bytes.length - 1), 'refuse'),
      sample('a byte in its middle changed', flipped(bytes, bytes.length >> 1), 'refuse'),
      sample('cut short', bytes.subarray(0, -1), 'refuse'),
      ...algorithmsOf(wrapping).flatMap((algorithm, index) => [
        sample(`another ${algorithm} key`, bytes, 'refuse', keys.with(index, jwk(strangers, algorithm))),
        sample(
          `its ${algorithm} key for another algorithm`,
          bytes,
          'refuse',
          keys.with(index, ofAnotherAlgorithm(algorithm)),
        ),
      ]),
    ];
  });
}

export function signedRequestCases(): readonly InteropCase[] {
  return [...SIGNATURES, ...MACS].flatMap((algorithm) => {
    const nonce = randomBytes(16);
    const tokenHash = createHash('sha256').update('a token').digest().subarray(0, 8);
    const target = { audience: 'coap://tube-1', method: 5, path: ['temperature', 'now'] };
    const payload = utf8('{}');
    const message = makeSignedRequest({
      ...target,
      key: importJwk(jwk(making, algorithm)),
      payload,
      nonce,
      clientNonce: nonce.subarray(0, 8),
      tokenHash,
      contentFormat: 50,
    });
    const sample = (
      name: string,
      expect: 'open' | 'refuse',
      change: Partial<typeof target> = {},
      key = jwk(opening, algorithm),
    ): InteropCase => ({
      kind: 'signed-request',
      name: `signed request with ${algorithm}, ${name}`,
      message: hex(message),
      keys: [key],
      expect,
      payload: hex(payload),
      nonce: hex(nonce),
      tokenHash: hex(tokenHash),
      ...target,
      ...change,
    });
    return [
      sample('for its resource', 'open'),
      sample('for another path', 'refuse', { path: ['temperature'] }),
      sample('for another method', 'refuse', { method: 1 }),
      sample('for another device', 'refuse', { audience: 'coap://tube-2' }),
      sample('under another key', 'refuse', {}, jwk(strangers, algorithm)),
    ];
  });
}

export function encryptedCases(): readonly InteropCase[] {
  const recipient = jwk(making, 'ES256');
  const externalAad = utf8('the context');
  const payload = utf8('a key for two');
  const message = makeEncryptTo({
    plaintext: payload,
    recipient: importJwk(publicPart(recipient)).key,
    externalAad,
    nonce: randomBytes(12),
  });
  const sample = (name: string, expect: 'open' | 'refuse', bytes = message, key = recipient, aad = externalAad) => ({
    kind: 'encrypted-to' as const,
    name: `encrypted to a P-256 key, ${name}`,
    message: hex(bytes),
    keys: [key],
    externalAad: hex(aad),
    expect,
    payload: hex(payload),
  });
  return [
    sample('for its recipient', 'open'),
    sample('a byte of its content changed', 'refuse', flipped(message, 30)),
    sample('for somebody else', 'refuse', message, makeKey('ES256')),
    sample('in another context', 'refuse', message, recipient, utf8('another')),
  ];
}
