import { EMPTY, fromUtf8, utf8 } from '../../core/bytes.ts';
import type { CoapRequest, CoapResponse } from '../../core/coap-exchange.ts';
import { LatchkeyError } from '../../core/errors.ts';
import { COAP_CODE, COAP_OPTION } from '../iana.ts';
import type { CoapMessage, CoapOption } from './message.ts';

/** What options mean (RFC 7252 §5.4, §5.10): from requests and responses to options and back. */

interface OptionForm {
  readonly number: number;
  readonly shortest: number;
  readonly longest: number;
  readonly repeatable: boolean;
}

function form(number: number, shortest: number, longest: number, repeatable = false): OptionForm {
  return { number, shortest, longest, repeatable };
}

function forms(...entries: readonly OptionForm[]): ReadonlyMap<number, OptionForm> {
  return new Map(entries.map((entry) => [entry.number, entry]));
}

/** Lengths and repeatability as RFC 7252 §5.10 table 4 and RFC 7959 §2.1 and §4 give them. */
const REQUEST_OPTIONS = forms(
  // The line leads to this endpoint alone, so whatever host and port the peer writes, this one is meant.
  form(COAP_OPTION.uriHost, 1, 255),
  form(COAP_OPTION.uriPort, 0, 2),
  form(COAP_OPTION.uriPath, 0, 255, true),
  form(COAP_OPTION.contentFormat, 0, 2),
  form(COAP_OPTION.uriQuery, 0, 255, true),
  form(COAP_OPTION.accept, 0, 2),
  form(COAP_OPTION.block2, 0, 3),
  form(COAP_OPTION.block1, 0, 3),
  form(COAP_OPTION.size2, 0, 4),
  form(COAP_OPTION.size1, 0, 4),
);

const RESPONSE_OPTIONS = forms(
  form(COAP_OPTION.etag, 1, 8),
  form(COAP_OPTION.contentFormat, 0, 2),
  form(COAP_OPTION.block2, 0, 3),
  form(COAP_OPTION.block1, 0, 3),
  form(COAP_OPTION.size2, 0, 4),
  form(COAP_OPTION.size1, 0, 4),
);

/** Options that are understood, by number. */
export type KnownOptions = ReadonlyMap<number, readonly Uint8Array[]>;

/** A critical option that is not understood: answered with 4.02, or 5.05 where it asks for a proxy (RFC 7252 §5.7.2). */
export interface RefusedOption {
  readonly refused: number;
  readonly code: number;
}

export function requestOptions(message: CoapMessage): KnownOptions | RefusedOption {
  return sift(message.options, REQUEST_OPTIONS);
}

export function responseOptions(message: CoapMessage): KnownOptions | RefusedOption {
  return sift(message.options, RESPONSE_OPTIONS);
}

export function isRefused(options: KnownOptions | RefusedOption): options is RefusedOption {
  return 'refused' in options;
}

/**
 * Unknown options, those of a length that is not theirs (RFC 7252 §5.4.3) and those repeated without leave (§5.4.5)
 * are one case: odd numbers are critical and refuse the message, even ones are passed over.
 */
function sift(options: readonly CoapOption[], known: ReadonlyMap<number, OptionForm>): KnownOptions | RefusedOption {
  const found = new Map<number, Uint8Array[]>();
  for (const { number, value } of options) {
    const allowed = known.get(number);
    const earlier = found.get(number);
    const fits = allowed !== undefined && value.length >= allowed.shortest && value.length <= allowed.longest;
    if (fits && (earlier === undefined || allowed.repeatable)) {
      if (earlier === undefined) found.set(number, [value]);
      else earlier.push(value);
    } else if (number % 2 === 1) {
      return { refused: number, code: refusalOf(number) };
    }
  }
  return found;
}

function refusalOf(number: number): number {
  const asksForProxy = number === COAP_OPTION.proxyUri || number === COAP_OPTION.proxyScheme;
  return asksForProxy ? COAP_CODE.proxyingNotSupported : COAP_CODE.badOption;
}

/** Unsigned integer in as few bytes as possible, none for zero (RFC 7252 §3.2). */
export function encodeUint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Uint8Array.from(bytes);
}

/** Leading zero bytes are taken, as RFC 7252 §3.2 asks of a recipient; lengths are checked before. */
export function decodeUint(value: Uint8Array): number {
  let number = 0;
  for (const byte of value) number = number * 256 + byte;
  return number;
}

export function uintOption(number: number, value: number): CoapOption {
  return { number, value: encodeUint(value) };
}

function readUint(options: KnownOptions, number: number): number | undefined {
  const value = options.get(number)?.[0];
  return value === undefined ? undefined : decodeUint(value);
}

/** Options of a request, blocks apart. */
export function optionsOfRequest(request: CoapRequest): CoapOption[] {
  const options: CoapOption[] = request.path.map((segment) => textOption(COAP_OPTION.uriPath, segment));
  if (request.contentFormat !== undefined) options.push(uintOption(COAP_OPTION.contentFormat, request.contentFormat));
  for (const part of request.query ?? []) options.push(textOption(COAP_OPTION.uriQuery, part));
  if (request.accept !== undefined) options.push(uintOption(COAP_OPTION.accept, request.accept));
  return options;
}

function textOption(number: number, text: string): CoapOption {
  const value = utf8(text);
  if (value.length > 255) throw new LatchkeyError('coap_message_invalid', `option ${number} past 255 bytes`);
  return { number, value };
}

/** @throws {LatchkeyError} `utf8_invalid` for a path or query that is not UTF-8 */
export function requestFrom(method: number, options: KnownOptions, payload: Uint8Array): CoapRequest {
  const query = options.get(COAP_OPTION.uriQuery);
  const contentFormat = readUint(options, COAP_OPTION.contentFormat);
  const accept = readUint(options, COAP_OPTION.accept);
  return {
    method,
    path: (options.get(COAP_OPTION.uriPath) ?? []).map(fromUtf8),
    ...(query === undefined ? {} : { query: query.map(fromUtf8) }),
    ...(contentFormat === undefined ? {} : { contentFormat }),
    ...(accept === undefined ? {} : { accept }),
    payload,
  };
}

export function responseFrom(code: number, options: KnownOptions, payload: Uint8Array): CoapResponse {
  const contentFormat = readUint(options, COAP_OPTION.contentFormat);
  return { code, ...(contentFormat === undefined ? {} : { contentFormat }), payload };
}

/** Options of a response, blocks apart. */
export function optionsOfResponse(response: CoapResponse): CoapOption[] {
  return response.contentFormat === undefined ? [] : [uintOption(COAP_OPTION.contentFormat, response.contentFormat)];
}

/** A response that says its code and nothing else. */
export function bareResponse(code: number): CoapResponse {
  return { code, payload: EMPTY };
}
