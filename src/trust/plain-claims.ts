import { fromAscii } from '../core/bytes.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';

/**
 * Claims of tokens as plain as most are, read straight from their bytes: one JSON object of ASCII without escapes, whole
 * numbers, no member twice, and nothing inside of another but the key in `cnf`. The strict parser takes three times as
 * long, a third of all that a token costs beside its signature.
 *
 * Undefined for everything else, good or bad, which is for the strict parser to tell apart: this file refuses nothing, and
 * a test holds what it takes against what the strict parser makes of it. Unknown claims are looked at and left out.
 */
export function readPlainClaims(bytes: Uint8Array): JsonObject | undefined {
  const reader = new Reader(bytes);
  const claims = reader.object(CLAIMS, UNKNOWN_CLAIMS);
  if (claims === undefined || !reader.atEnd()) return undefined;
  const [iss, sub, aud, exp, nbf, iat, jti, client_id, scope, scp, cnf, exi, cnonce, azp, nonce, at_hash, c_hash] =
    claims;
  return {
    iss,
    sub,
    aud,
    exp,
    nbf,
    iat,
    jti,
    client_id,
    scope,
    scp,
    cnf,
    exi,
    cnonce,
    azp,
    nonce,
    at_hash,
    c_hash,
  } as JsonObject;
}

const CLAIMS = [
  'iss',
  'sub',
  'aud',
  'exp',
  'nbf',
  'iat',
  'jti',
  'client_id',
  'scope',
  'scp',
  'cnf',
  'exi',
  'cnonce',
  'azp',
  'nonce',
  'at_hash',
  'c_hash',
];
const READ: ReadonlySet<string> = new Set(CLAIMS);

/** Whether all of these claims are among those that are read here. */
export function areReadPlainly(names: readonly string[]): boolean {
  return names.every((name) => READ.has(name));
}
const CONFIRMATION = ['jwk', 'jkt', 'kid'];
const JWK = ['kty', 'crv', 'x', 'y'];

/** Their names are compared with each other, so there cannot be many. */
const UNKNOWN_CLAIMS = 8;

const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const UNDERSCORE = 0x5f;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const LAST_PRINTABLE = 0x7e;

/** As many digits are a safe integer, whichever they are. */
const SAFE_DIGITS = 15;

type Slots = (JsonValue | undefined)[];

/** Each method reads at the cursor and moves it past what it read. Undefined ends the reading. */
class Reader {
  readonly #bytes: Uint8Array;
  readonly #text: string;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    // Other bytes than ASCII make some text as well, which is never looked at: they end the reading.
    this.#text = fromAscii(bytes);
  }

  atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Values of the members by their place in `names`, and of as many others at most as `unknown` says. */
  object(names: readonly string[], unknown: number): Slots | undefined {
    if (this.#bytes[this.#at] !== OPEN_OBJECT) return undefined;
    const slots: Slots = [undefined, undefined, undefined, undefined];
    const others: string[] = [];
    do {
      this.#at++;
      this.#skipSpaces();
      const start = this.#at + 1;
      const end = this.#endOfString();
      if (end < 0) return undefined;
      this.#at = end + 1;
      this.#skipSpaces();
      if (this.#bytes[this.#at] !== COLON) return undefined;
      this.#at++;
      this.#skipSpaces();
      const slot = this.#find(names, start, end);
      if (slot < 0) {
        const name = this.#text.slice(start, end);
        // `__proto__` is among those that are none of our business.
        if (others.length >= unknown || this.#bytes[start] === UNDERSCORE || others.includes(name)) return undefined;
        others.push(name);
        if (this.#scalar() === undefined) return undefined;
      } else {
        const value = this.#value(names[slot]);
        if (value === undefined || slots[slot] !== undefined) return undefined;
        slots[slot] = value;
      }
      this.#skipSpaces();
    } while (this.#bytes[this.#at] === COMMA);
    return this.#bytes[this.#at++] === CLOSE_OBJECT ? slots : undefined;
  }

  #find(names: readonly string[], start: number, end: number): number {
    for (let slot = 0; slot < names.length; slot++) {
      const name = names[slot] as string;
      if (name.length === end - start && this.#text.startsWith(name, start)) return slot;
    }
    return -1;
  }

  #value(name: string | undefined): JsonValue | undefined {
    if (name === 'cnf') return this.#confirmation();
    if (name === 'jwk') return this.#jwk();
    return this.#scalar();
  }

  #confirmation(): JsonObject | undefined {
    const slots = this.object(CONFIRMATION, 0);
    if (slots === undefined) return undefined;
    const [jwk, jkt, kid] = slots;
    if (jwk !== undefined && jkt === undefined && kid === undefined) return { jwk };
    if (jkt !== undefined && jwk === undefined && kid === undefined) return { jkt };
    return kid !== undefined && jwk === undefined && jkt === undefined ? { kid } : undefined;
  }

  #jwk(): JsonObject | undefined {
    const [kty, crv, x, y] = this.object(JWK, 0) ?? [];
    if (kty === undefined || crv === undefined || x === undefined) return undefined;
    return y === undefined ? { kty, crv, x } : { kty, crv, x, y };
  }

  #scalar(): string | number | undefined {
    if (this.#bytes[this.#at] !== QUOTE) return this.#number();
    const start = this.#at + 1;
    const end = this.#endOfString();
    if (end < 0) return undefined;
    this.#at = end + 1;
    return this.#text.slice(start, end);
  }

  /** A fraction or an exponent stays unread, and so ends the reading. */
  #number(): number | undefined {
    const bytes = this.#bytes;
    const start = this.#at;
    let number = 0;
    let at = start;
    for (; at < bytes.length; at++) {
      const byte = bytes[at] as number;
      if (byte < ZERO || byte > NINE) break;
      number = number * 10 + (byte - ZERO);
    }
    // JSON has no number that starts with a zero but zero itself.
    if (at === start || at - start > SAFE_DIGITS || bytes[start] === ZERO) return undefined;
    this.#at = at;
    return number;
  }

  /** Position of the quote that ends the string which starts at the cursor, or −1. */
  #endOfString(): number {
    const bytes = this.#bytes;
    if (bytes[this.#at] !== QUOTE) return -1;
    for (let at = this.#at + 1; at < bytes.length; at++) {
      const byte = bytes[at] as number;
      if (byte === QUOTE) return at;
      if (byte < SPACE || byte > LAST_PRINTABLE || byte === BACKSLASH) return -1;
    }
    return -1;
  }

  /** As some servers write them behind commas and colons. */
  #skipSpaces(): void {
    while (this.#bytes[this.#at] === SPACE) this.#at++;
  }
}
