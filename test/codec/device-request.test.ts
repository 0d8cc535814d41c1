import { describe, expect, it } from 'vitest';
import { encodeCbor } from '../../src/codec/cbor.ts';
import { openEncrypt0 } from '../../src/codec/cose/encrypt0.ts';
import { makeMac0, openMac0 } from '../../src/codec/cose/mac0.ts';
import {
  makeDeviceAnswer,
  makeDeviceRequest,
  openDeviceAnswer,
  readDeviceRequest,
} from '../../src/codec/device-request.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { isCoded } from '../../src/core/errors.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { KEY } from '../fixtures/cose-keys.ts';
import { HOSTILE_CBOR } from '../fixtures/hostile-cbor.ts';

const DEVICE = 'ekg-1';
const NONCE = new Uint8Array(12).fill(3);
const PAYLOAD = encodeCbor(new Map([[11, utf8('token')]]));
const MAC = KEY['HMAC 256/64'];
const CCM = KEY['AES-CCM-16-64-128'];
const HUB_NONCE = new Uint8Array(8).fill(5);
const request = (changes: Partial<Parameters<typeof makeDeviceRequest>[0]> = {}) =>
  makeDeviceRequest({ device: DEVICE, nonce: NONCE, hubNonce: HUB_NONCE, key: MAC, payload: PAYLOAD, ...changes });
const answer = () =>
  makeDeviceAnswer({
    device: DEVICE,
    nonce: NONCE,
    hubNonce: HUB_NONCE,
    key: CCM,
    iv: new Uint8Array(13).fill(9),
    payload: PAYLOAD,
  });

describe('a request of a device', () => {
  it('says who asks, and opens under its key', () => {
    const read = readDeviceRequest(request());
    expect([read.device, read.nonce, read.hubNonce]).toEqual([DEVICE, NONCE, HUB_NONCE]);
    expect(read.open(MAC)).toEqual(PAYLOAD);
  });

  it('may be the first one, without a nonce of the hub', () => {
    const read = readDeviceRequest(request({ hubNonce: undefined }));
    expect(read.hubNonce).toBeUndefined();
    expect(read.open(MAC)).toEqual(PAYLOAD);
  });

  it('has the nonce of the hub under its MAC', () => {
    const externalAad = encodeCbor(['latchkey-introspect-1', DEVICE, NONCE]);
    const { protectedHeader } = openMac0(request(), { key: MAC, externalAad });
    expect(protectedHeader.get(-65540)).toEqual(HUB_NONCE);
  });

  it('does not take a nonce of the hub from where anybody can write it', () => {
    const unprotectedHeader = new Map([
      [4, utf8(DEVICE)],
      [-65537, NONCE],
      [-65540, HUB_NONCE],
    ]);
    expect(readDeviceRequest(makeMac0({ payload: PAYLOAD, key: MAC, unprotectedHeader })).hubNonce).toBeUndefined();
  });

  it('is refused with a nonce of the hub that is no byte string', () => {
    const bytes = makeMac0({
      payload: PAYLOAD,
      key: MAC,
      protectedHeader: new Map([[-65540, 'text']]),
      unprotectedHeader: new Map([
        [4, utf8(DEVICE)],
        [-65537, NONCE],
      ]),
    });
    expect(codeOf(() => readDeviceRequest(bytes))).toBe('cose_invalid');
  });

  it('is a COSE_Mac0 over the external_aad of docs/protocol.md', () => {
    const externalAad = encodeCbor(['latchkey-introspect-1', DEVICE, NONCE]);
    const { payload, unprotectedHeader } = openMac0(request(), { key: MAC, externalAad });
    expect(payload).toEqual(PAYLOAD);
    expect(unprotectedHeader).toEqual(
      new Map<number, Uint8Array>([
        [4, utf8(DEVICE)],
        [-65537, NONCE],
      ]),
    );
  });

  it('is refused with every single bit changed', () => {
    const bytes = request();
    for (let at = 0; at < bytes.length * 8; at++) {
      const broken = Uint8Array.from(bytes);
      broken[at >> 3] = (broken[at >> 3] as number) ^ (1 << (at & 7));
      let opened: unknown;
      try {
        const read = readDeviceRequest(broken);
        opened = read.open(MAC);
      } catch (error) {
        expect(isCoded(error)).toBe(true);
      }
      expect(opened, `bit ${at}`).toBeUndefined();
    }
  });

  it('does not open under the key of another device', () => {
    const key = { ...MAC, key: KEY.A128GCM.key };
    expect(codeOf(() => readDeviceRequest(request()).open(key))).toBe('cose_verification_failed');
  });

  it('does not open under a key of another algorithm', () => {
    expect(codeOf(() => readDeviceRequest(request()).open(KEY['HMAC 256/256']))).toBe('cose_algorithm_refused');
  });

  it('is not made with a nonce of another size', () => {
    expect(codeOf(() => request({ nonce: new Uint8Array(11) }))).toBe('request_invalid');
  });

  it.each([
    ['without a kid', [[-65537, NONCE]]],
    [
      'with an empty kid',
      [
        [4, new Uint8Array(0)],
        [-65537, NONCE],
      ],
    ],
    [
      'with a kid of 64 bytes',
      [
        [4, new Uint8Array(64).fill(0x61)],
        [-65537, NONCE],
      ],
    ],
    ['without a nonce', [[4, utf8(DEVICE)]]],
    [
      'with a nonce of 16 bytes',
      [
        [4, utf8(DEVICE)],
        [-65537, new Uint8Array(16)],
      ],
    ],
  ] as [string, [number, Uint8Array][]][])('is refused %s', (_, header) => {
    const bytes = makeMac0({ payload: PAYLOAD, key: { ...MAC, keyId: undefined }, unprotectedHeader: new Map(header) });
    expect(codeOf(() => readDeviceRequest(bytes))).toBe('cose_invalid');
  });

  it('is refused with a kid that is no text', () => {
    const header = new Map([
      [4, Uint8Array.of(0xff)],
      [-65537, NONCE],
    ]);
    expect(codeOf(() => readDeviceRequest(makeMac0({ payload: PAYLOAD, key: MAC, unprotectedHeader: header })))).toBe(
      'utf8_invalid',
    );
  });

  it.each(HOSTILE_CBOR)('is refused with a code: $name', ({ bytes }) => {
    expect(codeOf(() => readDeviceRequest(bytes))).toMatch(/^(cbor|cose|utf8)_/);
  });
});

