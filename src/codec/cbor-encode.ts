/**
 * The deterministic encoder (RFC 8949 §4.2.1): shortest heads, definite lengths, map keys in the order of their encoded
 * bytes, no floats. Written out rather than left to cbor-x, which is deterministic only over sorted copies of every map
 * and with each integer in the one type that it does not turn into a float; a test holds the two together.
 */
import { allocate, compare, utf8 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { ARRAY, BYTES, MAP, NEGATIVE, TAG, TEXT, UNSIGNED } from './cbor-major.ts';
import { type CborKey, type CborMap, type CborValue, isCborArray, isCborMap, isCborTag } from './cbor-value.ts';

const FALSE = 0xf4;
const TRUE = 0xf5;
const NULL = 0xf6;

const MAX_KEY = 0xffff_ffff;
const MIN_KEY = -0x1_0000_0000;
const MAX_WIDE = 0xffff_ffff_ffff_ffffn;
/** Characters up to which a text is looked at here before it is handed to the runtime. */
const SHORT_TEXT = 64;
/** Longest head: one byte and a 64-bit argument. */
const HEAD_BYTES = 9;

/**
 * The one deterministic encoding of a value.
 * @throws {LatchkeyError} `cbor_not_encodable` for fractions, integers past 64 bits, map keys past 32 bits, text with
 *   lone surrogates, undefined, or nesting past 16 levels
 */
export function encodeCbor(value: CborValue): Uint8Array {
  return writer.encode(value);
}

/** One item that is encoded already, for what stands in one encoding after another. */
export class EncodedCbor {
  readonly bytes: Uint8Array;

  constructor(value: CborValue) {
    this.bytes = encodeCbor(value);
  }
}

/**
 * The encoding of a map whose labels are known beforehand, without the map: the claims of every token. Labels are whole
 * numbers in ascending order, or texts encoded already; either way in the order of their encodings. One whose value is undefined is left out.
 * @throws {LatchkeyError} as `encodeCbor`
 */
export function encodeMembers(
  labels: readonly (number | EncodedCbor)[],
  values: readonly (CborValue | EncodedCbor | undefined)[],
): Uint8Array {
  return writer.encodeMembers(labels, values);
}

/** Encoding runs to its end without a pause, so one buffer serves all of them. */
class Writer {
  // No Buffer: its `fill` and `subarray` are calls into the runtime, which cost more than the encoding of a short map.
  #buffer = new Uint8Array(1024);
  #position = 0;

  encode(value: CborValue): Uint8Array {
    this.#position = 0;
    try {
      this.#write(value, 0);
      return this.#copy();
    } finally {
      this.#wipe();
    }
  }

  encodeMembers(
    labels: readonly (number | EncodedCbor)[],
    values: readonly (CborValue | EncodedCbor | undefined)[],
  ): Uint8Array {
    this.#position = 0;
    let size = 0;
    for (const value of values) if (value !== undefined) size++;
    try {
      this.#head(MAP, size);
      for (let index = 0; index < labels.length; index++) {
        const value = values[index];
        if (value === undefined) continue;
        const label = labels[index] as number | EncodedCbor;
        if (typeof label === 'number') this.#number(label);
        else this.#raw(label.bytes);
        if (value instanceof EncodedCbor) this.#raw(value.bytes);
        else this.#write(value, 1);
      }
      return this.#copy();
    } finally {
      this.#wipe();
    }
  }

  #copy(): Uint8Array {
    const bytes = allocate(this.#position);
    // `subarray` would ask for its species, which takes as long as all the rest of this.
    bytes.set(new Uint8Array(this.#buffer.buffer, 0, this.#position));
    return bytes;
  }

  /** A key may have been in the buffer, which lives as long as the process. */
  #wipe(): void {
    this.#buffer.fill(0, 0, this.#position);
  }

  #write(value: CborValue, depth: number): void {
    switch (typeof value) {
      case 'number':
        this.#number(value);
        return;
      case 'string':
        this.#text(value);
        return;
      case 'bigint':
        this.#bigInt(value);
        return;
      case 'boolean':
        this.#byte(value ? TRUE : FALSE);
        return;
      case 'object':
        this.#object(value, depth);
        return;
      default:
        throw notEncodable(typeof value);
    }
  }

  #object(value: Exclude<CborValue, number | string | bigint | boolean>, depth: number): void {
    if (value === null) this.#byte(NULL);
    else if (value instanceof Uint8Array) this.#string(BYTES, value);
    else if (depth >= LIMITS.cborDepth) throw notEncodable('nested too deeply');
    else if (isCborMap(value)) this.#map(value, depth);
    else if (isCborArray(value)) {
      this.#head(ARRAY, value.length);
      for (const item of value) this.#write(item, depth + 1);
    } else if (isCborTag(value)) {
      this.#head(TAG, value.tag);
      this.#write(value.value, depth + 1);
    } else throw notEncodable('an object of another class');
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value)) throw notEncodable('a number that is no safe integer');
    if (value >= 0) this.#head(UNSIGNED, value);
    else this.#head(NEGATIVE, -1 - value);
  }

  #bigInt(value: bigint): void {
    const argument = value >= 0n ? value : -1n - value;
    if (argument > MAX_WIDE) throw notEncodable('an integer past 64 bits');
    const major = value >= 0n ? UNSIGNED : NEGATIVE;
    if (argument <= BigInt(Number.MAX_SAFE_INTEGER)) {
      this.#head(major, Number(argument));
      return;
    }
    this.#reserve(HEAD_BYTES);
    this.#byte((major << 5) | 27);
    for (let shift = 56n; shift >= 0n; shift -= 8n) this.#byte(Number((argument >> shift) & 0xffn));
  }

  #string(major: number, value: Uint8Array): void {
    this.#head(major, value.length);
    this.#raw(value);
  }

  #raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#position);
    this.#position += bytes.length;
  }

  #text(value: string): void {
    if (value.length < SHORT_TEXT && this.#ascii(value)) return;
    // A text with a lone surrogate has no UTF-8; Buffer would write a replacement character, and two texts one encoding.
    if (/\p{Surrogate}/u.test(value)) throw notEncodable('text with a lone surrogate');
    this.#string(TEXT, utf8(value));
  }

  /** Writes a short text if it is all ASCII, as names and addresses are: no call into the runtime for those. */
  #ascii(value: string): boolean {
    this.#reserve(HEAD_BYTES + value.length);
    const start = this.#position;
    this.#head(TEXT, value.length);
    const buffer = this.#buffer;
    let position = this.#position;
    for (let index = 0; index < value.length; index++) {
      const code = value.charCodeAt(index);
      if (code >= 0x80) {
        this.#position = start;
        return false;
      }
      buffer[position++] = code;
    }
    this.#position = position;
    return true;
  }

  #map(map: CborMap, depth: number): void {
    this.#head(MAP, map.size);
    for (const [key, value] of isSorted(map) ? map : sorted(map)) {
      if (typeof key === 'string') this.#text(key);
      else if (Number.isSafeInteger(key) && key <= MAX_KEY && key >= MIN_KEY) this.#number(key);
      else throw notEncodable('a map key that is no integer of 32 bits');
      this.#write(value, depth + 1);
    }
  }

  /** `argument` is a whole number up to 2^53 − 1; big-endian. */
  #head(major: number, argument: number): void {
    this.#reserve(HEAD_BYTES);
    const initial = major << 5;
    if (argument < 24) this.#buffer[this.#position++] = initial | argument;
    else if (argument < 0x100) this.#wideHead(initial | 24, argument, 1);
    else if (argument < 0x10000) this.#wideHead(initial | 25, argument, 2);
    else if (argument <= 0xffff_ffff) this.#wideHead(initial | 26, argument, 4);
    else this.#wideHead(initial | 27, argument, 8);
  }

  #wideHead(initial: number, argument: number, size: number): void {
    this.#buffer[this.#position] = initial;
    let rest = argument;
    for (let index = this.#position + size; index > this.#position; index--) {
      this.#buffer[index] = rest % 0x100;
      rest = Math.floor(rest / 0x100);
    }
    this.#position += size + 1;
  }

  #byte(byte: number): void {
    if (this.#position >= this.#buffer.length) this.#reserve(1);
    this.#buffer[this.#position++] = byte;
  }

  #reserve(length: number): void {
    if (this.#position + length <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(this.#buffer.length * 2, this.#position + length));
    larger.set(this.#buffer.subarray(0, this.#position));
    this.#buffer.fill(0, 0, this.#position);
    this.#buffer = larger;
  }
}

