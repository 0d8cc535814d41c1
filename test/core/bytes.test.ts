import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allocate, base64url, decodeBase64url, fromAscii, fromBase64url, hex, utf8 } from '../../src/core/bytes.ts';
import { codeOf } from '../fixtures/code-of.ts';

describe('base64url', () => {
  it('decodes to what it was made from', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(hex(fromBase64url(base64url(bytes)))).toBe(hex(bytes));
      }),
    );
  });

  it('is taken in exactly the spelling that encoding gives', () => {
    const character = fc.constantFrom(...'ABCDghwQ048-_+/= \n.Łß', '\u0441', '\uff21');
    fc.assert(
      fc.property(fc.string({ unit: character, maxLength: 12 }), (text) => {
        const canonical = Buffer.from(text, 'base64url').toString('base64url') === text;
        expect(codeOf(() => fromBase64url(text))).toBe(canonical ? 'none' : 'base64url_invalid');
      }),
      { numRuns: 2_000 },
    );
  });

  for (const text of ['A', 'AAAAA', 'AB', 'AAB', 'AA==', 'A+AA', 'A/AA', 'AA A', 'AAA\n', 'ŁŁŁŁ', 'AAAŁ']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(codeOf(() => fromBase64url(text))).toBe('base64url_invalid');
    });
  }
});

it('base64url in the middle of other bytes is decoded where it stands', () => {
  expect(hex(decodeBase64url(utf8('..AQID..'), 2, 6))).toBe('010203');
  expect(codeOf(() => decodeBase64url(utf8('..AQID..'), 2, 7))).toBe('base64url_invalid');
});

describe('utf8', () => {
  it('is what TextEncoder makes of a text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
        expect(hex(utf8(text))).toBe(hex(new TextEncoder().encode(text)));
      }),
    );
  });

  it('comes back from ASCII', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary-ascii' }), (text) => fromAscii(utf8(text)) === text));
  });
});

describe('allocate', () => {
  it('gives zeros that nobody else has', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2_000), { maxLength: 40 }), (lengths) => {
        const given = lengths.map((length) => allocate(length));
        expect(given.every((bytes) => bytes.every((byte) => byte === 0))).toBe(true);
        for (const [index, bytes] of given.entries()) bytes.fill(index + 1);
        expect(given.every((bytes, index) => bytes.every((byte) => byte === index + 1))).toBe(true);
        expect(given.map((bytes) => bytes.length)).toEqual(lengths);
      }),
    );
  });
});
