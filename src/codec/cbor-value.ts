/** The CBOR values (RFC 8949) that Latchkey speaks, as TypeScript has them. */
import { Tag } from 'cbor-x/encode';

export type CborKey = number | string;
export type CborMap = ReadonlyMap<CborKey, CborValue>;
/** Integers are `number` while they are safe (up to 2^53 − 1 either way) and `bigint` beyond. There are no floats. */
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

export function cborTag(tag: number, value: CborValue): CborTag {
  return new Tag(value, tag);
}

export function isCborTag(value: CborValue | undefined): value is CborTag {
  return value instanceof Tag;
}

export function isCborMap(value: CborValue | undefined): value is CborMap {
  return value instanceof Map;
}

/** Like `Array.isArray`, which does not narrow a readonly array. */
export function isCborArray(value: CborValue | undefined): value is readonly CborValue[] {
  return Array.isArray(value);
}
