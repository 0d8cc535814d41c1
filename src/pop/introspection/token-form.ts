/** Which tokens the AS is asked about. */

import { parseStrictJson } from '../../codec/strict-json.ts';
import { fromBase64url } from '../../core/bytes.ts';
import { LatchkeyError } from '../../core/errors.ts';
import { isJsonObject } from '../../core/json.ts';
import { LIMITS } from '../../core/limits.ts';

/** `opaque`: tokens that cannot be judged here; `always`: JWTs as well, since only the AS knows what it revoked. */
export type IntrospectionPolicy = 'never' | 'opaque' | 'always';

/** A header of more than this is not read to tell what a token is: those of access tokens have 100 to 300 bytes. */
const MOST_HEADER_CHARACTERS = 4_096;

/**
 * Whether a token has the form of a compact JWS (RFC 7515 §7.1): three parts, the first a JSON object with `alg`. Says
 * nothing of whether it is good. A JWE (five parts) is opaque to everyone but the AS.
 */
export function looksLikeJwt(token: string): boolean {
  const headerEnd = token.indexOf('.');
  if (headerEnd <= 0 || headerEnd > MOST_HEADER_CHARACTERS) return false;
  const payloadEnd = token.indexOf('.', headerEnd + 1);
  if (payloadEnd === -1 || token.indexOf('.', payloadEnd + 1) !== -1) return false;
  try {
    const header = parseStrictJson(fromBase64url(token.slice(0, headerEnd)));
    return isJsonObject(header) && typeof header.alg === 'string';
  } catch (error) {
    if (error instanceof LatchkeyError) return false;
    throw error;
  }
}

/**
 * Whether a token that is no JWT has the header of one in it, such as a JWT with a dot or a space more. Many servers pass over that.
 * So it is not opaque: as such it would be judged by an answer that may say less than the JWT does.
 */
export function holdsJwt(token: string): boolean {
  return token.split(/[^A-Za-z0-9_-]+/).some((part) => JSON_START.test(part) && isJwsHeader(part));
}

/** Base64url of text that begins with an opening brace. */
const JSON_START = /^e[w-z]/;

/** Read as leniently as a server may read it. The header of a JWE has `enc`. */
function isJwsHeader(part: string): boolean {
  if (part.length > MOST_HEADER_CHARACTERS) return false;
  try {
    const header: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    return isJsonObject(header) && typeof header.alg === 'string' && header.enc === undefined;
  } catch {
    return false;
  }
}

/** Whether the AS is asked about a token. */
export function isIntrospected(policy: IntrospectionPolicy, token: { readonly isJwt: boolean }): boolean {
  return policy === 'always' || (policy === 'opaque' && !token.isJwt);
}

/** RFC 6749 appendix A.12: an access token is visible ASCII. */
const TOKEN = /^[\x20-\x7e]+$/;

/** @throws {LatchkeyError} `request_too_large`, `request_invalid`: it cannot be a token, and no AS is asked */
export function demandTokenForm(token: string): void {
  if (token.length > LIMITS.jwtBytes) throw new LatchkeyError('request_too_large', 'the token');
  if (!TOKEN.test(token)) throw new LatchkeyError('request_invalid', 'the token has characters that no token has');
}
