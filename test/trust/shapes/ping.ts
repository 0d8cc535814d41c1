import { CLIENT, DEVICE, JKT, type Shape, SUBJECT, TIMES, UNBOUND, UNBOUND_CLIENT } from './shape.ts';

const FEDERATE =
  'https://docs.pingidentity.com/pingfederate/latest/administrators_reference_guide/pf_configure_json_token_management.html';
const ONE =
  'https://developer.pingidentity.com/pingone-api/foundations/authentication-concepts/access-tokens-and-id-tokens/token-claims.html';

const BASE = { dialect: 'ping', source: FEDERATE, kind: 'access token', header: { 'pi.atm': '8dzf' } } as const;

const USER = {
  scope: 'openid read',
  authorization_details: [],
  client_id: CLIENT,
  iss: 'https://pingfederate.example',
  iat: TIMES.iat,
  sub: 'zofie',
  aud: DEVICE,
  exp: TIMES.exp,
};
const BOUND = { cnf: { jkt: JKT } };
const PINGONE = {
  client_id: CLIENT,
  iss: 'https://auth.pingone.eu/11111111-2222-3333-4444-555555555555/as',
  jti: 'a8f8b7f4',
  ...TIMES,
  aud: [DEVICE],
  scope: 'read',
  env: '11111111-2222-3333-4444-555555555555',
  org: '66666666-2222-3333-4444-555555555555',
};

export const PING_SHAPES: readonly Shape[] = [
  {
    ...BASE,
    name: 'PingFederate, a user with DPoP',
    claims: { ...USER, ...BOUND },
    byDefault: 'jwt_type_refused',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'PingFederate, a machine with DPoP and the scope as a list',
    claims: { ...USER, ...BOUND, sub: CLIENT, scope: ['read'] },
    byDefault: 'jwt_type_refused',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'PingFederate, a machine with DPoP and the type of RFC 9068',
    header: { 'pi.atm': '8dzf', typ: 'at+jwt' },
    claims: { ...USER, ...BOUND },
    byDefault: 'delivered',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'PingFederate, a machine for another device, without the name of its manager',
    header: {},
    claims: { ...USER, ...BOUND, sub: CLIENT, scope: ['read'], aud: 'https://tube-2.example' },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_audience_mismatch',
  },
  {
    ...BASE,
    name: 'PingFederate, a user without DPoP',
    claims: USER,
    byDefault: 'jwt_type_refused',
    ...UNBOUND_CLIENT,
  },
  {
    ...BASE,
    name: 'PingFederate, an ID token',
    kind: 'ID token',
    header: {},
    claims: {
      sub: 'zofie',
      aud: CLIENT,
      jti: 'VqtIaeZeIiGs',
      iss: USER.iss,
      ...TIMES,
      auth_time: TIMES.iat,
      'pi.sri': 'kTNZ',
      nonce: 'n',
    },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_claim_required',
  },
  {
    ...BASE,
    name: 'PingOne, a machine',
    source: ONE,
    header: {},
    claims: PINGONE,
    byDefault: 'jwt_type_refused',
    ...UNBOUND,
  },
  {
    ...BASE,
    name: 'PingOne, a user, with the type of RFC 9068',
    source: ONE,
    header: { typ: 'at+jwt', x5t: 'a' },
    claims: { ...PINGONE, sub: SUBJECT, sid: 's', auth_time: TIMES.iat, acr: 'Single_Factor' },
    byDefault: 'confirmation_missing',
    ...UNBOUND,
  },
  {
    ...BASE,
    name: 'PingOne, an ID token',
    source: ONE,
    kind: 'ID token',
    header: {},
    claims: {
      iss: PINGONE.iss,
      sub: SUBJECT,
      aud: CLIENT,
      ...TIMES,
      acr: 'Single_Factor',
      auth_time: TIMES.iat,
      at_hash: 'xKk0mLWyQiGsMBqUMBBKuw',
      sid: 's',
      env: PINGONE.env,
      org: PINGONE.org,
    },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_type_refused',
  },
];
