/**
 * `cti` of a token with `exi` (RFC 9200 §5.10.3): the identifier of the device, followed by a number that rises from one
 * token to the next. So a device need only remember the highest number of those that ended to refuse all of them for good.
 */
import { concat, equal, utf8 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';

const SEQUENCE_BYTES = 8;
const HIGHEST = 0xffff_ffff;

/**
 * The number of a token is the second in which it was issued, and below it 32 bits of the token's own hash: it comes from
 * the token alone, so one that is presented twice has it twice, and a hub that lost its records does not start over.
 * 8 bytes, the highest first.
 * @param issuedAt NumericDate, whole seconds
 * @param digest SHA-256 over the JWT; its first 4 bytes count
 * @throws {LatchkeyError} `claim_not_translatable` for a date past 2106
 */
export function exiSequence(issuedAt: number, digest: Uint8Array): bigint {
  if (!Number.isSafeInteger(issuedAt) || issuedAt < 0 || issuedAt > HIGHEST)
    throw new LatchkeyError('claim_not_translatable', 'iat is past 2106');
  return (BigInt(issuedAt) << 32n) | BigInt(view(digest).getUint32(0));
}

/** @param device its id, up to 63 bytes */
export function exiTokenId(device: string, sequence: bigint): Uint8Array {
  const number = new Uint8Array(SEQUENCE_BYTES);
  view(number).setBigUint64(0, sequence);
  return concat(utf8(device), number);
}

/** The number in a `cti`; undefined where it is not one of this device. */
export function readExiTokenId(tokenId: Uint8Array, device: string): bigint | undefined {
  const name = utf8(device);
  if (tokenId.length !== name.length + SEQUENCE_BYTES || !equal(tokenId.subarray(0, name.length), name))
    return undefined;
  return view(tokenId).getBigUint64(name.length);
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
