import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exiSequence, exiTokenId, readExiTokenId } from '../../src/codec/exi-token-id.ts';
import { fromHex, hex, sha256 } from '../../src/core/bytes.ts';
import { codeOf } from '../fixtures/code-of.ts';

const DIGEST = fromHex('0102030405060708');

describe('cti of a token with exi', () => {
  it('is the id of the device, the second of issue and 4 bytes of the hash', () => {
    expect(hex(exiTokenId('tube-1', exiSequence(1_795_490_445, DIGEST)))).toBe('747562652d316b05028d01020304');
  });

  it('reads as it was written, for the device alone', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z0-9]{1,20}$/), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (id, number) => {
        expect(readExiTokenId(exiTokenId(id, number), id)).toBe(number);
        expect(readExiTokenId(exiTokenId(id, number), `${id}x`)).toBeUndefined();
      }),
    );
  });

  it('rises with the date of issue, whatever the hash', () => {
    const date = fc.integer({ min: 0, max: 0xffff_fffe });
    fc.assert(
      fc.property(date, fc.string(), fc.string(), (iat, one, other) => {
        expect(exiSequence(iat + 1, sha256(one)) > exiSequence(iat, sha256(other))).toBe(true);
      }),
    );
  });

  it.each([
    ['a date past 2106', 0x1_0000_0000],
    ['a negative date', -1],
    ['a fraction', 0.5],
  ])('has no form for %s', (_, iat) => {
    expect(codeOf(() => exiSequence(iat, DIGEST))).toBe('claim_not_translatable');
  });
});
