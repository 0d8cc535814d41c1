/**
 * CBOR (RFC 8949) as Latchkey speaks it: deterministic on the way out (§4.2.1), strictly gated on the way in. The
 * encoding itself is cbor-x; what cbor-x would write or read loosely is settled here before it gets to see it.
 */
// The sub-path leaves out the native string extractor: one behaviour on every machine, and nothing to load at start.
import { Encoder, Tag } from 'cbor-x/encode';
import { compare, utf8 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { type ScanOptions, scanCbor } from './cbor-scan.ts';

export type CborKey = number | string;
export type CborMap = ReadonlyMap<CborKey, CborValue>;
/** Integers are `number` while they are safe (up to 2^53 − 1 either way) and `bigint` beyond. */
export type CborValue =
  | number
  | bigint
  | string
  | boolean
  | null
  | Uint8Array
  | readonly CborValue[]
  | CborMap
  | CborTag;

export interface CborTag {
  readonly tag: number;
  readonly value: CborValue;
}

const codec = new Encoder({
  useRecords: false,
  mapsAsObjects: false,
  tagUint8Array: false,
  variableMapSize: true,
  copyBuffers: true,
  ...({ useTag259ForMaps: false } as const),
});

export function cborTag(tag: number, value: CborValue): CborTag {
  return new Tag(value, tag);
}

export function isCborTag(value: CborValue): value is CborTag {
  return value instanceof Tag;
}

export function isCborMap(value: CborValue | undefined): value is CborMap {
  return value instanceof Map;
}

/** An array, as opposed to every other kind of value: `Array.isArray` does not narrow a readonly array. */
export function isCborArray(value: CborValue | undefined): value is readonly CborValue[] {
  return Array.isArray(value);
}

/**
 * The one deterministic encoding of a value (RFC 8949 §4.2.1): shortest heads, definite lengths, map keys sorted by
 * their encoded bytes.
 * @throws {LatchkeyError} `cbor_not_encodable` for fractions, integers past 64 bits, text with lone surrogates, or
 *   nesting past 16 levels
 */
export function encodeCbor(value: CborValue): Uint8Array {
  // cbor-x answers with a view on its own 8 KiB buffer; a copy keeps that from living as long as the token.
  return new Uint8Array(codec.encode(prepare(value, 0)));
}

/**
 * The value of exactly one encoded item that passes the gate (see `scanCbor`).
 * @throws {LatchkeyError} `cbor_too_large`, `cbor_too_deep`, `cbor_invalid`
 */
export function decodeCbor(bytes: Uint8Array, options: Pick<ScanOptions, 'tags'> = {}): CborValue {
  const wide = scanCbor(bytes, options);
  // A view of its own: cbor-x hangs a `dataView` property on what it is given, and copies Buffers as Buffers.
  const value: CborValue = codec.decode(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  return wide ? narrow(value) : value;
}

function notEncodable(reason: string): LatchkeyError {
  return new LatchkeyError('cbor_not_encodable', reason);
}

/** The same value in the form that makes cbor-x write it deterministically. */
function prepare(value: CborValue, depth: number): CborValue {
  switch (typeof value) {
    case 'number':
      return prepareNumber(value);
    case 'bigint':
      return prepareBigInt(value);
    case 'string':
      if (/\p{Surrogate}/u.test(value)) throw notEncodable('text with a lone surrogate');
      return value;
    case 'boolean':
      return value;
    case 'object':
      break;
    default:
      throw notEncodable(typeof value);
  }
  if (value === null || value instanceof Uint8Array) return value;
  if (depth + 1 >= LIMITS.cborDepth) throw notEncodable('nested too deeply');
  if (isCborArray(value)) return value.map((item) => prepare(item, depth + 1));
  if (isCborTag(value)) return new Tag(prepare(value.value, depth + 1), value.tag);
  if (isCborMap(value)) return prepareMap(value, depth);
  throw notEncodable('an object of another class');
}

/** cbor-x writes numbers past 32 bits as floats, and BigInts always with 64 bits: each has its range. */
function prepareNumber(value: number): number | bigint {
  if (!Number.isSafeInteger(value)) throw notEncodable('a number that is no safe integer');
  return value > 0xffff_ffff || value < -0x1_0000_0000 ? BigInt(value) : value;
}

function prepareBigInt(value: bigint): number | bigint {
  if (value <= 0xffff_ffffn && value >= -0x1_0000_0000n) return Number(value);
  // −2^64 would still fit a CBOR integer, but cbor-x writes it as a bignum (tag 3).
  if (value > 0xffff_ffff_ffff_ffffn || value <= -0x1_0000_0000_0000_0000n)
    throw notEncodable('an integer past 64 bits');
  return value;
}

function prepareMap(map: CborMap, depth: number): CborMap {
  const keys = [...map.keys()];
  for (const key of keys) {
    if (typeof key === 'number' && !(Number.isSafeInteger(key) && key <= 0xffff_ffff && key >= -0x1_0000_0000)) {
      throw notEncodable('a map key that is no integer of 32 bits');
    }
  }
  const sorted = new Map<CborKey, CborValue>();
  for (const key of keys.sort(compareKeys)) {
    const value = map.get(key);
    if (value === undefined) throw notEncodable('undefined');
    sorted.set(prepare(key, depth + 1) as CborKey, prepare(value, depth + 1));
  }
  return sorted;
}

/** Order of the encoded bytes without encoding: 0, 1, … then −1, −2, … then text by length and then by bytes. */
function compareKeys(a: CborKey, b: CborKey): number {
  if (typeof a === 'number' && typeof b === 'number') {
    if (a >= 0) return b >= 0 ? a - b : -1;
    return b >= 0 ? 1 : b - a;
  }
  if (typeof a === 'number') return -1;
  if (typeof b === 'number') return 1;
  const aBytes = utf8(a);
  const bBytes = utf8(b);
  return aBytes.length - bBytes.length || compare(aBytes, bBytes);
}

/** Turns the BigInts that 64-bit integers decode to into numbers where those are exact. */
function narrow(value: CborValue): CborValue {
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }
  if (isCborArray(value)) return value.map(narrow);
  if (isCborMap(value)) return new Map(Array.from(value, ([key, item]) => [key, narrow(item)] as const));
  if (typeof value === 'object' && value !== null && isCborTag(value)) return new Tag(narrow(value.value), value.tag);
  return value;
}
