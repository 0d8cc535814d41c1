/**
 * Decoder for CBOR that the gate let through (see `scanCbor`), so that it checks nothing. `decodeCbor` uses it for the
 * rare input that cbor-x reads wrongly: cbor-x 1.6.9 decodes a text of more than 64 bytes with a `TextDecoder` that drops
 * a leading U+FEFF, and two keys of a map can become one. RFC 8949 §3.1 knows no byte order mark.
 */
import { fromUtf8 } from '../core/bytes.ts';
import { ARRAY, BYTES, MAP, NEGATIVE, TAG, TEXT, UNSIGNED } from './cbor-major.ts';
import { type CborKey, type CborValue, cborTag } from './cbor-value.ts';

/** The value of the one item in `bytes`. Integers past 2^53 − 1 are bigints; byte strings are copies. */
export function readCbor(bytes: Uint8Array): CborValue {
  return readItem({ bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), position: 0 });
}

interface Input {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  position: number;
}

function readItem(input: Input): CborValue {
  const major = (input.bytes[input.position] as number) >> 5;
  const argument = readArgument(input);
  switch (major) {
    case UNSIGNED:
      return argument;
    case NEGATIVE:
      return safe(-1n - BigInt(argument));
    case BYTES:
      return take(input, Number(argument)).slice();
    case TEXT:
      return fromUtf8(take(input, Number(argument)));
    case ARRAY:
      return Array.from({ length: Number(argument) }, () => readItem(input));
    case MAP:
      return new Map(
        Array.from({ length: Number(argument) }, () => [readItem(input) as CborKey, readItem(input)] as const),
      );
    case TAG:
      return cborTag(Number(argument), readItem(input));
    default:
      return argument === 22 ? null : argument === 21;
  }
}

/** The argument of a head (RFC 8949 §3), behind which the position is then. */
function readArgument(input: Input): number | bigint {
  const { view, position } = input;
  const information = view.getUint8(position) & 0x1f;
  if (information < 24) {
    input.position += 1;
    return information;
  }
  input.position += 1 + (1 << (information - 24));
  if (information === 24) return view.getUint8(position + 1);
  if (information === 25) return view.getUint16(position + 1);
  if (information === 26) return view.getUint32(position + 1);
  return safe(view.getBigUint64(position + 1));
}

function safe(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function take(input: Input, length: number): Uint8Array {
  const taken = input.bytes.subarray(input.position, input.position + length);
  input.position += length;
  return taken;
}
