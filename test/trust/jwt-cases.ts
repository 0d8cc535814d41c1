/**
 * JWTs good and bad, each with what our verifier must say, and whether jose says otherwise. The table that
 * `differential.test.ts` runs through both.
 */
import { createHmac, sign } from 'node:crypto';
import { base64url, fromBase64url, utf8 } from '../../src/core/bytes.ts';
import type { ErrorCode } from '../../src/core/error-catalogue.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { IssuerPolicy } from '../../src/trust/issuer-policy.ts';
import { type JwtParts, signBytes, signingKey, signJwt } from '../fixtures/jwt-signing.ts';

export const ISSUER = 'https://as.example/realms/clinic';
export const AUDIENCE = 'https://tube-1.devices.example';
export const NOW = 1_800_000_000;

const es = signingKey('P-256', 'es-1');
const ed = signingKey('Ed25519', 'ed-1');
const rs = signingKey('RSA 2048', 'rs-1', { alg: 'RS256' });
const ps = signingKey('RSA 2048', 'ps-1', { alg: 'PS256' });
const forEncryption = signingKey('P-256', 'enc-1', { use: 'enc' });
const forSigning = signingKey('P-256', 'ops-1', { key_ops: ['sign'] });
const weak = signingKey('RSA 1024', 'weak-1', { alg: 'RS256' });
const p384 = signingKey('P-384', 'p384-1');
const stranger = signingKey('P-256', 'es-1');
/** Two keys that share a name: an issuer that forgot to rename its key when it rotated. */
const twins = [signingKey('P-256', 'twin'), signingKey('P-256', 'twin')] as const;

/** The issuer's key set. */
export const JWKS: JsonObject = {
  keys: [es, ed, rs, ps, forEncryption, forSigning, weak, p384, ...twins].map(({ jwk }) => jwk),
};
const ONE_KEY: JsonObject = { keys: [es.jwk] };

export interface JwtCase {
  readonly name: string;
  readonly jwt: string;
  /** Undefined where it must be accepted. */
  readonly code?: ErrorCode;
  /** Why jose, with equivalent options, decides otherwise. */
  readonly difference?: string;
  readonly policy?: Partial<IssuerPolicy>;
  readonly jwks?: JsonObject;
}

