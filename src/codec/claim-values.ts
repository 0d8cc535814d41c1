/** The types that claims have, wherever they come from: a JWT, or the answer of an introspection endpoint. */
import type { ErrorCode } from '../core/error-catalogue.ts';
import { LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { shown } from '../core/shown.ts';

/** Reads one claim; an absent one is undefined. Throws the code that its maker was given, naming the claim alone. */
type Reader<T> = (value: JsonValue | undefined, name: string) => T;

export interface ClaimReaders {
  /** Text that is not empty. */
  readonly text: Reader<string | undefined>;
  /** NumericDate: seconds since 1970, fractions allowed (RFC 7519 §2). */
  readonly date: Reader<number | undefined>;
  /** One text, or a list of them (RFC 7519 §4.1.3). */
  readonly audience: Reader<readonly string[] | undefined>;
  /** Names separated by spaces, each once, in the issuer's order (RFC 8693 §4.2). Some servers write an empty text. */
  readonly scope: Reader<readonly string[]>;
  /** The same, or a list with one name in each element: the two forms that servers write `scp` in. */
  readonly scopeOrList: Reader<readonly string[]>;
  readonly object: Reader<JsonObject | undefined>;
}

/** 9999-12-31T23:59:59Z. What goes past it is milliseconds taken for seconds, or an attempt at an overflow. */
const LAST_DATE = 253_402_300_799;

/** RFC 6749 §3.3: names of printable ASCII without the quotation mark and the backslash; spaces between them. */
const SCOPE = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;
const SCOPE_NAME = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/** Readers that refuse a claim of the wrong type as `code`. The detail has the claim and its type, never what it says. */
export function claimReaders(code: ErrorCode): ClaimReaders {
  const invalid = (name: string, value: JsonValue, expected: string): never => {
    throw new LatchkeyError(code, `${name} is ${typeOf(value)}, expected ${expected}`);
  };
  const scope: ClaimReaders['scope'] = (value, name) => {
    if (value === undefined || value === '') return [];
    if (typeof value !== 'string' || !SCOPE.test(value)) return invalid(name, value, 'names with spaces between them');
    // A set costs more than all else here, and most tokens have one name.
    return value.includes(' ') ? [...new Set(value.split(' '))].filter((part) => part !== '') : [value];
  };
  return {
    scope,
    text: (value, name) => (value === undefined || isText(value) ? value : invalid(name, value, 'a text')),
    date: (value, name) =>
      value === undefined || isDate(value) ? value : invalid(name, value, 'a number of seconds since 1970'),
    object: (value, name) => (value === undefined || isJsonObject(value) ? value : invalid(name, value, 'an object')),
    audience(value, name) {
      if (value === undefined) return undefined;
      const list: readonly JsonValue[] = Array.isArray(value) ? value : [value];
      return list.length > 0 && list.every(isText) ? list : invalid(name, value, 'a text or a list of texts');
    },
    scopeOrList(value, name) {
      if (!Array.isArray(value)) return scope(value, name);
      return value.every(isScopeName) ? [...new Set(value)] : invalid(name, value, 'a list of names');
    },
  };
}

/** Numbers as they are: a date in milliseconds is known by its size. */
function typeOf(value: JsonValue): string {
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return shown(value);
  if (typeof value === 'string') return value === '' ? 'an empty text' : 'a text of another form';
  if (!Array.isArray(value)) return 'an object';
  return value.length === 0 ? 'an empty list' : 'a list of another form';
}

function isText(value: JsonValue): value is string {
  return typeof value === 'string' && value !== '';
}

function isScopeName(value: JsonValue): value is string {
  return typeof value === 'string' && SCOPE_NAME.test(value);
}

function isDate(value: JsonValue): value is number {
  return typeof value === 'number' && value >= 0 && value <= LAST_DATE;
}
