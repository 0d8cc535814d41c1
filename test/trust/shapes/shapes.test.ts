/**
 * Tokens as real servers write them, through all that the hub does with a token for an offline device: verified by the settings that
 * docs/servers.md gives for the server, then translated.
 */
import { CompactEncrypt, generateKeyPair } from 'jose';
import { describe, expect, test } from 'vitest';
import { importJwk } from '../../../src/codec/cose/key.ts';
import { jwkThumbprint } from '../../../src/codec/jwk-thumbprint.ts';
import { utf8 } from '../../../src/core/bytes.ts';
import { DIALECT_NAMES } from '../../../src/core/dialect-names.ts';
import { CATALOGUE, type ErrorCode } from '../../../src/core/error-catalogue.ts';
import { isCoded } from '../../../src/core/errors.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { JWT_ALGORITHMS } from '../../../src/core/jwt-algorithms.ts';
import type { VerifiedToken } from '../../../src/core/verified-token.ts';
import { policyOf } from '../../../src/hub/settings.ts';
import { type TranslatedToken, translate } from '../../../src/token/translate.ts';
import { type IssuerPolicy, issuerPolicy } from '../../../src/trust/issuer-policy.ts';
import { KeyRing } from '../../../src/trust/key-ring.ts';
import { verifyJwtWithKeys } from '../../../src/trust/verify-jwt.ts';
import { signingKey, signJwt } from '../../fixtures/jwt-signing.ts';
import { deviceProfile } from '../../fixtures/verified-token.ts';
import { ADFS_SHAPES } from './adfs.ts';
import { AUTH0_SHAPES } from './auth0.ts';
import { COGNITO_SHAPES } from './cognito.ts';
import { ENTRA_SHAPES } from './entra.ts';
import { FORGEROCK_SHAPES } from './forgerock.ts';
import { GLEWLWYD_SHAPES } from './glewlwyd.ts';
import { HYDRA_SHAPES } from './hydra.ts';
import { IDENTITYSERVER_SHAPES } from './identityserver.ts';
import { KEYCLOAK_SHAPES } from './keycloak.ts';
import { OKTA_SHAPES } from './okta.ts';
import { PING_SHAPES } from './ping.ts';
import { RECIPES, type Recipe } from './recipes.ts';
import { RFC9068_SHAPES } from './rfc9068.ts';
import { CLIENT, DEVICE, JKT, NOW, type Outcome, type Shape, TIMES } from './shape.ts';
import { SPRING_SHAPES } from './spring.ts';

const SHAPES: readonly Shape[] = [
  ...RFC9068_SHAPES,
  ...KEYCLOAK_SHAPES,
  ...ENTRA_SHAPES,
  ...OKTA_SHAPES,
  ...AUTH0_SHAPES,
  ...COGNITO_SHAPES,
  ...SPRING_SHAPES,
  ...PING_SHAPES,
  ...FORGEROCK_SHAPES,
  ...IDENTITYSERVER_SHAPES,
  ...HYDRA_SHAPES,
  ...ADFS_SHAPES,
  ...GLEWLWYD_SHAPES,
];

const rsa = signingKey('RSA 2048', 'rsa-1');
const ec = signingKey('P-256', 'ec-1');
const ec384 = signingKey('P-384', 'ec-2');
const keys = new KeyRing({ keys: [rsa.jwk, ec.jwk, ec384.jwk] }, JWT_ALGORITHMS);
const { kid: _kid, ...clientKey } = signingKey('P-256', 'client').jwk;
const hubKey = await generateKeyPair('RSA-OAEP-256');

async function tokenOf(shape: Shape): Promise<string> {
  if (shape.form === 'opaque') return 'ory_at_2Jr0hLhq0vVnZrL8.8cQmXw';
  const { alg = 'RS256' } = shape.header;
  const key = alg === 'ES256' ? ec : alg === 'ES384' ? ec384 : rsa;
  const header: JsonObject = { kid: key.kid, alg, ...shape.header };
  const claims = JSON.parse(JSON.stringify(shape.claims).replaceAll(JKT, jwkThumbprint(clientKey as JsonObject)));
  const jwt = signJwt({ key, header, claims });
  if (shape.form !== 'encrypted') return jwt;
  const encrypt = new CompactEncrypt(utf8(jwt)).setProtectedHeader({ alg: 'RSA-OAEP-256', enc: 'A256GCM', cty: 'JWT' });
  return encrypt.encrypt(hubKey.publicKey);
}

function recipeOf(dialect: string): Recipe {
  const recipe = RECIPES.find(({ issuers }) => issuers.some((issuer) => issuer.dialect === dialect));
  if (recipe === undefined) throw new Error(`docs/servers.md has no recipe for ${dialect}`);
  return recipe;
}

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
});
