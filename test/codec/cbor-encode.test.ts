import { describe, expect, it } from 'vitest';
import { type CborValue, cborTag, decodeCbor, encodeCbor } from '../../src/codec/cbor.ts';
import { hex } from '../../src/core/bytes.ts';
import { codeOf } from '../fixtures/code-of.ts';

describe('the deterministic encoder refuses', () => {
  const cyclic: CborValue[] = [];
  cyclic.push(cyclic);
  const refused: readonly (readonly [string, unknown])[] = [
    ['a fraction', 1.5],
    ['not a number', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
    ['a number past 2^53', 2 ** 53],
    ['a bigint past 64 bits', 1n << 64n],
    ['a negative bigint past 64 bits', -(1n << 64n) - 1n],
    ['undefined', undefined],
    ['undefined in a map', new Map([[1, undefined]])],
    ['a function', () => 0],
    ['a plain object', { a: 1 }],
    ['a date', new Date(0)],
    ['text with a lone surrogate', 'a\ud800'],
    ['a key with a lone surrogate', new Map([['\udc00', 1]])],
    ['a fractional key', new Map([[0.5, 1]])],
    ['a key past 32 bits', new Map([[2 ** 32, 1]])],
    ['something that holds itself', cyclic],
  ];
  for (const [name, value] of refused) {
    it(name, () => {
      expect(codeOf(() => encodeCbor(value as CborValue))).toBe('cbor_not_encodable');
    });
  }
});

describe('the deterministic encoder', () => {
  it('sorts keys by their encoded bytes (RFC 8949 §4.2.1)', () => {
    const map = new Map<number | string, CborValue>([
      ['aa', 0],
      ['z', 0],
      [-1, 0],
      [100, 0],
      [10, 0],
      [-256, 0],
    ]);
    expect(hex(encodeCbor(map))).toBe('a60a00186400200038ff00617a0062616100');
  });

  it('writes a bigint that fits a number as that number', () => {
    expect(hex(encodeCbor(7n))).toBe('07');
    expect(hex(encodeCbor(-(1n << 32n)))).toBe('3affffffff');
  });

  it('writes minus zero as zero', () => {
    expect(hex(encodeCbor(-0))).toBe('00');
  });

  it('writes tags', () => {
    expect(hex(encodeCbor(cborTag(61, cborTag(18, []))))).toBe('d83dd280');
  });

  it('takes a Buffer as a byte string', () => {
    expect(hex(encodeCbor(Buffer.from('ab', 'hex')))).toBe('41ab');
  });

  it('leaves what it answered alone when it encodes again, and survives a refusal in the middle', () => {
    const first = encodeCbor(['first', new Uint8Array(40).fill(7)]);
    const kept = hex(first);
    expect(codeOf(() => encodeCbor(['second', 1.5]))).toBe('cbor_not_encodable');
    expect(hex(encodeCbor(['third', 1]))).toBe('826574686972' + '6401');
    expect(hex(first)).toBe(kept);
  });

  it('grows past its first buffer', () => {
    const large = [new Uint8Array(3_000).fill(1), 'ä'.repeat(20_000), new Uint8Array(10_000).fill(2)];
    expect(decodeCbor(encodeCbor(large))).toEqual(large);
  });
});