const writer = new Writer();

function isSorted(map: CborMap): boolean {
  let previous: CborKey | undefined;
  for (const key of map.keys()) {
    if (previous !== undefined && compareKeys(previous, key) > 0) return false;
    previous = key;
  }
  return true;
}

function sorted(map: CborMap): readonly (readonly [CborKey, CborValue])[] {
  return [...map].sort(([a], [b]) => compareKeys(a, b));
}

/** The order of the encoded bytes, found without encoding: 0, 1, … then −1, −2, … then text by length, then by bytes. */
function compareKeys(a: CborKey, b: CborKey): number {
  if (typeof a === 'number' && typeof b === 'number') {
    if (a >= 0) return b >= 0 ? a - b : -1;
    return b >= 0 ? 1 : b - a;
  }
  if (typeof a === 'number') return -1;
  if (typeof b === 'number') return 1;
  const length = Buffer.byteLength(a);
  const difference = length - Buffer.byteLength(b);
  if (difference !== 0) return difference;
  // All ASCII, as names are: characters are bytes, and nothing has to be encoded to compare them.
  if (length === a.length && length === b.length) return a < b ? -1 : a === b ? 0 : 1;
  return compare(utf8(a), utf8(b));
}

function notEncodable(reason: string): LatchkeyError {
  return new LatchkeyError('cbor_not_encodable', reason);
}
