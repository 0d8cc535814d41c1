import { decodeBase64url, utf8 } from '../core/bytes.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { LatchkeyError } from '../core/errors.ts';
import { IGNORABLE_HEADERS } from '../core/ignorable-headers.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';
import { parseStrictJsonObject } from './strict-json.ts';

/** A JWS in compact form (RFC 7515 §7.1), taken apart. Nothing here is verified yet. */
export interface CompactJws {
  readonly header: JoseHeader;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
  /** What the signature covers: the ASCII text `base64url(header).base64url(payload)`. */
  readonly signingInput: Uint8Array;
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
  /** Members that an operator may ignore (core/ignorable-headers.ts) are left in the header: the caller decides about them. */
  readonly ignorable?: boolean;
}

/**
 * Members that let a token name or carry the key that it is checked with (`jku`, `jwk`, `x5u`, `x5c`; RFC 8725 §3.10)
 * or that change how the rest is read (`b64`, RFC 7797; `zip` and `enc`, which belong to JWE). Keys come from the
 * issuer's set alone, so none of them would be obeyed; a token that has one is not of an AS that we can work with.
 * `x5t` and `x5t#S256` only point at a certificate (Entra writes them): they are left alone.
 */
const REFUSED = ['jku', 'jwk', 'x5u', 'b64'] as const;

const ALL_REFUSED = [...REFUSED, ...IGNORABLE_HEADERS] as const;

/** A compact JWS and where its dots are. How its parts are spelled is not judged yet. */
export interface CompactParts {
  /** All of it, ASCII. */
  readonly bytes: Uint8Array;
  /** Offsets of the two dots. */
  readonly headerEnd: number;
  readonly payloadEnd: number;
}

/**
 * Takes a compact JWS apart: three parts of canonical base64url, a header that is one strict JSON object.
 * @throws {LatchkeyError} `jwt_too_large`, `jwt_malformed` (or those of the options), `jwt_header_refused`,
 * `jwt_critical_unknown`
 */
export function parseCompact(text: string, options: CompactJwsOptions = {}): CompactJws {
  const parts = splitCompact(text, options);
  return {
    header: parseHeader(parts, options),
    payload: payloadOf(parts, options.malformed),
    signature: signatureOf(parts, options.malformed),
    signingInput: signingInputOf(parts),
  };
}

/** The size and the dots. @throws {LatchkeyError} `jwt_too_large`, `jwt_malformed`, or those of the options */
export function splitCompact(text: string, options: CompactJwsOptions = {}): CompactParts {
  if (text.length > (options.maxBytes ?? LIMITS.jwtBytes)) {
    throw new LatchkeyError(options.tooLarge ?? 'jwt_too_large', `${text.length} bytes`);
  }
  const headerEnd = text.indexOf('.');
  const payloadEnd = text.indexOf('.', headerEnd + 1);
  const bytes = utf8(text);
  // Were it not ASCII, offsets in the text would be others in the bytes.
  const isThreeParts = headerEnd > 0 && payloadEnd !== -1 && text.indexOf('.', payloadEnd + 1) === -1;
  if (!isThreeParts || bytes.length !== text.length) {
    throw new LatchkeyError(options.malformed ?? 'jwt_malformed', 'not three parts of ASCII');
  }
  return { bytes, headerEnd, payloadEnd };
}

/** @throws {LatchkeyError} `jwt_malformed`, or what is given */
export function payloadOf({ bytes, headerEnd, payloadEnd }: CompactParts, malformed?: ErrorCode): Uint8Array {
  return decodePart(bytes, headerEnd + 1, payloadEnd, malformed);
}

/** @throws {LatchkeyError} `jwt_malformed`, or what is given */
export function signatureOf({ bytes, payloadEnd }: CompactParts, malformed?: ErrorCode): Uint8Array {
  return decodePart(bytes, payloadEnd + 1, bytes.length, malformed);
}

export function signingInputOf({ bytes, payloadEnd }: CompactParts): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, payloadEnd);
}

/** Bytes of one part (RFC 7515 §2). */
function decodePart(bytes: Uint8Array, start: number, end: number, malformed: ErrorCode = 'jwt_malformed'): Uint8Array {
  try {
    return decodeBase64url(bytes, start, end);
  } catch {
    throw new LatchkeyError(malformed, 'not base64url');
  }
}

/**
 * The header from its part of the compact form.
 * @throws {LatchkeyError} `jwt_malformed` (or that of the options), `jwt_header_refused`, `jwt_critical_unknown`
 */
export function parseHeader({ bytes, headerEnd }: CompactParts, options: CompactJwsOptions = {}): JoseHeader {
  const malformed = options.malformed ?? 'jwt_malformed';
  const members = parseStrictJsonObject(decodePart(bytes, 0, headerEnd, malformed), { code: malformed });
  const { alg, crit } = members;
  if (typeof alg !== 'string' || alg === '') throw new LatchkeyError(malformed, 'no alg');
  if (crit !== undefined) refuseCritical(crit, malformed);
  for (const name of options.ignorable === true ? REFUSED : ALL_REFUSED) {
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
