/** JWTs under the settings that dialects are made of, each alone. What servers write is in test/trust/shapes. */
import {
  CLAIMS,
  claims,
  ed448,
  header,
  type JwtCase,
  NOW,
  OWN_KEY,
  stranger,
  token,
  without,
} from './jwt-case-parts.ts';

const UNTYPED = 'jose takes one type, and demands nothing of the claims beside';
const ID_TOKEN = 'jose does not know an ID token by its claims';
const DEMANDED = 'jose demands claims and no values';
const ELSEWHERE = 'jose looks for the audience in aud alone';

const ED448 = 'jose does not speak Ed448';

export const GOOD_DIALECT_CASES: readonly JwtCase[] = [
  {
    name: 'Ed448 by its name of RFC 9864',
    jwt: header({ alg: 'Ed448', kid: 'ed448-1' }, { key: ed448 }),
    policy: { algorithms: ['Ed448'] },
    difference: ED448,
  },
  {
    name: 'Ed448 by its name of RFC 8037, beside Ed25519',
    jwt: header({ alg: 'EdDSA', kid: 'ed448-1' }, { key: ed448 }),
    policy: { algorithms: ['EdDSA', 'Ed448'] },
    difference: ED448,
  },
  {
    name: 'the scope in a claim of another name',
    jwt: claims({ scope: undefined as never, roles: ['read'] }),
    policy: { scopeClaims: ['scp', 'roles'] },
  },
  {
    name: 'a scope that no claim of the settings has is not looked at',
    jwt: claims({ scope: '"' }),
    policy: { scopeClaims: ['roles'] },
  },
  {
    name: 'a claim with the value that is demanded',
    jwt: claims({ token_use: 'access' }),
    policy: { requiredClaims: ['token_use=id|access'] },
  },
  {
    name: 'one of the claims that are demanded',
    jwt: claims({ appid: 'a' }),
    policy: { requiredClaims: ['azp|appid'] },
  },
  {
    name: 'a nonce, in a token whose type says what it is',
    jwt: claims({ nonce: 'n' }),
  },
  {
    name: 'a nonce, in a token whose claim says what it is',
    jwt: header({ typ: 'JWT' }, { claims: { ...CLAIMS, nonce: 'n', tokenName: 'access_token' } }),
    policy: { tokenTypes: ['JWT'], requiredClaims: ['tokenName=access_token'] },
  },
  {
    name: 'zip with the value that may be ignored',
    jwt: header({ zip: 'NONE' }),
    policy: { ignoredHeaders: ['zip=NONE'] },
  },
  { name: 'x5c where it may be ignored', jwt: header({ x5c: ['MIIB'] }), policy: { ignoredHeaders: ['x5c'] } },
  {
    name: 'the audience in a claim of another name',
    jwt: token({ claims: { ...CLAIMS, aud: undefined as never, client_id: CLAIMS.aud } }),
    policy: { audienceClaims: ['aud', 'client_id'] },
    difference: ELSEWHERE,
  },
  {
    name: 'an empty list of audiences, and the audience in the next claim',
    jwt: claims({ aud: [], client_id: CLAIMS.aud }),
    policy: { audienceClaims: ['aud', 'client_id'] },
    difference: ELSEWHERE,
  },
];

