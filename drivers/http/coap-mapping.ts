/** HTTP to CoAP and back for the proxy: RFC 8075. */

import { codeText, isSuccess } from '../../src/codec/coap/codes.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../../src/codec/iana.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { ProxyRequest, ProxyResponse } from '../../src/ports/northbound.ts';
import type { HttpAnswer } from './http-answer.ts';
import { type ProblemContext, problemAnswer } from './problem.ts';
import type { HttpRequest } from './server.ts';

/** Media types that cross the proxy (IANA "CoAP Content-Formats"). */
const MEDIA_TYPES: readonly (readonly [type: string, format: number])[] = [
  ['text/plain; charset=utf-8', CONTENT_FORMAT.text],
  ['application/cose; cose-type="cose-encrypt0"', CONTENT_FORMAT.coseEncrypt0],
  ['application/cose; cose-type="cose-mac0"', CONTENT_FORMAT.coseMac0],
  ['application/cose; cose-type="cose-sign1"', CONTENT_FORMAT.coseSign1],
  ['application/link-format', CONTENT_FORMAT.linkFormat],
  ['application/octet-stream', CONTENT_FORMAT.octetStream],
  ['application/json', CONTENT_FORMAT.json],
  ['application/cbor', CONTENT_FORMAT.cbor],
];

/** HTTP has no FETCH or PATCH with these meanings, so a POST may name the CoAP method that it stands for. */
const METHOD_HEADER = 'coap-method';

/**
 * Statuses for the device's refusals: RFC 8075 §7, table 2. 4.01 becomes 403, since HTTP's 401 asks for a header that
 * CoAP has no words for.
 */
const STATUSES: Readonly<Record<string, number>> = {
  '4.00': 400,
  '4.01': 403,
  '4.02': 400,
  '4.03': 403,
  '4.04': 404,
  '4.05': 405,
  '4.06': 406,
  '4.08': 400,
  '4.12': 412,
  '4.13': 413,
  '4.15': 415,
  '5.00': 502,
  '5.01': 501,
  '5.02': 502,
  '5.03': 503,
  '5.04': 504,
};

/** @throws {LatchkeyError} `request_invalid`, `not_found` */
export function coapRequestOf(request: HttpRequest, device: string, path: string): ProxyRequest {
  const [type, ...others] = request.headers['content-type'] ?? [];
  if (others.length > 0) throw new LatchkeyError('request_invalid', 'several Content-Type headers');
  return {
    device,
    method: methodOf(request),
    path: segmentsOf(path),
    query: [...request.query].map(([name, value]) => (value === '' ? name : `${name}=${value}`)),
    contentFormat: type === undefined ? undefined : contentFormatOf(type),
    payload: request.body,
  };
}

export function httpAnswerOf(answer: ProxyResponse, request: ProblemContext): HttpAnswer {
  const deviceCode = codeText(answer.code);
  if (!isSuccess(answer.code)) {
    return problemAnswer(new LatchkeyError('device_refused_request'), request, {
      status: STATUSES[deviceCode] ?? 502,
      deviceCode,
      hints: answer.hints,
      headers: { 'device-verified': String(answer.verified) },
    });
  }
  const type = MEDIA_TYPES.find(([, format]) => format === answer.contentFormat)?.[0] ?? 'application/octet-stream';
  const empty = answer.payload.length === 0;
  return {
    // RFC 8075 §7: 2.01 is 201; 2.02, 2.04 and 2.05 are 200, or 204 where they carry nothing.
    status: deviceCode === '2.01' ? 201 : empty ? 204 : 200,
    headers: {
      'coap-code': deviceCode,
      'device-verified': String(answer.verified),
      ...(empty ? {} : { 'content-type': type }),
    },
    ...(empty ? {} : { body: answer.payload }),
  };
}

function methodOf(request: HttpRequest): number {
  const [name, ...others] = request.headers[METHOD_HEADER] ?? [request.method];
  const method = Object.entries(COAP_METHOD).find(([known]) => known === name)?.[1];
  if (method === undefined || others.length > 0) throw new LatchkeyError('request_invalid', 'CoAP-Method');
  if (name !== request.method && request.method !== 'POST')
    throw new LatchkeyError('request_invalid', 'CoAP-Method goes with POST');
  return method;
}

/** Uri-Path options hold 0 to 255 bytes each (RFC 7252 §5.10); empty and dot segments have no place on a device. */
function segmentsOf(path: string): readonly string[] {
  const segments = path.split('/');
  if (
    segments.some(
      (segment) => segment === '' || segment === '.' || segment === '..' || Buffer.byteLength(segment) > 255,
    )
  ) {
    throw new LatchkeyError('not_found');
  }
  return segments;
}

function contentFormatOf(type: string): number {
  const wanted = normalise(type);
  const found = MEDIA_TYPES.find(([known]) => normalise(known) === wanted);
  if (found === undefined) throw new LatchkeyError('request_invalid', 'Content-Type');
  return found[1];
}

function normalise(type: string): string {
  return type.toLowerCase().replaceAll(/\s|"/g, '');
}
