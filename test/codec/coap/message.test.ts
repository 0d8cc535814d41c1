import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CoapMessage, decodeMessage, encodeMessage } from '../../../src/codec/coap/message.ts';
import { concat, fromHex, fromUtf8, hex, utf8 } from '../../../src/core/bytes.ts';
import { LIMITS } from '../../../src/core/limits.ts';

const NONE = new Uint8Array(0);
const text = (value: string) => hex(utf8(value));

function code(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
  return 'nothing thrown';
}

interface Vector {
  readonly source: string;
  readonly bytes: string;
  readonly message: Omit<CoapMessage, 'options'> & { readonly options: readonly (readonly [number, string])[] };
}

const vectors: readonly Vector[] = [
  {
    source: 'RFC 7252 appendix A figure 16, request',
    bytes: `40017d34bb${text('temperature')}`,
    message: { type: 0, code: 0x01, messageId: 0x7d34, token: NONE, options: [[11, 'temperature']], payload: NONE },
  },
  {
    source: 'RFC 7252 appendix A figure 16, response',
    bytes: `60457d34ff${text('22.3 C')}`,
    message: { type: 2, code: 0x45, messageId: 0x7d34, token: NONE, options: [], payload: utf8('22.3 C') },
  },
  {
    source: 'RFC 8613 appendix C.4, unprotected request',
    bytes: '44015d1f00003974396c6f63616c686f737483747631',
    message: {
      type: 0,
      code: 0x01,
      messageId: 0x5d1f,
      token: fromHex('00003974'),
      options: [
        [3, 'localhost'],
        [11, 'tv1'],
      ],
      payload: NONE,
    },
  },
  {
    source: 'RFC 8613 appendix C.7, unprotected response',
    bytes: '64455d1f00003974ff48656c6c6f20576f726c6421',
    message: {
      type: 2,
      code: 0x45,
      messageId: 0x5d1f,
      token: fromHex('00003974'),
      options: [],
      payload: utf8('Hello World!'),
    },
  },
  {
    source: 'libcoap tests/test_pdu.c t_parse_pdu2',
    bytes: `55691234${text('token')}`,
    message: { type: 1, code: 0x69, messageId: 0x1234, token: utf8('token'), options: [], payload: NONE },
  },
  {
    source: 'libcoap tests/test_pdu.c t_parse_pdu7',
    bytes: `55731234${text('token')}00c100ff${text('payload')}`,
    message: {
      type: 1,
      code: 0x73,
      messageId: 0x1234,
      token: utf8('token'),
      options: [
        [0, ''],
        [12, '\0'],
      ],
      payload: utf8('payload'),
    },
  },
  {
    source: 'libcoap tests/test_pdu.c t_parse_pdu11',
    bytes: '60001234',
    message: { type: 2, code: 0, messageId: 0x1234, token: NONE, options: [], payload: NONE },
  },
  {
    source: 'libcoap tests/test_pdu.c t_encode_pdu4',
    bytes: `609912343d05${text('fancyproxy.coap.me')}84${text('path')}00e81e28${text('fancyopt')}`,
    message: {
      type: 2,
      code: 0x99,
      messageId: 0x1234,
      token: NONE,
      options: [
        [3, 'fancyproxy.coap.me'],
        [11, 'path'],
        [11, ''],
        [8000, 'fancyopt'],
      ],
      payload: NONE,
    },
  },
  {
    source: 'libcoap tests/test_pdu.c t_encode_pdu5',
    bytes: `68841234${text('12345678')}18${text('ABCDEFGH')}d10312`,
    message: {
      type: 2,
      code: 0x84,
      messageId: 0x1234,
      token: utf8('12345678'),
      options: [
        [1, 'ABCDEFGH'],
        [17, '\u0012'],
      ],
      payload: NONE,
    },
  },
  {
    source: 'libcoap tests/test_pdu.c t_encode_pdu8',
    bytes: '424312340001ff00',
    message: { type: 0, code: 0x43, messageId: 0x1234, token: fromHex('0001'), options: [], payload: fromHex('00') },
  },
];

describe('CoAP messages of others', () => {
  it.each(vectors)('$source decodes and encodes', ({ bytes, message }) => {
    const decoded = decodeMessage(fromHex(bytes));
    const options = decoded.options.map(({ number, value }) => [number, fromUtf8(value)]);
    expect({ ...decoded, options }).toEqual(message);
    expect(hex(encodeMessage(decoded))).toBe(bytes);
  });
});

