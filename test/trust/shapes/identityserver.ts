import { CLIENT, DEVICE, JKT, type Shape, SUBJECT, TIMES, UNBOUND_CLIENT } from './shape.ts';

const OPTIONS = 'https://docs.duendesoftware.com/identityserver/reference/options/';
const SOURCE =
  'github.com/DuendeSoftware/IdentityServer src/IdentityServer/Services/Default/DefaultTokenCreationService.cs';
const POP = 'https://docs.duendesoftware.com/identityserver/tokens/pop/';
const REFERENCE = 'https://docs.duendesoftware.com/identityserver/tokens/reference/';

const BASE = { dialect: 'identityserver', source: OPTIONS, kind: 'access token', header: { typ: 'at+jwt' } } as const;

const USER = {
  iss: 'https://identity.example',
  nbf: TIMES.iat,
  ...TIMES,
  aud: DEVICE,
  scope: ['openid', 'profile', 'read'],
  amr: ['pwd'],
  client_id: CLIENT,
  sub: SUBJECT,
  auth_time: TIMES.iat,
  idp: 'local',
  sid: 'E7B7A6',
  jti: 'D2A8',
};
const { amr: _amr, sub: _sub, auth_time: _time, idp: _idp, sid: _sid, ...MACHINE } = { ...USER, scope: ['read'] };
const BOUND = { cnf: { jkt: JKT } };

export const IDENTITYSERVER_SHAPES: readonly Shape[] = [
  {
    ...BASE,
    name: 'Duende IdentityServer, a user with DPoP',
    source: POP,
    claims: { ...USER, ...BOUND },
    byDefault: 'delivered',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'Duende IdentityServer, a machine with DPoP and the scope as text',
    source: POP,
    claims: { ...MACHINE, ...BOUND, scope: 'read' },
    byDefault: 'delivered',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'IdentityServer4, a machine',
    claims: MACHINE,
    byDefault: 'confirmation_missing',
    ...UNBOUND_CLIENT,
  },
  {
    ...BASE,
    name: 'IdentityServer4, a user, with AccessTokenJwtType left empty',
    source: SOURCE,
    header: { typ: 'JWT' },
    claims: USER,
    byDefault: 'jwt_type_refused',
    ...UNBOUND_CLIENT,
  },
  {
    ...BASE,
    name: 'IdentityServer, a reference token',
    source: REFERENCE,
    form: 'opaque',
    claims: {},
    byDefault: 'token_opaque',
    underDialect: 'token_opaque',
  },
  {
    ...BASE,
    name: 'IdentityServer, an ID token',
    source: SOURCE,
    kind: 'ID token',
    header: { typ: 'JWT' },
    claims: {
      iss: USER.iss,
      nbf: TIMES.iat,
      ...TIMES,
      aud: CLIENT,
      amr: ['pwd'],
      nonce: 'n',
      at_hash: 'xKk0mLWyQiGsMBqUMBBKuw',
      sid: USER.sid,
      sub: SUBJECT,
      auth_time: TIMES.iat,
      idp: 'local',
    },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_type_refused',
  },
];