const HEADER = { alg: 'ES256', typ: 'at+jwt', kid: 'es-1' };
const CLAIMS = {
  iss: ISSUER,
  sub: 'doctor-7',
  aud: AUDIENCE,
  exp: NOW + 600,
  iat: NOW - 5,
  jti: 'b1946ac9',
  client_id: 'doctor-app',
  scope: 'read configure',
  cnf: { jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I' },
};
const GOOD = token();

/** A good token but for what is said. */
function token(parts: Partial<JwtParts> = {}): string {
  return signJwt({ key: es, header: HEADER, claims: CLAIMS, ...parts });
}
function header(members: JsonObject, parts: Partial<JwtParts> = {}): string {
  return token({ header: { ...HEADER, ...members }, ...parts });
}
function claims(members: JsonObject): string {
  return token({ claims: { ...CLAIMS, ...members } });
}
function without(name: keyof typeof CLAIMS): string {
  return token({ claims: Object.fromEntries(Object.entries(CLAIMS).filter(([member]) => member !== name)) });
}
function claimsText(text: string): string {
  return token({ claimsText: text });
}
/** The good claims as text, with members put in as they are spelled. */
function withText(members: string): string {
  return claimsText(`${JSON.stringify(CLAIMS).slice(0, -1)},${members}}`);
}
function part(jwt: string, index: 0 | 1 | 2): string {
  return jwt.split('.')[index] ?? '';
}
function withPart(jwt: string, index: 0 | 1 | 2, text: string): string {
  return jwt.split('.').with(index, text).join('.');
}
function withSignature(signature: Uint8Array): string {
  return withPart(GOOD, 2, base64url(signature));
}
/** The same bytes, spelled with other unused bits in the last character. */
function respelled(text: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const last = alphabet[alphabet.indexOf(text.at(-1) ?? '') ^ 1] ?? '';
  return text.slice(0, -1) + last;
}
/** A header whose length leaves unused bits, spelled in the wrong way and signed so. */
function respelledHeader(): string {
  const text = JSON.stringify(HEADER);
  const padded = text + ' '.repeat((4 - (text.length % 3)) % 3);
  const signed = `${respelled(base64url(utf8(padded)))}.${part(GOOD, 1)}`;
  return `${signed}.${base64url(signBytes('ES256', es.privateKey, utf8(signed)))}`;
}
/** The claims in the alphabet of base64, signed so; their text makes both characters that differ. */
function plainBase64(): string {
  const payload = Buffer.from(JSON.stringify({ ...CLAIMS, n: '>>>???' }))
    .toString('base64')
    .replace(/=+$/, '');
  const signed = `${part(GOOD, 0)}.${payload}`;
  return `${signed}.${base64url(signBytes('ES256', es.privateKey, utf8(signed)))}`;
}
function keyConfusion(): string {
  const secret = es.jwk.x as string;
  const signed = `${base64url(utf8(JSON.stringify({ ...HEADER, alg: 'HS256' })))}.${part(GOOD, 1)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}
const signingInput = utf8(GOOD.slice(0, GOOD.lastIndexOf('.')));
const signature = fromBase64url(part(GOOD, 2));

const FORM = 'RFC 7515 §2 has one spelling; jose decodes forgivingly';
const TWICE = 'RFC 8725 §2.4: the text has two readings; JSON.parse takes the last one';
const OWN_KEY = 'the member is of no effect in jose; we refuse a token that tries';
const NO_SENSE = 'jose reads registered claims that it was not asked about as they come';
const SKEW = 'jose knows one tolerance, and it would lengthen exp too: it runs with none';
const FUTURE = 'jose judges iat only where a maximum age was asked for';

export const GOOD_CASES: readonly JwtCase[] = [
  { name: 'an RFC 9068 token, ES256', jwt: GOOD },
  { name: 'EdDSA with Ed25519', jwt: header({ alg: 'EdDSA', kid: 'ed-1' }, { key: ed }) },
  { name: 'Ed25519 by its name of RFC 9864', jwt: header({ alg: 'Ed25519', kid: 'ed-1' }, { key: ed }) },
  { name: 'RS256', jwt: header({ alg: 'RS256', kid: 'rs-1' }, { key: rs }) },
  { name: 'PS256', jwt: header({ alg: 'PS256', kid: 'ps-1' }, { key: ps }) },
  { name: 'typ application/at+jwt', jwt: header({ typ: 'application/at+jwt' }) },
  { name: 'typ in capitals', jwt: header({ typ: 'AT+JWT' }) },
  {
    name: 'a Keycloak header: spaces, typ JWT, kid last',
    jwt: token({ header: '{"alg": "ES256","typ" : "JWT","kid" : "es-1"}' }),
    policy: { tokenTypes: ['JWT'] },
  },
  { name: 'an Entra header: x5t beside kid', jwt: header({ x5t: 'CtTuhMJmD5M7DLdzD2v2x3QKSRY' }) },
  { name: 'a header member that nobody knows', jwt: header({ 'pi.atm': 'k3' }) },
  { name: 'no kid, and one key that can be meant', jwt: header({ kid: undefined as never }), jwks: ONE_KEY },
  { name: 'several audiences, one of them ours', jwt: claims({ aud: ['https://else.example', AUDIENCE] }) },
  { name: 'exp with a fraction', jwt: claims({ exp: NOW + 600.5 }) },
  { name: 'exp in the next second', jwt: claims({ exp: NOW + 1 }) },
  { name: 'nbf at this second', jwt: claims({ nbf: NOW }) },
  { name: 'claims spelled with escapes', jwt: withText('"\\u006eote":"\\u00e9\\ud83d\\ude00"') },
  { name: 'claims beyond ASCII', jwt: claims({ name: 'Dr. Žofie Nováková 医' }) },
  { name: 'nested claims', jwt: claims({ authorization_details: [{ type: 'tube', locations: [{ room: [1, 2] }] }] }) },
  { name: 'an empty scope', jwt: claims({ scope: '' }) },
  { name: '200 groups', jwt: claims({ groups: Array.from({ length: 200 }, (_, index) => `group-${index}`) }) },
  {
    name: 'no sub, client_id, jti and iat, where RFC 9068 is not demanded',
    jwt: token({ claims: { iss: ISSUER, aud: AUDIENCE, exp: NOW + 600 } }),
  },
  { name: 'every claim of RFC 9068, where it is demanded', jwt: GOOD, policy: { requireRfc9068: true } },
  { name: 'the same member name at two places', jwt: claims({ cnf: { jwk: { iss: 'x' } } }) },
  { name: 'nbf ahead by less than the leeway', jwt: claims({ nbf: NOW + 20 }), difference: SKEW },
  { name: 'iat ahead by less than the leeway', jwt: claims({ iat: NOW + 20 }) },
  { name: 'no typ, where the operator allows it', jwt: header({ typ: undefined as never }), policy: { untyped: true } },
  {
    name: 'the first of two keys of one kid',
    jwt: header({ kid: 'twin' }, { key: twins[0] }),
    difference: 'jose leaves the choice among several keys to its caller',
  },
  {
    name: 'the second of two keys of one kid',
    jwt: header({ kid: 'twin' }, { key: twins[1] }),
    difference: 'jose leaves the choice among several keys to its caller',
  },
];

const FORM_CASES: readonly JwtCase[] = [
  { name: 'an empty text', jwt: '', code: 'jwt_malformed' },
  { name: 'one part', jwt: part(GOOD, 0), code: 'jwt_malformed' },
  { name: 'two parts', jwt: GOOD.slice(0, GOOD.lastIndexOf('.')), code: 'jwt_malformed' },
  { name: 'four parts', jwt: `${GOOD}.AAAA`, code: 'jwt_malformed' },
  { name: 'five parts, as a JWE has', jwt: `${GOOD}.AAAA.AAAA`, code: 'jwt_malformed' },
  { name: 'no header', jwt: withPart(GOOD, 0, ''), code: 'jwt_malformed' },
  { name: 'no payload', jwt: withPart(GOOD, 1, ''), code: 'jwt_malformed' },
  { name: 'padding after the signature', jwt: `${GOOD}==`, code: 'jwt_malformed', difference: FORM },
  { name: 'a space in front', jwt: ` ${GOOD}`, code: 'jwt_malformed' },
  { name: 'a line feed at the end', jwt: `${GOOD}\n`, code: 'jwt_malformed', difference: FORM },
  { name: 'base64 in place of base64url', jwt: plainBase64(), code: 'jwt_malformed' },
  {
    name: 'unused bits set in the signature',
    jwt: withPart(GOOD, 2, respelled(part(GOOD, 2))),
    code: 'jwt_malformed',
    difference: FORM,
  },
  { name: 'unused bits set in the header', jwt: respelledHeader(), code: 'jwt_malformed', difference: FORM },
  { name: 'a character beyond ASCII', jwt: withPart(GOOD, 2, `${part(GOOD, 2).slice(0, -1)}é`), code: 'jwt_malformed' },
  { name: 'a header that is no JSON', jwt: token({ header: 'alg=ES256' }), code: 'jwt_malformed' },
  { name: 'a header that is a list', jwt: token({ header: '["ES256"]' }), code: 'jwt_malformed' },
  { name: 'a header that is text', jwt: token({ header: '"ES256"' }), code: 'jwt_malformed' },
  {
    name: 'a header that is not UTF-8',
    jwt: token({
      header: new Uint8Array([...utf8('{"alg":"ES256","typ":"at+jwt","kid":"es-1","n":"'), 0xff, ...utf8('"}')]),
    }),
    code: 'jwt_malformed',
  },
  {
    name: 'a header behind a byte order mark',
    jwt: token({ header: `\ufeff${JSON.stringify(HEADER)}` }),
    code: 'jwt_malformed',
    difference: 'TextDecoder takes a byte order mark away',
  },
  {
    name: 'alg twice in the header',
    jwt: token({ header: '{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"es-1"}' }),
    code: 'jwt_malformed',
    difference: TWICE,
  },
  {
    name: 'kid twice in the header',
    jwt: token({ header: '{"alg":"ES256","typ":"at+jwt","kid":"ed-1","kid":"es-1"}' }),
    code: 'jwt_malformed',
    difference: TWICE,
  },
  { name: 'a header without alg', jwt: header({ alg: undefined as never }), code: 'jwt_malformed' },
  { name: 'alg that is a number', jwt: header({ alg: 256 }), code: 'jwt_malformed' },
  { name: 'alg that is empty', jwt: header({ alg: '' }), code: 'jwt_malformed' },
  { name: 'kid that is a number', jwt: header({ kid: 1 }), code: 'jwt_malformed' },
  { name: 'typ that is a number', jwt: header({ typ: 1 }), code: 'jwt_malformed' },
  { name: 'claims that are no JSON', jwt: claimsText('iss=x'), code: 'jwt_malformed' },
  { name: 'claims that are a list', jwt: claimsText('[]'), code: 'jwt_malformed' },
  { name: 'claims that are null', jwt: claimsText('null'), code: 'jwt_malformed' },
  { name: 'claims with something behind', jwt: claimsText(`${JSON.stringify(CLAIMS)}{}`), code: 'jwt_malformed' },
  { name: 'claims with a comment', jwt: claimsText(`/**/${JSON.stringify(CLAIMS)}`), code: 'jwt_malformed' },
  { name: 'exp twice', jwt: withText(`"exp":${NOW + 9}`), code: 'jwt_malformed', difference: TWICE },
  {
    name: 'exp twice, once with an escape',
    jwt: withText(`"e\\u0078p":${NOW + 9}`),
    code: 'jwt_malformed',
    difference: TWICE,
  },
  {
    name: 'a member twice deep inside',
    jwt: withText('"x":[{"cnf":{"kid":"a","kid":"b"}}]'),
    code: 'jwt_malformed',
    difference: TWICE,
  },
  {
    name: 'claims that are not UTF-8',
    jwt: token({
      claims: new Uint8Array([...utf8(`${JSON.stringify(CLAIMS).slice(0, -1)},"n":"`), 0xc0, 0x80, ...utf8('"}')]),
    }),
    code: 'jwt_malformed',
  },
  {
    name: 'half a surrogate pair',
    jwt: withText('"n":"\\ud800"'),
    code: 'jwt_malformed',
    difference: 'RFC 7493 §2.1; jose leaves it to its caller',
  },
  {
    name: 'a member __proto__',
    jwt: withText('"__proto__":{"admin":true}'),
    code: 'jwt_malformed',
    difference: 'harmless in jose itself; not for who copies its answer',
  },
  {
    name: 'a number out of range',
    jwt: withText('"n":1e999'),
    code: 'jwt_malformed',
    difference: 'JSON.parse makes Infinity of it',
  },
  {
    name: 'nesting of 17 levels',
    jwt: withText(`"n":${'['.repeat(16)}${']'.repeat(16)}`),
    code: 'jwt_malformed',
    difference: 'jose has no limit on depth',
  },
  {
    name: '2,000 elements',
    jwt: withText(`"n":[${'0,'.repeat(1999)}0]`),
    code: 'jwt_malformed',
    difference: 'jose has no limit on size',
  },
  {
    name: 'more than 16 KiB',
    jwt: claims({ filler: 'x'.repeat(13_000) }),
    code: 'jwt_too_large',
    difference: 'jose has no limit on size',
  },
];

