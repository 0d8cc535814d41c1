/** A token with an audience for many devices reaches the one that it names, and no other one. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isDeviceId } from '../../src/core/device-id.ts';
import { coded } from '../../src/core/errors.ts';
import type { JsonObject, JsonValue } from '../../src/core/json.ts';
import { namedScope, readScopePattern, type ScopePattern } from '../../src/core/scope-pattern.ts';
import type { VerifiedToken } from '../../src/core/verified-token.ts';
import { translate } from '../../src/token/translate.ts';
import { type AskedDevice, addressedTo, type DeviceNaming } from '../../src/trust/addressee.ts';
import { issuerPolicy } from '../../src/trust/issuer-policy.ts';
import { KeyRing } from '../../src/trust/key-ring.ts';
import { verifyJwtWithKeys } from '../../src/trust/verify-jwt.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { KEY } from '../fixtures/cose-keys.ts';
import { signingKey, signJwt } from '../fixtures/jwt-signing.ts';
import { deviceProfile } from '../fixtures/verified-token.ts';

const ISSUER = 'https://as.example';
const SHARED = 'https://devices.example';
const NOW = 1_800_000_000;
const key = signingKey('Ed25519', 'k1');
const BOUND: JsonObject = { kid: 'client-1' };

const audienceOf = (id: string) => `coap://${id}.example`;

function namesOf(ids: readonly string[]): AskedDevice['names'] {
  return {
    has: (id) => ids.includes(id),
    withAudience: (audience) => ids.find((id) => audienceOf(id) === audience),
  };
}

function policyOf(naming: DeviceNaming) {
  return issuerPolicy({
    issuer: ISSUER,
    source: { kind: 'file', jwks: { keys: [key.jwk] } },
    sharedAudience: { audience: SHARED, naming },
  });
}
const ring = new KeyRing({ keys: [key.jwk] }, policyOf({ by: 'claim', claim: 'x' }).algorithms);

const sign = (claims: JsonObject) =>
  signJwt({
    key,
    header: { alg: 'EdDSA', typ: 'at+jwt', kid: 'k1' },
    claims: { iss: ISSUER, aud: SHARED, exp: NOW + 600, iat: NOW - 5, cnf: BOUND, ...claims },
  });

/** The way of a token to one of the devices, up to its CWT; the code where it ends. */
function present(jwt: string, naming: DeviceNaming, ids: readonly string[], id: string): VerifiedToken | string {
  try {
    const audience = audienceOf(id);
    const token = verifyJwtWithKeys(jwt, {
      policy: policyOf(naming),
      keys: ring,
      keysAge: 0,
      audience,
      device: { id, audience, names: namesOf(ids) },
      time: { earliest: NOW, latest: NOW },
      whenUnsure: 'deny',
    });
    if (token.confirmation !== undefined && token.scope.length > 0) {
      const profile = deviceProfile({ scopes: token.scope, maxTokenBytes: 16_384 });
      const keys = { authentication: KEY['HMAC 256/64'] };
      const time = { earliest: NOW, latest: NOW };
      const made = translate(token, { profile, device: id, audience, keys, random: new FakeTime(), time });
      expect(made.claims.expose()).toMatchObject({ audience, scope: token.scope.join(' ') });
    }
    return token;
  } catch (error) {
    return coded(error).code;
  }
}

function pattern(text: string): ScopePattern {
  const read = readScopePattern(text);
  if (read === undefined) throw new Error(`no pattern: ${text}`);
  return read;
}
const BY_SCOPE: DeviceNaming = { by: 'scope', pattern: pattern('{device}/{scope}') };
const BY_CLAIM: DeviceNaming = { by: 'claim', claim: 'device' };
const BY_DETAILS: DeviceNaming = { by: 'authorization_details', type: 'device_access' };
const detail = (members: JsonObject): JsonObject => ({ type: 'device_access', ...members });
const IDS = ['tube-1', 'tube-10', 'tube'];

