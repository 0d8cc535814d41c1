/** Keys of an issuer, and JWTs that are good but for one thing: what the tables of JWT cases are made of. */
import { createHmac } from 'node:crypto';
import { base64url, fromBase64url, utf8 } from '../../src/core/bytes.ts';
import type { ErrorCode } from '../../src/core/error-catalogue.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { IssuerPolicy } from '../../src/trust/issuer-policy.ts';
import { type JwtParts, signBytes, signingKey, signJwt } from '../fixtures/jwt-signing.ts';

export const ISSUER = 'https://as.example/realms/clinic';
export const AUDIENCE = 'https://tube-1.devices.example';
export const NOW = 1_800_000_000;

export const es = signingKey('P-256', 'es-1');
export const ed = signingKey('Ed25519', 'ed-1');
export const rs = signingKey('RSA 2048', 'rs-1', { alg: 'RS256' });
export const ps = signingKey('RSA 2048', 'ps-1', { alg: 'PS256' });
export const forEncryption = signingKey('P-256', 'enc-1', { use: 'enc' });
export const forSigning = signingKey('P-256', 'ops-1', { key_ops: ['sign'] });
export const weak = signingKey('RSA 1024', 'weak-1', { alg: 'RS256' });
export const p384 = signingKey('P-384', 'p384-1');
export const ed448 = signingKey('Ed448', 'ed448-1');
export const stranger = signingKey('P-256', 'es-1');
/** Two keys that share a name: an issuer that forgot to rename its key when it rotated. */
export const twins = [signingKey('P-256', 'twin'), signingKey('P-256', 'twin')] as const;

/** The issuer's key set. */
export const JWKS: JsonObject = {
  keys: [es, ed, rs, ps, forEncryption, forSigning, weak, p384, ed448, ...twins].map(({ jwk }) => jwk),
};
export const ONE_KEY: JsonObject = { keys: [es.jwk] };

export interface JwtCase {
  readonly name: string;
  readonly jwt: string;
  /** Undefined where it must be accepted. */
  readonly code?: ErrorCode;
  /** Why jose, with equivalent options, decides otherwise. */
  readonly difference?: string;
  readonly policy?: Partial<IssuerPolicy>;
  /** The device that it is for has no clock. */
  readonly withoutClock?: true;
  readonly jwks?: JsonObject;
}

export const HEADER = { alg: 'ES256', typ: 'at+jwt', kid: 'es-1' };
export const CLAIMS = {
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
export const GOOD = token();

/** A good token but for what is said. */
export function token(parts: Partial<JwtParts> = {}): string {
  return signJwt({ key: es, header: HEADER, claims: CLAIMS, ...parts });
}
export function header(members: JsonObject, parts: Partial<JwtParts> = {}): string {
  return token({ header: { ...HEADER, ...members }, ...parts });
}
export function claims(members: JsonObject): string {
  return token({ claims: { ...CLAIMS, ...members } });
}
export function without(name: keyof typeof CLAIMS): string {
  return token({ claims: Object.fromEntries(Object.entries(CLAIMS).filter(([member]) => member !== name)) });
}
/** The good claims without `exp`, and with what is said. */
export function undated(members: JsonObject): string {
  const { exp: _, ...rest } = CLAIMS;
  return token({ claims: { ...rest, ...members } });
}
export function claimsText(text: string): string {
  return token({ claimsText: text });
}
/** The good claims as text, with members put in as they are spelled. */
export function withText(members: string): string {
  return claimsText(`${JSON.stringify(CLAIMS).slice(0, -1)},${members}}`);
}
export function part(jwt: string, index: 0 | 1 | 2): string {
  return jwt.split('.')[index] ?? '';
}
export function withPart(jwt: string, index: 0 | 1 | 2, text: string): string {
  return jwt.split('.').with(index, text).join('.');
}
export function withSignature(signature: Uint8Array): string {
  return withPart(GOOD, 2, base64url(signature));
}
/** The same bytes, spelled with other unused bits in the last character. */
export function respelled(text: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const last = alphabet[alphabet.indexOf(text.at(-1) ?? '') ^ 1] ?? '';
  return text.slice(0, -1) + last;
}
/** A header whose length leaves unused bits, spelled in the wrong way and signed so. */
export function respelledHeader(): string {
  const text = JSON.stringify(HEADER);
  const padded = text + ' '.repeat((4 - (text.length % 3)) % 3);
  const signed = `${respelled(base64url(utf8(padded)))}.${part(GOOD, 1)}`;
  return `${signed}.${base64url(signBytes('ES256', es.privateKey, utf8(signed)))}`;
}
/** The claims in the alphabet of base64, signed so; their text makes both characters that differ. */
export function plainBase64(): string {
  const payload = Buffer.from(JSON.stringify({ ...CLAIMS, n: '>>>???' }))
    .toString('base64')
    .replace(/=+$/, '');
  const signed = `${part(GOOD, 0)}.${payload}`;
  return `${signed}.${base64url(signBytes('ES256', es.privateKey, utf8(signed)))}`;
}
export function keyConfusion(): string {
  const secret = es.jwk.x as string;
  const signed = `${base64url(utf8(JSON.stringify({ ...HEADER, alg: 'HS256' })))}.${part(GOOD, 1)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}
export const signingInput = utf8(GOOD.slice(0, GOOD.lastIndexOf('.')));
export const signature = fromBase64url(part(GOOD, 2));

export const FORM = 'RFC 7515 §2 has one spelling; jose decodes forgivingly';
export const TWICE = 'RFC 8725 §2.4: the text has two readings; JSON.parse takes the last one';
export const OWN_KEY = 'the member is of no effect in jose; we refuse a token that tries';
export const NO_SENSE = 'jose reads registered claims that it was not asked about as they come';
export const SKEW = 'jose knows one tolerance, and it would lengthen exp too: it runs with none';
export const NO_EXP = 'jose is told to demand exp; RFC 9200 §5.10.3 has exi in its place';
export const FUTURE = 'jose judges iat only where a maximum age was asked for';
