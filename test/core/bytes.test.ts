import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { base64url, fromBase64url, hex } from '../../src/core/bytes.ts';
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