describe('a token for tube-1 is taken there, with its scope', () => {
  test.each<[string, DeviceNaming, JsonObject, readonly string[]]>([
    ['by its scopes', BY_SCOPE, { scope: 'openid tube-1/read tube-1/led/write' }, ['read', 'led/write']],
    ['beside scopes of a device elsewhere', BY_SCOPE, { scope: 'tube-1/read gone/read' }, ['read']],
    ['by a claim', BY_CLAIM, { device: 'tube-1', scope: 'read' }, ['read']],
    ['by a claim that is a list of one', BY_CLAIM, { device: ['tube-1'], scope: 'read' }, ['read']],
    [
      'by details with its id',
      BY_DETAILS,
      {
        authorization_details: [{ type: 'payment' }, detail({ identifier: 'tube-1', actions: ['read'] })],
        scope: 'all',
      },
      ['read'],
    ],
    [
      'by details with its audience',
      BY_DETAILS,
      { authorization_details: [detail({ locations: [audienceOf('tube-1')], actions: ['read', 'write'] })] },
      ['read', 'write'],
    ],
    [
      'by details with its id, at a place that is no device',
      BY_DETAILS,
      { authorization_details: [detail({ identifier: 'tube-1', locations: [SHARED], actions: ['read'] })] },
      ['read'],
    ],
    [
      'by several details',
      BY_DETAILS,
      {
        authorization_details: [
          detail({ identifier: 'tube-1', actions: ['read'] }),
          detail({ locations: [audienceOf('tube-1')], actions: ['write', 'read'] }),
        ],
      },
      ['read', 'write'],
    ],
    [
      'by other audiences beside the shared one',
      BY_SCOPE,
      { aud: ['account', SHARED], scope: 'tube-1/read' },
      ['read'],
    ],
  ])('%s', (_, naming, claims, scope) => {
    expect(present(sign(claims), naming, IDS, 'tube-1')).toMatchObject({ scope });
    for (const other of ['tube', 'tube-10']) {
      expect(present(sign(claims), naming, IDS, other)).toBe('jwt_audience_mismatch');
    }
  });

  test('by its own audience, where the shared one is not there', () => {
    const jwt = sign({ aud: audienceOf('tube-1'), scope: 'read tube-10/read' });
    expect(present(jwt, BY_SCOPE, IDS, 'tube-1')).toMatchObject({ scope: ['read', 'tube-10/read'] });
  });

  test('with its own audience in place of the shared one', () => {
    const jwt = sign({ aud: ['account', SHARED], scope: 'tube-1/read' });
    expect(present(jwt, BY_SCOPE, IDS, 'tube-1')).toMatchObject({
      audience: ['account', audienceOf('tube-1')],
      statedAudience: ['account', SHARED],
    });
  });
});

describe('a token is refused that', () => {
  const bearer = { cnf: undefined as never };
  test.each<[string, DeviceNaming, JsonObject, string]>([
    ['names nothing', BY_SCOPE, { scope: 'read' }, 'device_unnamed'],
    ['names a device that is not registered', BY_SCOPE, { scope: 'tube-2/read' }, 'device_unnamed'],
    ['names a device in other letters', BY_SCOPE, { scope: 'Tube-1/read' }, 'device_unnamed'],
    ['names two devices', BY_SCOPE, { scope: 'tube-1/read tube-10/read' }, 'device_ambiguous'],
    [
      'names a device elsewhere, and is a bearer token',
      BY_SCOPE,
      { ...bearer, scope: 'tube-1/a b/c' },
      'device_ambiguous',
    ],
    ['names another device', BY_SCOPE, { scope: 'tube-10/read' }, 'jwt_audience_mismatch'],
    ['lacks the claim', BY_CLAIM, { scope: 'read' }, 'device_unnamed'],
    ['has a claim with two devices', BY_CLAIM, { device: ['tube-1', 'tube'] }, 'device_ambiguous'],
    ['has a claim that is no text', BY_CLAIM, { device: 1 }, 'jwt_claim_invalid'],
    ['has a claim with the audience of a device', BY_CLAIM, { device: audienceOf('tube-1') }, 'device_unnamed'],
    ['has no details', BY_DETAILS, { scope: 'read' }, 'device_unnamed'],
    ['has details that are no list', BY_DETAILS, { authorization_details: detail({}) }, 'jwt_claim_invalid'],
    [
      'has details of another type',
      BY_DETAILS,
      { authorization_details: [{ type: 'x', identifier: 'tube-1' }] },
      'device_unnamed',
    ],
    [
      'has details for a part of a device',
      BY_DETAILS,
      { authorization_details: [detail({ locations: [audienceOf('tube-1')], identifier: 'led', actions: ['write'] })] },
      'device_unnamed',
    ],
    [
      'has details of two devices in one',
      BY_DETAILS,
      { authorization_details: [detail({ locations: [audienceOf('tube')], identifier: 'tube-1', actions: ['read'] })] },
      'device_ambiguous',
    ],
    [
      'has details with a limit that no device knows',
      BY_DETAILS,
      { authorization_details: [detail({ identifier: 'tube-1', actions: ['read'], datatypes: ['pulse'] })] },
      'claim_not_translatable',
    ],
    [
      'has an action of two names',
      BY_DETAILS,
      { authorization_details: [detail({ identifier: 'tube-1', actions: ['read write'] })] },
      'jwt_claim_invalid',
    ],
  ])('%s', (_, naming, claims, code) => {
    expect(present(sign(claims), naming, IDS, 'tube-1')).toBe(code);
  });
});

