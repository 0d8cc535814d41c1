import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeDiagnostic, encodeSlipmux, SlipmuxDecoder, type SlipmuxNoise } from '../../src/codec/slipmux.ts';
import { concat, fromHex, hex, utf8 } from '../../src/core/bytes.ts';
import { LIMITS } from '../../src/core/limits.ts';

interface Heard {
  readonly coap: string[];
  readonly text: string[];
  readonly noise: SlipmuxNoise[];
}

function decode(chunks: readonly Uint8Array[]): Heard {
  const heard: Heard = { coap: [], text: [], noise: [] };
  const decoder = new SlipmuxDecoder();
  for (const chunk of chunks) {
    decoder.push(chunk, {
      onCoap: (message) => heard.coap.push(hex(message)),
      onDiagnostic: (text) => heard.text.push(text),
      onNoise: (reason) => heard.noise.push(reason),
    });
    expect(decoder.pending).toBeLessThanOrEqual(LIMITS.slipFrameBytes);
  }
  return heard;
}

/** Cuts `bytes` at the places given, whatever they are. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b);
  return [0, ...sorted].map((start, index) => bytes.subarray(start, sorted[index] ?? bytes.length));
}

const END = fromHex('c0');
/** At least the 4 bytes of a CoAP header. */
const coapBytes = fc.uint8Array({ minLength: 4, maxLength: LIMITS.coapMessageBytes });

describe('slipmux frames', () => {
  // github.com/Teufelchen1/slipmux, src/encode.rs, tests `direct` and `encode_buffered_max_encoding_size`
  it('encodes as the slipmux crate does', () => {
    expect(hex(encodeSlipmux(fromHex('40010000')))).toBe('c0a940010000bc38c0');
    expect(hex(encodeDiagnostic(utf8('Hello World!')))).toBe(`c00a${hex(utf8('Hello World!'))}c0`);
  });

  it('escapes payload and checksum as the slipmux crate does', () => {
    const message = concat(fromHex('c0dbdbc0dbc0dbc0'), new Uint8Array(46).fill(0xdb));
    const escaped = `${'dbdc dbdd dbdd dbdc dbdd dbdc dbdd dbdc'.replaceAll(' ', '')}${'dbdd'.repeat(46)}`;
    expect(hex(encodeSlipmux(message))).toBe(`c0a9${escaped}dbdcdbdcc0`);
    expect(decode([encodeSlipmux(message)]).coap).toEqual([hex(message)]);
  });

  it('decodes what the slipmux crate decodes', () => {
    // src/framehandler.rs, test `configuration`
    expect(decode([fromHex('c0a948656c6c6f20576f726c642149ffc0')]).coap).toEqual([hex(utf8('Hello World!'))]);
  });

  it('needs no delimiter before the first frame', () => {
    expect(decode([encodeSlipmux(fromHex('40010000')).subarray(1)]).coap).toEqual(['40010000']);
  });

  it('takes one delimiter between two frames', () => {
    const frame = encodeSlipmux(fromHex('40010000'));
    expect(decode([frame, frame.subarray(1)]).coap).toEqual(['40010000', '40010000']);
  });

  it('passes over empty frames', () => {
    const frame = encodeSlipmux(fromHex('40010000'));
    expect(decode([END, END, frame, END, END])).toEqual({ coap: ['40010000'], text: [], noise: [] });
  });

  it('hands on diagnostic text', () => {
    expect(decode([encodeDiagnostic(utf8('boot\u00e9\n'))])).toEqual({ coap: [], text: ['boot\u00e9\n'], noise: [] });
  });

  it('cuts a diagnostic text at its limit, inside a character too', () => {
    const heard = decode([encodeDiagnostic(utf8('\u20ac'.repeat(LIMITS.slipFrameBytes)))]);
    expect(heard.text).toEqual(['\u20ac'.repeat(LIMITS.diagnosticBytes)]);
  });
});