describe('decodeMessage refuses', () => {
  it.each([
    ['nothing', ''],
    ['a header cut short', '400112'],
    ['version 0', '00011234'],
    ['version 2', '80011234'],
    ['a token cut short (libcoap t_parse_pdu3 reads it as options)', `45691234${text('toke')}`],
    ['a token length of 9 (libcoap t_parse_pdu4)', `59691234${text('token1234')}`],
    ['a token length of 15 (libcoap t_parse_pdu4)', `5f691234${text('token1234')}`],
    ['a token length of 10 with no token (libcoap t_parse_pdu16)', '5a0a5b5b'],
    ['options that exceed the message (libcoap t_parse_pdu6)', `55731234${text('token')}00c100aef003`],
    ['a payload marker in a Reset (libcoap t_parse_pdu9)', '70001234ff'],
    ['a payload marker without a payload (libcoap t_parse_pdu10)', `53731234${text('tok')}3161c100ff`],
    ['a Reset with content (libcoap t_parse_pdu13)', `70001234ff${text('content')}`],
    ['an Empty Acknowledgement with content (libcoap t_parse_pdu14)', `60001234ff${text('content')}`],
    ['an Empty message with a token', '4100123401'],
    ['an Empty Non-confirmable message', '50001234'],
    ['a request in an Acknowledgement', '60011234'],
    ['a request in a Reset', '70011234'],
    ['a response in a Reset', '70451234'],
    ['the reserved code class 1', '40211234'],
    ['the reserved code class 6', '40c11234'],
    ['the reserved code class 7', '40e11234'],
    ['option delta 15', '40011234f0'],
    ['option length 15', '400112340f'],
    ['an option delta cut short', '40011234d0'],
    ['a two-byte option delta cut short', '40011234e001'],
    ['an option length cut short', '400112340d'],
    ['an option value cut short', '4001123405010203'],
    ['option numbers past 16 bits (libcoap t_parse_pdu17)', `40011234${'d0ff'.repeat(245)}`],
    ['one option number past 16 bits', '40011234e0ffff'],
  ])('%s', (_, bytes) => {
    expect(code(() => decodeMessage(fromHex(bytes)))).toBe('coap_message_invalid');
  });

  it('more options than the limit', () => {
    const options = (count: number) => concat(fromHex('40011234'), new Uint8Array(count));
    expect(decodeMessage(options(LIMITS.coapOptions)).options).toHaveLength(LIMITS.coapOptions);
    expect(code(() => decodeMessage(options(LIMITS.coapOptions + 1)))).toBe('coap_message_invalid');
  });

  it('a message past the limit', () => {
    const message = concat(fromHex('40011234ff'), new Uint8Array(LIMITS.coapMessageBytes));
    expect(decodeMessage(message.subarray(0, LIMITS.coapMessageBytes)).code).toBe(1);
    expect(code(() => decodeMessage(message.subarray(0, LIMITS.coapMessageBytes + 1)))).toBe('coap_message_invalid');
  });
});

describe('encodeMessage refuses', () => {
  const message: CoapMessage = { type: 0, code: 1, messageId: 1, token: NONE, options: [], payload: NONE };
  it.each<[string, Partial<CoapMessage>]>([
    ['a token of 9 bytes', { token: new Uint8Array(9) }],
    ['a message id past 16 bits', { messageId: 0x10000 }],
    ['an Empty message with a payload', { code: 0, payload: fromHex('00') }],
    ['an Empty Non-confirmable message', { type: 1, code: 0 }],
    ['a request in a Reset', { type: 3 }],
    ['a reserved code class', { code: 0xe0 }],
    ['an option number past 16 bits', { options: [{ number: 0x10000, value: NONE }] }],
    ['too many options', { options: Array.from({ length: 65 }, () => ({ number: 11, value: NONE })) }],
    ['a payload past the message limit', { payload: new Uint8Array(LIMITS.coapMessageBytes) }],
  ])('%s', (_, change) => {
    expect(code(() => encodeMessage({ ...message, ...change }))).toBe('coap_message_invalid');
  });
});

const option = fc.record({
  number: fc.oneof(fc.nat(0xffff), fc.nat(300)),
  value: fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ minLength: 260, maxLength: 300 })),
});
const anyMessage = fc.record({
  type: fc.constantFrom(0, 1),
  code: fc.oneof(fc.integer({ min: 1, max: 0x1f }), fc.integer({ min: 0x40, max: 0xbf })),
  messageId: fc.nat(0xffff),
  token: fc.uint8Array({ maxLength: 8 }),
  options: fc.array(option, { maxLength: 3 }),
  payload: fc.uint8Array({ maxLength: 200 }),
});

describe('CoAP message properties', () => {
  it('what is encoded decodes to the same, options in order', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const options = message.options.toSorted((a, b) => a.number - b.number);
        expect(decodeMessage(encodeMessage(message))).toEqual({ ...message, options });
      }),
    );
  });

  it('what decodes has one encoding', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.constantFrom(0x40, 0x44, 0x51, 0x60, 0x68), (bytes, first) => {
        const candidate = concat(Uint8Array.of(first), bytes);
        let message: CoapMessage;
        try {
          message = decodeMessage(candidate);
        } catch (error) {
          expect(error).toMatchObject({ code: 'coap_message_invalid' });
          return;
        }
        expect(hex(encodeMessage(message))).toBe(hex(candidate));
      }),
      { numRuns: 2000 },
    );
  });

  it('hostile input of any size is refused with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 65_536, size: 'max' }), (bytes) => {
        try {
          decodeMessage(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'coap_message_invalid' });
        }
      }),
      { numRuns: 50 },
    );
  });
});
