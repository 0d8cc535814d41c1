/** What the answer of a device to a token means: under a good MAC it is the device, whatever it says. */
import { describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/codec/cbor.ts';
import { codeNumber } from '../../src/codec/coap/codes.ts';
import { makeMac0 } from '../../src/codec/cose/mac0.ts';
import { makeReceipt } from '../../src/codec/signed-request.ts';
import { EMPTY, utf8 } from '../../src/core/bytes.ts';
import { answerKey } from '../../src/devices/device-trust.ts';
import { judgeAnswer } from '../../src/flows/judge-answer.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { connectedDevice } from '../fixtures/connected-device.ts';

const tube = connectedDevice('tube-1', { line: 'line-1' });
const attempt = { tokenHash: utf8('12345678'), nonce: utf8('87654321'), isOpen: false };
const { audience } = tube;
const key = answerKey(tube);
const externalAad = encodeCbor(['latchkey-receipt-1', attempt.nonce, attempt.tokenHash, audience]);
const judged = (payload: Uint8Array, code = '2.01') => judgeAnswer(tube, attempt, { code: codeNumber(code), payload });

describe('an answer of 2.01', () => {
  test('with the receipt of the device is its word', () => {
    const payload = makeReceipt({ key, tokenHash: attempt.tokenHash, audience, nonce: attempt.nonce });
    expect(judged(payload)).toMatchObject({ isProven: true, outcome: { state: 'delivered' } });
  });

  test.each([
    [
      'another content under the MAC of the device',
      makeMac0({ payload: EMPTY, key, externalAad }),
      'device_answer_invalid',
    ],
    [
      'a MAC over something else',
      makeMac0({ payload: attempt.tokenHash, key, externalAad: EMPTY }),
      'device_answer_untrusted',
    ],
    ['no receipt', EMPTY, 'device_answer_untrusted'],
  ])('with %s is none', (_, payload, code) => {
    expect(codeOf(() => judged(payload))).toBe(code);
  });
});

describe('an answer of 5.03', () => {
  const byRadio = { ...attempt, isOpen: true };
  const full = { code: codeNumber('5.03'), payload: EMPTY };
  const receipt = { key, tokenHash: attempt.tokenHash, audience, nonce: attempt.nonce, refusal: full.code };

  test('on a line says that the device is full', () => {
    expect(judgeAnswer(tube, attempt, full)).toEqual({ isProven: false, outcome: 'full' });
  });

  test('by radio says so with the MAC of the device', () => {
    const proven = { ...full, payload: makeReceipt(receipt) };
    expect(judgeAnswer(tube, byRadio, proven)).toEqual({ isProven: true, outcome: 'full' });
  });

  test('by radio without a MAC says nothing, and with another one that it is an impostor', () => {
    expect(codeOf(() => judgeAnswer(tube, byRadio, full))).toBe('device_answer_invalid');
    const other = { ...full, payload: makeReceipt({ ...receipt, nonce: utf8('another1') }) };
    expect(codeOf(() => judgeAnswer(tube, byRadio, other))).toBe('device_answer_untrusted');
  });
});

test.each(['5.00', '4.04', '2.31', '5.31'])('an answer of %s without a receipt ends no delivery', (code) => {
  expect(codeOf(() => judged(EMPTY, code))).toMatch(/^device_answer_/);
});