describe('slipmux decoder drops', () => {
  const good = encodeSlipmux(fromHex('40010000'));

  it.each<[string, string, SlipmuxNoise]>([
    ['a frame with a wrong checksum', 'c0a948656c6c6f21576f726c642149ffc0', 'checksum'],
    ['a frame too short for a CoAP header', 'c0a9400100a4f3c0', 'checksum'],
    ['a frame that holds its type alone', 'c0a9c0', 'checksum'],
    ['an IPv6 packet', 'c0600ddac0', 'foreign'],
    ['a frame that the sender aborted', 'c0a94001dbc0', 'aborted'],
    ['an escape of a byte that needs none', 'c0a94001db00000000bc38c0', 'escape'],
    ['a diagnostic frame that is not UTF-8', 'c00a80c0', 'foreign'],
    ['a diagnostic frame with a broken escape', 'c00a6f6bdb41c0', 'escape'],
    ['bytes of a boot loader', '6574733a4a756e0ac0', 'foreign'],
  ])('%s, and is in step for the next', (_, bytes, reason) => {
    expect(decode([fromHex(bytes), good])).toEqual({ coap: ['40010000'], text: [], noise: [reason] });
  });

  it('a frame past its limit, and holds no more than the limit of it', () => {
    const long = Uint8Array.of(0xc0, 0xa9, ...new Uint8Array(LIMITS.slipFrameBytes + 100));
    expect(decode([long, good])).toEqual({ coap: ['40010000'], text: [], noise: ['oversize'] });
  });

  it.each([
    ['of anything', 0x55],
    ['of escapes', 0xdb],
    ['that begins like CoAP', 0xa9],
  ])('a frame without an end %s, once for each length of a frame', (_, byte) => {
    const endless = new Uint8Array(10 * LIMITS.slipFrameBytes + 2).fill(byte);
    const { coap, noise } = decode([endless.subarray(0, 5_000), endless.subarray(5_000)]);
    expect(coap).toEqual([]);
    expect(noise.length).toBeGreaterThanOrEqual(9);
    expect(noise.length).toBeLessThanOrEqual(10);
  });

  it('a frame begun before a reset', () => {
    const decoder = new SlipmuxDecoder();
    const coap: string[] = [];
    const sink = {
      onCoap: (message: Uint8Array) => coap.push(hex(message)),
      onDiagnostic: () => undefined,
      onNoise: () => undefined,
    };
    decoder.push(good.subarray(0, 5), sink);
    decoder.reset();
    decoder.push(good, sink);
    expect(coap).toEqual(['40010000']);
  });
});

describe('slipmux properties', () => {
  it('any CoAP bytes round trip', () => {
    fc.assert(fc.property(coapBytes, (bytes) => decode([encodeSlipmux(bytes)]).coap.join() === hex(bytes)));
  });

  it('any chunking gives the same frames', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(coapBytes.map(encodeSlipmux), fc.uint8Array({ maxLength: 40 })), { maxLength: 6 }),
        fc.array(fc.nat(8192)),
        (parts, places) => {
          const stream = concat(...parts);
          expect(decode(cut(stream, places))).toEqual(decode([stream]));
        },
      ),
    );
  });

  it('a diagnostic text is taken exactly where it is UTF-8', () => {
    // Bytes near the borders of RFC 3629's table, where a random byte hardly ever is.
    const border = fc.constantFrom(
      0x41,
      0x7f,
      0x80,
      0x8f,
      0x90,
      0x9f,
      0xa0,
      0xbf,
      0xc1,
      0xc2,
      0xdf,
      0xe0,
      0xed,
      0xef,
      0xf0,
      0xf4,
      0xf5,
    );
    fc.assert(
      fc.property(fc.array(border, { maxLength: 6 }), (bytes) => {
        const text = Uint8Array.from(bytes);
        expect(decode([encodeDiagnostic(text)]).text).toHaveLength(isUtf8(text) ? 1 : 0);
      }),
      { numRuns: 20_000 },
    );
  });

  it('noise before a frame never costs the frame', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6000 }), coapBytes, (noise, message) => {
        const heard = decode([noise, encodeSlipmux(message)]);
        expect(heard.coap.at(-1)).toBe(hex(message));
      }),
    );
  });

  it('a flipped bit never gives another CoAP message', () => {
    fc.assert(
      fc.property(coapBytes, fc.nat(), fc.nat(7), (message, at, bit) => {
        const frame = encodeSlipmux(message);
        const place = at % frame.length;
        frame[place] = (frame[place] ?? 0) ^ (1 << bit);
        for (const heard of decode([frame, END]).coap) expect(heard).toBe(hex(message));
      }),
    );
  });
});
