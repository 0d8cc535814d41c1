import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CborMap, decodeCbor, encodeCbor } from '../../src/codec/cbor.ts';
import { LATCHKEY_ANSWER, LATCHKEY_FRESHNESS, LATCHKEY_SESSION_KEY } from '../../src/codec/iana.ts';
import { introspectionCbor, introspectionJson } from '../../src/codec/introspection-answer.ts';
import { readIntrospectionCborAnswer, readIntrospectionJsonAnswer } from '../../src/codec/introspection-reader.ts';
import { base64url, utf8 } from '../../src/core/bytes.ts';
import type { RelayAnswer, SessionKeyCopies } from '../../src/core/introspection.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { JWK, publicJwk } from '../fixtures/cose-keys.ts';

const FRESH = { source: 'introspection', age: 0, stale: false, clock: 'sure' } as const;
const WITH_PROOF = { withProof: true };
const PLAIN = { withProof: false };
const HASH = base64url(new Uint8Array(32).fill(5));

const { kid: _, ...EC } = publicJwk('ES256');

const MEMBERS: JsonObject = {
  iss: 'https://as.example',
  sub: 'doctor-7',
  aud: 'https://ekg-1.ward.example',
  exp: 1_900_000_000,
  nbf: 1_800_000_000,
  iat: 1_800_000_001,
  jti: 'b2a1',
  scope: 'read',
  client_id: 'doctors-app',
  username: 'dr.house',
  cnf: { jkt: HASH },
};

const active = (members: JsonObject, more: Partial<Extract<RelayAnswer, { active: true }>> = {}): RelayAnswer => ({
  active: true,
  members,
  proof: 'dpop',
  freshness: FRESH,
  sessionKey: undefined,
  ...more,
});

const inactive: RelayAnswer = { active: false, code: 'proof_replayed', freshness: FRESH };
const map = (answer: RelayAnswer, options = WITH_PROOF) => decodeCbor(introspectionCbor(answer, options)) as CborMap;
const readJson = (answer: RelayAnswer) =>
  readIntrospectionJsonAnswer(utf8(JSON.stringify(introspectionJson(answer, WITH_PROOF))));
const readCbor = (answer: RelayAnswer) => readIntrospectionCborAnswer(introspectionCbor(answer, WITH_PROOF));

describe('an inactive answer', () => {
  it('to a plain request says nothing but that', () => {
    expect(introspectionJson(inactive, PLAIN)).toEqual({ active: false });
    expect(map(inactive, PLAIN)).toEqual(new Map([[10, false]]));
  });

  it('to a request with a proof says why, and how fresh that is', () => {
    expect(introspectionJson(inactive, WITH_PROOF)).toEqual({
      active: false,
      latchkey: { freshness: FRESH, code: 'proof_replayed' },
    });
    expect(readCbor(inactive)).toEqual({
      active: false,
      members: {},
      freshness: FRESH,
      proof: undefined,
      code: 'proof_replayed',
      sessionKey: undefined,
    });
  });

  it('says why where nothing is known of its freshness', () => {
    const answer: RelayAnswer = { active: false, code: 'jwt_malformed', freshness: undefined };
    expect(introspectionJson(answer, WITH_PROOF)).toEqual({ active: false, latchkey: { code: 'jwt_malformed' } });
    expect(readCbor(answer)).toMatchObject({ code: 'jwt_malformed', freshness: undefined });
  });
});

