import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CborMap, type CborValue, decodeCbor, encodeCbor } from '../../src/codec/cbor.ts';
import { decodeSessionJwk, encodeSessionJwk } from '../../src/codec/session-jwk.ts';
import { decodeSessionKey, encodeSessionKey, type SessionKeyFacts } from '../../src/codec/session-key.ts';
import { base64url, fromUtf8, utf8 } from '../../src/core/bytes.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { HOSTILE_CBOR } from '../fixtures/hostile-cbor.ts';
import { HOSTILE_JSON } from '../fixtures/hostile-text.ts';

const AUDIENCE = 'https://ekg-1.example/"quoted"';
const SECRET = randomBytes(16);
const facts: SessionKeyFacts = {
  keyId: 'Zm9vYmFy',
  expiresAt: 1_700_000_600,
  tokenHash: new Uint8Array(randomBytes(16)),
  clientThumbprint: new Uint8Array(randomBytes(32)),
};
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const anyFacts = fc.record({
  keyId: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
  expiresAt: fc.nat(),
  tokenHash: bytes(16),
  clientThumbprint: bytes(32),
});

test('comes out of CBOR as it went in', () => {
  fc.assert(
    fc.property(bytes(16), anyFacts, (secret, any) => {
      const { key, ...rest } = decodeSessionKey(encodeSessionKey(secret, any));
      expect(rest).toEqual(any);
      expect(new Uint8Array(key.key.export())).toEqual(secret);
      expect(key.keyId).toEqual(utf8(any.keyId));
    }),
  );
});

test('comes out of JSON as it went in, for any key, name and audience', () => {
  fc.assert(
    fc.property(bytes(16), anyFacts, fc.string({ unit: 'grapheme' }), (secret, any, named) => {
      const { session, audience } = decodeSessionJwk(encodeSessionJwk(secret, any, named));
      const { key, ...rest } = session;
      expect(rest).toEqual(any);
      expect(audience).toBe(named);
      expect(new Uint8Array(key.key.export())).toEqual(secret);
    }),
  );
});

test('stands in JSON as base64url has it', () => {
  const json = JSON.parse(fromUtf8(encodeSessionJwk(SECRET, facts, AUDIENCE)));
  expect(json.k).toBe(base64url(SECRET));
});

test('is overwritten where it was read from', () => {
  for (const plaintext of [encodeSessionKey(SECRET, facts), encodeSessionJwk(SECRET, facts, AUDIENCE)]) {
    if (plaintext[0] === 0x7b) decodeSessionJwk(plaintext);
    else decodeSessionKey(plaintext);
    expect(plaintext.every((byte) => byte === 0)).toBe(true);
  }
});

describe('refuses in CBOR', () => {
  const with_ = (label: number, value: CborValue, inKey = false): Uint8Array => {
    const map = decodeCbor(encodeSessionKey(SECRET, facts)) as CborMap;
    const key = map.get(1) as CborMap;
    return encodeCbor(
      inKey ? new Map([...map, [1, new Map([...key, [label, value]])]]) : new Map([...map, [label, value]]),
    );
  };

  test.each<readonly [string, Uint8Array]>([
    ['something that is no map', encodeCbor([1])],
    ['no key', with_(1, 0)],
    ['a key of another type', with_(1, 2, true)],
    ['a key of another algorithm', with_(3, 1, true)],
    ['a name that is no bytes', with_(2, 'text', true)],
    ['a key of 15 bytes', with_(-1, new Uint8Array(15), true)],
    ['an end that is no number', with_(2, 'soon')],
    ['a token hash of another size', with_(3, new Uint8Array(8))],
    ['a thumbprint of another size', with_(4, new Uint8Array(16))],
  ])('%s', (_name, plaintext) => {
    expect(codeOf(() => decodeSessionKey(plaintext))).toBe('session_key_invalid');
  });

  test('a name that is no text', () => {
    expect(codeOf(() => decodeSessionKey(with_(2, Uint8Array.of(0xff), true)))).toBe('utf8_invalid');
  });

  test.each(HOSTILE_CBOR.map(({ name, bytes: hostile }) => [name, hostile] as const))('%s', (_name, hostile) => {
    expect(codeOf(() => decodeSessionKey(Uint8Array.from(hostile)))).toMatch(/^(cbor_|session_key_invalid)/);
  });
});

describe('refuses in JSON', () => {
  const good = JSON.parse(fromUtf8(encodeSessionJwk(SECRET, facts, AUDIENCE)));

  test.each([
    ['kty', 'EC'],
    ['alg', 'A128GCM'],
    ['exp', '1700000600'],
    ['kid', 1],
    ['aud', ['a']],
    ['k', 'AAAA'],
    ['token_hash', 'AAAA'],
    ['jkt', undefined],
  ])('%s: %j', (member, value) => {
    const plaintext = utf8(JSON.stringify({ ...good, [member]: value }));
    expect(codeOf(() => decodeSessionJwk(plaintext))).toBe('session_key_invalid');
  });

  test.each(HOSTILE_JSON.map(({ name, text }) => [name, text] as const))('%s', (_name, text) => {
    expect(codeOf(() => decodeSessionJwk(utf8(text)))).toBe('session_key_invalid');
  });
});
