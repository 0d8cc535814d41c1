import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { readTrustFile, type TrustFileContents, writeTrustFile } from '../../src/codec/trust-file.ts';
import { WRAP_ALGORITHMS } from '../../src/core/device-profile.ts';
import type { JsonObject, JsonValue } from '../../src/core/json.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { JWK, publicJwk } from '../fixtures/cose-keys.ts';

const CONTENTS: TrustFileContents = {
  version: 3,
  device: 'tube-1',
  audience: 'coap://tube-1',
  wrap: 'mac0+encrypt0',
  cwtTag: false,
  scopeForm: 'text',
  maxTokenBytes: 1024,
  issuer: 'https://as.example.com',
  keys: [JWK['HMAC 256/64'], JWK['AES-CCM-16-64-128']],
  confirmationKeys: [publicJwk('ES256')],
  answerKey: JWK['HMAC 256/256'],
  receipt: 'mac0',
  permissions: { read: [['temperature', 0b1_0001]], admin: [['config', 0b111_1111]] },
};

function change(members: Record<string, JsonValue | undefined>): string {
  return JSON.stringify({ ...(JSON.parse(writeTrustFile(CONTENTS)) as JsonObject), ...members });
}

describe('a trust file', () => {
  it('reads as it was written', () => {
    const trust = readTrustFile(writeTrustFile(CONTENTS));
    expect(trust).toMatchObject({
      version: 3,
      device: 'tube-1',
      audience: 'coap://tube-1',
      wrap: 'mac0+encrypt0',
      cwtTag: false,
      scopeForm: 'text',
      maxTokenBytes: 1024,
      issuer: 'https://as.example.com',
      receipt: 'mac0',
    });
    expect(trust.keys.map(({ algorithm }) => algorithm)).toEqual(['HMAC 256/64', 'AES-CCM-16-64-128']);
    expect(trust.confirmationKeys.map(({ algorithm }) => algorithm)).toEqual(['ES256']);
    expect(trust.answerKey.algorithm).toBe('HMAC 256/256');
    expect(trust.permissions).toEqual({
      read: [['temperature', ['GET', 'FETCH']]],
      admin: [['config', ['GET', 'POST', 'PUT', 'DELETE', 'FETCH', 'PATCH', 'iPATCH']]],
    });
  });

  it('need not name an issuer', () => {
    expect(readTrustFile(change({ issuer: undefined })).issuer).toBeUndefined();
  });

  it('is a JWK Set whose keys all say their algorithm', () => {
    const file = JSON.parse(writeTrustFile(CONTENTS)) as { readonly keys: readonly JsonObject[] };
    expect(file.keys.every(({ kty, alg }) => kty !== undefined && alg !== undefined)).toBe(true);
  });

  it('says the algorithm of a key that left it to its curve', () => {
    const file = JSON.parse(writeTrustFile({ ...CONTENTS, wrap: 'sign1', keys: [publicJwk('ES256')] })) as JsonObject;
    expect(file.keys).toEqual([{ ...publicJwk('ES256'), alg: 'ES256' }]);
  });

  for (const algorithm of WRAP_ALGORITHMS) {
    it(`holds keys for ${algorithm}`, () => {
      const text = change({ confirmationKeys: [{ ...publicJwk(algorithm) }] });
      expect(readTrustFile(text).confirmationKeys[0]?.algorithm).toBe(algorithm);
    });
  }

  it('does not print its keys once read', () => {
    const text = inspect(readTrustFile(writeTrustFile(CONTENTS)), { depth: 9, showHidden: true });
    expect(text).not.toContain(JWK['HMAC 256/64'].k);
  });
});

describe('a trust file is refused', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['that is not JSON', '{"keys": ['],
    ['that is an array', '[]'],
    ['that is null', 'null'],
    ['without format', change({ format: undefined })],
    ['of another format', change({ format: 'latchkey-trust-2' })],
    ['with a member that does not exist', change({ scopeform: 'text' })],
    ['without device', change({ device: undefined })],
    ['with an empty audience', change({ audience: '' })],
    ['with an audience that is no text', change({ audience: ['tube-1'] })],
    ['with a version below zero', change({ version: -1 })],
    ['with a fractional version', change({ version: 1.5 })],
    ['with an unknown wrap', change({ wrap: 'sign' })],
    ['with a wrap that has two layers of one kind', change({ wrap: 'encrypt0+encrypt0' })],
    ['with cwtTag as text', change({ cwtTag: 'false' })],
    ['with an unknown form of scope', change({ scopeForm: 'json' })],
    ['with maxTokenBytes of zero', change({ maxTokenBytes: 0 })],
    ['with an empty issuer', change({ issuer: '' })],
    ['without keys', change({ keys: undefined })],
    ['with no key', change({ keys: [] })],
    ['with keys for one of its two layers only', change({ keys: [JWK['HMAC 256/64']] })],
    ['with a key that is no object', change({ keys: ['key'] })],
    ['with a key of another curve', change({ keys: [{ ...JWK.ES256, crv: 'P-384' }] })],
    ['with a secret that says no algorithm', change({ keys: [{ kty: 'oct', k: JWK.A128GCM.k }] })],
    ['with the private key of the hub', change({ keys: [JWK.ES256] })],
    ['with confirmationKeys that are no array', change({ confirmationKeys: {} })],
    ['without answerKey', change({ answerKey: undefined })],
    ['with an answerKey that signs', change({ answerKey: JWK.ES256 })],
    ['with an answerKey that encrypts', change({ answerKey: JWK.A128GCM })],
    ['with an unknown receipt', change({ receipt: 'sign1' })],
    ['without permissions', change({ permissions: undefined })],
    ['with permissions as an array', change({ permissions: [] })],
    ['with a permission that is no array', change({ permissions: { read: 'temperature' } })],
    ['with a permission without methods', change({ permissions: { read: [['temperature', []]] } })],
    ['with a permission of three parts', change({ permissions: { read: [['temperature', ['GET'], 1]] } })],
    ['with a method that CoAP does not have', change({ permissions: { read: [['temperature', ['HEAD']]] } })],
    [
      'with a method from the prototype of an object',
      change({ permissions: { read: [['temperature', ['toString']]] } }),
    ],
  ];
  for (const [name, text] of cases) {
    it(name, () => {
      expect(codeOf(() => readTrustFile(text))).toBe('trust_file_invalid');
    });
  }

  it('before it is written', () => {
    expect(codeOf(() => writeTrustFile({ ...CONTENTS, keys: [] }))).toBe('trust_file_invalid');
    expect(codeOf(() => writeTrustFile({ ...CONTENTS, permissions: { read: [['temperature', 0]] } }))).toBe(
      'trust_file_invalid',
    );
  });

  it('without a word of its keys in the error', () => {
    const secret = JWK['HMAC 256/64'].k;
    for (const text of [
      `{"k":"${secret}"`,
      `{"k":"${secret}" oops}`,
      change({ keys: [{ kty: 'oct', k: secret, alg: secret }] }),
    ]) {
      try {
        readTrustFile(text);
        expect.unreachable('the file was read');
      } catch (error) {
        expect(inspect(error, { depth: 9 })).not.toContain(secret);
      }
    }
  });
});