describe('an active answer', () => {
  it('has the members of RFC 7662 §2.2 as the AS wrote them, and ours in one', () => {
    expect(introspectionJson(active(MEMBERS), WITH_PROOF)).toEqual({
      active: true,
      ...MEMBERS,
      latchkey: { freshness: FRESH, proof: 'dpop' },
    });
  });

  it('has the numbers of RFC 9200 §5.9.4', () => {
    expect(
      [...map(active({ ...MEMBERS, token_type: 'DPoP', exi: 5, ace_profile: 1, cnonce: 'AAAA' })).keys()].sort(
        (a, b) => Number(a) - Number(b),
      ),
    ).toEqual([-65616, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 24, 34, 35, 38, 39, 40]);
  });

  it('calls a certificate proof by its name on the wire', () => {
    const answer = active(MEMBERS, { proof: 'certificate' });
    expect(readJson(answer).proof).toBe('x5t');
    expect(readCbor(answer).proof).toBe('x5t');
  });

  it('lets nobody else write its own members', () => {
    const answer = active({ ...MEMBERS, active: false, latchkey: { proof: 'dpop' } }, { proof: 'none' });
    expect(introspectionJson(answer, PLAIN)).toMatchObject({ active: true, latchkey: { proof: 'none' } });
    expect(map(answer).get(10)).toBe(true);
  });

  it('says the same in JSON and CBOR', () => {
    for (const cnf of [{ jkt: HASH }, { 'x5t#S256': HASH }, { kid: 'key-7' }, { jwk: EC }, { jwk: EC, kid: 'k' }]) {
      const answer = active({ ...MEMBERS, cnf });
      expect(readCbor(answer)).toEqual(readJson(answer));
    }
  });

  it('ends no later and begins no earlier in CBOR, where times are whole', () => {
    const times = map(active({ exp: 10.9, nbf: 10.1, iat: 10.9 }));
    expect([times.get(4), times.get(5), times.get(6)]).toEqual([10, 11, 10]);
  });

  it('has one audience as a text and several as a list', () => {
    expect(map(active({ aud: ['a'] })).get(3)).toBe('a');
    expect(map(active({ aud: ['a', 'b'] })).get(3)).toEqual(['a', 'b']);
  });

  it.each([
    ['Bearer', 1],
    ['PoP', 2],
    ['DPoP', 2],
    ['N_A', undefined],
  ])('has the token type %s as %s', (type, number) => {
    expect(map(active({ token_type: type })).get(34)).toBe(number);
  });

  it('leaves out in CBOR what has no number or another type there', () => {
    const answer = active({
      extra: 1,
      iss: 7,
      aud: [],
      exp: 'soon',
      nbf: -1,
      jti: 1,
      cnonce: '=',
      cnf: 'x',
      scope: null,
      authorization_details: [],
    });
    expect([...map(answer).keys()]).toEqual([10, -65616]);
  });

  it('leaves out a key of a kind that devices do not know', () => {
    expect(map(active({ cnf: { jwk: { kty: 'RSA', n: 'AQAB', e: 'AQAB' } } })).has(8)).toBe(false);
  });

  it.each([
    ['a secret', JWK['HMAC 256/256']],
    ['a private key', JWK.ES256],
  ])('never shows %s that stands in cnf', (_, jwk) => {
    const answer = active({ ...MEMBERS, cnf: { jwk } });
    expect(introspectionJson(answer, WITH_PROOF).cnf).toBeUndefined();
    expect(map(answer).has(8)).toBe(false);
    const beside = active({ ...MEMBERS, cnf: { jwk, kid: 'k' } });
    expect(introspectionJson(beside, WITH_PROOF).cnf).toEqual({ kid: 'k' });
    expect(map(beside).get(8)).toEqual(new Map([[3, utf8('k')]]));
  });

  it('survives the way through both forms, with any session key', () => {
    const copies: fc.Arbitrary<SessionKeyCopies> = fc.record({
      keyId: fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 12 }),
      expiresAt: fc.nat(),
      forDevice: fc.uint8Array({ minLength: 1, maxLength: 80 }),
      forClient: fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 80 }),
        fc.constant('a.b.c.d.e'),
        fc.constant(undefined),
      ),
    });
    fc.assert(
      fc.property(copies, fc.nat(), fc.boolean(), (sessionKey, age, stale) => {
        const answer = active(MEMBERS, { sessionKey, freshness: { source: 'jwt', age, stale, clock: 'unsure' } });
        for (const reading of [readJson(answer), readCbor(answer)]) {
          expect(reading.sessionKey).toEqual(sessionKey);
          expect(reading.freshness).toEqual({ source: 'jwt', age, stale, clock: 'unsure' });
          expect(reading.members).toEqual(MEMBERS);
        }
      }),
    );
  });
});

