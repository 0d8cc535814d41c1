/** Which server wrote a token, by marks that its tokens have. A guess for people: nothing is accepted by it. */
import type { DialectName } from '../core/dialect-names.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';

interface Marks {
  readonly dialect: DialectName;
  /** Of the address of the issuer. */
  readonly issuer?: RegExp;
  readonly token?: (claims: JsonObject, header: JsonObject) => boolean;
}

/** In the order of asking: addresses and claims of one server alone come first. */
const MARKS: readonly Marks[] = [
  {
    dialect: 'entra',
    issuer: /^https:\/\/(login\.microsoftonline\.(com|us)|sts\.windows\.net|[^/]+\.ciamlogin\.com)\//,
  },
  {
    dialect: 'cognito',
    issuer: /^https:\/\/cognito-idp\.[^/]+\.amazonaws\.com\//,
    token: (claims) => claims.token_use !== undefined,
  },
  {
    dialect: 'okta',
    issuer: /^https:\/\/[^/]+\.(okta|oktapreview|okta-emea)\.com(\/|$)/,
    token: ({ cid, uid }) => cid !== undefined || uid !== undefined,
  },
  { dialect: 'auth0', issuer: /^https:\/\/[^/]+\.auth0\.com\// },
  {
    dialect: 'forgerock',
    issuer: /^https:\/\/[^/]+(\/am|\/openam|\/sso)\/oauth2(\/|$)/,
    token: ({ tokenName }) => tokenName !== undefined,
  },
  {
    dialect: 'keycloak',
    issuer: /\/realms\/[^/]+$/,
    token: ({ typ, sid, session_state: state }) => typ !== undefined && (sid ?? state) !== undefined,
  },
  {
    dialect: 'adfs',
    issuer: /\/adfs(\/|$)/,
    token: ({ apptype, appid }) => apptype !== undefined && appid !== undefined,
  },
  {
    dialect: 'ping',
    issuer: /^https:\/\/auth\.pingone\.[^/]+\//,
    token: (claims, header) => 'pi.atm' in claims || 'pi.atm' in header,
  },
  { dialect: 'glewlwyd', issuer: /\/api\/oidc$|^https:\/\/glewlwyd\./ },
  {
    dialect: 'hydra',
    token: ({ scp, ext, client_id: client }) => client !== undefined && (Array.isArray(scp) || isJsonObject(ext)),
  },
  {
    dialect: 'identityserver',
    token: ({ scope, client_id: client }) => Array.isArray(scope) && typeof client === 'string',
  },
  { dialect: 'spring', token: ({ scope }, { typ }) => Array.isArray(scope) && typ === undefined },
];

/** The dialect of a server with this address; undefined where the address does not tell. */
function dialectOfIssuer(issuer: string): DialectName | undefined {
  return MARKS.find((marks) => marks.issuer?.test(issuer))?.dialect;
}

export function dialectOfToken(header: JsonObject, claims: JsonObject): DialectName | undefined {
  const { iss } = claims;
  const byAddress = typeof iss === 'string' ? dialectOfIssuer(iss) : undefined;
  return byAddress ?? MARKS.find((marks) => marks.token?.(claims, header))?.dialect;
}

/** What a claim that tells the kind of a token is in its access tokens (Keycloak, Cognito, ForgeRock). */
const KINDS: Readonly<Record<string, readonly JsonValue[]>> = {
  token_use: ['access'],
  typ: ['Bearer', 'DPoP'],
  tokenName: ['access_token'],
};
/** Claims of ID tokens (OpenID Connect Core §3.1.3.6, §3.3.2.11) and of logout tokens, never of access tokens. */
const OTHERS = ['at_hash', 'c_hash', 'events'] as const;
const SCOPES = ['scope', 'scp', 'roles', 'permissions', 'authorization_details'] as const;

/** Why a token is no access token; undefined where nothing says so. */
export function whyNoAccessToken(header: JsonObject, claims: JsonObject): string | undefined {
  for (const name of OTHERS)
    if (claims[name] !== undefined) return `it has ${name}, as ID tokens and logout tokens have`;
  for (const [name, access] of Object.entries(KINDS)) {
    const value = claims[name];
    if (value !== undefined && !access.includes(value)) return `its claim ${name} is not one of an access token`;
  }
  const isTyped = typeof header.typ === 'string' && /^(application\/)?at\+jwt$/i.test(header.typ);
  if (isTyped || SCOPES.some((name) => claims[name] !== undefined)) return undefined;
  if (claims.nonce !== undefined) return 'it has nonce and no scope, as ID tokens have';
  return claims.client_id === undefined && claims.auth_time !== undefined
    ? 'it has auth_time, and neither a client nor a scope, as ID tokens have'
    : undefined;
}
