import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  Assembly,
  blockOption,
  fittingBlockSize,
  overhead,
  readBlock,
  sliceBlock,
} from '../../../src/codec/coap/block.ts';
import { encodeMessage } from '../../../src/codec/coap/message.ts';
import { COAP_OPTION } from '../../../src/codec/iana.ts';
import { EMPTY, fromHex, hex, utf8 } from '../../../src/core/bytes.ts';

const size = fc.constantFrom(16, 32, 64, 128, 256, 512, 1024);

describe('block option values', () => {
  it.each([
    // NUM, M and SZX as RFC 7959 section 2.2 packs them.
    ['', { number: 0, more: false, size: 16 }],
    ['06', { number: 0, more: false, size: 1024 }],
    ['0e', { number: 0, more: true, size: 1024 }],
    ['1b', { number: 1, more: true, size: 128 }],
    ['0102', { number: 16, more: false, size: 64 }],
    ['ffffff', { number: 0xfffff, more: true, size: 0 }],
  ])('%s', (bytes, block) => {
    const options = new Map([[COAP_OPTION.block1, [fromHex(bytes)]]]);
    if (block.size === 0) {
      expect(() => readBlock(options, COAP_OPTION.block1)).toThrow(
        expect.objectContaining({ code: 'coap_block_invalid' }),
      );
      return;
    }
    expect(readBlock(options, COAP_OPTION.block1)).toEqual(block);
    expect(hex(blockOption(COAP_OPTION.block1, block).value)).toBe(bytes);
  });

  it('any value is the same again', () => {
    fc.assert(
      fc.property(fc.nat(0xfffff), fc.boolean(), size, (number, more, bytes) => {
        const block = { number, more, size: bytes };
        const { value } = blockOption(COAP_OPTION.block2, block);
        expect(readBlock(new Map([[COAP_OPTION.block2, [value]]]), COAP_OPTION.block2)).toEqual(block);
      }),
    );
  });
});

describe('slices and assemblies', () => {
  it('any body cut and put together is the same', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), size, (body, bytes) => {
        const assembly = new Assembly();
        for (let number = 0; ; number += 1) {
          const { block, payload } = sliceBlock(body, number, bytes);
          expect(assembly.add(block, payload)).toBe('ok');
          if (!block.more) break;
        }
        expect(assembly.body()).toEqual(body);
      }),
    );
  });

  it('a fitting block with every block option fits', () => {
    fc.assert(
      fc.property(fc.nat(100), fc.integer({ min: 160, max: 1_280 }), fc.nat(0xfffff), (path, most, number) => {
        const message = { token: new Uint8Array(8) };
        const options = [{ number: COAP_OPTION.uriPath, value: new Uint8Array(path) }];
        const bytes = fittingBlockSize(message, options, most);
        const block = { number, more: true, size: bytes };
        const encoded = encodeMessage({
          type: 0,
          code: 1,
          messageId: 0,
          ...message,
          options: [...options, blockOption(COAP_OPTION.block1, block), blockOption(COAP_OPTION.block2, block)],
          payload: new Uint8Array(bytes),
        });
        expect(encoded.length).toBeLessThanOrEqual(most);
      }),
    );
  });

  it('overhead is header, token and options', () => {
    expect(overhead({ token: EMPTY }, [])).toBe(4);
    expect(overhead({ token: utf8('tk') }, [{ number: 11, value: utf8('temperature') }])).toBe(4 + 2 + 12);
  });

  it.each([
    ['gap', { number: 1, more: false, size: 16 }, 1],
    ['size', { number: 0, more: true, size: 16 }, 15],
    ['size', { number: 0, more: false, size: 16 }, 17],
    ['limit', { number: 0, more: true, size: 64 }, 64],
  ] as const)('an assembly of at most 32 bytes refuses a %s', (fault, block, length) => {
    const assembly = new Assembly(32);
    expect(assembly.add(block, new Uint8Array(length))).toBe(fault);
    expect(assembly.length).toBe(0);
  });
});
