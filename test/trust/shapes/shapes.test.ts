/**
 * Tokens as real servers write them, through all that the hub does with a token for an offline device: verified by the settings that
 * docs/servers.md gives for the server, then translated.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { importJwk } from '../../../src/codec/cose/key.ts';
import { DIALECT_NAMES, type DialectName } from '../../../src/core/dialect-names.ts';
import { CATALOGUE, type ErrorCode } from '../../../src/core/error-catalogue.ts';
import { isCoded } from '../../../src/core/errors.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { readMemberDemand } from '../../../src/core/member-demand.ts';
import type { VerifiedToken } from '../../../src/core/verified-token.ts';
import { policyOf } from '../../../src/hub/settings.ts';
import { type TranslatedToken, translate } from '../../../src/token/translate.ts';
import { DIALECTS } from '../../../src/trust/dialects.ts';
import { type IssuerPolicy, issuerPolicy } from '../../../src/trust/issuer-policy.ts';
import { verifyJwtWithKeys } from '../../../src/trust/verify-jwt.ts';
import { deviceProfile } from '../../fixtures/verified-token.ts';
import { RECIPES } from './recipes.ts';
import { CLIENT, DEVICE, NOW, type Outcome, type Shape, TIMES } from './shape.ts';
import { clientKey, keys, recipeOf, SHAPES, tokenOf } from './table.ts';

function byRecipe({ dialect, settings = '' }: Shape): readonly IssuerPolicy[] {
  return recipeOf(dialect).with(settings).map(policyOf);
}

/** The same issuers with no other setting than where their keys are. */
function byDefault({ dialect }: Shape): readonly IssuerPolicy[] {
  const source = { kind: 'jwks', url: 'https://as.example/jwks' } as const;
  return recipeOf(dialect).issuers.map(({ issuer }) => issuerPolicy({ issuer, source }));
}

function verified(jwt: string, shape: Shape, policies: readonly IssuerPolicy[]): VerifiedToken {
  const policy = policies.find(({ issuer }) => issuer === shape.claims.iss) ?? policies[0];
  if (policy === undefined) throw new Error(`the recipe for ${shape.dialect} has no issuer`);
  const { audience = DEVICE } = shape;
  return verifyJwtWithKeys(jwt, {
    policy,
    keys,
    keysAge: 0,
    audience,
    device: { id: 'tube-1', audience, names: { has: (id) => id === 'tube-1', withAudience: () => undefined } },
    time: { earliest: NOW, latest: NOW },
    whenUnsure: 'deny',
  });
}

const PAGE = readFileSync(new URL('../../../docs/servers.md', import.meta.url), 'utf8');

/** Of the first table of docs/servers.md. */
const ROWS = [...PAGE.matchAll(/^\| \[.*?\]\(#([\w-]+)\).*?\| +`"(\w+)"` +\| (.*?) +\| (.*?) +\|$/gm)].map(
  ([, anchor = '', dialect = '', key = '', audience = '']) => ({
    anchor,
    dialect: dialect as DialectName,
    key,
    audience,
  }),
);

function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^a-z0-9 -]/g, '')
    .replaceAll(' ', '-');
}

/** The presenter has shown possession of `clientKey`. */
function translated(token: VerifiedToken, { audience = DEVICE, scope = ['read'] }: Shape): TranslatedToken {
  return translate(token, {
    profile: deviceProfile({ scopes: [...scope] }),
    device: 'tube-1',
    audience,
    keys: {
      authentication: importJwk(
        { kty: 'oct', kid: 'k', k: 'MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY' },
        'HMAC 256/64',
      ),
    },
    proofKey: clientKey as JsonObject,
    bindsToPresenter: token.confirmation === undefined && token.bind === 'first-presenter',
    random: { bytes: (length) => new Uint8Array(length) },
    time: { earliest: NOW, latest: NOW },
  });
}

function outcomeOf(way: () => unknown): Outcome {
  try {
    way();
    return 'delivered';
  } catch (error) {
    if (!isCoded(error)) throw error;
    return error.code;
  }
}

const whole = (jwt: string, shape: Shape, policies: readonly IssuerPolicy[]) =>
  outcomeOf(() => translated(verified(jwt, shape, policies), shape));

describe.each(SHAPES)('$name', (shape) => {
  test(`by default: ${shape.byDefault}`, async () => {
    expect(whole(await tokenOf(shape), shape, byDefault(shape))).toBe(shape.byDefault);
  });

  test(`under the recipe: ${shape.underDialect}`, async () => {
    expect(whole(await tokenOf(shape), shape, byRecipe(shape))).toBe(shape.underDialect);
  });
});

test.each(SHAPES.filter(({ underDialect }) => underDialect === 'delivered'))(
  'the device is told who asked for what: $name',
  async (shape) => {
    const token = verified(await tokenOf(shape), shape, byRecipe(shape));
    const { audience = DEVICE, scope = ['read'], client = CLIENT } = shape;
    expect(token.clientId).toBe(client ?? undefined);
    expect(token.scope).toEqual(expect.arrayContaining([...scope]));
    expect(token.audience).toContain(audience);
    expect(translated(token, shape).scope).toEqual(scope);
    expect(translated(token, shape).claims.expose().confirmation?.method).toBe('COSE_Key');
  },
);

