import { EMPTY } from '../../core/bytes.ts';
import { LatchkeyError } from '../../core/errors.ts';
import { LIMITS } from '../../core/limits.ts';
import { COAP_TYPE } from '../iana.ts';

/** CoAP message format for datagram transports (RFC 7252 §3). Integers are in network byte order. */

export interface CoapOption {
  readonly number: number;
  readonly value: Uint8Array;
}

export interface CoapMessage {
  /** One of `COAP_TYPE`. */
  readonly type: number;
  /** Method or response code as one byte, class in the upper 3 bits; 0 is the Empty message. */
  readonly code: number;
  /** 16 bits. */
  readonly messageId: number;
  /** 0 to 8 bytes. */
  readonly token: Uint8Array;
  /** Ascending by number; those of one number in their order on the wire. */
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
}

const VERSION = 1;
const HEADER_BYTES = 4;
const MAXIMUM_TOKEN_BYTES = 8;
const MAXIMUM_OPTION_NUMBER = 0xffff;
const PAYLOAD_MARKER = 0xff;
/** Nibble values 13 and 14 announce 1 and 2 bytes more; 15 is reserved for the payload marker (RFC 7252 §3.1). */
const ONE_BYTE_MORE = 13;
const TWO_BYTES_MORE = 14;
const TWO_BYTES_BASE = 269;

export function codeClass(code: number): number {
  return code >>> 5;
}

function isRequestCode(code: number): boolean {
  return code !== 0 && codeClass(code) === 0;
}

/** 2.00 to 5.31 (RFC 7252 §12.1). */
export function isResponseCode(code: number): boolean {
  return codeClass(code) >= 2 && codeClass(code) <= 5;
}

export function emptyMessage(type: number, messageId: number): CoapMessage {
  return { type, code: 0, messageId, token: EMPTY, options: [], payload: EMPTY };
}

/**
 * Message from exactly one datagram or frame.
 * @throws {LatchkeyError} `coap_message_invalid` for every message format error of RFC 7252 §3, for the combinations of
 *   type and code that §4.3 table 1 rules out, for reserved code classes (§4.2), and past `LIMITS.coapMessageBytes` or
 *   `LIMITS.coapOptions`.
 */
export function decodeMessage(bytes: Uint8Array): CoapMessage {
  if (bytes.length < HEADER_BYTES) refuse('shorter than its header');
  if (bytes.length > LIMITS.coapMessageBytes) refuse('too long');
  const first = byteAt(bytes, 0);
  if (first >>> 6 !== VERSION) refuse('not version 1');
  const type = (first >>> 4) & 0x03;
  const tokenLength = first & 0x0f;
  const code = byteAt(bytes, 1);
  const messageId = (byteAt(bytes, 2) << 8) | byteAt(bytes, 3);
  if (tokenLength > MAXIMUM_TOKEN_BYTES) refuse('reserved token length');
  refuseImpossible(type, code);
  if (code === 0) {
    if (tokenLength !== 0 || bytes.length !== HEADER_BYTES) refuse('bytes after the message id of an Empty message');
    return emptyMessage(type, messageId);
  }
  const optionsStart = HEADER_BYTES + tokenLength;
  if (bytes.length < optionsStart) refuse('shorter than its token');
  const { options, end } = decodeOptions(bytes, optionsStart);
  return { type, code, messageId, token: bytes.slice(HEADER_BYTES, optionsStart), options, payload: bytes.slice(end) };
}

function refuseImpossible(type: number, code: number): void {
  const isEmpty = code === 0;
  if (!isEmpty && !isRequestCode(code) && !isResponseCode(code)) refuse('reserved code class');
  if (type === COAP_TYPE.NON && isEmpty) refuse('Empty Non-confirmable message');
  if (type === COAP_TYPE.RST && !isEmpty) refuse('Reset message that is not Empty');
  if (type === COAP_TYPE.ACK && isRequestCode(code)) refuse('request in an Acknowledgement');
}

function decodeOptions(bytes: Uint8Array, start: number): { options: CoapOption[]; end: number } {
  const options: CoapOption[] = [];
  let at = start;
  let number = 0;
  while (at < bytes.length) {
    const first = byteAt(bytes, at);
    at += 1;
    if (first === PAYLOAD_MARKER) {
      if (at === bytes.length) refuse('payload marker without a payload');
      return { options, end: at };
    }
    if (options.length === LIMITS.coapOptions) refuse('too many options');
    const delta = extended(bytes, at, first >>> 4);
    const length = extended(bytes, delta.next, first & 0x0f);
    number += delta.value;
    if (number > MAXIMUM_OPTION_NUMBER) refuse('option number past 16 bits');
    const end = length.next + length.value;
    if (end > bytes.length) refuse('option past the end');
    options.push({ number, value: bytes.slice(length.next, end) });
    at = end;
  }
  return { options, end: at };
}