const HEADER_CASES: readonly JwtCase[] = [
  {
    name: 'a critical member that is not understood',
    jwt: header({ crit: ['exp'], exp: 1 }),
    code: 'jwt_critical_unknown',
  },
  {
    name: 'b64 declared critical',
    jwt: header({ crit: ['b64'], b64: true }),
    code: 'jwt_critical_unknown',
    difference: 'jose understands b64',
  },
  { name: 'an empty crit', jwt: header({ crit: [] }), code: 'jwt_malformed' },
  { name: 'crit that is text', jwt: header({ crit: 'exp' }), code: 'jwt_malformed' },
  { name: 'crit that lists numbers', jwt: header({ crit: [1] }), code: 'jwt_malformed' },
  { name: 'its own key in jwk', jwt: header({ jwk: stranger.jwk }), code: 'jwt_header_refused', difference: OWN_KEY },
  {
    name: 'its own key in jwk, and signed with it',
    jwt: header({ jwk: stranger.jwk }, { key: stranger }),
    code: 'jwt_header_refused',
  },
  {
    name: 'an address of keys in jku',
    jwt: header({ jku: 'https://evil.example/jwks' }),
    code: 'jwt_header_refused',
    difference: OWN_KEY,
  },
  {
    name: 'an address of a certificate in x5u',
    jwt: header({ x5u: 'https://evil.example/c.pem' }),
    code: 'jwt_header_refused',
    difference: OWN_KEY,
  },
  { name: 'a certificate in x5c', jwt: header({ x5c: ['MIIB'] }), code: 'jwt_header_refused', difference: OWN_KEY },
  {
    name: 'b64 not declared critical',
    jwt: header({ b64: false }),
    code: 'jwt_header_refused',
    difference: 'RFC 7797 §6 lets it be ignored; it means nothing good',
  },
  { name: 'zip, which belongs to JWE', jwt: header({ zip: 'DEF' }), code: 'jwt_header_refused', difference: OWN_KEY },
  {
    name: 'enc, which belongs to JWE',
    jwt: header({ enc: 'A128GCM' }),
    code: 'jwt_header_refused',
    difference: OWN_KEY,
  },
  { name: 'no typ', jwt: header({ typ: undefined as never }), code: 'jwt_type_refused' },
  { name: 'typ of an ID token', jwt: header({ typ: 'JWT' }), code: 'jwt_type_refused' },
  { name: 'typ of a DPoP proof', jwt: header({ typ: 'dpop+jwt' }), code: 'jwt_type_refused' },
  { name: 'typ of a logout token', jwt: header({ typ: 'logout+jwt' }), code: 'jwt_type_refused' },
  { name: 'typ with a space', jwt: header({ typ: 'at+jwt ' }), code: 'jwt_type_refused' },
  { name: 'an empty typ', jwt: header({ typ: '' }), code: 'jwt_type_refused' },
];