describe('an answer to a device', () => {
  it('opens for the device and the request that it answers', () => {
    const opened = openDeviceAnswer(answer(), { device: DEVICE, nonce: NONCE, key: CCM });
    expect(opened).toEqual({ payload: PAYLOAD, hubNonce: HUB_NONCE });
  });

  it('is refused with every single bit changed, those of the next nonce too', () => {
    const bytes = answer();
    for (let at = 0; at < bytes.length * 8; at++) {
      const broken = Uint8Array.from(bytes);
      broken[at >> 3] = (broken[at >> 3] as number) ^ (1 << (at & 7));
      const open = () => openDeviceAnswer(broken, { device: DEVICE, nonce: NONCE, key: CCM });
      // A kid that nobody looks at.
      if (codeOf(open) === 'none') expect(open()).toEqual({ payload: PAYLOAD, hubNonce: HUB_NONCE });
    }
  });

  it('is a COSE_Encrypt0 over the external_aad of docs/protocol.md', () => {
    const externalAad = encodeCbor(['latchkey-introspect-answer-1', DEVICE, NONCE]);
    expect(openEncrypt0(answer(), { key: CCM, externalAad }).payload).toEqual(PAYLOAD);
  });

  it.each([
    ['another request', { nonce: new Uint8Array(12) }],
    ['another device', { device: 'ekg-2' }],
  ])('does not open for %s', (_, changes) => {
    expect(codeOf(() => openDeviceAnswer(answer(), { device: DEVICE, nonce: NONCE, key: CCM, ...changes }))).toBe(
      'cose_verification_failed',
    );
  });

  it('does not open as a session key, which has an external_aad of its own', () => {
    const externalAad = encodeCbor(['latchkey-session-key-1', DEVICE, NONCE]);
    expect(codeOf(() => openEncrypt0(answer(), { key: CCM, externalAad }))).toBe('cose_verification_failed');
  });
});
