import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { frameCheckSequence, GOOD_RESIDUE } from '../../src/codec/frame-check-sequence.ts';
import { concat, fromHex, utf8 } from '../../src/core/bytes.ts';

describe('frame check sequence', () => {
  // github.com/Teufelchen1/slipmux, src/checksum.rs
  it.each([
    ['00010203', 0xa729],
    ['a9628486ae0200', 0x4afd],
  ])('over %s is as the slipmux crate has it', (bytes, fcs) => {
    expect(frameCheckSequence(fromHex(bytes))).toBe(fcs);
  });

  it('over "coap is cool!" is as aiocoap has it', () => {
    // github.com/chrysn/aiocoap, aiocoap/transports/slipmux.py: b'$&', low byte first
    expect(frameCheckSequence(utf8('coap is cool!'))).toBe(0x2624);
  });

  it('leaves the good residue of RFC 1662 appendix C.1 over bytes and sequence together', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const fcs = frameCheckSequence(bytes);
        return frameCheckSequence(concat(bytes, Uint8Array.of(fcs & 0xff, fcs >>> 8))) === GOOD_RESIDUE;
      }),
    );
  });
});
