/**
 * The vectors of docs/protocol.md, "Provisioning", for makers of firmware: made anew from fixed keys and nonces, compared with
 * the file, and put to the simulated device, the ones that are to be refused too.
 */
import { hkdfSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type CborKey, type CborMap, type CborValue, decodeCbor, encodeCbor } from '../../src/codec/cbor.ts';
import { codeText } from '../../src/codec/coap/codes.ts';
import { encodeMessage } from '../../src/codec/coap/message.ts';
import { makeEncrypt0 } from '../../src/codec/cose/encrypt0.ts';
import { importJwk } from '../../src/codec/cose/key.ts';
import { makeMac0 } from '../../src/codec/cose/mac0.ts';
import { deriveDeviceKey } from '../../src/codec/device-keys.ts';
import { checkOrderAnswer } from '../../src/codec/device-order.ts';
import { encodeDeviceTrust, encodeProvisionedTrust } from '../../src/codec/device-trust-map.ts';
import { COAP_METHOD, COAP_OPTION, COAP_TYPE, CONTENT_FORMAT, DEVICE_TRUST } from '../../src/codec/iana.ts';
import { encodeNonce, sealConfirmation, sealProvisionedTrust } from '../../src/codec/provisioning.ts';
import { readSetupCode, setupCodeText, setupCodeToType } from '../../src/codec/setup-code.ts';
import { encodeSlipmux } from '../../src/codec/slipmux.ts';
import { base64url, concat, EMPTY, fromHex, hex, utf8 } from '../../src/core/bytes.ts';
import { Secret } from '../../src/core/secret.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { PROVISIONED, signingJwk, TRUST } from '../fixtures/device-trust.ts';
import { commit, contextOf, OTHER, orderOf, PairableDevice, SETUP } from '../sim/paired-device.ts';

const nonces = { hub: new Uint8Array(16).fill(0xa0), device: new Uint8Array(16).fill(0xb0) };
const exchange = { setup: SETUP, nonces };
const salt = concat(nonces.hub, nonces.device);
const key = new Uint8Array(hkdfSync('sha256', SETUP.expose(), salt, 'latchkey-provision-1', 16));
const plaintext = encodeProvisionedTrust(PROVISIONED);
const sealed = sealProvisionedTrust(PROVISIONED, exchange);
const confirmation = sealConfirmation(PROVISIONED, exchange);
const order = commit(nonces);
const unpair = orderOf({ operation: 'unpair', nonces });
const identify = orderOf({ operation: 'identify', nonces });
const signedTrust = {
  ...TRUST,
  wrap: 'sign1',
  authentication: 'ES256',
  hubKeys: [signingJwk('ES256', 'hub-1')],
  issuers: [{ issuer: 'https://as.example', keys: [signingJwk('EdDSA', 'as-1')] }],
} as const;

/** A message on the line, at its layers. */
function sent(path: string, format: number | undefined, payload: Uint8Array) {
  const coap = encodeMessage({
    type: COAP_TYPE.CON,
    code: COAP_METHOD.POST,
    messageId: 0x1234,
    token: fromHex('aabbccdd'),
    options: [
      { number: COAP_OPTION.uriPath, value: utf8(path) },
      ...(format === undefined ? [] : [{ number: COAP_OPTION.contentFormat, value: Uint8Array.of(format) }]),
    ],
    payload,
  });
  return { payload: hex(payload), coap: hex(coap), slipmux: hex(encodeSlipmux(coap)) };
}

/** The map of the trust, changed, and sealed as its hub would. */
function sealedMap(change: (members: Map<CborKey, CborValue>) => void): Uint8Array {
  const members = new Map(decodeCbor(plaintext) as CborMap);
  change(members);
  return sealedBytes(encodeCbor(members));
}

function sealedBytes(inner: Uint8Array, changed: { readonly speaker?: number; readonly iv?: number } = {}): Uint8Array {
  const { speaker = 0, iv = 0 } = changed;
  return makeEncrypt0({
    plaintext: inner,
    key: importJwk({ kty: 'oct', alg: 'AES-CCM-16-64-128', k: base64url(key) }),
    nonce: Uint8Array.of(iv, ...new Uint8Array(12)),
    externalAad: encodeCbor(['latchkey-provision-1', speaker, nonces.hub, nonces.device]),
  });
}

