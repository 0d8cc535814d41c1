import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeCbor, encodeCbor, isCborTag } from '../../src/codec/cbor.ts';
import { COSE_HEADER } from '../../src/codec/iana.ts';
import {
  checkConfirmation,
  decodeNonce,
  encodeNonce,
  openProvisionedTrust,
  sealConfirmation,
  sealProvisionedTrust,
} from '../../src/codec/provisioning.ts';
import { hex } from '../../src/core/bytes.ts';
import { Secret } from '../../src/core/secret.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { deviceTrust, PROVISIONED, TRUST } from '../fixtures/device-trust.ts';

const filled = (byte: number, length = 16) => new Uint8Array(length).fill(byte);
const EXCHANGE = { setup: new Secret(filled(0x51)), nonces: { hub: filled(0xa0), device: filled(0xb0) } };
const SEALED = sealProvisionedTrust(PROVISIONED, EXCHANGE);
const CONFIRMED = sealConfirmation(PROVISIONED, EXCHANGE);

const flip = (bytes: Uint8Array, at: number) => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte));

describe('a nonce', () => {
  it('arrives as it was sent', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (nonce) => {
        expect(decodeNonce(encodeNonce(nonce))).toEqual(nonce);
      }),
    );
  });

  it.each([
    ['of 15 bytes', encodeCbor(new Map([[1, filled(1, 15)]]))],
    ['that is text', encodeCbor(new Map([[1, 'sixteen bytes...']]))],
    ['under another label', encodeCbor(new Map([[2, filled(1)]]))],
    [
      'with something beside it',
      encodeCbor(
        new Map([
          [1, filled(1)],
          [2, filled(1)],
        ]),
      ),
    ],
    ['outside a map', encodeCbor(filled(1))],
  ])('%s is refused', (_, payload) => {
    expect(codeOf(() => decodeNonce(payload))).toBe('provisioning_invalid');
  });
});

describe('what a device is sent', () => {
  it('opens for whoever knows the setup secret, whatever it is', () => {
    fc.assert(
      fc.property(
        deviceTrust(),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        (trust, rootKey, setup) => {
          const exchange = { ...EXCHANGE, setup: new Secret(setup) };
          const sent = { trust, rootKey: new Secret(rootKey) };
          const opened = openProvisionedTrust(sealProvisionedTrust(sent, exchange), exchange);
          expect(opened.trust).toEqual(trust);
          expect(hex(opened.rootKey.expose())).toBe(hex(rootKey));
          checkConfirmation(sealConfirmation(opened, exchange), sent, exchange);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('shows nothing of the root key on its way', () => {
    expect(hex(SEALED)).not.toContain(hex(PROVISIONED.rootKey.expose()).slice(0, 16));
  });

  it('opens altered nowhere', () => {
    for (let at = 0; at < SEALED.length; at++)
      expect(codeOf(() => openProvisionedTrust(flip(SEALED, at), EXCHANGE))).not.toBe('none');
  });

  it.each([
    ['with another setup secret', { ...EXCHANGE, setup: new Secret(filled(0x52)) }],
    ['with another nonce of the hub', { ...EXCHANGE, nonces: { ...EXCHANGE.nonces, hub: filled(0xa1) } }],
    ['with another nonce of the device', { ...EXCHANGE, nonces: { ...EXCHANGE.nonces, device: filled(0xb1) } }],
    ['with the nonces changed over', { ...EXCHANGE, nonces: { hub: filled(0xb0), device: filled(0xa0) } }],
  ])('does not open %s', (_, exchange) => {
    expect(codeOf(() => openProvisionedTrust(SEALED, exchange))).toBe('cose_verification_failed');
  });

  it('is no confirmation, and a confirmation is not what is sent', () => {
    expect(codeOf(() => checkConfirmation(SEALED, PROVISIONED, EXCHANGE))).toBe('cose_verification_failed');
    expect(codeOf(() => openProvisionedTrust(CONFIRMED, EXCHANGE))).toBe('cose_verification_failed');
  });
});

describe('a confirmation', () => {
  it('holds for what was sent', () => {
    expect(codeOf(() => checkConfirmation(CONFIRMED, PROVISIONED, EXCHANGE))).toBe('none');
  });

  it('says nothing of the root key but a hash', () => {
    expect(CONFIRMED.length).toBeLessThan(60);
  });

  it.each([
    ['of another version', { ...PROVISIONED, trust: { ...TRUST, version: 2 } }],
    ['of another root key', { ...PROVISIONED, rootKey: new Secret(filled(9, 32)) }],
  ])('is refused that is %s', (_, sent) => {
    expect(codeOf(() => checkConfirmation(CONFIRMED, sent, EXCHANGE))).toBe('provisioning_invalid');
  });

  it('of another exchange is refused', () => {
    const earlier = { ...EXCHANGE, nonces: { ...EXCHANGE.nonces, hub: filled(0xa1) } };
    expect(codeOf(() => checkConfirmation(sealConfirmation(PROVISIONED, earlier), PROVISIONED, EXCHANGE))).toBe(
      'cose_verification_failed',
    );
  });

  it('opens altered nowhere', () => {
    for (let at = 0; at < CONFIRMED.length; at++)
      expect(codeOf(() => checkConfirmation(flip(CONFIRMED, at), PROVISIONED, EXCHANGE))).not.toBe('none');
  });
});

it('the IV of each side is its own: no key serves one IV for two messages', () => {
  const ivs = [SEALED, CONFIRMED].map((message) => {
    const tagged = decodeCbor(message);
    const parts = isCborTag(tagged) ? (tagged.value as readonly [unknown, ReadonlyMap<number, Uint8Array>]) : undefined;
    return hex(parts?.[1].get(COSE_HEADER.iv) ?? filled(0, 0));
  });
  expect(ivs).toEqual(['00'.repeat(13), `01${'00'.repeat(12)}`]);
});
