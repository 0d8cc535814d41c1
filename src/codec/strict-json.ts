import { fromAscii, fromUtf8, utf8 } from '../core/bytes.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';

/**
 * JSON as a security protocol needs it (RFC 7493, I-JSON; RFC 8725 §2.4): one text has one reading. `JSON.parse` alone
 * takes a member twice (the last one wins, where another parser takes the first), turns 1e999 into Infinity and lets
 * half a surrogate pair through, which becomes another character once it is encoded again.
 */
export interface StrictJsonOptions {
  /** What refusals are coded as; `json_invalid` by default. */
  readonly code?: ErrorCode;
  /** Deepest nesting of objects and arrays; `LIMITS.jsonDepth` by default. */
  readonly maxDepth?: number;
  /** Most commas, which bounds members and elements altogether; `LIMITS.jsonItems` by default. */
  readonly maxItems?: number;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const SURROGATE = /\p{Surrogate}/u;

/**
 * Parses JSON text, or UTF-8 bytes of it, in time linear in its length.
 * @throws {LatchkeyError} `options.code` for anything that is not JSON or has a member twice, a member `__proto__`, a
 * number out of range, a lone surrogate, bad UTF-8, or more depth or items than allowed.
 */
export function parseStrictJson(input: string | Uint8Array, options: StrictJsonOptions = {}): JsonValue {
  const code = options.code ?? 'json_invalid';
  const bytes = typeof input === 'string' ? encode(input, code) : input;
  const form = scan(bytes, code, options.maxDepth ?? LIMITS.jsonDepth, options.maxItems ?? LIMITS.jsonItems);
  const value = parse(form.ascii ? fromAscii(bytes) : decode(bytes, code), code);
  // A doubled member is one colon in the text that left no member behind.
  if (judgeValue(value, code, form.escapes) !== form.members) refuse(code, 'a member twice');
  return value;
}

/** As `parseStrictJson`, for texts that must be one object. */
export function parseStrictJsonObject(input: string | Uint8Array, options: StrictJsonOptions = {}): JsonObject {
  const value = parseStrictJson(input, options);
  if (!isJsonObject(value)) refuse(options.code ?? 'json_invalid', 'not an object');
  return value;
}

/** A text that never was UTF-8 may hold what has none. */
function encode(text: string, code: ErrorCode): Uint8Array {
  if (SURROGATE.test(text)) refuse(code, 'half a surrogate pair');
  return utf8(text);
}

function decode(bytes: Uint8Array, code: ErrorCode): string {
  try {
    return fromUtf8(bytes);
  } catch {
    refuse(code, 'not UTF-8');
  }
}

/** What a text has, if it is JSON at all. */
interface Form {
  readonly members: number;
  readonly ascii: boolean;
  /** Whether an escape may stand for half a surrogate pair. */
  readonly escapes: boolean;
}

/** Depth and size before anything is built. Whatever has a meaning in JSON is ASCII, so it is found in the bytes. */
function scan(bytes: Uint8Array, code: ErrorCode, maxDepth: number, maxItems: number): Form {
  let depth = 0;
  let members = 0;
  let items = 0;
  let escapes = false;
  let union = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    union |= byte;
    if (byte === QUOTE) {
      for (at++; at < bytes.length; at++) {
        const character = bytes[at] as number;
        union |= character;
        if (character === QUOTE) break;
        if (character !== BACKSLASH) continue;
        escapes = true;
        union |= bytes[++at] ?? 0;
      }
    } else if (byte === COLON) {
      members++;
    } else if (byte === COMMA) {
      items++;
      if (items > maxItems) refuse(code, 'too many items');
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      depth++;
      if (depth > maxDepth) refuse(code, 'nested too deeply');
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      depth--;
    }
  }
  return { members, ascii: union < 0x80, escapes };
}

function parse(text: string, code: ErrorCode): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    // The engine's message quotes the text, which may be a token: it goes nowhere.
    refuse(code, 'not JSON');
  }
}

/** Refuses values that JSON.parse takes and we do not; answers how many members there are, all levels together. */
function judgeValue(value: JsonValue, code: ErrorCode, judgeText: boolean): number {
  if (typeof value === 'string') {
    if (judgeText && SURROGATE.test(value)) refuse(code, 'half a surrogate pair');
    return 0;
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) refuse(code, 'a number out of range');
    return 0;
  }
  if (typeof value !== 'object' || value === null) return 0;
  let members = 0;
  if (Array.isArray(value)) {
    for (const element of value as readonly JsonValue[]) members += judgeValue(element, code, judgeText);
    return members;
  }
  // for…in is three times as fast as Object.keys. Should somebody have put members on Object.prototype, they count as
  // well: the sum is wrong then, and everything is refused.
  for (const name in value) {
    // JSON.parse makes it an ordinary member, but whoever copies the object by assignment would set its prototype.
    if (name === '__proto__') refuse(code, 'a member __proto__');
    if (judgeText && SURROGATE.test(name)) refuse(code, 'half a surrogate pair');
    members += 1 + judgeValue((value as JsonObject)[name] as JsonValue, code, judgeText);
  }
  return members;
}

function refuse(code: ErrorCode, reason: string): never {
  throw new LatchkeyError(code, reason);
}
