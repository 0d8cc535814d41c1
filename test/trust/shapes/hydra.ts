import { CLIENT, DEVICE, type Shape, SUBJECT, TIMES, UNBOUND } from './shape.ts';

const ACCESS = 'github.com/ory/hydra oauth2/session.go, fosite/token/jwt/claims_jwt.go';
const ID = 'github.com/ory/hydra fosite/token/jwt/claims_id_token.go';
const STRATEGY = 'https://www.ory.com/docs/oauth2-oidc/jwt-access-token';

const BASE = { dialect: 'hydra', source: ACCESS, kind: 'access token', header: { typ: 'JWT' } } as const;

const USER = {
  aud: [DEVICE],
  client_id: CLIENT,
  ...TIMES,
  ext: { department: 'ward 3' },
  iss: 'https://hydra.example',
  jti: '4ea5a0d9-1a2b-4c3d-8e4f-5a6b7c8d9e0f',
  nbf: TIMES.iat,
  scp: ['openid', 'read'],
  sub: SUBJECT,
};
const MACHINE = { ...USER, ext: {}, scp: ['read'], sub: CLIENT };

export const HYDRA_SHAPES: readonly Shape[] = [
  { ...BASE, name: 'Hydra, a user', claims: USER, byDefault: 'jwt_type_refused', ...UNBOUND },
  { ...BASE, name: 'Hydra, a machine', claims: MACHINE, byDefault: 'jwt_type_refused', ...UNBOUND },
  {
    ...BASE,
    name: 'Hydra, a machine, with the scope as text',
    source: STRATEGY,
    claims: { ...MACHINE, scp: undefined as never, scope: 'read' },
    byDefault: 'jwt_type_refused',
    ...UNBOUND,
  },
  {
    ...BASE,
    name: 'Hydra, a machine that asked for no audience',
    claims: { ...MACHINE, aud: [] },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_claim_missing',
  },
  {
    ...BASE,
    name: 'Hydra, an opaque token',
    source: STRATEGY,
    form: 'opaque',
    claims: {},
    byDefault: 'token_opaque',
    underDialect: 'token_opaque',
  },
  {
    ...BASE,
    name: 'Hydra, an ID token',
    source: ID,
    kind: 'ID token',
    claims: {
      acr: '0',
      aud: [CLIENT],
      auth_time: TIMES.iat,
      ...TIMES,
      iss: USER.iss,
      jti: 'i',
      rat: TIMES.iat,
      sid: 's',
      sub: SUBJECT,
    },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_claim_required',
  },
];
