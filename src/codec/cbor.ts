/**
 * CBOR (RFC 8949) as Latchkey speaks it: deterministic on the way out, strictly gated on the way in. Decoding itself is
 * cbor-x; what it would read loosely never gets there.
 */
// The sub-path leaves out the native string extractor: one behaviour on every machine, and nothing to load at start.
import { Encoder, Tag } from 'cbor-x/encode';
import { readCbor } from './cbor-read.ts';
import { type ScanOptions, scanCbor } from './cbor-scan.ts';
import { type CborValue, isCborArray, isCborMap, isCborTag } from './cbor-value.ts';

export { EncodedCbor, encodeCbor, encodeMembers } from './cbor-encode.ts';
export {
  type CborKey,
  type CborMap,
  type CborTag,
  type CborValue,
  cborTag,
  isCborArray,
  isCborMap,
  isCborTag,
} from './cbor-value.ts';

// Never `addExtension`: it is global to the process, and tags would start to build objects.
const codec = new Encoder({
  useRecords: false,
  mapsAsObjects: false,
  tagUint8Array: false,
  variableMapSize: true,
  copyBuffers: true,
  ...({ useTag259ForMaps: false } as const),
});

/**
 * The value of exactly one encoded item that passes the gate (see `scanCbor`). Byte strings are copies.
 * @throws {LatchkeyError} `cbor_too_large`, `cbor_too_deep`, `cbor_invalid`
 */
export function decodeCbor(bytes: Uint8Array, options: Pick<ScanOptions, 'tags'> = {}): CborValue {
  const { wide, marked } = scanCbor(bytes, options);
  if (marked) return readCbor(bytes);
  // A view of its own: cbor-x hangs a `dataView` property on what it is given, and copies Buffers as Buffers.
  const value: CborValue = codec.decode(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  return wide ? narrow(value) : value;
}

/** Turns the BigInts that 64-bit integers decode to into numbers where those are exact. */
function narrow(value: CborValue): CborValue {
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }
  if (isCborArray(value)) return value.map(narrow);
  if (isCborMap(value)) return new Map(Array.from(value, ([key, item]) => [key, narrow(item)] as const));
  if (isCborTag(value)) return new Tag(narrow(value.value), value.tag);
  return value;
}
