import { CLIENT, DEVICE, ENCRYPTED, JKT, type Shape, SUBJECT, TIMES, UNBOUND } from './shape.ts';

const ACCESS = 'https://docs.pingidentity.com/pingam/latest/oauth2-guide/oauth2-client-based-tokens.html';
const ENCRYPTION = 'https://docs.pingidentity.com/pinggateway/latest/gateway-guide/oauth2-rs-stateless.html';
const OPENAM = 'https://doc.openidentityplatform.org/openam/admin-guide/chap-oauth2';

const BASE = { dialect: 'forgerock', source: ACCESS, kind: 'access token', header: { typ: 'JWT' } } as const;

/** The issuer has the port. */
const USER = {
  sub: SUBJECT,
  cts: 'OAUTH2_STATELESS_GRANT',
  auth_level: 0,
  auditTrackingId: 'c9611769-cbb0-4f6f-89ab-cc971a9a4267-297791',
  subname: SUBJECT,
  iss: 'https://example.forgeblocks.com:443/am/oauth2/alpha',
  tokenName: 'access_token',
  token_type: 'Bearer',
  authGrantId: 'fpO7HNZXHhLW5ObvmIoYT7PMaHY',
  client_id: CLIENT,
  aud: DEVICE,
  nbf: TIMES.iat,
  grant_type: 'authorization_code',
  scope: ['openid', 'read'],
  auth_time: TIMES.iat,
  realm: '/alpha',
  ...TIMES,
  expires_in: 3600,
  jti: 'Ygd5asQcPJho3ATs8Fl9-8Q25lk',
};
const { auth_level: _level, ...MACHINE } = { ...USER, sub: CLIENT, grant_type: 'client_credentials', scope: ['read'] };
const BOUND = { cnf: { jkt: JKT } };

export const FORGEROCK_SHAPES: readonly Shape[] = [
  { ...BASE, name: 'PingAM, a user', claims: USER, byDefault: 'jwt_type_refused', ...UNBOUND },
  { ...BASE, name: 'PingAM, a machine', claims: MACHINE, byDefault: 'jwt_type_refused', ...UNBOUND },
  {
    ...BASE,
    name: 'PingAM, a machine with DPoP',
    claims: { ...MACHINE, ...BOUND },
    byDefault: 'jwt_type_refused',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'ForgeRock AM, a user with the nonce of the request',
    claims: { ...USER, ...BOUND, nonce: 'random' },
    byDefault: 'jwt_type_refused',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'OpenAM, a user, with zip NONE in the header and no client',
    source: OPENAM,
    header: { typ: 'JWT', zip: 'NONE' },
    claims: { ...USER, ...BOUND, client_id: undefined as never },
    client: null,
    byDefault: 'jwt_header_refused',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'ForgeRock AM, a user, compressed',
    source: OPENAM,
    header: { typ: 'JWT', zip: 'DEF' },
    claims: { ...USER, ...BOUND },
    byDefault: 'jwt_header_refused',
    underDialect: 'jwt_header_refused',
  },
  {
    ...BASE,
    name: 'PingAM, signed with its default HMAC',
    header: { typ: 'JWT', alg: 'HS256' },
    claims: USER,
    byDefault: 'jwt_algorithm_refused',
    underDialect: 'jwt_algorithm_refused',
  },
  { ...BASE, name: 'PingAM, encrypted', source: ENCRYPTION, claims: USER, ...ENCRYPTED },
  {
    ...BASE,
    name: 'PingAM, a refresh token',
    kind: 'other',
    claims: { ...USER, tokenName: 'refresh_token' },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_claim_required',
  },
  {
    ...BASE,
    name: 'PingAM, an ID token',
    kind: 'ID token',
    claims: {
      sub: SUBJECT,
      auditTrackingId: USER.auditTrackingId,
      iss: USER.iss,
      tokenName: 'id_token',
      nonce: 'random',
      aud: CLIENT,
      azp: CLIENT,
      auth_time: TIMES.iat,
      realm: '/alpha',
      ...TIMES,
      tokenType: 'JWTToken',
      jti: 'i',
    },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_claim_required',
  },
];