describe('an ID token is refused', () => {
  const idTokens = SHAPES.filter(({ kind }) => kind === 'ID token');

  test.each(idTokens)('also where its audience is that of the device: $name', async (shape) => {
    const { audience = DEVICE, claims, underDialect } = shape;
    const named = {
      ...shape,
      claims: { ...claims, aud: audience, client_id: claims.client_id ?? (undefined as never) },
    };
    expect(whole(await tokenOf(named), named, byRecipe(shape))).toBe(underDialect);
  });

  test.each(DIALECT_NAMES)('that has no more than OpenID Connect demands, under %s', async (dialect) => {
    const [shape] = SHAPES.filter((one) => one.dialect === dialect);
    if (shape === undefined) throw new Error('no shape');
    const policies = byRecipe({ ...shape, settings: '' });
    for (const header of [{}, { typ: 'JWT' }]) {
      const claims = {
        iss: policies[0]?.issuer ?? '',
        sub: 's',
        aud: shape.audience ?? DEVICE,
        ...TIMES,
        auth_time: NOW,
      };
      const idToken: Shape = { ...shape, header, claims };
      expect(['jwt_type_refused', 'jwt_claim_required']).toContain(whole(await tokenOf(idToken), idToken, policies));
    }
  });
});

describe('the table', () => {
  test('has at least 45 shapes, each once, each with its source', () => {
    process.stdout.write(
      `Shapes: ${SHAPES.length}; delivered by default ${SHAPES.filter((one) => one.byDefault === 'delivered').length}, ` +
        `under the recipes ${SHAPES.filter((one) => one.underDialect === 'delivered').length}\n`,
    );
    expect(SHAPES.length).toBeGreaterThanOrEqual(45);
    expect(new Set(SHAPES.map(({ name }) => name)).size).toBe(SHAPES.length);
    for (const { source } of SHAPES) expect(source).toMatch(/^https:|^github\.com\/|test\/interop\.d\//);
  });

  test.each(DIALECT_NAMES)('has for %s an access token that is delivered and an ID token that is not', (dialect) => {
    const own = SHAPES.filter((shape) => shape.dialect === dialect);
    expect(own.filter(({ kind, underDialect }) => kind === 'access token' && underDialect === 'delivered')).not.toEqual(
      [],
    );
    expect(own.filter(({ kind }) => kind === 'ID token')).not.toEqual([]);
  });

  test('holds no refusal that a setting lifts and that does not name a setting', () => {
    const lifted = SHAPES.filter(
      ({ byDefault, underDialect }) => underDialect === 'delivered' && byDefault !== 'delivered',
    );
    for (const code of new Set(lifted.map(({ byDefault }) => byDefault as ErrorCode))) {
      const { fix } = CATALOGUE[code];
      expect(fix).toMatch(/`(dialect|bind = "first-presenter")` of the issuer|`algorithms`|`ignored_headers`/);
    }
  });

  test('delivers nothing but access tokens', () => {
    const others = SHAPES.filter(({ kind }) => kind !== 'access token');
    expect(others.filter((shape) => shape.byDefault === 'delivered' || shape.underDialect === 'delivered')).toEqual([]);
  });
});

describe('docs/servers.md', () => {
  test('has one recipe for each dialect, and each is of one dialect', () => {
    const dialects = RECIPES.map(({ issuers }) => [...new Set(issuers.map(({ dialect }) => dialect))]);
    expect(dialects.flat().toSorted()).toEqual([...DIALECT_NAMES].toSorted());
    expect(dialects.every((named) => named.length === 1)).toBe(true);
  });

  test('has one row for each dialect, in their order, which leads to its recipe', () => {
    expect(ROWS.map(({ dialect }) => dialect)).toEqual(DIALECT_NAMES);
    for (const { anchor, dialect } of ROWS) expect(anchorOf(recipeOf(dialect).heading)).toBe(anchor);
  });

  test.each(ROWS)('says of $dialect what its recipe and its rules have', ({ audience, dialect, key }) => {
    const { issuers } = recipeOf(dialect);
    const binding = issuers.filter(({ bind }) => bind === 'first-presenter').length;
    // A server that binds no key needs the setting; one that does in every product has a recipe without it.
    if (key.startsWith('no')) expect(binding).toBe(issuers.length);
    if (key === 'DPoP') expect(binding).toBe(0);
    expect(audience.startsWith('no')).toBe(DIALECTS[dialect].audienceClaims.join() !== 'aud');
  });

  test.each(DIALECT_NAMES)('names each claim that the dialect %s demands', (dialect) => {
    const { heading } = recipeOf(dialect);
    const [, section = ''] = PAGE.split(`\n## ${heading}\n`);
    const [text = ''] = section.split('\n## ');
    for (const demand of DIALECTS[dialect].requiredClaims)
      for (const name of readMemberDemand(demand)?.names ?? []) expect(text).toContain(`\`${name}\``);
  });

  test('has a row for each rule of a dialect', () => {
    const [, table = ''] = PAGE.split('\n## Settings of a dialect\n');
    const rows = [...(table.split('\n\n')[0] ?? '').matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name);
    const rules = Object.keys(DIALECTS.rfc9068).map((name) => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`));
    expect(rows.toSorted()).toEqual(rules.toSorted());
  });
});