/** As if a nonce of the hub alone were enough. */
function unpairWithoutNonce(): Uint8Array {
  const payload = encodeCbor(
    new Map<number, CborValue>([
      [1, 2],
      [3, nonces.hub],
    ]),
  );
  const externalAad = encodeCbor(['latchkey-order-1', TRUST.audience]);
  return makeMac0({ payload, key: contextOf().key, externalAad });
}

const { cbor, coseEncrypt0, coseMac0 } = CONTENT_FORMAT;
const { rootKey, version } = DEVICE_TRUST;
const otherSetup = { ...exchange, setup: new Secret(new Uint8Array(16).fill(0x52)) };
const flipped = (bytes: Uint8Array, at: number) => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte));

/** What a device refuses, and what went before. The answers have no payload. */
const REFUSED = [
  ['fresh', 'provision', cbor, encodeCbor(new Map([[1, new Uint8Array(15)]])), '4.00', 'a nonce of 15 bytes'],
  ['fresh', 'provision', cbor, encodeCbor(new Map([[2, nonces.hub]])), '4.00', 'a nonce under another label'],
  ['fresh', 'provision', 50, encodeNonce(nonces.hub), '4.15', 'a nonce as JSON'],
  ['fresh', 'provision', coseEncrypt0, sealed, '4.01', 'trust before any nonce'],
  [
    'begun',
    'provision',
    coseEncrypt0,
    sealProvisionedTrust(PROVISIONED, otherSetup),
    '4.01',
    'trust under another code',
  ],
  ['begun', 'provision', coseEncrypt0, flipped(sealed, sealed.length - 1), '4.01', 'trust with another tag'],
  ['begun', 'provision', coseEncrypt0, flipped(sealed, 40), '4.01', 'trust that was altered'],
  [
    'begun',
    'provision',
    coseEncrypt0,
    sealProvisionedTrust(PROVISIONED, { setup: SETUP, nonces: { ...nonces, device: new Uint8Array(16).fill(0xb1) } }),
    '4.01',
    'trust for a nonce that the device did not give: a replay',
  ],
  ['begun', 'provision', coseEncrypt0, confirmation, '4.01', 'the confirmation of the device, sent back'],
  ['begun', 'provision', coseEncrypt0, sealedBytes(plaintext, { iv: 1 }), '4.00', 'trust with the IV of the device'],
  ['begun', 'provision', coseEncrypt0, sealedBytes(encodeCbor(new Map())), '4.00', 'trust that is empty'],
  ['begun', 'provision', coseEncrypt0, sealedBytes(encodeDeviceTrust(TRUST)), '4.00', 'trust without root key'],
  [
    'begun',
    'provision',
    coseEncrypt0,
    sealedMap((map) => map.set(rootKey, new Uint8Array(16))),
    '4.00',
    'a root key of 16 bytes',
  ],
  ['begun', 'provision', coseEncrypt0, sealedMap((map) => map.set(version, 0)), '4.00', 'version 0'],
  [
    'begun',
    'provision',
    coseEncrypt0,
    sealedMap((map) => map.set(16, 0)),
    '4.00',
    'trust with a label that nobody knows',
  ],
  ['begun', 'provision', coseMac0, order, '4.01', 'the order to use what was not sent yet'],
  ['received', 'provision', coseEncrypt0, sealed, '4.01', 'trust with a nonce that served already'],
  ['received', 'provision', coseMac0, commit(nonces, OTHER), '4.01', 'the order of another hub to use what was sent'],
  [
    'received',
    'provision',
    coseMac0,
    commit({ ...nonces, hub: nonces.device }),
    '4.01',
    'the order to use what came in another exchange',
  ],
  [
    'received',
    'provision',
    coseMac0,
    orderOf({ operation: 'commit', version: 2, nonces }),
    '4.01',
    'the order to use another version',
  ],
  ['received', 'provision', coseMac0, flipped(order, order.length - 1), '4.01', 'an order with another MAC'],
  ['paired', 'provision', cbor, encodeNonce(nonces.hub), '4.03', 'a nonce once the code is dead'],
  ['paired', 'provision', coseEncrypt0, sealed, '4.03', 'trust once the code is dead'],
  ['paired', 'unpair', coseMac0, unpair, '4.01', 'the order to unpair without a nonce before it'],
  [
    'asked',
    'unpair',
    coseMac0,
    orderOf({ operation: 'unpair', nonces }, OTHER),
    '4.01',
    'that of another hub to unpair',
  ],
  [
    'asked',
    'unpair',
    coseMac0,
    orderOf({ operation: 'unpair', nonces: { ...nonces, device: new Uint8Array(16).fill(0xb1) } }),
    '4.01',
    'the order to unpair for a nonce that the device did not give: one that was held back',
  ],
  ['asked', 'unpair', coseMac0, unpairWithoutNonce(), '4.01', 'the order to unpair that names no nonce of the device'],
  ['asked', 'unpair', coseMac0, flipped(unpair, unpair.length - 1), '4.01', 'the order to unpair with another MAC'],
  ['asked', 'unpair', coseMac0, identify, '4.01', 'the order to identify in the place of that to unpair'],
  ['asked', 'identify', coseMac0, unpair, '4.01', 'the order to unpair in the place of that to identify'],
  ['asked', 'provision', coseMac0, unpair, '4.01', 'the order to unpair in the place of that to commit'],
  ['asked', 'unpair', 50, unpair, '4.15', 'the order to unpair as JSON'],
  ['fresh', 'unpair', cbor, encodeNonce(nonces.hub), '4.03', 'a nonce to unpair before it was paired'],
  ['paired', 'identify', undefined, EMPTY, '4.01', 'a stranger who wants it to identify'],
  ['paired', 'identify', coseMac0, identify, '4.01', 'the order to identify without a nonce before it'],
  ['unpaired', 'provision', cbor, encodeNonce(nonces.hub), '4.03', 'a nonce after it was unpaired'],
  ['unpaired', 'provision', coseMac0, order, '4.01', 'the order to use what was given up'],
  ['unpaired', 'unpair', coseMac0, unpair, '4.01', 'the order to unpair, a second time with one nonce'],
  ['unpaired', 'identify', cbor, encodeNonce(nonces.hub), '4.03', 'a nonce to identify after it was unpaired'],
] as const;

