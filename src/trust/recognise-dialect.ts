/** Which server wrote a token or metadata, by marks that they have. A guess for people: nothing is accepted by it. */
import type { DialectName } from '../core/dialect-names.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';

interface Marks {
  readonly dialect: DialectName;
  /** Of the address of the issuer. */
  readonly issuer?: RegExp;
  readonly token?: (claims: JsonObject, header: JsonObject) => boolean;
  /** Of its metadata, for a server at an address that does not tell: a machine or a domain of its owner. */
  readonly metadata?: (metadata: JsonObject) => boolean;
}

/** In the order of asking: addresses and claims of one server alone come first. */
const MARKS: readonly Marks[] = [
  {
    dialect: 'entra',
    issuer: /^https:\/\/(login\.microsoftonline\.(com|us)|sts\.windows\.net|[^/]+\.ciamlogin\.com)\//,
    metadata: ({ msgraph_host: host }) => typeof host === 'string',
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
    metadata: endsWith({ jwks_uri: '/v1/keys', authorization_endpoint: '/v1/authorize' }),
  },
  {
    dialect: 'auth0',
    issuer: /^https:\/\/[^/]+\.auth0\.com\//,
    metadata: ({ mfa_challenge_endpoint: endpoint }) => typeof endpoint === 'string',
  },
  {
    dialect: 'forgerock',
    issuer: /^https:\/\/[^/]+(\/am|\/openam|\/sso)\/oauth2(\/|$)/,
    token: ({ tokenName }) => tokenName !== undefined,
    metadata: endsWith({ jwks_uri: '/connect/jwk_uri' }),
  },
  {
    dialect: 'keycloak',
    issuer: /\/realms\/[^/]+$/,
    token: ({ typ, sid, session_state: state }) => typ !== undefined && (sid ?? state) !== undefined,
    metadata: endsWith({ jwks_uri: '/protocol/openid-connect/certs' }),
  },
  {
    dialect: 'adfs',
    issuer: /\/adfs(\/|$)/,
    token: ({ apptype, appid }) => apptype !== undefined && appid !== undefined,
    metadata: ({ access_token_issuer: issuer }) => typeof issuer === 'string',
  },
  {
    dialect: 'ping',
    issuer: /^https:\/\/auth\.pingone\.[^/]+\//,
    token: (claims, header) => 'pi.atm' in claims || 'pi.atm' in header,
    metadata: (metadata) =>
      'ping_end_session_endpoint' in metadata ||
      endsWith({ jwks_uri: '/pf/JWKS' })(metadata) ||
      endsWith({ jwks_uri: '/as/jwks', token_endpoint: '/as/token' })(metadata),
  },
  { dialect: 'glewlwyd', issuer: /\/api\/oidc$|^https:\/\/glewlwyd\./ },
  {
    dialect: 'hydra',
    token: ({ scp, ext, client_id: client }) => client !== undefined && (Array.isArray(scp) || isJsonObject(ext)),
    metadata: endsWith({ jwks_uri: '/.well-known/jwks.json', authorization_endpoint: '/oauth2/auth' }),
  },
  {
    dialect: 'identityserver',
    token: ({ scope, client_id: client }) => Array.isArray(scope) && typeof client === 'string',
    metadata: endsWith({ jwks_uri: '/.well-known/openid-configuration/jwks', token_endpoint: '/connect/token' }),
  },
  {
    dialect: 'spring',
    token: ({ scope }, { typ }) => Array.isArray(scope) && typ === undefined,
    metadata: endsWith({ jwks_uri: '/oauth2/jwks', token_endpoint: '/oauth2/token' }),
  },
];

function endsWith(ends: Readonly<Record<string, string>>): (metadata: JsonObject) => boolean {
  return (metadata) =>
    Object.entries(ends).every(([name, end]) => {
      const value = metadata[name];
      return typeof value === 'string' && value.endsWith(end);
    });
}

/** The dialect of the server with this metadata (RFC 8414 §2); undefined where neither its address nor an endpoint tells. */
export function dialectOfMetadata(metadata: JsonObject): DialectName | undefined {
  const { issuer } = metadata;
  const byAddress = typeof issuer === 'string' ? dialectOfIssuer(issuer) : undefined;
  return byAddress ?? MARKS.find((marks) => marks.metadata?.(metadata))?.dialect;
}

/** The dialect of a server with this address; undefined where the address does not tell. */
function dialectOfIssuer(issuer: string): DialectName | undefined {
  return MARKS.find((marks) => marks.issuer?.test(issuer))?.dialect;
}

/** @param configured what the operator says, which counts for more than the form of the token, and for less than its issuer */
export function dialectOfToken(
  header: JsonObject,
  claims: JsonObject,
  configured?: DialectName,
): DialectName | undefined {
  const { iss } = claims;
  const byAddress = typeof iss === 'string' ? dialectOfIssuer(iss) : undefined;
  // The default is no statement of the operator.
  const stated = configured === 'rfc9068' ? undefined : configured;
  return byAddress ?? stated ?? MARKS.find((marks) => marks.token?.(claims, header))?.dialect;
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
