import { Encoder } from 'cbor-x';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CborValue, cborTag, decodeCbor, encodeCbor, isCborTag } from '../../src/codec/cbor.ts';
import { readCbor } from '../../src/codec/cbor-read.ts';
import { scanCbor } from '../../src/codec/cbor-scan.ts';
import { fromHex, hex } from '../../src/core/bytes.ts';
import { isCoded } from '../../src/core/errors.ts';
import { cborValue } from '../fixtures/cbor-arbitrary.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { HOSTILE_CBOR } from '../fixtures/hostile-cbor.ts';

/** cbor-x as it stands, without the gate: a second opinion on what bytes mean. */
const plain = new Encoder({ useRecords: false, mapsAsObjects: false, tagUint8Array: false, variableMapSize: true });

describe('the strict CBOR gate refuses', () => {
  for (const { name, bytes, code } of HOSTILE_CBOR) {
    it(name, () => {
      expect(codeOf(() => decodeCbor(bytes))).toBe(code);
    });
  }

  it('tags of sealed tokens where nobody asked for them', () => {
    expect(codeOf(() => decodeCbor(fromHex('d8206161')))).toBe('cbor_invalid');
  });

  it('a sequence of no items', () => {
    expect(codeOf(() => scanCbor(new Uint8Array(0), { sequence: true }))).toBe('cbor_invalid');
  });

  it('a sequence that ends inside an item', () => {
    expect(codeOf(() => scanCbor(fromHex('00004161'.concat('42')), { sequence: true }))).toBe('cbor_invalid');
  });

  it('seventeen levels', () => {
    expect(codeOf(() => decodeCbor(fromHex(`${'81'.repeat(17)}00`)))).toBe('cbor_too_deep');
  });
});