const CODES_REFUSED = [
  ['another check symbol', '00041-06105-0R3GG-28A1C-60T3G-F7'],
  ['two symbols that changed places', '00041-06015-0R3GG-28A1C-60T3G-F6'],
  ['no check symbol', '00041-06105-0R3GG-28A1C-60T3G-F'],
  ['a symbol that is none', '00041-06105-0U3GG-28A1C-60T3G-F6'],
  ['a number past 128 bits', '80000-00000-00000-00000-00000-00'],
  ['another version', 'latchkey:2?id=tube-1&s=00041061050R3GG28A1C60T3GF&c=6'],
  ['a member twice', 'latchkey:1?id=tube-1&id=tube-2&s=00041061050R3GG28A1C60T3GF&c=6'],
  ['a member that nobody knows', 'latchkey:1?id=tube-1&s=00041061050R3GG28A1C60T3GF&c=6&x=1'],
] as const;

async function deviceIn(state: (typeof REFUSED)[number][0]): Promise<PairableDevice> {
  const device = new PairableDevice(undefined, nonces.device);
  if (state === 'begun') await device.begin(nonces.hub);
  if (state === 'received') await device.receive();
  if (state === 'paired' || state === 'asked' || state === 'unpaired') await device.pair();
  if (state === 'asked' || state === 'unpaired') await device.begin(nonces.hub, 'unpair');
  if (state === 'unpaired') await device.order(unpair, 'unpair');
  return device;
}