test.each([
  '{device}-{scope}',
  '{device}{scope}',
  '{device}',
  '{device}/{device}',
  'read',
  '{device}/{scope}/{scope}',
  '{device} {scope}',
])('%s is no pattern: it could mean two devices, or none', (text) => {
  expect(readScopePattern(text)).toBeUndefined();
});

/** Ids that are prefixes of each other and have parts of separators in them. */
const id = fc.stringMatching(/^[ab0][ab0._-]{0,4}$/).filter(isDeviceId);
const registry = fc.uniqueArray(id, { minLength: 1, maxLength: 5 });
const scopeName = fc.oneof(
  fc.constantFrom('read', 'a', '-/a', 'a/read', ':', '/', 'A'),
  fc.stringMatching(/^[ab0./:A-]{1,5}$/),
);
const patternText = fc
  .record({
    prefix: fc.constantFrom('', 'a/', 'dev:', 'A', '-'),
    separator: fc.constantFrom('/', ':', '-/', '/-', '.:.', '-A-', '//'),
    suffix: fc.constantFrom('', '/x', '.a', 'Z'),
    deviceFirst: fc.boolean(),
  })
  .map(({ prefix, separator, suffix, deviceFirst }) => {
    const [first, second] = deviceFirst ? ['{device}', '{scope}'] : ['{scope}', '{device}'];
    return `${prefix}${first}${separator}${second}${suffix}`;
  });

const written = (text: string, device: string, scope: string) =>
  text.replace(/\{(device|scope)\}/g, (_, name: string) => (name === 'device' ? device : scope));

/** By the definition alone: whether a text is what the pattern makes of this device and some scope, and of which. */
function scopeFor(text: string, device: string, made: string): string | undefined {
  const [before = '', after = ''] = made.replace('{device}', () => device).split('{scope}');
  const rest = text.slice(before.length, text.length - after.length);
  return rest !== '' && before + rest + after === text ? rest : undefined;
}

function meant(scope: readonly string[], made: string, ids: readonly string[]) {
  const named = ids.map((device) => [device, scope.flatMap((text) => scopeFor(text, device, made) ?? [])] as const);
  return new Map(named.filter(([, scopes]) => scopes.length > 0));
}