const SIGNATURE_CASES: readonly JwtCase[] = [
  {
    name: 'alg none without a signature',
    jwt: `${base64url(utf8(JSON.stringify({ ...HEADER, alg: 'none' })))}.${part(GOOD, 1)}.`,
    code: 'jwt_algorithm_refused',
  },
  { name: 'alg None', jwt: header({ alg: 'None' }), code: 'jwt_algorithm_refused' },
  { name: 'alg es256 in small letters', jwt: header({ alg: 'es256' }), code: 'jwt_algorithm_refused' },
  { name: 'HS256 with the public key as the secret', jwt: keyConfusion(), code: 'jwt_algorithm_refused' },
  {
    name: 'ES384, which no device needs',
    jwt: header({ alg: 'ES384', kid: 'p384-1' }, { key: p384 }),
    code: 'jwt_algorithm_refused',
  },
  { name: 'RS512', jwt: header({ alg: 'RS512', kid: 'rs-1' }, { key: rs }), code: 'jwt_algorithm_refused' },
  {
    name: 'an algorithm that this issuer may not use',
    jwt: header({ alg: 'EdDSA', kid: 'ed-1' }, { key: ed }),
    policy: { algorithms: ['ES256'] },
    code: 'jwt_algorithm_refused',
  },
  { name: 'ES256 under the name of an RSA key', jwt: header({ kid: 'rs-1' }), code: 'jwt_algorithm_refused' },
  {
    name: 'PS256 with a key for RS256',
    jwt: header({ alg: 'PS256', kid: 'rs-1' }, { key: rs }),
    code: 'jwt_algorithm_refused',
  },
  {
    name: 'RS256 with a key for PS256',
    jwt: header({ alg: 'RS256', kid: 'ps-1' }, { key: ps }),
    code: 'jwt_algorithm_refused',
  },
  {
    name: 'altered claims',
    jwt: withPart(GOOD, 1, base64url(utf8(JSON.stringify({ ...CLAIMS, scope: 'admin' })))),
    code: 'jwt_signature_invalid',
  },
  {
    name: 'an altered header',
    jwt: withPart(GOOD, 0, base64url(utf8(JSON.stringify({ ...HEADER, x: 1 })))),
    code: 'jwt_signature_invalid',
  },
  {
    name: 'an altered signature',
    jwt: withSignature(signature.map((byte, index) => (index === 7 ? byte ^ 1 : byte))),
    code: 'jwt_signature_invalid',
  },
  { name: 'no signature', jwt: withPart(GOOD, 2, ''), code: 'jwt_signature_invalid' },
  { name: 'a signature cut short', jwt: withSignature(signature.subarray(0, 63)), code: 'jwt_signature_invalid' },
  {
    name: 'a signature with a byte more',
    jwt: withSignature(new Uint8Array([...signature, 0])),
    code: 'jwt_signature_invalid',
  },
  {
    name: 'a signature in DER',
    jwt: withSignature(sign('sha256', signingInput, es.privateKey)),
    code: 'jwt_signature_invalid',
  },
  { name: 'a signature of zeros', jwt: withSignature(new Uint8Array(64)), code: 'jwt_signature_invalid' },
  {
    name: 'r and s exchanged',
    jwt: withSignature(new Uint8Array([...signature.subarray(32), ...signature.subarray(0, 32)])),
    code: 'jwt_signature_invalid',
  },
  { name: 'another key of the same name', jwt: token({ key: stranger }), code: 'jwt_signature_invalid' },
  {
    name: 'an altered Ed25519 signature',
    jwt: header({ alg: 'EdDSA', kid: 'ed-1' }, { key: ed }).slice(0, -8).concat('AAAAAAAA'),
    code: 'jwt_signature_invalid',
  },
  {
    name: 'an Ed25519 token by another key',
    jwt: header({ alg: 'EdDSA', kid: 'ed-1' }, { key: signingKey('Ed25519', 'ed-1') }),
    code: 'jwt_signature_invalid',
  },
  {
    name: 'an RS256 token by another key',
    jwt: header({ alg: 'RS256', kid: 'rs-1' }, { key: ps }),
    code: 'jwt_signature_invalid',
  },
  {
    name: 'RS256 padding under PS256',
    jwt: header({ alg: 'PS256', kid: 'ps-1' }, { key: ps, algorithm: 'RS256' }),
    code: 'jwt_signature_invalid',
  },
  { name: 'a kid that the issuer does not publish', jwt: header({ kid: 'gone' }), code: 'key_unknown' },
  { name: 'a kid that is the name of an object member', jwt: header({ kid: 'constructor' }), code: 'key_unknown' },
  {
    name: 'no kid, and several keys that could be meant',
    jwt: header({ kid: undefined as never }),
    code: 'key_unknown',
  },
  { name: 'a key for encryption', jwt: header({ kid: 'enc-1' }, { key: forEncryption }), code: 'key_unknown' },
  { name: 'a key whose key_ops lack verify', jwt: header({ kid: 'ops-1' }, { key: forSigning }), code: 'key_unknown' },
  { name: 'an RSA key of 1024 bits', jwt: header({ alg: 'RS256', kid: 'weak-1' }, { key: weak }), code: 'key_unknown' },
];

