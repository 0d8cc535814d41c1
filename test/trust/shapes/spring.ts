import { CLIENT, DEVICE, JKT, type Shape, TIMES, UNBOUND_CLIENT } from './shape.ts';

const SOURCE =
  'github.com/spring-projects/spring-authorization-server oauth2-authorization-server/src/main/java/org/springframework/security/oauth2/server/authorization/token/JwtGenerator.java';

/** The header has `kid` and `alg`, and nothing else. `aud` is the client until a customizer writes the device. */
const BASE = { dialect: 'spring', source: SOURCE, kind: 'access token', header: {} } as const;

const USER = {
  sub: 'zofie',
  aud: DEVICE,
  nbf: TIMES.iat,
  scope: ['openid', 'read'],
  iss: 'https://spring.example',
  ...TIMES,
  jti: '9f3a4c8e-2c1d-4b5e-8c7f-1a2b3c4d5e6f',
};
const BOUND = { cnf: { jkt: JKT } };
/** Spring writes no client: that of a machine is the subject. */
const NAMELESS = { client: null } as const;

export const SPRING_SHAPES: readonly Shape[] = [
  {
    ...BASE,
    ...NAMELESS,
    name: 'Spring, a user with DPoP',
    claims: { ...USER, ...BOUND },
    byDefault: 'jwt_type_refused',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    ...NAMELESS,
    name: 'Spring, a machine with DPoP',
    claims: { ...USER, sub: CLIENT, scope: ['read'], ...BOUND },
    byDefault: 'jwt_type_refused',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    ...NAMELESS,
    name: 'Spring, a user without DPoP',
    claims: USER,
    byDefault: 'jwt_type_refused',
    ...UNBOUND_CLIENT,
  },
  {
    ...BASE,
    ...NAMELESS,
    name: 'Spring, a user with DPoP and no customizer: the audience is the client',
    claims: { ...USER, ...BOUND, aud: CLIENT },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_audience_mismatch',
  },
  {
    ...BASE,
    name: 'Spring, a user with DPoP and a customizer that follows RFC 9068',
    header: { typ: 'at+jwt' },
    claims: { ...USER, ...BOUND, scope: 'openid read', client_id: CLIENT },
    byDefault: 'delivered',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'Spring, an ID token',
    kind: 'ID token',
    claims: {
      sub: 'zofie',
      aud: CLIENT,
      azp: CLIENT,
      auth_time: TIMES.iat,
      iss: USER.iss,
      ...TIMES,
      nonce: 'n',
      jti: 'i',
      sid: 'kTNZ',
    },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_claim_required',
  },
];
