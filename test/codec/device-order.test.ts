import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CborValue, encodeCbor } from '../../src/codec/cbor.ts';
import { makeMac0 } from '../../src/codec/cose/mac0.ts';
import { deriveDeviceKey } from '../../src/codec/device-keys.ts';
import {
  checkOrderAnswer,
  type DeviceOrder,
  makeOrder,
  makeOrderAnswer,
  openOrder,
  orderKey,
} from '../../src/codec/device-order.ts';
import { Secret } from '../../src/core/secret.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { PROVISIONED } from '../fixtures/device-trust.ts';

const filled = (byte: number, length = 16) => new Uint8Array(length).fill(byte);
const nonces = { hub: filled(0xa0), device: filled(0xb0) };
const context = { key: orderKey(PROVISIONED.rootKey), audience: 'coap://tube-1' };
const COMMIT: DeviceOrder = { operation: 'commit', version: 1, nonces };
const UNPAIR: DeviceOrder = { operation: 'unpair', nonces };
const IDENTIFY: DeviceOrder = { operation: 'identify', nonces };
const flip = (bytes: Uint8Array, at: number) => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte));

function withPayload(...members: readonly (readonly [number, CborValue])[]): Uint8Array {
  const externalAad = encodeCbor(['latchkey-order-1', context.audience]);
  return makeMac0({ payload: encodeCbor(new Map(members)), key: context.key, externalAad });
}

describe('an order', () => {
  it.each([COMMIT, UNPAIR, IDENTIFY])('to $operation arrives as it was given', (order) => {
    expect(openOrder(makeOrder(order, context), context)).toEqual(order);
  });

  it('to commit says which version, whatever it is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 0xffff_ffff }), (version) => {
        expect(openOrder(makeOrder({ ...COMMIT, version }, context), context)).toEqual({ ...COMMIT, version });
      }),
    );
  });

  it.each([
    ['of another root key', { ...context, key: orderKey(new Secret(filled(9, 32))) }],
    ['for another audience', { ...context, audience: 'coap://tube-2' }],
    [
      'under the key of another use',
      { ...context, key: { ...deriveDeviceKey(PROVISIONED.rootKey, 'answer', 'HMAC 256/64').key, keyId: undefined } },
    ],
  ])('%s is refused', (_, other) => {
    expect(codeOf(() => openOrder(makeOrder(COMMIT, other), context))).toBe('cose_verification_failed');
  });

  it('is no order once it is altered, but for the kid, which nobody relies on', () => {
    const message = makeOrder(UNPAIR, context);
    const altered = [...message.keys()].filter((at) => codeOf(() => openOrder(flip(message, at), context)) === 'none');
    const unprotected = { from: 7, to: 12 };
    expect(altered.every((at) => at >= unprotected.from && at <= unprotected.to)).toBe(true);
  });

  it.each([
    ['without an operation', withPayload([3, filled(1)])],
    ['of an operation that nobody knows', withPayload([1, 9], [3, filled(1)])],
    ['to commit without a version', withPayload([1, 1], [3, filled(1)], [4, filled(2)])],
    ['to commit version 0', withPayload([1, 1], [2, 0], [3, filled(1)], [4, filled(2)])],
    ['to commit without a nonce', withPayload([1, 1], [2, 1], [3, filled(1)])],
    ['to commit with a short nonce', withPayload([1, 1], [2, 1], [3, filled(1)], [4, filled(2, 8)])],
    ['to unpair with a member too many', withPayload([1, 2], [2, 1], [3, filled(1)], [4, filled(2)])],
    ['to unpair without the nonce of the device', withPayload([1, 2], [3, filled(1)])],
    ['to identify without the nonce of the device', withPayload([1, 3], [3, filled(1)])],
  ])('%s is refused', (_, message) => {
    expect(codeOf(() => openOrder(message, context))).toBe('provisioning_invalid');
  });
});

describe('the answer to an order', () => {
  const order = makeOrder(COMMIT, context);
  const answer = makeOrderAnswer(order, context);

  it('holds for that order', () => {
    expect(codeOf(() => checkOrderAnswer(answer, order, context))).toBe('none');
  });

  it.each([
    ['another order', makeOrder({ ...COMMIT, version: 2 }, context), context],
    ['an order to another device', order, { ...context, audience: 'coap://tube-2' }],
    ['an order of another root key', order, { ...context, key: orderKey(new Secret(filled(9, 32))) }],
  ])('does not hold for %s', (_, other, otherContext) => {
    expect(codeOf(() => checkOrderAnswer(answer, other, otherContext))).toBe('cose_verification_failed');
  });

  it('is not the order sent back', () => {
    expect(codeOf(() => checkOrderAnswer(order, order, context))).toBe('cose_verification_failed');
  });

  it('says nothing', () => {
    const externalAad = encodeCbor(['latchkey-order-answer-1', new Uint8Array(32), context.audience]);
    const wordy = makeMac0({ payload: filled(1), key: context.key, externalAad });
    expect(codeOf(() => checkOrderAnswer(wordy, order, context))).not.toBe('none');
  });
});