describe('whatever is registered, no token reaches a device that it does not name', () => {
  test('by its scopes', () => {
    const part = fc.oneof(
      { weight: 4, arbitrary: fc.record({ from: fc.nat(5), scope: scopeName }) },
      { weight: 1, arbitrary: fc.record({ id, scope: scopeName }) },
      { weight: 1, arbitrary: fc.stringMatching(/^[ab0./:A-]{1,12}$/) },
    );
    const seen = { taken: 0, refused: 0 };
    fc.assert(
      fc.property(
        registry,
        patternText,
        fc.array(part, { maxLength: 4 }),
        fc.boolean(),
        (ids, made, parts, isBound) => {
          const scope = [
            ...new Set(
              parts.map((each) => {
                if (typeof each === 'string') return each;
                const device = 'from' in each ? (ids[each.from % ids.length] as string) : each.id;
                return written(made, device, each.scope);
              }),
            ),
          ];
          const jwt = sign({ scope: scope.join(' '), ...(isBound ? {} : { cnf: undefined as never }) });
          const naming: DeviceNaming = { by: 'scope', pattern: pattern(made) };
          const expected = meant(scope, made, ids);
          const [only] = expected.size === 1 ? expected.keys() : [];
          for (const device of ids) {
            const token = present(jwt, naming, ids, device);
            if (typeof token === 'string') {
              seen.refused += 1;
              // A bound token for one device gets there.
              if (isBound) expect(device).not.toBe(only);
              continue;
            }
            seen.taken += 1;
            expect(device).toBe(only);
            expect(token.scope).toEqual(expected.get(device));
            expect(token.audience).toEqual([audienceOf(device)]);
          }
        },
      ),
      { numRuns: 600 },
    );
    expect(Math.min(seen.taken, seen.refused)).toBeGreaterThan(10);
  });

  test('and one scope never means two devices', () => {
    fc.assert(
      fc.property(patternText, id, scopeName, (made, device, scope) => {
        expect(namedScope(written(made, device, scope), pattern(made))).toEqual({ device, scope });
      }),
      { numRuns: 2_000 },
    );
  });

  /** Texts that look like an id, to a person or to code that normalizes. */
  const lookalike = (text: string) =>
    fc.constantFrom(
      text,
      text,
      text,
      text.toUpperCase(),
      `${text} `,
      `${text}\u0000`,
      `${text}\u200b`,
      text.replace('a', 'ａ'),
      `${text}-`,
      audienceOf(text),
      '__proto__',
      '',
    );

  test('by a claim', () => {
    const seen = { taken: 0 };
    fc.assert(
      fc.property(
        registry.chain((ids) =>
          fc.record({
            ids: fc.constant(ids),
            value: fc.array(fc.oneof(id, fc.constantFrom(...ids).chain(lookalike)), { maxLength: 3 }),
            alone: fc.boolean(),
          }),
        ),
        ({ ids, value, alone }) => {
          const claim: JsonValue = alone && value[0] !== undefined ? value[0] : value;
          const named = new Set((typeof claim === 'string' ? [claim] : value).filter((each) => ids.includes(each)));
          for (const device of ids) {
            const token = present(sign({ device: claim, scope: 'read' }), BY_CLAIM, ids, device);
            const isMeant = named.size === 1 && named.has(device);
            expect(typeof token !== 'string').toBe(isMeant);
            if (isMeant) seen.taken += 1;
          }
        },
      ),
      { numRuns: 600 },
    );
    expect(seen.taken).toBeGreaterThan(10);
  });

  test('by authorization_details', () => {
    const seen = { taken: 0 };
    const action = fc.constantFrom('read', 'write', 'a/b');
    const input = registry.chain((ids) => {
      const name = fc.oneof(id, fc.constantFrom(...ids).chain(lookalike));
      const place = fc.oneof(fc.constant(SHARED), name.map(audienceOf), name);
      const entry = fc.record(
        {
          type: fc.constantFrom('device_access', 'device_access', 'device_acces'),
          identifier: name,
          locations: fc.array(place, { maxLength: 2 }),
          actions: fc.array(action, { maxLength: 2 }),
        },
        { requiredKeys: ['type'] },
      );
      return fc.record({ ids: fc.constant(ids), entries: fc.array(entry, { maxLength: 3 }) });
    });
    fc.assert(
      fc.property(input, ({ ids, entries }) => {
        const granted = new Map<string, Set<string>>();
        for (const { type, identifier, locations = [], actions = [] } of entries) {
          if (type !== 'device_access' || (identifier !== undefined && !ids.includes(identifier))) continue;
          const places = ids.filter((each) => locations.includes(audienceOf(each)));
          for (const device of identifier === undefined ? places : [identifier, ...places]) {
            granted.set(device, new Set([...(granted.get(device) ?? []), ...actions]));
          }
        }
        const jwt = sign({ authorization_details: entries as unknown as JsonValue, scope: 'read write' });
        for (const device of ids) {
          const token = present(jwt, BY_DETAILS, ids, device);
          const isMeant = granted.size === 1 && granted.has(device);
          expect(typeof token !== 'string').toBe(isMeant);
          if (typeof token === 'string') continue;
          seen.taken += 1;
          expect(new Set(token.scope)).toEqual(granted.get(device));
        }
      }),
      { numRuns: 600 },
    );
    expect(seen.taken).toBeGreaterThan(10);
  });
});

test('a token that names a thousand devices is read once', () => {
  const pattern = readScopePattern('{device}/{scope}');
  if (pattern === undefined) throw new Error('no pattern');
  const ids = new Set(Array.from({ length: 1_000 }, (_, index) => `tube-${index}`));
  let reads = 0;
  const scope = new Proxy(
    [...ids].map((id) => `${id}/read`),
    {
      get(list, name, receiver) {
        if (typeof name === 'string' && /^\d+$/.test(name)) reads += 1;
        return Reflect.get(list, name, receiver);
      },
    },
  );
  const names = { has: (id: string) => ids.has(id), withAudience: () => undefined };
  const token = { audience: [SHARED], scope, confirmation: BOUND };
  const shared = { audience: SHARED, naming: { by: 'scope', pattern } } as const;
  expect(() => addressedTo(token, {}, shared, { id: 'tube-1', audience: audienceOf('tube-1'), names })).toThrow(
    'device_ambiguous: 1000 devices',
  );
  // Some of them once more, for the log.
  expect(reads).toBeLessThan(2 * ids.size);
});