const CLAIM_CASES: readonly JwtCase[] = [
  { name: 'no iss', jwt: without('iss'), code: 'jwt_claim_missing' },
  { name: 'no exp', jwt: without('exp'), code: 'jwt_claim_missing' },
  { name: 'no aud', jwt: without('aud'), code: 'jwt_claim_missing' },
  { name: 'iss of nobody known', jwt: claims({ iss: 'https://other.example' }), code: 'jwt_issuer_unknown' },
  { name: 'iss with a slash more', jwt: claims({ iss: `${ISSUER}/` }), code: 'jwt_issuer_unknown' },
  { name: 'iss in capitals', jwt: claims({ iss: ISSUER.toUpperCase() }), code: 'jwt_issuer_unknown' },
  { name: 'iss that is a list', jwt: claims({ iss: [ISSUER] }), code: 'jwt_claim_invalid' },
  { name: 'iss that is a number', jwt: claims({ iss: 1 }), code: 'jwt_claim_invalid' },
  { name: 'another audience', jwt: claims({ aud: 'https://tube-2.devices.example' }), code: 'jwt_audience_mismatch' },
  {
    name: 'an audience that only begins like ours',
    jwt: claims({ aud: `${AUDIENCE}.evil.example` }),
    code: 'jwt_audience_mismatch',
  },
  { name: 'several audiences, none of them ours', jwt: claims({ aud: ['a', 'b'] }), code: 'jwt_audience_mismatch' },
  { name: 'an empty list of audiences', jwt: claims({ aud: [] }), code: 'jwt_claim_invalid' },
  { name: 'aud that is a number', jwt: claims({ aud: 1 }), code: 'jwt_claim_invalid' },
  {
    name: 'aud that lists a number',
    jwt: claims({ aud: [AUDIENCE, 1] }),
    code: 'jwt_claim_invalid',
    difference: NO_SENSE,
  },
  { name: 'aud that is an object', jwt: claims({ aud: { 0: AUDIENCE } }), code: 'jwt_claim_invalid' },
  { name: 'exp that is text', jwt: claims({ exp: `${NOW + 600}` }), code: 'jwt_claim_invalid' },
  { name: 'exp that is null', jwt: claims({ exp: null }), code: 'jwt_claim_invalid' },
  { name: 'exp before 1970', jwt: claims({ exp: -1 }), code: 'jwt_claim_invalid' },
  {
    name: 'exp in milliseconds',
    jwt: claims({ exp: (NOW + 600) * 1000 }),
    code: 'jwt_claim_invalid',
    difference: 'jose has no last date',
  },
  { name: 'nbf that is text', jwt: claims({ nbf: '0' }), code: 'jwt_claim_invalid' },
  { name: 'iat that is text', jwt: claims({ iat: '0' }), code: 'jwt_claim_invalid' },
  { name: 'iat that is true', jwt: claims({ iat: true }), code: 'jwt_claim_invalid' },
  { name: 'sub that is a number', jwt: claims({ sub: 7 }), code: 'jwt_claim_invalid', difference: NO_SENSE },
  { name: 'an empty sub', jwt: claims({ sub: '' }), code: 'jwt_claim_invalid', difference: NO_SENSE },
  { name: 'jti that is a number', jwt: claims({ jti: 7 }), code: 'jwt_claim_invalid', difference: NO_SENSE },
  { name: 'client_id that is a list', jwt: claims({ client_id: [] }), code: 'jwt_claim_invalid', difference: NO_SENSE },
  { name: 'scope that is a list', jwt: claims({ scope: ['read'] }), code: 'jwt_claim_invalid', difference: NO_SENSE },
  {
    name: 'scope with a quotation mark',
    jwt: claims({ scope: 'read "all"' }),
    code: 'jwt_claim_invalid',
    difference: NO_SENSE,
  },
  {
    name: 'scope beyond ASCII',
    jwt: claims({ scope: 'lesen schreibén' }),
    code: 'jwt_claim_invalid',
    difference: NO_SENSE,
  },
  { name: 'cnf that is text', jwt: claims({ cnf: 'key' }), code: 'jwt_claim_invalid', difference: NO_SENSE },
  { name: 'cnf that is a list', jwt: claims({ cnf: [] }), code: 'jwt_claim_invalid', difference: NO_SENSE },
  { name: 'expired an hour ago', jwt: claims({ exp: NOW - 3600 }), code: 'jwt_expired' },
  { name: 'expired a second ago: no leeway lengthens a life', jwt: claims({ exp: NOW - 1 }), code: 'jwt_expired' },
  { name: 'expiring at this very second', jwt: claims({ exp: NOW }), code: 'jwt_expired' },
  { name: 'nbf ahead by more than the leeway', jwt: claims({ nbf: NOW + 61 }), code: 'jwt_not_yet_valid' },
  {
    name: 'iat ahead by more than the leeway',
    jwt: claims({ iat: NOW + 61 }),
    code: 'jwt_issued_in_future',
    difference: FUTURE,
  },
  {
    name: 'no sub, where RFC 9068 is demanded',
    jwt: without('sub'),
    policy: { requireRfc9068: true },
    code: 'jwt_claim_missing',
  },
  {
    name: 'no client_id, where RFC 9068 is demanded',
    jwt: without('client_id'),
    policy: { requireRfc9068: true },
    code: 'jwt_claim_missing',
  },
  {
    name: 'no jti, where RFC 9068 is demanded',
    jwt: without('jti'),
    policy: { requireRfc9068: true },
    code: 'jwt_claim_missing',
  },
  {
    name: 'no iat, where RFC 9068 is demanded',
    jwt: without('iat'),
    policy: { requireRfc9068: true },
    code: 'jwt_claim_missing',
  },
];

export const BAD_CASES: readonly JwtCase[] = [...FORM_CASES, ...HEADER_CASES, ...SIGNATURE_CASES, ...CLAIM_CASES];
