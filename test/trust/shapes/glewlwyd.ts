import { CLIENT, DEVICE, JKT, type Shape, SUBJECT, TIMES, UNBOUND_CLIENT } from './shape.ts';

const SOURCE = 'github.com/babelouest/glewlwyd src/plugin/protocol_oidc.c';
const DOCS = 'https://github.com/babelouest/glewlwyd/blob/master/docs/OIDC.md';

const BASE = { dialect: 'glewlwyd', source: SOURCE, kind: 'access token', header: { typ: 'at+jwt' } } as const;

const USER = {
  iss: 'https://glewlwyd.example/api/oidc',
  client_id: CLIENT,
  aud: DEVICE,
  sub: SUBJECT,
  jti: 'x2Pz',
  type: 'access_token',
  ...TIMES,
  nbf: TIMES.iat,
  scope: 'openid read',
};
const MACHINE = { ...USER, sub: CLIENT, scope: 'read' };
const BOUND = { cnf: { jkt: JKT } };

export const GLEWLWYD_SHAPES: readonly Shape[] = [
  {
    ...BASE,
    name: 'Glewlwyd, a user with DPoP',
    claims: { ...USER, ...BOUND, authorization_details: [{ type: 'tube', actions: ['read'] }] },
    byDefault: 'delivered',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'Glewlwyd, a machine with DPoP',
    claims: { ...MACHINE, ...BOUND },
    byDefault: 'delivered',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'Glewlwyd, a machine with DPoP and a certificate',
    claims: { ...MACHINE, cnf: { 'x5t#S256': 'bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2', jkt: JKT } },
    byDefault: 'delivered',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'Glewlwyd, a user without DPoP',
    claims: USER,
    byDefault: 'confirmation_missing',
    ...UNBOUND_CLIENT,
  },
  {
    ...BASE,
    name: 'Glewlwyd, a client that named no resource: the audience is the scope',
    source: DOCS,
    claims: { ...MACHINE, ...BOUND, aud: 'read' },
    byDefault: 'jwt_audience_mismatch',
    underDialect: 'jwt_audience_mismatch',
  },
  {
    ...BASE,
    name: 'Glewlwyd, an ID token',
    source: DOCS,
    kind: 'ID token',
    header: { typ: 'JWT' },
    claims: {
      iss: USER.iss,
      sub: SUBJECT,
      aud: CLIENT,
      ...TIMES,
      auth_time: TIMES.iat,
      nonce: 'n',
      at_hash: 'x',
      azp: CLIENT,
      amr: ['password'],
    },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_type_refused',
  },
];