/** Our own part of an answer: a member that is added to one form only, or to one without its number, shows here. */
describe('our own members', () => {
  const COPIES: SessionKeyCopies = { keyId: 'k', expiresAt: 1, forDevice: new Uint8Array(1), forClient: 'a.b.c.d.e' };
  const ANSWERS = [active(MEMBERS, { sessionKey: COPIES }), inactive];
  const ours = (answer: RelayAnswer) =>
    [introspectionJson(answer, WITH_PROOF).latchkey as JsonObject, map(answer).get(-65616) as CborMap] as const;
  const namesIn = (inner: CborMap, labels: Readonly<Record<string, number>>) =>
    [...inner.keys()].map((key) => Object.entries(labels).find(([, label]) => label === key)?.[0]).sort();

  it.each(ANSWERS)('are the same in JSON and CBOR: active $active', (answer) => {
    const [json, cbor] = ours(answer);
    expect(namesIn(cbor, LATCHKEY_ANSWER)).toEqual(Object.keys(json).sort());
  });

  it.each([
    ['freshness', LATCHKEY_FRESHNESS],
    ['session_key', LATCHKEY_SESSION_KEY],
  ] as const)('of %s are the same in JSON and CBOR, and have all numbers in use', (name, labels) => {
    const [json, cbor] = ours(active(MEMBERS, { sessionKey: COPIES }));
    const names = namesIn(cbor.get(LATCHKEY_ANSWER[name]) as CborMap, labels);
    expect(names).toEqual(Object.keys(json[name] as JsonObject).sort());
    expect(names).toEqual(Object.keys(labels).sort());
  });

  it('have all numbers in use, and stand in docs/protocol.md with them', () => {
    const used = ANSWERS.flatMap((answer) => namesIn(ours(answer)[1], LATCHKEY_ANSWER));
    expect([...new Set(used)].sort()).toEqual(Object.keys(LATCHKEY_ANSWER).sort());
    const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
    const [, section = ''] = /^### Answers\n([\s\S]*?)^### /m.exec(page) ?? [];
    const rows = [...section.matchAll(/^\| `(\w+)` +\| (\d+) +\|/gm)].map(([, name, label]) => [name, Number(label)]);
    expect(Object.fromEntries(rows)).toEqual(LATCHKEY_ANSWER);
  });
});

describe('a device', () => {
  it.each([
    ['no object', '[]', 'json_invalid'],
    ['active as text', '{"active":"true"}', 'client_answer_invalid'],
    ['no active', '{}', 'client_answer_invalid'],
    ['a session key without its parts', '{"active":true,"latchkey":{"session_key":{}}}', 'client_answer_invalid'],
    ['a code that is no text', '{"active":false,"latchkey":{"code":1}}', 'client_answer_invalid'],
  ])('refuses JSON with %s', (_, text, code) => {
    expect(codeOf(() => readIntrospectionJsonAnswer(utf8(text)))).toBe(code);
  });

  it.each([
    ['no map', [10, true]],
    ['no active', new Map()],
    ['active as a number', new Map([[10, 1]])],
    [
      'details that are no map',
      new Map<number, boolean | number>([
        [10, true],
        [-65616, 1],
      ]),
    ],
    [
      'a session key without its parts',
      new Map<number, boolean | CborMap>([
        [10, true],
        [-65616, new Map([[4, new Map()]])],
      ]),
    ],
    [
      'freshness without its parts',
      new Map<number, boolean | CborMap>([
        [10, true],
        [-65616, new Map([[1, new Map()]])],
      ]),
    ],
  ])('refuses CBOR with %s', (_, value) => {
    expect(codeOf(() => readIntrospectionCborAnswer(encodeCbor(value)))).toBe('client_answer_invalid');
  });
});
