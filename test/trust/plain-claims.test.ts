import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseStrictJson } from '../../src/codec/strict-json.ts';
import { utf8 } from '../../src/core/bytes.ts';
import type { JsonObject, JsonValue } from '../../src/core/json.ts';
import { readPlainClaims } from '../../src/trust/plain-claims.ts';

const read = (text: string) => readPlainClaims(utf8(text));

const KNOWN = [
  ...['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'client_id', 'scope', 'scp', 'cnf', 'exi', 'cnonce'],
  ...['azp', 'nonce', 'at_hash', 'c_hash'],
];

/** What the strict parser makes of a text, known claims alone; undefined where it refuses. */
function strictly(text: string): unknown {
  let value: JsonValue;
  try {
    value = parseStrictJson(utf8(text));
  } catch {
    return undefined;
  }
  return Object.fromEntries(KNOWN.map((name) => [name, (value as JsonObject)[name]]));
}

const JWK = '{"kty":"EC","crv":"P-256","x":"AA","y":"BB"}';

describe('plain claims are read', () => {
  test.each([
    ['an RFC 9068 token', `{"iss":"https://as","sub":"s","aud":"a","exp":17,"iat":1,"client_id":"c","scope":"a b"}`],
    ['scopes under the name scp', '{"exp":17,"scp":"read write"}'],
    ['a key', `{"cnf":{"jwk":${JWK}}}`],
    ['a key of two members', '{"cnf":{"jwk":{"kty":"OKP","crv":"Ed25519","x":"AA"}}}'],
    ['a thumbprint', '{"cnf":{"jkt":"AA"},"exp":1}'],
    ['the name of a key', '{"cnf":{"kid":"AA"}}'],
    ['claims that are not known', '{"idp":"x","exp":1,"acr":1}'],
    ['marks of an ID token', '{"exp":1,"nonce":"n","at_hash":"a","c_hash":"c","azp":"x"}'],
    ['spaces after commas and colons', '{"iss": "a", "exp": 12, "cnf": {"kid": "b"}}'],
    ['the largest number of its kind', '{"exp":999999999999999}'],
    ['texts of what has a meaning elsewhere', '{"iss":"{[,:]}","sub":"true"}'],
  ])('%s', (_name, text) => {
    expect(read(text)).toEqual(strictly(text));
    expect(strictly(text)).toBeDefined();
  });
});

describe('is left to the strict parser:', () => {
  test.each([
    ['nothing', ''],
    ['an empty object', '{}'],
    ['an array', '["iss"]'],
    ['a claim twice', '{"iss":"a","exp":1,"iss":"a"}'],
    ['an unknown claim twice', '{"idp":"a","exp":1,"idp":"b"}'],
    ['a member of the key twice', '{"cnf":{"jwk":{"kty":"EC","crv":"P-256","x":"A","x":"B","y":"C"}}}'],
    ['a key twice', `{"cnf":{"jwk":${JWK},"jwk":${JWK}}}`],
    ['two methods', '{"cnf":{"jkt":"A","kid":"B"}}'],
    ['an unknown method', '{"cnf":{"jwe":"A"}}'],
    ['an unknown member of the key', '{"cnf":{"jwk":{"kty":"EC","crv":"P-256","x":"A","y":"B","d":"C"}}}'],
    ['a key without x', '{"cnf":{"jwk":{"kty":"EC","crv":"P-256"}}}'],
    ['a member __proto__', '{"__proto__":"a"}'],
    ['an escape', '{"iss":"\\u0061"}'],
    ['an escape in a name', '{"\\u0069ss":"a"}'],
    ['a letter past ASCII', '{"iss":"é"}'],
    ['a control character', '{"iss":"\t"}'],
    ['DEL', '{"iss":"\x7f"}'],
    ['an array of audiences', '{"aud":["a","b"]}'],
    ['an array of scopes', '{"scp":["a","b"]}'],
    ['scp twice', '{"scp":"a","exp":1,"scp":"b"}'],
    ['an object of another claim', '{"realm_access":{"roles":"a"}}'],
    ['a fraction', '{"exp":1.5}'],
    ['an exponent', '{"exp":1e3}'],
    ['a negative number', '{"exp":-1}'],
    ['zero', '{"exp":0}'],
    ['a zero in front', '{"exp":01}'],
    ['16 digits', '{"exp":1234567890123456}'],
    ['true', '{"email_verified":true}'],
    ['a comma at the end', '{"exp":1,}'],
    ['no comma', '{"exp":1"iat":2}'],
    ['no colon', '{"exp"1}'],
    ['no value', '{"exp":}'],
    ['no end', '{"exp":1'],
    ['a string without end', '{"iss":"a'],
    ['something after the end', '{"exp":1}}'],
    ['a line break between members', '{"exp":1,\n"iat":2}'],
    ['nine unknown claims', `{${Array.from({ length: 9 }, (_, index) => `"c${index}":1`).join()}}`],
  ])('%s', (_name, text) => {
    expect(read(text)).toBeUndefined();
  });
});

test('what is read is what the strict parser reads, of claims as issuers write them', () => {
  const plainText = fc.stringMatching(/^[a-z:/. ]{0,12}$/);
  const text = fc.oneof({ weight: 40, arbitrary: plainText }, fc.string({ maxLength: 8 }), fc.constantFrom('a"b', 'é'));
  const others = fc.oneof(fc.integer(), fc.double(), fc.boolean(), fc.constant(null));
  const scalar = fc.oneof({ weight: 30, arbitrary: text }, { weight: 10, arbitrary: fc.nat(2_000_000_000) }, others);
  const jwk = fc.record({ kty: text, crv: text, x: text, y: text }, { requiredKeys: ['kty', 'crv', 'x'] });
  const cnf = fc.record({ jwk, jkt: text, kid: scalar }, { requiredKeys: [] });
  const claims = fc.record(
    {
      ...Object.fromEntries(KNOWN.map((name) => [name, scalar])),
      cnf: fc.oneof(cnf, scalar),
      idp: scalar,
      roles: fc.oneof({ weight: 5, arbitrary: text }, fc.array(text)),
    },
    { requiredKeys: [] },
  );
  let taken = 0;
  fc.assert(
    fc.property(claims, (value) => {
      const plain = read(JSON.stringify(value));
      if (plain === undefined) return;
      taken += 1;
      expect(plain).toEqual(strictly(JSON.stringify(value)));
    }),
    { numRuns: 3_000 },
  );
  expect(taken).toBeGreaterThan(150);
});

test('whatever is read is JSON to the strict parser too, and the same', () => {
  const good = `{"iss":"https://as","exp":17,"idp":"x","cnf":{"jwk":${JWK}},"iat": 12}`;
  const change = fc.record({
    at: fc.nat(good.length),
    remove: fc.nat(3),
    insert: fc.oneof(fc.constantFrom('"', ',', ':', '{', '}', ' ', '0', '1', '\\', 'iss', '"iss":"b",', 'é', '\n', '')),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 3 }), (changes) => {
      const text = changes.reduce(
        (before, { at, remove, insert }) => before.slice(0, at) + insert + before.slice(at + remove),
        good,
      );
      const plain = read(text);
      if (plain !== undefined) expect(plain).toEqual(strictly(text));
    }),
    { numRuns: 5_000 },
  );
});
