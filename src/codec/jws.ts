import { fromBase64url } from '../core/bytes.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';
import { parseStrictJsonObject } from './strict-json.ts';

/** A JWS in compact form (RFC 7515 §7.1), taken apart. Nothing here is verified yet. */
export interface CompactJws {
  readonly header: JoseHeader;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
  /** The ASCII text that the signature covers: `base64url(header).base64url(payload)`. */
  readonly signingInput: string;
}

export interface JoseHeader {
  readonly algorithm: string;
  readonly type: string | undefined;
  readonly keyId: string | undefined;
  /** Every member, for those that this file has no opinion on, such as `jwk` in a DPoP proof. */
  readonly members: JsonObject;
}

export interface CompactJwsOptions {
  /** Longest text taken, in bytes; `LIMITS.jwtBytes` by default. */
  readonly maxBytes?: number;
  /** What a wrong form is refused as; `jwt_malformed` by default. */
  readonly malformed?: ErrorCode;
  /** What too long a text is refused as; `jwt_too_large` by default. */
  readonly tooLarge?: ErrorCode;
  /** A DPoP proof carries its key in `jwk` (RFC 9449 §4.2); anywhere else a token would choose its own key. */
  readonly embeddedKey?: boolean;
}

/**
 * Members that let a token name or carry the key that it is checked with (`jku`, `jwk`, `x5u`, `x5c`; RFC 8725 §3.10)
 * or that change how the rest is read (`b64`, RFC 7797; `zip` and `enc`, which belong to JWE). Keys come from the
 * issuer's set alone, so none of them would be obeyed; a token that has one is not of an AS that we can work with.
 * `x5t` and `x5t#S256` only point at a certificate (Entra writes them): they are left alone.
 */
const REFUSED = ['jku', 'jwk', 'x5u', 'x5c', 'b64', 'zip', 'enc'] as const;

/** The three parts of a compact JWS, as text; their spelling is not judged yet. */
export interface CompactParts {
  readonly header: string;
  readonly payload: string;
  readonly signature: string;
}

/**
 * Takes a compact JWS apart: three parts of canonical base64url, a header that is one strict JSON object.
 * @throws {LatchkeyError} `jwt_too_large`, `jwt_malformed` (or those of the options), `jwt_header_refused`,
 * `jwt_critical_unknown`
 */
export function parseCompact(text: string, options: CompactJwsOptions = {}): CompactJws {
  const malformed = options.malformed ?? 'jwt_malformed';
  const { header, payload, signature } = splitCompact(text, options);
  return {
    header: parseHeader(header, options),
    payload: decodePart(payload, malformed),
    signature: decodePart(signature, malformed),
    signingInput: text.slice(0, header.length + 1 + payload.length),
  };
}

/** The size and the dots. @throws {LatchkeyError} `jwt_too_large`, `jwt_malformed`, or those of the options */
export function splitCompact(text: string, options: CompactJwsOptions = {}): CompactParts {
  if (text.length > (options.maxBytes ?? LIMITS.jwtBytes)) {
    throw new LatchkeyError(options.tooLarge ?? 'jwt_too_large', `${text.length} bytes`);
  }
  const headerEnd = text.indexOf('.');
  const payloadEnd = text.indexOf('.', headerEnd + 1);
  if (headerEnd <= 0 || payloadEnd === -1 || text.indexOf('.', payloadEnd + 1) !== -1) {
    throw new LatchkeyError(options.malformed ?? 'jwt_malformed', 'not three parts');
  }
  return {
    header: text.slice(0, headerEnd),
    payload: text.slice(headerEnd + 1, payloadEnd),
    signature: text.slice(payloadEnd + 1),
  };
}

/** Bytes of one part (RFC 7515 §2). @throws {LatchkeyError} `jwt_malformed`, or what is given */
export function decodePart(text: string, malformed: ErrorCode = 'jwt_malformed'): Uint8Array {
  try {
    return fromBase64url(text);
  } catch {
    throw new LatchkeyError(malformed, 'not base64url');
  }
}

/**
 * The header from its part of the compact form.
 * @throws {LatchkeyError} `jwt_malformed` (or that of the options), `jwt_header_refused`, `jwt_critical_unknown`
 */
export function parseHeader(text: string, options: CompactJwsOptions = {}): JoseHeader {
  const malformed = options.malformed ?? 'jwt_malformed';
  const members = parseStrictJsonObject(decodePart(text, malformed), { code: malformed });
  const { alg, crit } = members;
  if (typeof alg !== 'string' || alg === '') throw new LatchkeyError(malformed, 'no alg');
  if (crit !== undefined) refuseCritical(crit, malformed);
  for (const name of REFUSED) {
    if (members[name] === undefined || (options.embeddedKey === true && name === 'jwk')) continue;
    throw new LatchkeyError('jwt_header_refused', `header member ${name}`);
  }
  return {
    algorithm: alg,
    type: optionalText(members.typ, malformed, 'typ'),
    keyId: optionalText(members.kid, malformed, 'kid'),
    members,
  };
}

/** No extension is understood here, so every list of them is refused (RFC 7515 §4.1.11); a broken list as broken. */
function refuseCritical(crit: JsonValue, malformed: ErrorCode): never {
  const isList = Array.isArray(crit) && crit.length > 0 && crit.every((name) => typeof name === 'string');
  throw isList ? new LatchkeyError('jwt_critical_unknown') : new LatchkeyError(malformed, 'crit is no list of names');
}

function optionalText(value: JsonValue | undefined, malformed: ErrorCode, name: string): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  throw new LatchkeyError(malformed, `${name} is no text`);
}
