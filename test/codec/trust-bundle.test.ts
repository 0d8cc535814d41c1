import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeCbor } from '../../src/codec/cbor.ts';
import { codeNumber } from '../../src/codec/coap/codes.ts';
import { makeMac0 } from '../../src/codec/cose/mac0.ts';
import { makeSign1 } from '../../src/codec/cose/sign1.ts';
import { encodeDeviceTrust, encodeProvisionedTrust } from '../../src/codec/device-trust-map.ts';
import {
  bundleFormat,
  makeTrustAnswer,
  makeTrustBundle,
  openTrustAnswer,
  openTrustBundle,
  TRUST_BUNDLE_BYTES,
} from '../../src/codec/trust-bundle.ts';
import { sha256, utf8 } from '../../src/core/bytes.ts';
import { isCoded } from '../../src/core/errors.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { KEY, VERIFYING_KEY, withoutKeyId } from '../fixtures/cose-keys.ts';
import { deviceTrust, PROVISIONED, TRUST } from '../fixtures/device-trust.ts';
import { HOSTILE_CBOR } from '../fixtures/hostile-cbor.ts';

const MAC = KEY['HMAC 256/256'];
const AUDIENCE = TRUST.audience;
const AAD = encodeCbor(['latchkey-trust-1', AUDIENCE]);
const bundle = makeTrustBundle({ trust: TRUST, key: MAC, audience: AUDIENCE });
const open = (bytes: Uint8Array, keys = [MAC], audience = AUDIENCE) => openTrustBundle(bytes, { keys, audience });

describe('a trust bundle', () => {
  it.each(['ES256', 'EdDSA', 'HMAC 256/256'] as const)('under %s reads as it was made', (algorithm) => {
    fc.assert(
      fc.property(deviceTrust(), fc.string(), (trust, audience) => {
        const made = makeTrustBundle({ trust, key: KEY[algorithm], audience });
        const opened = openTrustBundle(made, { keys: [VERIFYING_KEY[algorithm]], audience });
        expect(opened.trust).toEqual(trust);
        expect(opened.payload).toEqual(encodeDeviceTrust(trust));
      }),
      { numRuns: 30 },
    );
  });

  it('is found among several keys by its kid', () => {
    const keys = [VERIFYING_KEY.EdDSA, VERIFYING_KEY.ES256];
    expect(open(makeTrustBundle({ trust: TRUST, key: KEY.ES256, audience: AUDIENCE }), keys).trust).toEqual(TRUST);
  });

  it('has the content format of its kind', () => {
    expect([bundleFormat(KEY.ES256), bundleFormat(KEY.EdDSA), bundleFormat(MAC)]).toEqual([18, 18, 17]);
  });

  it('says nothing else with any bit turned', () => {
    for (let bit = 0; bit < bundle.length * 8; bit += 1) {
      const flipped = Uint8Array.from(bundle);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      let said: unknown;
      try {
        said = open(flipped);
      } catch (error) {
        expect(isCoded(error)).toBe(true);
      }
      expect(said, `bit ${bit}`).toBeUndefined();
    }
  });
});

