import { CLIENT, DEVICE, type Shape, TIMES, UNBOUND } from './shape.ts';

const SEEN = 'https://github.com/DuendeArchive/IdentityServer4/issues/812';
const ISSUERS = 'https://github.com/grafana/go-oidc/pull/1';
const CONCEPTS =
  'https://learn.microsoft.com/windows-server/identity/ad-fs/development/ad-fs-openid-connect-oauth-concepts';

const BASE = {
  dialect: 'adfs',
  source: SEEN,
  kind: 'access token',
  header: { typ: 'JWT', x5t: 'jeeTjLUam_5jJguq1jZLfYl8Gik' },
} as const;

const USER = {
  aud: DEVICE,
  iss: 'http://adfs.example/adfs/services/trust',
  ...TIMES,
  email: 'admin@ward.example',
  apptype: 'Confidential',
  appid: CLIENT,
  authmethod: 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport',
  auth_time: '2027-01-15T08:00:00.918Z',
  ver: '1.0',
  scp: 'openid read',
};
const { email: _email, auth_time: _time, ...MACHINE } = { ...USER, authmethod: 'client_secret', scp: 'read' };
const ID_TOKEN = {
  aud: CLIENT,
  iss: 'https://adfs.example/adfs',
  ...TIMES,
  auth_time: TIMES.iat,
  nonce: 'n',
  sub: 'e8x',
  upn: 'zofie@ward.example',
  unique_name: 'WARD\\zofie',
  sid: 'S-1-5-21',
};

export const ADFS_SHAPES: readonly Shape[] = [
  { ...BASE, name: 'ADFS, a user', claims: USER, byDefault: 'jwt_type_refused', ...UNBOUND },
  { ...BASE, name: 'ADFS, a machine', claims: MACHINE, byDefault: 'jwt_type_refused', ...UNBOUND },
  {
    ...BASE,
    name: 'ADFS 2016, a user, without a kid',
    header: { ...BASE.header, kid: undefined as never },
    claims: USER,
    byDefault: 'jwt_type_refused',
    ...UNBOUND,
  },
  {
    ...BASE,
    name: 'ADFS, a user, for the client itself',
    claims: { ...USER, aud: `microsoft:identityserver:${CLIENT}` },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_audience_mismatch',
  },
  {
    ...BASE,
    name: 'ADFS, an ID token: it has another issuer',
    source: ISSUERS,
    kind: 'ID token',
    claims: ID_TOKEN,
    byDefault: 'jwt_issuer_unknown',
    underDialect: 'jwt_issuer_unknown',
  },
  {
    ...BASE,
    name: 'ADFS, an ID token with the claims of the access token (scope allatclaims)',
    source: CONCEPTS,
    kind: 'ID token',
    claims: { ...USER, ...ID_TOKEN },
    byDefault: 'jwt_issuer_unknown',
    underDialect: 'jwt_issuer_unknown',
  },
];
