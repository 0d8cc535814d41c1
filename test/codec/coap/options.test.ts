import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CoapMessage } from '../../../src/codec/coap/message.ts';
import {
  decodeUint,
  encodeUint,
  isRefused,
  optionsOfRequest,
  optionsOfResponse,
  requestFrom,
  requestOptions,
  responseFrom,
  responseOptions,
} from '../../../src/codec/coap/options.ts';
import { COAP_CODE, COAP_OPTION } from '../../../src/codec/iana.ts';
import { EMPTY, fromHex, hex, utf8 } from '../../../src/core/bytes.ts';
import type { CoapRequest } from '../../../src/core/coap-exchange.ts';

function message(options: CoapMessage['options']): CoapMessage {
  return { type: 0, code: 1, messageId: 1, token: EMPTY, options, payload: EMPTY };
}

const segment = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((text) => utf8(text).length <= 255);
const number16 = fc.nat(0xffff);

describe('unsigned integers of options (RFC 7252 section 3.2)', () => {
  it.each([
    [0, ''],
    [1, '01'],
    [255, 'ff'],
    [256, '0100'],
    [65_061, 'fe25'],
    [0xffffffff, 'ffffffff'],
  ])('%d is %s', (value, bytes) => {
    expect(hex(encodeUint(value))).toBe(bytes);
    expect(decodeUint(fromHex(bytes))).toBe(value);
  });

  it('are taken with leading zeros', () => {
    expect(decodeUint(fromHex('0000003c'))).toBe(60);
  });
});

describe('requests and responses', () => {
  it('any request is the same again from its options', () => {
    const requests = fc.record(
      {
        method: fc.integer({ min: 1, max: 7 }),
        path: fc.array(segment, { maxLength: 8 }),
        query: fc.array(segment, { minLength: 1, maxLength: 8 }),
        contentFormat: number16,
        accept: number16,
        payload: fc.uint8Array({ maxLength: 20 }),
      },
      { requiredKeys: ['method', 'path', 'payload'] },
    );
    fc.assert(
      fc.property(requests, (request) => {
        const typed: CoapRequest = request;
        const known = requestOptions(message(optionsOfRequest(typed)));
        if (isRefused(known)) throw new Error(`option ${known.refused}`);
        expect(requestFrom(request.method, known, request.payload)).toEqual(request);
      }),
    );
  });

  it('any response is the same again from its options', () => {
    fc.assert(
      fc.property(
        fc.option(number16, { nil: undefined }),
        fc.uint8Array({ maxLength: 20 }),
        (contentFormat, payload) => {
          const response = {
            code: COAP_CODE.content,
            ...(contentFormat === undefined ? {} : { contentFormat }),
            payload,
          };
          const known = responseOptions(message(optionsOfResponse(response)));
          if (isRefused(known)) throw new Error(`option ${known.refused}`);
          expect(responseFrom(response.code, known, payload)).toEqual(response);
        },
      ),
    );
  });

  it('a path segment past 255 bytes is refused: coap_message_invalid', () => {
    expect(() => optionsOfRequest({ method: 1, path: ['a'.repeat(256)] })).toThrow(
      expect.objectContaining({ code: 'coap_message_invalid' }),
    );
  });

  it.each([
    ['If-Match', COAP_OPTION.ifMatch],
    ['If-None-Match', COAP_OPTION.ifNoneMatch],
    ['OSCORE', COAP_OPTION.oscore],
    ['an unassigned critical option', 65_001],
  ])('%s in a request is refused with 4.02', (_, number) => {
    expect(requestOptions(message([{ number, value: EMPTY }]))).toEqual({
      refused: number,
      code: COAP_CODE.badOption,
    });
  });

  it.each([
    ['Proxy-Uri', COAP_OPTION.proxyUri],
    ['Proxy-Scheme', COAP_OPTION.proxyScheme],
  ])('%s in a request is refused with 5.05', (_, number) => {
    expect(requestOptions(message([{ number, value: EMPTY }]))).toMatchObject({ code: COAP_CODE.proxyingNotSupported });
  });

  it.each([
    ['ETag of 9 bytes', COAP_OPTION.etag, new Uint8Array(9)],
    ['Content-Format of 3 bytes', COAP_OPTION.contentFormat, new Uint8Array(3)],
    ['Max-Age', COAP_OPTION.maxAge, new Uint8Array(1)],
    ['an unassigned elective option', 65_000, EMPTY],
  ])('%s in a response is passed over', (_, number, value) => {
    expect(responseOptions(message([{ number, value }]))).toEqual(new Map());
  });

  it('a repeated elective option counts once', () => {
    const known = responseOptions(
      message([
        { number: COAP_OPTION.contentFormat, value: fromHex('3c') },
        { number: COAP_OPTION.contentFormat, value: fromHex('3d') },
      ]),
    );
    expect(known).toEqual(new Map([[COAP_OPTION.contentFormat, [fromHex('3c')]]]));
  });
});