export const BAD_DIALECT_CASES: readonly JwtCase[] = [
  {
    name: 'Ed448, which the default list lacks, by the name EdDSA',
    jwt: header({ alg: 'EdDSA', kid: 'ed448-1' }, { key: ed448 }),
    code: 'key_unknown',
  },
  {
    name: 'Ed448 by the name of Ed25519',
    jwt: header({ alg: 'Ed25519', kid: 'ed448-1' }, { key: ed448 }),
    policy: { algorithms: ['EdDSA', 'Ed448'] },
    code: 'jwt_algorithm_refused',
  },
  { name: 'at_hash: an ID token', jwt: claims({ at_hash: 'x' }), code: 'jwt_type_refused', difference: ID_TOKEN },
  {
    name: 'c_hash behind a nested claim: an ID token',
    jwt: claims({ deep: {}, c_hash: 'x' }),
    code: 'jwt_type_refused',
    difference: ID_TOKEN,
  },
  {
    name: 'a nonce where the type tells nothing: an ID token',
    jwt: header({ typ: 'JWT' }, { claims: { ...CLAIMS, nonce: 'n' } }),
    policy: { tokenTypes: ['JWT'] },
    code: 'jwt_type_refused',
    difference: ID_TOKEN,
  },
  {
    name: 'a nonce without any type: an ID token',
    jwt: header({ typ: undefined as never }, { claims: { ...CLAIMS, nonce: 'n' } }),
    policy: { tokenTypes: ['none'] },
    code: 'jwt_type_refused',
    difference: ID_TOKEN,
  },
  {
    name: 'a nonce beside a claim that ID tokens may have as well: an ID token',
    jwt: header({ typ: 'JWT' }, { claims: { ...CLAIMS, nonce: 'n', azp: 'a' } }),
    policy: { tokenTypes: ['JWT'], requiredClaims: ['azp'] },
    code: 'jwt_type_refused',
    difference: ID_TOKEN,
  },
  ...(
    [
      ['none', undefined, { token_use: 'id' }],
      ['JWT', 'JWT', { typ: 'ID' }],
      ['JWT', 'JWT', { typ: 'Refresh' }],
      ['JWT', 'JWT', { tokenName: 'id_token' }],
    ] as const
  ).map(([taken, typ, kind]): JwtCase & { readonly code: 'jwt_type_refused' } => ({
    name: `${JSON.stringify(kind)} with the typ ${taken}, and no dialect that demands another`,
    jwt: header({ typ: typ as never }, { claims: { ...CLAIMS, ...kind } }),
    policy: { tokenTypes: [taken] },
    code: 'jwt_type_refused',
    difference: ID_TOKEN,
  })),
  {
    name: 'typ "none", which is a type',
    jwt: header({ typ: 'none' }),
    policy: { tokenTypes: ['none'] },
    code: 'jwt_type_refused',
    difference: UNTYPED,
  },
  {
    name: 'no typ, where only JWT is allowed',
    jwt: header({ typ: undefined as never }),
    policy: { tokenTypes: ['JWT'] },
    code: 'jwt_type_refused',
  },
  {
    name: 'without a claim that is demanded',
    jwt: claims({}),
    policy: { requiredClaims: ['cid'] },
    code: 'jwt_claim_required',
    difference: DEMANDED,
  },
  {
    name: 'a claim that is demanded, with another value',
    jwt: claims({ token_use: 'id' }),
    policy: { requiredClaims: ['token_use=access'] },
    code: 'jwt_claim_required',
    difference: DEMANDED,
  },
  {
    name: 'a claim that is demanded as text, in a list',
    jwt: claims({ token_use: ['access'] }),
    policy: { requiredClaims: ['token_use=access'] },
    code: 'jwt_claim_required',
    difference: DEMANDED,
  },
  {
    name: 'one of two demands met',
    jwt: claims({ cid: 'c' }),
    policy: { requiredClaims: ['cid', 'uid'] },
    code: 'jwt_claim_required',
    difference: DEMANDED,
  },
  {
    name: 'a demanded claim by the name of an object member',
    jwt: claims({}),
    policy: { requiredClaims: ['constructor'] },
    code: 'jwt_claim_required',
    difference: DEMANDED,
  },
  {
    name: 'an audience by the name of an object member',
    jwt: without('aud'),
    policy: { audienceClaims: ['constructor'] },
    code: 'jwt_claim_missing',
  },
  {
    name: 'zip with another value than may be ignored',
    jwt: header({ zip: 'DEF' }),
    policy: { ignoredHeaders: ['zip=NONE'] },
    code: 'jwt_header_refused',
    difference: OWN_KEY,
  },
  {
    name: 'jwk, which no setting lets pass',
    jwt: header({ jwk: stranger.jwk }),
    policy: { ignoredHeaders: ['jwk'] },
    code: 'jwt_header_refused',
    difference: OWN_KEY,
  },
  {
    name: 'b64, which no setting lets pass',
    jwt: header({ b64: true }),
    policy: { ignoredHeaders: ['b64'] },
    code: 'jwt_header_refused',
    difference: OWN_KEY,
  },
  {
    name: 'an expired ID token: its type comes first',
    jwt: claims({ at_hash: 'x', exp: NOW - 1 }),
    code: 'jwt_type_refused',
  },
  {
    name: 'the audience in aud, where it is looked for elsewhere',
    jwt: claims({}),
    policy: { audienceClaims: ['client_id'] },
    code: 'jwt_audience_mismatch',
    difference: ELSEWHERE,
  },
];
