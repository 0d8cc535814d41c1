import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeCbor } from '../../src/codec/cbor.ts';
import { makeMac0 } from '../../src/codec/cose/mac0.ts';
import { deriveDeviceKey } from '../../src/codec/device-keys.ts';
import { makeTimeAnswer, openTimeAnswer, readTimeQuery, timeQuery } from '../../src/codec/time-answer.ts';
import { isCoded } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { codeOf } from '../fixtures/code-of.ts';

const { key } = deriveDeviceKey(new Secret(new Uint8Array(32).fill(7)), 'time', 'HMAC 256/64');
const nonce = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const question = { device: 'tube-1', nonce };
const answer = makeTimeAnswer({ ...question, key, time: 1_795_490_445 });

describe('the question for the time', () => {
  it('is two segments', () => {
    expect(timeQuery(question)).toEqual(['d=tube-1', 'n=AQIDBAUGBwg']);
  });

  it('reads as it was written', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,62}$/),
        fc.uint8Array({ minLength: 8, maxLength: 8 }),
        (device, bytes) => {
          expect(readTimeQuery(timeQuery({ device, nonce: bytes }))).toEqual({ device, nonce: bytes });
        },
      ),
    );
  });

  it.each([
    ['nothing', []],
    ['no nonce', ['d=tube-1']],
    ['no device', ['n=AQIDBAUGBwg']],
    ['an empty device', ['d=', 'n=AQIDBAUGBwg']],
    ['a device of 64 bytes', [`d=${'x'.repeat(64)}`, 'n=AQIDBAUGBwg']],
    ['the other order', ['n=AQIDBAUGBwg', 'd=tube-1']],
    ['something besides', ['d=tube-1', 'n=AQIDBAUGBwg', 'x=1']],
    ['a nonce of 7 bytes', ['d=tube-1', 'n=AQIDBAUGBw']],
    ['a nonce of 9 bytes', ['d=tube-1', 'n=AQIDBAUGBwgJ']],
    ['a nonce that is no base64url', ['d=tube-1', 'n=AQIDBAUGB=g']],
  ])('is refused with %s', (_, query) => {
    expect(codeOf(() => readTimeQuery(query))).toBe('request_invalid');
  });
});

describe('the answer', () => {
  it('says the time to whoever asked', () => {
    expect(openTimeAnswer(answer, { ...question, key })).toBe(1_795_490_445);
  });

  it.each([
    ['another nonce', { nonce: new Uint8Array(8) }],
    ['another device', { device: 'tube-2' }],
    [
      'the key of another use',
      { key: deriveDeviceKey(new Secret(new Uint8Array(32).fill(7)), 'answer', 'HMAC 256/64').key },
    ],
  ])('does not open under %s', (_, changes) => {
    expect(codeOf(() => openTimeAnswer(answer, { ...question, key, ...changes }))).toMatch(
      /^cose_(verification_failed|key_unknown)$/,
    );
  });

  it('says nothing else with any bit turned', () => {
    for (let bit = 0; bit < answer.length * 8; bit += 1) {
      const flipped = Uint8Array.from(answer);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      let said: number | undefined;
      try {
        said = openTimeAnswer(flipped, { ...question, key });
      } catch (error) {
        expect(isCoded(error)).toBe(true);
      }
      // The kid is not under the MAC: without it, the one key that there is does.
      expect([undefined, 1_795_490_445], `bit ${bit}`).toContain(said);
    }
  });

  it.each([
    ['text', 'now'],
    ['a negative number', -1],
    ['an array', [1]],
  ])('is refused where the MAC is over %s', (_, value) => {
    const externalAad = encodeCbor(['latchkey-time-1', 'tube-1', nonce]);
    const bytes = makeMac0({ payload: encodeCbor(value), key, externalAad });
    expect(codeOf(() => openTimeAnswer(bytes, { ...question, key }))).toBe('cose_invalid');
  });
});
