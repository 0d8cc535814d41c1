import { CLIENT, DEVICE, ENCRYPTED, JKT, type Shape, TIMES, UNBOUND_CLIENT } from './shape.ts';

const PROFILES = 'https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles';
const JWE = 'https://auth0.com/docs/secure/tokens/access-tokens/json-web-encryption';
const MTLS = 'https://auth0.com/docs/secure/sender-constraining/mtls-sender-constraining';
const DPOP = 'https://auth0.com/docs/secure/sender-constraining/demonstrating-proof-of-possession-dpop';
const ID = 'https://auth0.com/docs/secure/tokens/id-tokens/id-token-structure';
const ISSUER = 'https://example.eu.auth0.com/';
const USERINFO = `${ISSUER}userinfo`;

const BASE = { dialect: 'auth0', source: PROFILES, kind: 'access token' } as const;
const OWN = { typ: 'JWT' };
const RFC = { typ: 'at+jwt' };

const OWN_MACHINE = {
  iss: ISSUER,
  sub: `${CLIENT}@clients`,
  aud: DEVICE,
  ...TIMES,
  scope: 'read',
  gty: 'client-credentials',
  azp: CLIENT,
};
const OWN_USER = {
  iss: ISSUER,
  sub: 'auth0|6553da60a54af58e29493993',
  aud: [DEVICE, USERINFO],
  ...TIMES,
  scope: 'openid profile read',
  azp: CLIENT,
};
const RFC_MACHINE = {
  iss: ISSUER,
  sub: `${CLIENT}@clients`,
  aud: DEVICE,
  ...TIMES,
  scope: 'read',
  jti: '73WakrfVbNJBaAmhQtEeDv',
  client_id: CLIENT,
};
const RFC_USER = { ...RFC_MACHINE, sub: OWN_USER.sub, aud: OWN_USER.aud, scope: OWN_USER.scope };
const BOUND = { cnf: { jkt: JKT } };

export const AUTH0_SHAPES: readonly Shape[] = [
  {
    ...BASE,
    name: 'Auth0, a machine',
    header: OWN,
    claims: OWN_MACHINE,
    byDefault: 'jwt_type_refused',
    ...UNBOUND_CLIENT,
  },
  {
    ...BASE,
    name: 'Auth0, a machine with DPoP',
    source: DPOP,
    header: OWN,
    claims: { ...OWN_MACHINE, ...BOUND },
    byDefault: 'jwt_type_refused',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'Auth0, a machine with DPoP in the RFC 9068 profile',
    source: DPOP,
    header: RFC,
    claims: { ...RFC_MACHINE, ...BOUND },
    byDefault: 'delivered',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'Auth0, a machine with DPoP and without a scope',
    source: DPOP,
    header: OWN,
    claims: { ...OWN_MACHINE, ...BOUND, scope: undefined as never },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_claim_required',
  },
  {
    ...BASE,
    name: 'Auth0, a user with openid and DPoP',
    header: OWN,
    claims: { ...OWN_USER, ...BOUND },
    byDefault: 'jwt_type_refused',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'Auth0, a user with openid and DPoP in the RFC 9068 profile',
    header: RFC,
    claims: { ...RFC_USER, ...BOUND },
    byDefault: 'delivered',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'Auth0, a user with openid, without DPoP',
    header: OWN,
    claims: OWN_USER,
    byDefault: 'jwt_type_refused',
    underDialect: 'audience_ambiguous',
  },
  {
    ...BASE,
    name: 'Auth0, permissions by role and no scope asked for',
    header: RFC,
    claims: { ...RFC_MACHINE, ...BOUND, scope: undefined as never, permissions: ['read'] },
    byDefault: 'scope_empty',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'Auth0, bound to a certificate',
    source: MTLS,
    header: RFC,
    claims: { ...RFC_MACHINE, cnf: { 'x5t#S256': 'bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2' } },
    byDefault: 'confirmation_unsupported',
    underDialect: 'confirmation_unsupported',
  },
  { ...BASE, name: 'Auth0, encrypted', source: JWE, header: RFC, claims: { ...RFC_MACHINE, ...BOUND }, ...ENCRYPTED },
  {
    ...BASE,
    name: 'Auth0, an ID token',
    source: ID,
    kind: 'ID token',
    header: OWN,
    claims: {
      iss: ISSUER,
      sub: OWN_USER.sub,
      aud: CLIENT,
      ...TIMES,
      name: 'Jane Doe',
      email: 'janedoe@example.com',
      picture: 'http://example.com/janedoe/me.jpg',
      sid: 'u4QSS',
    },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_claim_required',
  },
];
