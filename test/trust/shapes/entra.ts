import { CLIENT, DEVICE, JKT, type Shape, SUBJECT, TIMES, UNBOUND } from './shape.ts';

const ACCESS = 'https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference';
const ID = 'https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference';
const POP =
  'github.com/AzureAD/microsoft-authentication-library-for-js lib/msal-common/src/crypto/PopTokenGenerator.ts';
const TENANT = '11111111-2222-3333-4444-555555555555';
const V2 = `https://login.microsoftonline.com/${TENANT}/v2.0`;
const V1 = `https://sts.windows.net/${TENANT}/`;

const BASE = { dialect: 'entra', source: ACCESS, kind: 'access token' } as const;
const HEADER_V2 = { typ: 'JWT' };
const HEADER_V1 = { typ: 'JWT', x5t: 'CtTuhMJmD5M7DLdzD2v2x3QKSRY' };

const USER_V2 = {
  aud: DEVICE,
  iss: V2,
  ...TIMES,
  nbf: TIMES.iat,
  aio: 'AXQAi/8IAAAA',
  azp: CLIENT,
  azpacr: '0',
  name: 'Zofie',
  oid: SUBJECT,
  preferred_username: 'zofie@ward.example',
  rh: '0.AX0A',
  scp: 'read user_impersonation',
  sub: 'Hm2b_Nhl',
  tid: TENANT,
  uti: 'Mh-F4lEG',
  ver: '2.0',
};
const { scp: _scp, name: _name, preferred_username: _user, ...COMMON } = USER_V2;
const APP_V2 = { ...COMMON, idtyp: 'app', azpacr: '1', roles: ['read'] };
const USER_V1 = {
  aud: DEVICE,
  iss: V1,
  ...TIMES,
  nbf: TIMES.iat,
  acr: '1',
  amr: ['pwd'],
  appid: CLIENT,
  appidacr: '0',
  oid: SUBJECT,
  scp: 'read',
  sub: 'Hm2b_Nhl',
  tid: TENANT,
  unique_name: 'zofie@ward.example',
  ver: '1.0',
};

export const ENTRA_SHAPES: readonly Shape[] = [
  { ...BASE, name: 'Entra v2, a user', header: HEADER_V2, claims: USER_V2, byDefault: 'jwt_type_refused', ...UNBOUND },
  {
    ...BASE,
    name: 'Entra v2, a daemon with app roles',
    header: HEADER_V2,
    claims: APP_V2,
    byDefault: 'jwt_type_refused',
    ...UNBOUND,
  },
  {
    ...BASE,
    name: 'Entra v2, a daemon without any role',
    header: HEADER_V2,
    claims: { ...APP_V2, roles: undefined as never, cnf: { jkt: JKT } },
    byDefault: 'jwt_type_refused',
    underDialect: 'scope_empty',
  },
  {
    ...BASE,
    name: 'Entra v2, a user, of a registration for many devices',
    header: HEADER_V2,
    claims: { ...USER_V2, aud: 'api://devices', scp: 'tube-1:read tube-1:write user_impersonation', cnf: { jkt: JKT } },
    settings: 'shared_audience = "api://devices"\ndevice_by = "scope"\nscope_pattern = "{device}:{scope}"',
    byDefault: 'jwt_type_refused',
    underDialect: 'delivered',
  },
  { ...BASE, name: 'Entra v1, a user', header: HEADER_V1, claims: USER_V1, byDefault: 'jwt_type_refused', ...UNBOUND },
  {
    ...BASE,
    name: 'Entra v2, a user with the roles of the user beside scp',
    header: HEADER_V2,
    claims: { ...USER_V2, roles: ['write'] },
    byDefault: 'jwt_type_refused',
    ...UNBOUND,
  },
  {
    ...BASE,
    name: 'Entra v1, bound by req_cnf',
    source: POP,
    header: HEADER_V1,
    claims: { ...USER_V1, cnf: { kid: JKT, xms_ksl: 'sw' } },
    byDefault: 'jwt_type_refused',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'Entra v2, an ID token',
    source: ID,
    kind: 'ID token',
    header: HEADER_V2,
    claims: {
      ...COMMON,
      azp: undefined as never,
      azpacr: undefined as never,
      aud: CLIENT,
      nonce: '12345',
      roles: ['read'],
    },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_claim_required',
  },
  {
    ...BASE,
    name: 'Entra v1, an ID token with at_hash',
    source: ID,
    kind: 'ID token',
    header: HEADER_V1,
    claims: {
      ...USER_V1,
      appid: undefined as never,
      appidacr: undefined as never,
      scp: undefined as never,
      aud: CLIENT,
      at_hash: 'xKk0mLWyQiGsMBqUMBBKuw',
    },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_type_refused',
  },
];