describe('the strict CBOR gate lets through', () => {
  // RFC 8949 appendix A, as far as it is deterministic and of the types that are spoken here.
  const examples: readonly (readonly [string, CborValue])[] = [
    ['00', 0],
    ['17', 23],
    ['1818', 24],
    ['1903e8', 1000],
    ['1a000f4240', 1_000_000],
    ['1b000000e8d4a51000', 1_000_000_000_000],
    ['1bffffffffffffffff', 18_446_744_073_709_551_615n],
    ['20', -1],
    ['3903e7', -1000],
    ['3bfffffffffffffffe', -18_446_744_073_709_551_615n],
    ['3bffffffffffffffff', -18_446_744_073_709_551_616n],
    ['f4', false],
    ['f5', true],
    ['f6', null],
    ['40', new Uint8Array(0)],
    ['4401020304', fromHex('01020304')],
    ['60', ''],
    ['6449455446', 'IETF'],
    ['62c3bc', 'ü'],
    ['63e6b0b4', '水'],
    ['64f0908591', '\u{10151}'],
    ['66efbbbf616263', '\ufeffabc'],
    ['80', []],
    ['8301820203820405', [1, [2, 3], [4, 5]]],
    ['a0', new Map()],
    [
      'a201020304',
      new Map([
        [1, 2],
        [3, 4],
      ]),
    ],
    [
      'a26161016162820203',
      new Map<string, CborValue>([
        ['a', 1],
        ['b', [2, 3]],
      ]),
    ],
    [`${'81'.repeat(16)}00`, [[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]],
  ];
  for (const [encoded, value] of examples) {
    it(encoded, () => {
      expect(decodeCbor(fromHex(encoded))).toEqual(value);
      expect(hex(encodeCbor(value))).toBe(encoded);
    });
  }

  it('keys in any order, as long as none comes twice', () => {
    expect(decodeCbor(fromHex('a3206161016162616103'))).toEqual(
      new Map<string | number, CborValue>([
        [-1, 'a'],
        [1, 'b'],
        ['a', 3],
      ]),
    );
  });

  it('the tags of COSE and CWT', () => {
    const value = decodeCbor(fromHex('d83dd28440a04000'));
    expect(isCborTag(value) && value.tag).toBe(61);
    expect(isCborTag(value) && isCborTag(value.value) && value.value.tag).toBe(18);
  });

  it('tags that the caller allows', () => {
    expect(decodeCbor(fromHex('d8206161'), { tags: new Set([32]) })).toEqual(cborTag(32, 'a'));
  });

  it('a sequence where one is asked for', () => {
    expect(scanCbor(fromHex('004161f6'), { sequence: true })).toMatchObject({ wide: false, marked: false });
  });

  it('256 entries of a map and 1,023 items below an array', () => {
    const map = new Map(Array.from({ length: 256 }, (_, index) => [index, null]));
    expect(decodeCbor(encodeCbor(map))).toEqual(map);
    const array = new Array<null>(1_023).fill(null);
    expect(decodeCbor(encodeCbor(array))).toEqual(array);
  });

  it('byte strings as copies that do not change with the input', () => {
    const input = fromHex('4161');
    const value = decodeCbor(input);
    input[1] = 0;
    expect(value).toEqual(fromHex('61'));
    expect(Object.keys(input)).toEqual(['0', '1']);
  });
});

describe('a text that begins with U+FEFF', () => {
  const LENGTHS = [0, 28, 29, 30, 61, 62, 63, 64, 200, 300, 5_000];

  it.each(LENGTHS)('keeps it before %i more characters, as value and as key', (length) => {
    const text = `\ufeff${'x'.repeat(length)}`;
    expect(decodeCbor(encodeCbor(text))).toBe(text);
    expect(decodeCbor(encodeCbor([1, new Map([[text, text]])]))).toEqual([1, new Map([[text, text]])]);
  });

  it.each(LENGTHS)('is another key than the same %i characters without it', (length) => {
    const plainKey = 'x'.repeat(length);
    const map = new Map([
      [plainKey, 1],
      [`\ufeff${plainKey}`, 2],
    ]);
    expect(decodeCbor(encodeCbor(map))).toEqual(map);
  });

  it('keeps it in whatever the text is', () => {
    const marked = fc.tuple(fc.string({ unit: 'binary', minLength: 10, maxLength: 100, size: 'max' }), fc.nat(3));
    fc.assert(
      fc.property(fc.array(marked, { maxLength: 5 }), cborValue(), (texts, other) => {
        const value = [...texts.map(([text, marks]) => '\ufeff'.repeat(marks) + text), other];
        expect(decodeCbor(encodeCbor(value))).toEqual(value);
      }),
    );
  });
});

describe('properties', () => {
  it('the decoder for such texts reads everything as cbor-x does', () => {
    fc.assert(
      fc.property(cborValue(), (value) => {
        const bytes = encodeCbor(value);
        expect(readCbor(bytes)).toEqual(decodeCbor(bytes));
      }),
    );
  });

  it('what is encoded decodes to itself', () => {
    fc.assert(
      fc.property(cborValue(), (value) => {
        expect(decodeCbor(encodeCbor(value), { tags: new Set([16, 17, 18, 32, 37, 61]) })).toEqual(value);
      }),
    );
  });

  it('what decodes and is deterministic encodes to the same bytes', () => {
    fc.assert(
      fc.property(cborValue(), (value) => {
        const bytes = encodeCbor(value);
        expect(encodeCbor(decodeCbor(bytes))).toEqual(bytes);
      }),
    );
  });

  it('cbor-x reads the same out of what is encoded', () => {
    fc.assert(
      fc.property(cborValue({ wide: false }), (value) => {
        expect(plain.decode(encodeCbor(value))).toEqual(value);
      }),
    );
  });

  it('cbor-x writes the same for values in sorted order', () => {
    fc.assert(
      fc.property(cborValue({ wide: false }), (value) => {
        const sorted = decodeCbor(encodeCbor(value));
        expect(hex(encodeCbor(value))).toBe(Buffer.from(plain.encode(sorted)).toString('hex'));
      }),
    );
  });

  it('the order in which a map was filled does not show', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.oneof(fc.integer(), fc.string({ unit: 'grapheme' })), { maxLength: 20 }),
        (keys) => {
          const one = encodeCbor(new Map(keys.map((key) => [key, null])));
          const other = encodeCbor(new Map(keys.toReversed().map((key) => [key, null])));
          expect(other).toEqual(one);
        },
      ),
    );
  });

  it('random bytes decode or are refused with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          decodeCbor(bytes);
        } catch (error) {
          expect(isCoded(error)).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('nothing cut short or lengthened decodes', () => {
    fc.assert(
      fc.property(cborValue(), fc.nat(), (value, at) => {
        const bytes = encodeCbor(value);
        const cut = bytes.subarray(0, at % bytes.length);
        expect(codeOf(() => decodeCbor(cut))).toBe('cbor_invalid');
        expect(codeOf(() => decodeCbor(Uint8Array.of(...bytes, 0)))).toBe('cbor_invalid');
      }),
    );
  });

  it('whatever the gate lets through has one spelling, up to the order of keys', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
        let value: CborValue;
        try {
          value = decodeCbor(bytes);
        } catch {
          return; // Refusals are another test's.
        }
        expect(encodeCbor(value).length).toBe(bytes.length);
      }),
      { numRuns: 5_000 },
    );
  });
});
