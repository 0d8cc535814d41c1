import { parseStrictJsonObject } from '../codec/strict-json.ts';
import { fromBase64url } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';

/** What a compact JWT (or, with no claims, a JWE) says. Nothing is verified, and no key is in it. */
export interface InspectedJwt {
  readonly kind: 'jwt' | 'jwe';
  readonly verified: false;
  readonly bytes: number;
  readonly header: JsonValue;
  readonly claims?: JsonValue;
  /** The dates of the claims, readable. */
  readonly times?: Readonly<Record<string, string>>;
  /** Bytes of the signature, or of ciphertext and tag. */
  readonly signature_bytes?: number;
  readonly ciphertext_bytes?: number;
}

/** @throws {LatchkeyError} `jwt_malformed` or `base64url_invalid` where it cannot be read */
export function inspectJwt(text: string): InspectedJwt {
  const parts = text.split('.');
  const header = withoutKeys(readObject(parts[0] ?? ''));
  const base = { verified: false, bytes: text.length, header } as const;
  if (parts.length === 5) return { kind: 'jwe', ...base, ciphertext_bytes: fromBase64url(parts[3] ?? '').length };
  if (parts.length !== 3) throw new LatchkeyError('jwt_malformed', `${parts.length} parts`);
  const claims = readObject(parts[1] ?? '');
  return {
    kind: 'jwt',
    ...base,
    claims: withoutKeys(claims),
    times: times(claims),
    signature_bytes: fromBase64url(parts[2] ?? '').length,
  };
}

function readObject(part: string): JsonObject {
  return parseStrictJsonObject(fromBase64url(part));
}

/** Private and symmetric members of a JWK (RFC 7518 §6): `d` … for a private key, `k` for a secret. */
const KEY_MEMBERS: ReadonlySet<string> = new Set(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']);
const KEY_PLACES: ReadonlySet<string> = new Set(['jwk', 'keys']);

function withoutKeys(value: JsonValue, isKeyPlace = false): JsonValue {
  if (Array.isArray(value)) return value.map((item: JsonValue) => withoutKeys(item, isKeyPlace));
  if (!isJsonObject(value)) return value;
  const isKey = isKeyPlace || 'kty' in value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => {
      if (isKey && KEY_MEMBERS.has(name)) return [name, '(key material, not shown)'];
      if (name === 'jwe' && typeof member === 'string') return [name, `(JWE, ${member.length} characters, not shown)`];
      return [name, withoutKeys(member, KEY_PLACES.has(name))];
    }),
  );
}

function times(claims: JsonObject): Readonly<Record<string, string>> {
  const shown: Record<string, string> = {};
  for (const name of ['iat', 'nbf', 'exp', 'auth_time']) {
    const seconds = claims[name];
    const date = typeof seconds === 'number' ? new Date(seconds * 1_000) : undefined;
    if (date !== undefined && !Number.isNaN(date.getTime())) shown[name] = date.toISOString();
  }
  return shown;
}
