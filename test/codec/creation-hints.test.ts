import { describe, expect, it } from 'vitest';
import { encodeCbor } from '../../src/codec/cbor.ts';
import { makeCreationHints, readCreationHints } from '../../src/codec/creation-hints.ts';
import { fromHex, hex } from '../../src/core/bytes.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { HOSTILE_CBOR } from '../fixtures/hostile-cbor.ts';

/** RFC 9200 §5.3, figure 3. */
const FIGURE_3 = fromHex(
  'a401781c636f6170733a2f2f61732e6578616d706c652e636f6d2f746f6b656e0576636f6170733a2f2f72732e6578616d706c652e636f6d09667254656d7043182745e0a156bb3f',
);

describe('AS Request Creation Hints', () => {
  it('of RFC 9200 read, what is not known passed over', () => {
    expect(readCreationHints(FIGURE_3)).toEqual({
      as: 'coaps://as.example.com/token',
      audience: 'coaps://rs.example.com',
      cnonce: fromHex('e0a156bb3f'),
    });
  });

  it('have the numbers of RFC 9200', () => {
    const made = makeCreationHints({ as: 'a', audience: 'b', cnonce: Uint8Array.of(1) });
    expect(hex(made)).toBe('a301616105616218274101');
    expect(hex(makeCreationHints({ audience: 'b' }))).toBe('a1056162');
  });

  it.each([
    ['an address that is no text', new Map([[1, 5]])],
    ['an audience that is no text', new Map([[5, 5]])],
    ['a nonce as text', new Map([[39, 'a']])],
    ['an empty nonce', new Map([[39, new Uint8Array(0)]])],
    ['a nonce of 65 bytes', new Map([[39, new Uint8Array(65)]])],
    ['an array', [1]],
  ])('with %s are refused', (_, value) => {
    expect(codeOf(() => readCreationHints(encodeCbor(value)))).toBe('device_answer_invalid');
  });

  it.each(HOSTILE_CBOR.map(({ name, bytes }) => [name, bytes] as const))(
    'that are %s are refused with a code',
    (_, bytes) => {
      expect(codeOf(() => readCreationHints(bytes))).toMatch(/^(cbor_|device_answer_invalid)/);
    },
  );
});