describe('a bundle is refused', () => {
  const sealed = (payload: Uint8Array, externalAad = AAD) => makeMac0({ payload, key: MAC, externalAad });
  const map = encodeDeviceTrust(TRUST);

  it.each<[string, () => unknown, string]>([
    ['for another audience', () => open(bundle, [MAC], 'coap://tube-2'), 'cose_verification_failed'],
    ['under a key that is not trusted', () => open(bundle, [{ ...MAC, keyId: utf8('else') }]), 'cose_key_unknown'],
    ['without any key to trust', () => open(bundle, []), 'cose_key_unknown'],
    [
      'without a kid',
      () => open(makeTrustBundle({ trust: TRUST, key: withoutKeyId(MAC), audience: AUDIENCE })),
      'cose_key_unknown',
    ],
    ['as a MAC where signatures are trusted', () => open(bundle, [VERIFYING_KEY.ES256]), 'cose_invalid'],
    [
      'as a signature where MACs are trusted',
      () => open(makeTrustBundle({ trust: TRUST, key: KEY.ES256, audience: AUDIENCE })),
      'cose_invalid',
    ],
    [
      'that was made for something else',
      () => open(sealed(map, encodeCbor(['latchkey-answer-1', AUDIENCE]))),
      'cose_verification_failed',
    ],
    [
      'with the shorter MAC',
      () => open(makeMac0({ payload: map, key: { ...KEY['HMAC 256/64'], keyId: MAC.keyId }, externalAad: AAD })),
      'cose_algorithm_refused',
    ],
    ['with a root key in it', () => open(sealed(encodeProvisionedTrust(PROVISIONED))), 'device_trust_invalid'],
    ['with nothing in it', () => open(sealed(new Uint8Array(0))), 'device_trust_invalid'],
    ['with a byte behind the map', () => open(sealed(Uint8Array.from([...map, 0]))), 'device_trust_invalid'],
    ['with a map that lacks a member', () => open(sealed(encodeCbor(new Map([[1, 1]])))), 'device_trust_invalid'],
    ['that is too large', () => open(new Uint8Array(TRUST_BUNDLE_BYTES + 1)), 'request_too_large'],
  ])('%s', (_, action, code) => {
    expect(codeOf(action)).toBe(code);
  });

  it.each(HOSTILE_CBOR.map(({ name, bytes }) => [name, bytes] as const))('for being %s', (_, bytes) => {
    expect(codeOf(() => open(bytes))).toMatch(/^(cbor_|cose_|request_too_large)/);
  });

  it('and a hostile payload under a good signature, too', () => {
    const payload = (HOSTILE_CBOR[0]?.bytes ?? new Uint8Array()).subarray(0, 8_000);
    const bytes = makeSign1({ payload, key: KEY.ES256, externalAad: AAD });
    expect(codeOf(() => open(bytes, [VERIFYING_KEY.ES256]))).toBe('device_trust_invalid');
  });
});

describe('the answer to a bundle', () => {
  const key = KEY['HMAC 256/64'];
  const context = { key, device: 'tube-1', code: codeNumber('2.04'), bundle };
  const answer = makeTrustAnswer({ ...context, version: 7 });

  it('says which version the device holds', () => {
    expect(openTrustAnswer(answer, context)).toBe(7);
  });

  it.each<[string, Partial<typeof context>]>([
    ['of another code', { code: 0x89 }],
    ['of another device', { device: 'tube-2' }],
    ['under another key', { key: { ...MAC, keyId: key.keyId } }],
    [
      'to another bundle',
      { bundle: makeTrustBundle({ trust: { ...TRUST, version: 2 }, key: MAC, audience: AUDIENCE }) },
    ],
  ])('%s is none', (_, changes) => {
    expect(codeOf(() => openTrustAnswer(answer, { ...context, ...changes }))).toMatch(/^cose_/);
  });

  it.each([
    ['no version', [sha256(bundle)]],
    ['a version past 32 bits', [0x1_0000_0000n, sha256(bundle)]],
    ['a version below zero', [-1, sha256(bundle)]],
    ['a hash cut short', [7, sha256(bundle).subarray(0, 31)]],
    ['a member more', [7, sha256(bundle), 1]],
    ['a map', new Map([[1, 7]])],
  ])('with %s under a good MAC is of the device, and cannot be used', (_, members) => {
    const externalAad = encodeCbor(['latchkey-trust-answer-1', 'tube-1', 0x44]);
    const made = makeMac0({ payload: encodeCbor(members as never), key, externalAad });
    expect(codeOf(() => openTrustAnswer(made, context))).toBe('device_answer_invalid');
  });

  it('that is no CBOR under a good MAC is of the device, and cannot be used', () => {
    const externalAad = encodeCbor(['latchkey-trust-answer-1', 'tube-1', 0x44]);
    const made = makeMac0({ payload: Uint8Array.of(0xff), key, externalAad });
    expect(codeOf(() => openTrustAnswer(made, context))).toBe('device_answer_invalid');
  });
});
