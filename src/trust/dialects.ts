/**
 * What servers write otherwise than RFC 9068 has it, one preset for each. A preset is a set of defaults for settings of the
 * issuer that also stand alone; docs/servers.md has a recipe for each, and test/trust/shapes the tokens.
 *
 * A preset that takes tokens with `typ: JWT`, or without `typ`, demands a claim that the server writes into access tokens
 * and not into ID tokens.
 */
import type { DialectName } from '../core/dialect-names.ts';

/** How the access tokens of a server look: what its dialect has a default for. */
export interface DialectRules {
  /**
   * Values of the header's `typ` that mean "access token", lower case, without `application/` (RFC 7515 §4.1.9); `none`
   * stands for no `typ`. With `none` or `jwt` an ID token may pass for an access token (RFC 9068 §5), unless
   * `requiredClaims` has what only access tokens of this server have.
   */
  readonly tokenTypes: readonly string[];
  /** The first of these claims that is there holds the scope: text, or a list of texts. */
  readonly scopeClaims: readonly string[];
  /** The first of these claims that is there, and no empty list, holds the audience. */
  readonly audienceClaims: readonly string[];
  /** The first of these claims that is there names the client. */
  readonly clientClaims: readonly string[];
  /** What a token has to have, each as `core/member-demand.ts` reads it. */
  readonly requiredClaims: readonly string[];
  /** Members (core/ignorable-headers.ts) that mean nothing in the header of this server, each as a demand: `zip=NONE`. */
  readonly ignoredHeaders: readonly string[];
  /** What `cnf.kid` of its tokens is: a name of a key, or the JWK thumbprint of one (RFC 7638), which then counts as `jkt`. */
  readonly confirmationKid: 'key-id' | 'thumbprint';
}

const RFC9068: DialectRules = {
  tokenTypes: ['at+jwt'],
  // Servers that follow the RFC in all else write `scp`, as drafts of RFC 8693 did.
  scopeClaims: ['scope', 'scp'],
  audienceClaims: ['aud'],
  clientClaims: ['client_id'],
  requiredClaims: [],
  ignoredHeaders: [],
  confirmationKid: 'key-id',
};

export const DIALECTS: Readonly<Record<DialectName, DialectRules>> = {
  rfc9068: RFC9068,
  keycloak: {
    ...RFC9068,
    tokenTypes: ['JWT', 'at+jwt'],
    clientClaims: ['client_id', 'azp'],
    // `ID` in an ID token, `Refresh` in a refresh token, `Logout` in a logout token.
    requiredClaims: ['typ=Bearer|DPoP'],
  },
  entra: {
    ...RFC9068,
    tokenTypes: ['JWT'],
    // Users have `scp`; a daemon has its app roles in `roles`.
    scopeClaims: ['scp', 'roles'],
    clientClaims: ['azp', 'appid'],
    requiredClaims: ['azp|appid'],
    confirmationKid: 'thumbprint',
  },
  okta: {
    ...RFC9068,
    tokenTypes: ['none', 'at+jwt'],
    scopeClaims: ['scp'],
    clientClaims: ['cid'],
    requiredClaims: ['cid'],
  },
  auth0: {
    ...RFC9068,
    tokenTypes: ['JWT', 'at+jwt'],
    scopeClaims: ['scope', 'permissions'],
    clientClaims: ['client_id', 'azp'],
    // `azp` may be in an ID token as well (OpenID Connect Core §2).
    requiredClaims: ['client_id|azp', 'scope|permissions'],
  },
  cognito: {
    ...RFC9068,
    tokenTypes: ['none'],
    scopeClaims: ['scope'],
    audienceClaims: ['aud', 'client_id'],
    requiredClaims: ['token_use=access'],
  },
  spring: {
    ...RFC9068,
    tokenTypes: ['none', 'at+jwt'],
    scopeClaims: ['scope'],
    clientClaims: ['client_id', 'azp'],
    requiredClaims: ['scope'],
  },
  ping: {
    ...RFC9068,
    tokenTypes: ['none', 'JWT', 'at+jwt'],
    scopeClaims: ['scope', 'scp'],
    requiredClaims: ['client_id'],
  },
  forgerock: {
    ...RFC9068,
    tokenTypes: ['JWT', 'at+jwt'],
    clientClaims: ['client_id', 'azp'],
    requiredClaims: ['tokenName=access_token'],
    ignoredHeaders: ['zip=NONE'],
  },
  identityserver: { ...RFC9068, tokenTypes: ['at+jwt', 'JWT'], requiredClaims: ['client_id'] },
  hydra: { ...RFC9068, tokenTypes: ['JWT', 'at+jwt'], scopeClaims: ['scp', 'scope'], requiredClaims: ['client_id'] },
  adfs: {
    ...RFC9068,
    tokenTypes: ['JWT'],
    scopeClaims: ['scp'],
    clientClaims: ['appid'],
    requiredClaims: ['appid'],
  },
  glewlwyd: RFC9068,
};
