/** The whole table, and the tokens that it describes. */
import { CompactEncrypt, generateKeyPair } from 'jose';
import { jwkThumbprint } from '../../../src/codec/jwk-thumbprint.ts';
import { utf8 } from '../../../src/core/bytes.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { JWT_ALGORITHMS } from '../../../src/core/jwt-algorithms.ts';
import { KeyRing } from '../../../src/trust/key-ring.ts';
import { signingKey, signJwt } from '../../fixtures/jwt-signing.ts';
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
import { JKT, type Shape } from './shape.ts';
import { SPRING_SHAPES } from './spring.ts';

export const SHAPES: readonly Shape[] = [
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
export const keys = new KeyRing({ keys: [rsa.jwk, ec.jwk, ec384.jwk] }, JWT_ALGORITHMS);
const { kid: _kid, ...publicKey } = signingKey('P-256', 'client').jwk;
export const clientKey: JsonObject = publicKey as JsonObject;
const hubKey = await generateKeyPair('RSA-OAEP-256');

export async function tokenOf(shape: Shape): Promise<string> {
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

export function recipeOf(dialect: string): Recipe {
  const recipe = RECIPES.find(({ issuers }) => issuers.some((issuer) => issuer.dialect === dialect));
  if (recipe === undefined) throw new Error(`docs/servers.md has no recipe for ${dialect}`);
  return recipe;
}
