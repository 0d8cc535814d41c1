import { CLIENT, DEVICE, JKT, type Shape, SUBJECT, TIMES, UNBOUND_CLIENT } from './shape.ts';

const TOKENS = 'https://developer.okta.com/docs/guides/customize-tokens-returned-from-okta/main/';
const DPOP = 'https://developer.okta.com/docs/guides/dpop/nonoktaresourceserver/main/';
const SERVERS = 'https://developer.okta.com/docs/concepts/auth-servers/#org-authorization-server';

/** The header has `kid` and `alg`, and nothing else. */
const BASE = { dialect: 'okta', source: TOKENS, kind: 'access token', header: {} } as const;

const USER = {
  ver: 1,
  jti: 'AT.bcNo4WsBA8QS81SOrrTxWbqMsO50lrFxlYK88DlAPiM',
  iss: 'https://example.okta.com/oauth2/default',
  aud: DEVICE,
  ...TIMES,
  cid: CLIENT,
  uid: '00uixa271s6x7qt8I0h7',
  scp: ['openid', 'read'],
  auth_time: TIMES.iat,
  sub: 'joe.user@example.com',
};
const { uid: _uid, auth_time: _time, ...MACHINE } = { ...USER, scp: ['read'], sub: CLIENT };

export const OKTA_SHAPES: readonly Shape[] = [
  {
    ...BASE,
    name: 'Okta, a user with DPoP',
    source: DPOP,
    claims: { ...USER, cnf: { jkt: JKT } },
    byDefault: 'jwt_type_refused',
    underDialect: 'delivered',
  },
  {
    ...BASE,
    name: 'Okta, a machine with DPoP',
    source: DPOP,
    claims: { ...MACHINE, cnf: { jkt: JKT } },
    byDefault: 'jwt_type_refused',
    underDialect: 'delivered',
  },
  { ...BASE, name: 'Okta, a user without DPoP', claims: USER, byDefault: 'jwt_type_refused', ...UNBOUND_CLIENT },
  {
    ...BASE,
    name: 'Okta, a token of the org authorization server',
    source: SERVERS,
    claims: { ...USER, iss: 'https://example.okta.com', aud: 'https://example.okta.com', cnf: { jkt: JKT } },
    byDefault: 'jwt_issuer_unknown',
    underDialect: 'jwt_issuer_unknown',
  },
  {
    ...BASE,
    name: 'Okta, an ID token',
    kind: 'ID token',
    claims: {
      sub: SUBJECT,
      email: 'joe.user@example.com',
      ver: 1,
      iss: USER.iss,
      aud: CLIENT,
      ...TIMES,
      jti: 'ID.T-ngjNl193t6rg3_eXifJatKDhLPviN8NG02wJLWf2g',
      amr: ['mfa', 'pwd'],
      idp: '00oixa26ycdNcX0VT0h7',
      nonce: 'myNonceValue',
      auth_time: TIMES.iat,
    },
    byDefault: 'jwt_type_refused',
    underDialect: 'jwt_claim_required',
  },
];
