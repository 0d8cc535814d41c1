import { CLIENT, DEVICE, type Shape, SUBJECT, TIMES, UNBOUND } from './shape.ts';

const ACCESS =
  'https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html';
const ID =
  'https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-id-token.html';
const REFRESH =
  'https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-refresh-token.html';
const ISSUER = 'https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Example';

/** The header has `kid` and `alg`, and nothing else. The audience is the app client. */
const BASE = { dialect: 'cognito', source: ACCESS, kind: 'access token', header: {}, audience: CLIENT } as const;

const MACHINE = {
  sub: CLIENT,
  token_use: 'access',
  scope: 'tube-1/read',
  auth_time: TIMES.iat,
  iss: ISSUER,
  ...TIMES,
  version: 2,
  jti: 'a05d5b4e-6b1b-4bf7-8e3b-3b8f8f1b8f1b',
  client_id: CLIENT,
};
const USER = {
  ...MACHINE,
  sub: SUBJECT,
  device_key: 'eu-central-1_aaaaaaaa',
  'cognito:groups': ['nurses'],
  scope: 'openid tube-1/read',
  origin_jti: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
  event_id: '64f513be-32db-42b0-b78e-b02127b4f463',
  username: 'zofie',
};
const DEVICE_SCOPE = { scope: ['tube-1/read'] } as const;

export const COGNITO_SHAPES: readonly Shape[] = [
  { ...BASE, name: 'Cognito, a user', claims: USER, ...DEVICE_SCOPE, byDefault: 'jwt_type_refused', ...UNBOUND },
  { ...BASE, name: 'Cognito, a machine', claims: MACHINE, ...DEVICE_SCOPE, byDefault: 'jwt_type_refused', ...UNBOUND },
  {
    ...BASE,
    name: 'Cognito, a machine whose app client is for many devices',
    claims: MACHINE,
    audience: DEVICE,
    settings: 'shared_audience = "app-1"\ndevice_by = "scope"',
    byDefault: 'jwt_type_refused',
    ...UNBOUND,
  },
  {
    ...BASE,
    name: 'Cognito, a machine whose app client is for many devices, for another one',
    claims: { ...MACHINE, scope: 'tube-2/read' },
    audience: DEVICE,
    settings: 'shared_audience = "app-1"\ndevice_by = "scope"',
    byDefault: 'jwt_type_refused',
    underDialect: 'device_unnamed',
  },
  {
    ...BASE,
    name: 'Cognito, a user who signed in without managed login',
    claims: { ...USER, scope: 'aws.cognito.signin.user.admin' },
    byDefault: 'jwt_type_refused',
    underDialect: 'scope_empty',
  },
  {
    ...BASE,
    name: 'Cognito, a machine of another app client',
    claims: { ...MACHINE, sub: 'other-app', client_id: 'other-app' },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_audience_mismatch',
  },
  {
    ...BASE,
    name: 'Cognito, an ID token',
    source: ID,
    kind: 'ID token',
    claims: {
      sub: SUBJECT,
      'cognito:groups': ['nurses'],
      email_verified: true,
      iss: ISSUER,
      'cognito:username': 'zofie',
      nonce: 'abcdefg',
      origin_jti: USER.origin_jti,
      aud: CLIENT,
      event_id: USER.event_id,
      token_use: 'id',
      auth_time: TIMES.iat,
      ...TIMES,
      jti: 'b',
      email: 'zofie@ward.example',
    },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_claim_required',
  },
  {
    ...BASE,
    name: 'Cognito, a refresh token',
    source: REFRESH,
    kind: 'other',
    claims: USER,
    form: 'encrypted',
    byDefault: 'token_encrypted',
    underDialect: 'token_encrypted',
  },
];