describe('docs/protocol.md, "Provisioning"', () => {
  test('its vectors are what the program makes', async () => {
    const secret = new Secret(new Uint8Array(16).map((_, index) => index));
    const vectors = {
      setup_codes: {
        good: [
          {
            id: 'tube-1',
            secret: hex(secret.expose()),
            qr: setupCodeText('tube-1', secret).expose(),
            typed: setupCodeToType(secret).expose(),
          },
          {
            id: 'tube-1',
            secret: hex(SETUP.expose()),
            qr: setupCodeText('tube-1', SETUP).expose(),
            typed: setupCodeToType(SETUP).expose(),
          },
        ],
        refused: CODES_REFUSED.map(([why, text]) => ({ why, text })),
      },
      trust: {
        mac0: hex(encodeDeviceTrust(TRUST)),
        mac0_with_root_key: hex(plaintext),
        sign1: hex(encodeDeviceTrust(signedTrust)),
      },
      pairing: {
        setup_secret: hex(SETUP.expose()),
        root_key: hex(PROVISIONED.rootKey.expose()),
        hub_nonce: hex(nonces.hub),
        device_nonce: hex(nonces.device),
        key_salt: hex(salt),
        key: hex(key),
        nonce_request: sent('provision', cbor, encodeNonce(nonces.hub)),
        nonce_answer: hex(encodeNonce(nonces.device)),
        trust_external_aad: hex(encodeCbor(['latchkey-provision-1', 0, nonces.hub, nonces.device])),
        trust_plaintext: hex(plaintext),
        trust_request: sent('provision', coseEncrypt0, sealed),
        confirmation_external_aad: hex(encodeCbor(['latchkey-provision-1', 1, nonces.hub, nonces.device])),
        root_key_check: hex(
          new Uint8Array(hkdfSync('sha256', PROVISIONED.rootKey.expose(), EMPTY, 'latchkey-root-check-1', 8)),
        ),
        trust_answer: hex(confirmation),
        commit_key: deriveDeviceKey(PROVISIONED.rootKey, 'commit', 'HMAC 256/64').jwk.expose(),
        commit_external_aad: hex(encodeCbor(['latchkey-order-1', TRUST.audience])),
        commit_request: sent('provision', coseMac0, order),
        commit_answer: hex((await (await deviceIn('received')).order(order)).payload),
      },
      unpairing: {
        nonce_request: sent('unpair', cbor, encodeNonce(nonces.hub)),
        nonce_answer: hex(encodeNonce(nonces.device)),
        request: sent('unpair', coseMac0, unpair),
        answer: hex((await (await deviceIn('asked')).order(unpair, 'unpair')).payload),
      },
      identifying: {
        unpaired_request: sent('identify', undefined, EMPTY),
        nonce_request: sent('identify', cbor, encodeNonce(nonces.hub)),
        request: sent('identify', coseMac0, identify),
        answer: hex(await identified()),
      },
      refused: REFUSED.map(([state, path, format, payload, code, why]) => ({
        why,
        state,
        path,
        content_format: format ?? null,
        payload: hex(payload),
        code,
      })),
    };
    await expect(`${JSON.stringify(vectors, undefined, 2)}\n`).toMatchFileSnapshot(
      '../vectors/latchkey/provisioning.json',
    );
  });

  test('the messages of a pairing in their order pair a device', async () => {
    const device = new PairableDevice(undefined, nonces.device);
    const begun = await device.post('provision', { contentFormat: cbor, payload: encodeNonce(nonces.hub) });
    expect(hex(begun.payload)).toBe(hex(encodeNonce(nonces.device)));
    expect(hex((await device.provision(sealed)).payload)).toBe(hex(confirmation));
    const answer = await device.order(order);
    expect(codeOf(() => checkOrderAnswer(answer.payload, order, contextOf()))).toBe('none');
    expect(device.state.trust?.trust).toEqual(TRUST);
  });

  const refused = REFUSED.map(([state, path, format, payload, code, why]) => ({
    state,
    path,
    format,
    payload,
    code,
    why,
  }));
  test.each(refused)(
    'a device that is $state refuses on /$path: $why',
    async ({ state, path, format, payload, code }) => {
      const device = await deviceIn(state);
      const before = device.flash;
      const answer = await device.post(path, { ...(format === undefined ? {} : { contentFormat: format }), payload });
      expect(codeText(answer.code)).toBe(code);
      expect(answer.payload).toHaveLength(0);
      expect(device.flash).toBe(before);
    },
  );

  test.each(CODES_REFUSED)('a setup code is refused with %s', (_, text) => {
    expect(codeOf(() => readSetupCode(text))).toBe('setup_code_invalid');
  });
});

async function identified(): Promise<Uint8Array> {
  const device = await deviceIn('paired');
  await device.begin(nonces.hub, 'identify');
  return (await device.post('identify', { contentFormat: coseMac0, payload: identify })).payload;
}
