import { CLIENT, DEVICE, JKT, type Shape, SUBJECT, TIMES, UNBOUND_CLIENT } from './shape.ts';

const SOURCE = 'github.com/keycloak/keycloak services/src/main/java/org/keycloak/protocol/oidc/TokenManager.java';
const DPOP = 'https://www.keycloak.org/securing-apps/dpop';
const NONCE = 'https://www.keycloak.org/docs/latest/upgrading/#migrating-to-25-0-0';
const SEEN = 'Keycloak 26, test/interop.d/keycloak';
const MEMBER = 'https://github.com/auth0/node-oauth2-jwt-bearer/issues/254';
const TYPE = 'https://github.com/keycloak/keycloak/issues/21919';

const BASE = { dialect: 'keycloak', source: SOURCE, kind: 'access token', header: { typ: 'JWT' } } as const;

const MACHINE = {
  iss: 'https://keycloak.example/realms/ward',
  ...TIMES,
  jti: 'trrtcc:0b7a2a9e-8f1a-44d2-8f0c-2d6f3c1c1b7a',
  aud: DEVICE,
  sub: SUBJECT,
  typ: 'Bearer',
  azp: CLIENT,
  acr: '1',
  realm_access: { roles: ['offline_access', 'uma_authorization', 'default-roles-ward'] },
  resource_access: { account: { roles: ['manage-account', 'view-profile'] } },
  scope: 'profile email read',
  clientHost: '127.0.0.1',
  clientAddress: '127.0.0.1',
  client_id: CLIENT,
};
const { clientHost: _host, clientAddress: _address, client_id: _client, ...REST } = MACHINE;
const USER = {
  ...REST,
  auth_time: TIMES.iat,
  sid: '6c2c8e1e-3d65-4a52-9d2f-6c6e7c7b1b11',
  'allowed-origins': ['https://app.example'],
  email_verified: true,
  name: 'Žofie Nováková',
  preferred_username: 'zofie',
};
const BOUND = { typ: 'DPoP', cnf: { jkt: JKT } };

export const KEYCLOAK_SHAPES: readonly Shape[] = [
  {
    ...BASE,
    name: 'Keycloak, a user with DPoP',
    source: TYPE,
    claims: { ...USER, ...BOUND },
    byDefault: 'jwt_type_refused',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'Keycloak, a machine with DPoP',
    source: DPOP,
    claims: { ...MACHINE, ...BOUND },
    byDefault: 'jwt_type_refused',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'Keycloak, a machine with DPoP and the member kc-jkt-type of later versions',
    source: MEMBER,
    claims: { ...MACHINE, typ: 'DPoP', cnf: { 'kc-jkt-type': 'DPoP', jkt: JKT } },
    byDefault: 'jwt_type_refused',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'Keycloak before 23, a machine with DPoP: its type is Bearer',
    source: TYPE,
    claims: { ...MACHINE, cnf: { jkt: JKT } },
    byDefault: 'jwt_type_refused',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'Keycloak, a machine with DPoP and the switch for RFC 9068',
    source: SEEN,
    header: { typ: 'at+jwt' },
    claims: { ...MACHINE, ...BOUND },
    byDefault: 'delivered',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'Keycloak, a lightweight access token with DPoP',
    source: 'https://www.keycloak.org/docs/latest/server_admin/#_using_lightweight_access_token',
    claims: {
      iss: MACHINE.iss,
      ...TIMES,
      jti: 'lt:1',
      aud: DEVICE,
      azp: CLIENT,
      sid: USER.sid,
      scope: 'openid read',
      ...BOUND,
    },
    byDefault: 'jwt_type_refused',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'Keycloak, a user with DPoP and the audience account',
    source: SEEN,
    claims: { ...USER, ...BOUND, aud: [DEVICE, 'account'] },
    byDefault: 'jwt_type_refused',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'Keycloak before 25, a user with DPoP and a nonce',
    source: NONCE,
    claims: { ...USER, ...BOUND, nonce: '9d2f6c6e' },
    byDefault: 'jwt_type_refused',
    underDialect: 'delivered',
  },
  { ...BASE, name: 'Keycloak, a user without DPoP', claims: USER, byDefault: 'jwt_type_refused', ...UNBOUND_CLIENT },
  {
    ...BASE,
    name: 'Keycloak, a machine without an audience mapper',
    source: SEEN,
    claims: { ...MACHINE, ...BOUND, aud: 'account' },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_audience_mismatch',
  },
  {
    ...BASE,
    name: 'Keycloak, a machine with neither a role nor an audience mapper',
    source: SEEN,
    claims: { ...MACHINE, ...BOUND, aud: undefined as never, resource_access: undefined as never },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_claim_missing',
  },
  {
    ...BASE,
    name: 'Keycloak, an ID token',
    kind: 'ID token',
    claims: {
      ...USER,
      typ: 'ID',
      aud: CLIENT,
      nonce: '9d2f6c6e',
      at_hash: 'xKk0mLWyQiGsMBqUMBBKuw',
      scope: undefined as never,
    },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_type_refused',
  },
  {
    ...BASE,
    name: 'Keycloak, an ID token of the grant of a machine, without at_hash and nonce',
    kind: 'ID token',
    claims: { ...MACHINE, typ: 'ID', aud: CLIENT },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_claim_required',
  },
  {
    ...BASE,
    name: 'Keycloak, a refresh token',
    kind: 'other',
    header: { typ: 'JWT', alg: 'HS512' },
    claims: { ...USER, typ: 'Refresh', aud: MACHINE.iss },
    byDefault: 'jwt_algorithm_refused',
    underDialect: 'jwt_algorithm_refused',
  },
  {
    ...BASE,
    name: 'Keycloak, a logout token',
    source: 'https://openid.net/specs/openid-connect-backchannel-1_0.html#LogoutToken',
    kind: 'other',
    header: { typ: 'logout+jwt' },
    claims: { iss: MACHINE.iss, sub: SUBJECT, aud: CLIENT, ...TIMES, jti: 'l', typ: 'Logout', events: {} },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_type_refused',
  },
];
