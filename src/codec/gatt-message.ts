import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';

/**
 * Messages as values of GATT characteristics (draft-ietf-core-coap-over-gatt, "Message sub-layer"): one byte with the bits
 * R, M, C, A and the token length, then code, token, options and payload as in RFC 7252. There is no message id, and an
 * empty message is the first byte alone.
 */

/** A message id of one bit. */
export type GattBit = 0 | 1;

/** What a CoAP message has behind its header. */
export interface GattContent {
  /** 0 to 8. */
  readonly tokenLength: number;
  /** Code, token, options, payload marker and payload. Not looked into here. */
  readonly bytes: Uint8Array;
}

export interface GattMessage {
  /** M: the sender's message id. */
  readonly messageId: GattBit;
  /** C: the sender waits for an acknowledgement. */
  readonly confirm: boolean;
  /** A: the message id of the last message that the sender had with C set. */
  readonly acknowledgement: GattBit;
  /** Undefined in an empty message. */
  readonly content: GattContent | undefined;
}

const RESERVED_BIT = 0x80;
const MESSAGE_ID_BIT = 0x40;
const CONFIRM_BIT = 0x20;
const ACKNOWLEDGEMENT_BIT = 0x10;
const TOKEN_LENGTH_BITS = 0x0f;
const MAXIMUM_TOKEN_BYTES = 8;
const COAP_VERSION = 1;
/** Version, type and token length; code; message id. */
const COAP_HEADER_BYTES = 4;

/** Bytes that a message is longer as a CoAP datagram than as a value. */
export const GATT_SAVES_BYTES = 2;

/** Whether the whole value is to be passed over: the bit is kept for versions to come. */
export function isReserved(value: Uint8Array): boolean {
  return ((value[0] ?? 0) & RESERVED_BIT) !== 0;
}

/**
 * Message from exactly one value.
 * @throws {LatchkeyError} `coap_message_invalid` for an empty value, one over 512 bytes, one with R set, a token length
 *   that is reserved or past the end, and code 0.00 with anything behind it, which an empty message does not have
 */
export function decodeGattMessage(value: Uint8Array): GattMessage {
  const first = value[0];
  if (first === undefined) return refuse('an empty value');
  if (value.length > LIMITS.gattValueBytes) refuse('a value over 512 bytes');
  if (isReserved(value)) refuse('the reserved bit is set');
  const tokenLength = first & TOKEN_LENGTH_BITS;
  if (tokenLength > MAXIMUM_TOKEN_BYTES) refuse('reserved token length');
  const bytes = value.slice(1);
  if (bytes.length > 0 && bytes.length < 1 + tokenLength) refuse('shorter than its token');
  if (bytes.length === 0 && tokenLength > 0) refuse('a token in an empty message');
  if (bytes[0] === 0) refuse('an empty message with a code');
  return {
    messageId: (first & MESSAGE_ID_BIT) === 0 ? 0 : 1,
    confirm: (first & CONFIRM_BIT) !== 0,
    acknowledgement: (first & ACKNOWLEDGEMENT_BIT) === 0 ? 0 : 1,
    content: bytes.length === 0 ? undefined : { tokenLength, bytes },
  };
}

/**
 * The one encoding of a message.
 * @throws {LatchkeyError} `coap_message_invalid` if it has none that `decodeGattMessage` takes
 */
export function encodeGattMessage({ messageId, confirm, acknowledgement, content }: GattMessage): Uint8Array {
  const { tokenLength, bytes } = content ?? { tokenLength: 0, bytes: new Uint8Array(0) };
  if (content !== undefined && (bytes.length < 1 + tokenLength || bytes[0] === 0)) refuse('content without a code');
  if (tokenLength < 0 || tokenLength > MAXIMUM_TOKEN_BYTES) refuse('reserved token length');
  if (1 + bytes.length > LIMITS.gattValueBytes) refuse('a value over 512 bytes');
  const value = new Uint8Array(1 + bytes.length);
  value[0] =
    (messageId === 1 ? MESSAGE_ID_BIT : 0) |
    (confirm ? CONFIRM_BIT : 0) |
    (acknowledgement === 1 ? ACKNOWLEDGEMENT_BIT : 0) |
    tokenLength;
  value.set(bytes, 1);
  return value;
}

/** The content of an encoded CoAP message; undefined for the Empty message. */
export function contentOfCoap(datagram: Uint8Array): GattContent | undefined {
  const [first = 0, code = 0] = datagram;
  if (code === 0) return undefined;
  const bytes = new Uint8Array(datagram.length - COAP_HEADER_BYTES + 1);
  bytes[0] = code;
  bytes.set(datagram.subarray(COAP_HEADER_BYTES), 1);
  return { tokenLength: first & TOKEN_LENGTH_BITS, bytes };
}

/** The CoAP message with this content (RFC 7252 §3), and the type (of `COAP_TYPE`) and 16-bit message id that GATT has not. */
export function coapOfContent({ tokenLength, bytes }: GattContent, type: number, messageId: number): Uint8Array {
  const datagram = new Uint8Array(COAP_HEADER_BYTES - 1 + bytes.length);
  datagram[0] = (COAP_VERSION << 6) | (type << 4) | tokenLength;
  datagram[1] = bytes[0] ?? 0;
  datagram[2] = messageId >>> 8;
  datagram[3] = messageId & 0xff;
  datagram.set(bytes.subarray(1), COAP_HEADER_BYTES);
  return datagram;
}

function refuse(detail: string): never {
  throw new LatchkeyError('coap_message_invalid', detail);
}
