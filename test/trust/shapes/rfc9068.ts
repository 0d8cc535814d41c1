import { CLIENT, DEVICE, ENCRYPTED, JKT, type Shape, SUBJECT, TIMES, UNBOUND_CLIENT } from './shape.ts';

const RFC = 'https://www.rfc-editor.org/rfc/rfc9068#section-2';
const OIDC = 'https://openid.net/specs/openid-connect-core-1_0.html#IDToken';
const ISSUER = 'https://as.example';

const BASE = {
  dialect: 'rfc9068',
  source: RFC,
  kind: 'access token',
  header: { typ: 'at+jwt' },
} as const;

const CLAIMS = {
  iss: ISSUER,
  sub: SUBJECT,
  aud: DEVICE,
  ...TIMES,
  jti: 'dbe39bf3a3ba4238a513f51d6e1691c4',
  client_id: CLIENT,
  scope: 'openid profile read',
};

export const RFC9068_SHAPES: readonly Shape[] = [
  {
    ...BASE,
    name: 'RFC 9068 with DPoP',
    claims: { ...CLAIMS, cnf: { jkt: JKT } },
    byDefault: 'delivered',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'RFC 9068 with DPoP, ES256',
    header: { typ: 'application/at+jwt', alg: 'ES256' },
    claims: { ...CLAIMS, cnf: { jkt: JKT } },
    byDefault: 'delivered',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'RFC 9068 signed with ES384, where the operator allows it',
    header: { typ: 'at+jwt', alg: 'ES384' },
    claims: { ...CLAIMS, cnf: { jkt: JKT } },
    settings: 'algorithms = ["ES384"]',
    byDefault: 'jwt_algorithm_refused',
    underDialect: 'delivered',
  },
  { ...BASE, name: 'RFC 9068 without a key', claims: CLAIMS, byDefault: 'confirmation_missing', ...UNBOUND_CLIENT },
  {
    ...BASE,
    name: 'RFC 9068 with a certificate in the header (gematik ZETA)',
    source: 'https://github.com/gematik/zeta/blob/main/src/schemas/access-token.yaml',
    header: { typ: 'at+jwt', alg: 'ES256', x5c: ['MIIB'] },
    claims: { ...CLAIMS, cnf: { jkt: JKT } },
    settings: 'ignored_headers = ["x5c"]',
    byDefault: 'jwt_header_refused',
    underDialect: 'delivered',
  },
  { ...BASE, name: 'RFC 9068, encrypted (RFC 7519 §5.2)', claims: CLAIMS, ...ENCRYPTED },
  {
    ...BASE,
    name: 'an ID token of OpenID Connect Core',
    source: OIDC,
    kind: 'ID token',
    header: {},
    claims: { iss: ISSUER, sub: '24400320', aud: CLIENT, nonce: 'n-0S6_WzA2Mj', ...TIMES, auth_time: TIMES.iat },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_type_refused',
  },
];
