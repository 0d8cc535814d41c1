import { LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject } from '../core/json.ts';

/** Registered claims of an access token, each of the type that its RFC gives it. Not judged against anything yet. */
export interface JwtClaims {
  readonly issuer: string;
  readonly subject: string | undefined;
  readonly audience: readonly string[];
  readonly expiresAt: number;
  readonly notBefore: number | undefined;
  readonly issuedAt: number | undefined;
  readonly jwtId: string | undefined;
  readonly clientId: string | undefined;
  readonly scope: readonly string[];
  readonly confirmation: JsonObject | undefined;
}

/** 9999-12-31T23:59:59Z. What goes past it is milliseconds taken for seconds, or an attempt at an overflow. */
const LAST_DATE = 253_402_300_799;

/** RFC 6749 §3.3: printable ASCII without the quotation mark and the backslash. */
const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/**
 * Reads the claims that Latchkey knows (RFC 7519 §4.1, RFC 7800 §3.1, RFC 8693 §4.2, RFC 9068 §2.2).
 * @throws {LatchkeyError} `jwt_claim_missing`, `jwt_claim_invalid`; the detail names the claim, never its value
 */
export function readClaims(claims: JsonObject): JwtClaims {
  return {
    issuer: required(text(claims, 'iss'), 'iss'),
    expiresAt: required(date(claims, 'exp'), 'exp'),
    audience: required(audience(claims), 'aud'),
    subject: text(claims, 'sub'),
    notBefore: date(claims, 'nbf'),
    issuedAt: date(claims, 'iat'),
    jwtId: text(claims, 'jti'),
    clientId: text(claims, 'client_id'),
    scope: scope(claims),
    confirmation: confirmation(claims),
  };
}

/** RFC 9068 §2.2: what every token that claims this profile carries, beside iss, exp and aud. */
export function demandRfc9068({ subject, clientId, issuedAt, jwtId }: JwtClaims): void {
  required(subject, 'sub');
  required(clientId, 'client_id');
  required(issuedAt, 'iat');
  required(jwtId, 'jti');
}

function text(claims: JsonObject, name: string): string | undefined {
  const value = claims[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '') invalid(name);
  return value;
}

/** NumericDate: seconds since 1970, fractions allowed (RFC 7519 §2). */
function date(claims: JsonObject, name: string): number | undefined {
  const value = claims[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || value < 0 || value > LAST_DATE) invalid(name);
  return value;
}

/** One text, or a list of them (RFC 7519 §4.1.3). */
function audience(claims: JsonObject): readonly string[] | undefined {
  const { aud } = claims;
  if (aud === undefined) return undefined;
  const list: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (list.length === 0) invalid('aud');
  return list.map((member) => (typeof member === 'string' && member !== '' ? member : invalid('aud')));
}

/** Names separated by spaces, each once, in the issuer's order (RFC 8693 §4.2). Some servers write an empty text. */
function scope(claims: JsonObject): readonly string[] {
  const value = claims.scope;
  if (value === undefined || value === '') return [];
  if (typeof value !== 'string') invalid('scope');
  const names = value.split(' ').filter((name) => name !== '');
  if (!names.every((name) => SCOPE_TOKEN.test(name))) invalid('scope');
  return [...new Set(names)];
}

function confirmation({ cnf }: JsonObject): JsonObject | undefined {
  if (cnf === undefined || isJsonObject(cnf)) return cnf;
  invalid('cnf');
}

function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new LatchkeyError('jwt_claim_missing', name);
  return value;
}

function invalid(name: string): never {
  throw new LatchkeyError('jwt_claim_invalid', name);
}
