import { LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';

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

/** RFC 6749 §3.3: names of printable ASCII without the quotation mark and the backslash; spaces between them. */
const SCOPE = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/**
 * Reads the claims that Latchkey knows (RFC 7519 §4.1, RFC 7800 §3.1, RFC 8693 §4.2, RFC 9068 §2.2).
 * @throws {LatchkeyError} `jwt_claim_missing`, `jwt_claim_invalid`; the detail names the claim, never its value
 */
export function readClaims({ iss, sub, aud, exp, nbf, iat, jti, client_id, scope, cnf }: JsonObject): JwtClaims {
  return {
    issuer: required(text(iss, 'iss'), 'iss'),
    expiresAt: required(date(exp, 'exp'), 'exp'),
    audience: required(audience(aud), 'aud'),
    subject: text(sub, 'sub'),
    notBefore: date(nbf, 'nbf'),
    issuedAt: date(iat, 'iat'),
    jwtId: text(jti, 'jti'),
    clientId: text(client_id, 'client_id'),
    scope: scopeNames(scope),
    confirmation: confirmation(cnf),
  };
}

/** RFC 9068 §2.2: what every token that claims this profile carries, beside iss, exp and aud. */
export function demandRfc9068({ subject, clientId, issuedAt, jwtId }: JwtClaims): void {
  required(subject, 'sub');
  required(clientId, 'client_id');
  required(issuedAt, 'iat');
  required(jwtId, 'jti');
}

function text(value: JsonValue | undefined, name: string): string | undefined {
  if (value === undefined || (typeof value === 'string' && value !== '')) return value;
  invalid(name);
}

/** NumericDate: seconds since 1970, fractions allowed (RFC 7519 §2). */
function date(value: JsonValue | undefined, name: string): number | undefined {
  if (value === undefined || (typeof value === 'number' && value >= 0 && value <= LAST_DATE)) return value;
  invalid(name);
}

/** One text, or a list of them (RFC 7519 §4.1.3). */
function audience(value: JsonValue | undefined): readonly string[] | undefined {
  if (value === undefined) return undefined;
  const list: readonly JsonValue[] = Array.isArray(value) ? value : [value];
  if (list.length === 0) invalid('aud');
  return list.map((member) => (typeof member === 'string' && member !== '' ? member : invalid('aud')));
}

/** Names separated by spaces, in the issuer's order (RFC 8693 §4.2). Some servers write an empty text. */
function scopeNames(value: JsonValue | undefined): readonly string[] {
  if (value === undefined || value === '') return [];
  if (typeof value !== 'string' || !SCOPE.test(value)) invalid('scope');
  return value.includes(' ') ? value.split(' ').filter((name) => name !== '') : [value];
}

function confirmation(value: JsonValue | undefined): JsonObject | undefined {
  if (value === undefined || isJsonObject(value)) return value;
  invalid('cnf');
}

function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new LatchkeyError('jwt_claim_missing', name);
  return value;
}

function invalid(name: string): never {
  throw new LatchkeyError('jwt_claim_invalid', name);
}