function extended(bytes: Uint8Array, at: number, nibble: number): { value: number; next: number } {
  if (nibble < ONE_BYTE_MORE) return { value: nibble, next: at };
  if (nibble === ONE_BYTE_MORE) return { value: ONE_BYTE_MORE + byteAt(bytes, at), next: at + 1 };
  if (nibble === TWO_BYTES_MORE) {
    return { value: TWO_BYTES_BASE + ((byteAt(bytes, at) << 8) | byteAt(bytes, at + 1)), next: at + 2 };
  }
  return refuse('reserved option delta or length');
}

/**
 * The one encoding of a message: options in ascending order of their numbers, shortest forms (which are the only ones).
 * @throws {LatchkeyError} `coap_message_invalid` if the message has no encoding that `decodeMessage` takes
 */
export function encodeMessage(message: CoapMessage): Uint8Array {
  const { type, code, messageId, token, payload } = message;
  if (type < 0 || type > 3 || code < 0 || code > 0xff) refuse('type or code out of range');
  if (messageId < 0 || messageId > 0xffff) refuse('message id out of range');
  if (token.length > MAXIMUM_TOKEN_BYTES) refuse('token too long');
  refuseImpossible(type, code);
  if (code === 0 && token.length + message.options.length + payload.length !== 0) refuse('Empty message with content');
  if (message.options.length > LIMITS.coapOptions) refuse('too many options');
  const options = message.options.toSorted((a, b) => a.number - b.number);
  const out = new Writer(encodedLength(options, token.length, payload.length));
  out.byte((VERSION << 6) | (type << 4) | token.length);
  out.byte(code);
  out.byte(messageId >>> 8);
  out.byte(messageId & 0xff);
  out.bytes(token);
  let previous = 0;
  for (const { number, value } of options) {
    writeOption(out, number - previous, value);
    previous = number;
  }
  if (payload.length > 0) {
    out.byte(PAYLOAD_MARKER);
    out.bytes(payload);
  }
  return out.done();
}

function encodedLength(options: readonly CoapOption[], token: number, payload: number): number {
  let length = HEADER_BYTES + token + (payload > 0 ? 1 + payload : 0);
  let previous = 0;
  for (const { number, value } of options) {
    if (number < 0 || number > MAXIMUM_OPTION_NUMBER) refuse('option number out of range');
    length += 1 + extensionLength(number - previous) + extensionLength(value.length) + value.length;
    previous = number;
  }
  if (length > LIMITS.coapMessageBytes) refuse('too long');
  return length;
}

function extensionLength(value: number): number {
  if (value < ONE_BYTE_MORE) return 0;
  return value < TWO_BYTES_BASE ? 1 : 2;
}

function writeOption(out: Writer, delta: number, value: Uint8Array): void {
  out.byte((nibbleOf(delta) << 4) | nibbleOf(value.length));
  writeExtended(out, delta);
  writeExtended(out, value.length);
  out.bytes(value);
}

function nibbleOf(value: number): number {
  if (value < ONE_BYTE_MORE) return value;
  return value < TWO_BYTES_BASE ? ONE_BYTE_MORE : TWO_BYTES_MORE;
}

function writeExtended(out: Writer, value: number): void {
  if (value < ONE_BYTE_MORE) return;
  if (value < TWO_BYTES_BASE) {
    out.byte(value - ONE_BYTE_MORE);
    return;
  }
  out.byte((value - TWO_BYTES_BASE) >>> 8);
  out.byte((value - TWO_BYTES_BASE) & 0xff);
}

class Writer {
  readonly #out: Uint8Array;
  #length = 0;

  constructor(length: number) {
    this.#out = new Uint8Array(length);
  }

  byte(value: number): void {
    this.#out[this.#length] = value;
    this.#length += 1;
  }

  bytes(value: Uint8Array): void {
    this.#out.set(value, this.#length);
    this.#length += value.length;
  }

  done(): Uint8Array {
    return this.#out;
  }
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? refuse('ends too early');
}

function refuse(detail: string): never {
  throw new LatchkeyError('coap_message_invalid', detail);
}
