/** The vectors for docs/protocol.md, "Trust bundles": made anew from fixed keys, compared with the file, judged by a device. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/codec/cbor.ts';
import { codeText } from '../../src/codec/coap/codes.ts';
import { encodeMessage } from '../../src/codec/coap/message.ts';
import type { CoseKey } from '../../src/codec/cose/key.ts';
import { coseKeyFromJwk } from '../../src/codec/cose/key-map.ts';
import { makeMac0 } from '../../src/codec/cose/mac0.ts';
import { makeSign1, openSign1 } from '../../src/codec/cose/sign1.ts';
import { makeCwt } from '../../src/codec/cwt.ts';
import { deriveDeviceKey } from '../../src/codec/device-keys.ts';
import { type DeviceTrust, encodeDeviceTrust, encodeProvisionedTrust } from '../../src/codec/device-trust-map.ts';
import { COAP_METHOD, COAP_OPTION, COAP_TYPE } from '../../src/codec/iana.ts';
import { encodeSlipmux } from '../../src/codec/slipmux.ts';
import { bundleFormat, makeTrustAnswer, makeTrustBundle, openTrustAnswer } from '../../src/codec/trust-bundle.ts';
import { readTrustFile, writeTrustFile } from '../../src/codec/trust-file.ts';
import { concat, fromBase64url, fromHex, hex, sha256, utf8 } from '../../src/core/bytes.ts';
import { Secret } from '../../src/core/secret.ts';
import { BUNDLE_REFUSALS, type HeldTrust, judgeBundle } from '../../src/sim/judge-bundle.ts';
import { judgeToken, TOKEN_REFUSALS } from '../../src/sim/judge-token.ts';
import { JWK, KEY, publicJwk, VERIFYING_KEY } from '../fixtures/cose-keys.ts';
import { signingJwk } from '../fixtures/device-trust.ts';

const root = new Secret(new Uint8Array(32).map((_, index) => index));
const device = 'tube-1';
const audience = 'coap://tube-1';
const bundleKey = deriveDeviceKey(root, 'trust-bundle', 'HMAC 256/256');
const answerKey = deriveDeviceKey(root, 'answer', 'HMAC 256/64');
const tokenMac = deriveDeviceKey(root, 'token-mac', 'HMAC 256/64');
const tokenEncryption = deriveDeviceKey(root, 'token-encryption', 'AES-CCM-16-64-128');
/** Deterministic, so that the vectors can be made anew. */
const oldHub = KEY.EdDSA;
const NEW_HUB_X = '3ModMS0VPKphB6Z19RJbhKfDFfY3Jt5Nud9L62KJxs4';

const maced: DeviceTrust = {
  version: 2,
  device,
  audience,
  time: 1_795_490_445,
  wrap: 'mac0',
  cwtTag: false,
  scopeForm: 'text',
  maxTokenBytes: 1024,
  receipt: 'mac0',
  hubKeys: [],
  issuers: [{ issuer: 'https://as.example', keys: [signingJwk('ES256', 'as-2')] }],
  permissions: { read: [['temperature', 0b1_0000]] },
  authentication: 'HMAC 256/64',
  encryption: 'AES-CCM-16-64-128',
};
const newHubJwk = { kty: 'OKP', crv: 'Ed25519', x: NEW_HUB_X, kid: 'hub-new', alg: 'EdDSA' };
const oldHubJwk = { ...publicJwk('EdDSA'), alg: 'EdDSA' };
/** The first step of another hub key: both are in it, under the old one. */
const signed: DeviceTrust = { ...maced, wrap: 'sign1', authentication: 'EdDSA', hubKeys: [newHubJwk, oldHubJwk] };

const aad = encodeCbor(['latchkey-trust-1', audience]);
const mac = (trust: DeviceTrust, key: CoseKey = bundleKey.key) => makeTrustBundle({ trust, key, audience });
const seal = (payload: Uint8Array) => makeMac0({ payload, key: bundleKey.key, externalAad: aad });
const macBundle = mac(maced);
const signBundle = makeTrustBundle({ trust: signed, key: oldHub, audience });

/** A signature by ES256 is another one each time: this one was made once, by the key of `ES256` in the file. */
const ES256_BUNDLE =
  'd28443a10126a104466875622d6573590114ae01020266747562652d31036d636f61703a2f2f747562652d31041a6b05028d05657369676e3106f40764746578740819040009646d6163300a81a6010202466875622d657303262001215820912ef1a9f329cf0c8d34295d6fc80b70772fcf02863788913e912fa5845e7672225820fe6e5185a5a6535c4dda3b0e3af4ac1a8ff15437583c79dcd0d3a3f9c031be310b81827268747470733a2f2f61732e6578616d706c6581a60102024461732d3203262001215820912ef1a9f329cf0c8d34295d6fc80b70772fcf02863788913e912fa5845e7672225820fe6e5185a5a6535c4dda3b0e3af4ac1a8ff15437583c79dcd0d3a3f9c031be310ca1647265616481826b74656d7065726174757265100d260e0a5840b426fbb718e1eaa0ad36a791aafb26c3f66d30d9363a5d19099c69830efcdba2a5eb1513207ff77781d55c5e33bf6fb6f10fac0f6426842836c99fb0aa241a6f';
const es256Trust: DeviceTrust = {
  ...maced,
  wrap: 'sign1',
  authentication: 'ES256',
  hubKeys: [signingJwk('ES256', 'hub-es')],
};

/** Blocks of 128 bytes (SZX 3), as CoAP messages, and the frames that carry them on a serial line. */
function blocks(
  body: Uint8Array,
  contentFormat: number,
): readonly { readonly coap: string; readonly slipmux: string }[] {
  const count = Math.ceil(body.length / 128);
  return Array.from({ length: count }, (_, number) => {
    const value = (number << 4) | (number + 1 < count ? 8 : 0) | 3;
    const coap = encodeMessage({
      type: COAP_TYPE.CON,
      code: COAP_METHOD.POST,
      messageId: 0x2000 + number,
      token: fromHex(`c0c1c2c${number}`),
      options: [
        { number: COAP_OPTION.uriPath, value: utf8('trust') },
        { number: COAP_OPTION.contentFormat, value: Uint8Array.of(contentFormat) },
        { number: COAP_OPTION.block1, value: Uint8Array.of(value) },
      ],
      payload: body.subarray(number * 128, (number + 1) * 128),
    });
    return { coap: hex(coap), slipmux: hex(encodeSlipmux(coap)) };
  });
}

const answer = (code: number, version: number, bundle: Uint8Array) =>
  hex(makeTrustAnswer({ key: answerKey.key, device, code, version, bundle }));

/** The map with one byte put in or changed, under a good MAC: what only a strict reader refuses. */
const map = encodeDeviceTrust(maced);
const otherDevice = mac({ ...maced, device: 'tube-2' });

/**
 * Maps that no encoder here writes, put together from bytes (RFC 8949 §3.1) in place of the array of keys in a good map:
 * COSE_Keys of the issuer, with the point of `as-2`, and of the hub, with that of `hub-new`.
 */
const NEW_HUB_BYTES = hex(fromBase64url(NEW_HUB_X));
const kidBytes = (kid: string) => hex(Uint8Array.of(0x40 + kid.length, ...utf8(kid)));
const array = (items: readonly string[]) => `${(0x80 + items.length).toString(16)}${items.join('')}`;
const [beforeIssuer = '', issuerPoint = '', afterIssuer = ''] =
  /^(.*)81a60102024461732d32(.*)(0ca1.*)$/u.exec(hex(map))?.slice(1) ?? [];
const issuerKey = (kid: string) => `a6010202${kidBytes(kid)}${issuerPoint}`;
const withIssuerKeys = (...keys: readonly string[]) => seal(fromHex(beforeIssuer + array(keys) + afterIssuer));
const [beforeHub = '', , afterHub = ''] =
  /^(.*0a)(82.*)(0b81.*)$/u.exec(hex(encodeDeviceTrust(signed)))?.slice(1) ?? [];
const hubKey = (kid: string | undefined) =>
  kid === undefined ? `a4010103272006215820${NEW_HUB_BYTES}` : `a5010102${kidBytes(kid)}03272006215820${NEW_HUB_BYTES}`;
const withHubKeys = (...keys: readonly string[]) =>
  makeSign1({ payload: fromHex(beforeHub + array(keys) + afterHub), key: oldHub, externalAad: aad });
const refusedMap = (bundle: Uint8Array) => ({ bundle: hex(bundle), code: '4.00' });
const refusedSigned = (bundle: Uint8Array) => ({ wrap: 'sign1', content_format: 18, ...refusedMap(bundle) });
const several = (count: number, name: string) => Array.from({ length: count }, (_, number) => `${name}${10 + number}`);

/** What `iss` is compared with: names, with keys or without (RSA keys do not travel), and none at all. */
const byName: DeviceTrust = { ...maced, issuers: [...maced.issuers, { issuer: 'https://rsa.example', keys: [] }] };
const ofNobody: DeviceTrust = { ...maced, issuers: [] };
const token = (issuer: string | undefined) =>
  makeCwt(
    {
      ...(issuer === undefined ? {} : { issuer }),
      audience,
      expiresAt: 1_795_491_045,
      issuedAt: 1_795_490_445,
      cwtId: new Uint8Array(16).fill(7),
      scope: 'read',
      confirmation: { method: 'COSE_Key', key: coseKeyFromJwk(publicJwk('ES256')) },
    },
    { wrap: 'mac0', keys: { authentication: tokenMac.key }, cwtTag: false, nonce: () => new Uint8Array(13) },
  );
const afterwards = (trust: DeviceTrust, codes: Readonly<Record<string, string>>) => ({
  trust_map: hex(encodeDeviceTrust(trust)),
  bundle: hex(mac(trust)),
  answer: answer(0x44, 2, mac(trust)),
  tokens: Object.entries(codes).map(([issuer, code]) => ({
    iss: issuer === '' ? null : issuer,
    token: hex(token(issuer === '' ? undefined : issuer)),
    code,
  })),
});

const vectors = {
  keys: {
    root: hex(root.expose()),
    trust_bundle: bundleKey.jwk.expose(),
    answer: answerKey.jwk.expose(),
    hub_old: { ...JWK.EdDSA, alg: 'EdDSA' },
    hub_new: newHubJwk,
    hub_es256: { ...publicJwk('ES256'), alg: 'ES256' },
  },
  device,
  audience,
  held_version: 1,
  external_aad: hex(aad),
  mac0: {
    trust_map: hex(map),
    to_be_maced: hex(encodeCbor(['MAC0', fromHex('a10105'), aad, map])),
    bundle: hex(macBundle),
    blocks: blocks(macBundle, bundleFormat(bundleKey.key)),
    answer_external_aad: hex(encodeCbor(['latchkey-trust-answer-1', device, 0x44])),
    answer_payload: hex(encodeCbor([2, sha256(macBundle)])),
    answer: answer(0x44, 2, macBundle),
  },
  sign1: {
    trust_map: hex(encodeDeviceTrust(signed)),
    to_be_signed: hex(encodeCbor(['Signature1', fromHex('a10127'), aad, encodeDeviceTrust(signed)])),
    bundle: hex(signBundle),
    blocks: blocks(signBundle, bundleFormat(oldHub)),
    answer: answer(0x44, 2, signBundle),
  },
  sign1_es256: { trust_map: hex(encodeDeviceTrust(es256Trust)), bundle: ES256_BUNDLE },
  /** What a device answers to tokens of which issuer, at 1795490500, once it took the bundle. */
  issuers: {
    token_mac: tokenMac.jwk.expose(),
    by_name: afterwards(byName, {
      'https://as.example': '2.01',
      'https://rsa.example': '2.01',
      'https://else.example': '4.01',
      '': '2.01',
    }),
    none: afterwards(ofNobody, { 'https://as.example': '4.01', '': '2.01' }),
  },
  /** What a device that holds version 1 with these keys has to refuse, each with the code of its answer. */
  refused: {
    lower_version: { held_version: 3, bundle: hex(macBundle), code: '4.09', answer: answer(0x89, 3, macBundle) },
    same_version_other_contents: { held_version: 2, bundle: hex(macBundle), code: '4.09' },
    another_device_inside: { bundle: hex(otherDevice), code: '4.03' },
    another_audience_in_the_seal: {
      bundle: hex(makeTrustBundle({ trust: maced, key: bundleKey.key, audience: 'coap://tube-2' })),
      code: '4.01',
    },
    under_the_key_for_tokens: { bundle: hex(mac(maced, tokenMac.key)), code: '4.01' },
    last_byte_of_the_mac_turned: { bundle: hex(macBundle.with(-1, (macBundle.at(-1) ?? 0) ^ 1)), code: '4.01' },
    a_byte_of_the_map_turned: { bundle: hex(macBundle.with(40, (macBundle.at(40) ?? 0) ^ 1)), code: '4.01' },
    without_kid: { bundle: hex(mac(maced, { ...bundleKey.key, keyId: undefined })), code: '4.01' },
    a_signature_where_macs_are_taken: { bundle: hex(signBundle), content_format: 18, code: '4.15' },
    root_key_in_the_map: { bundle: hex(seal(encodeProvisionedTrust({ trust: maced, rootKey: root }))), code: '4.00' },
    unknown_label_in_the_map: { bundle: hex(seal(withEntry(map, '10f6'))), code: '4.00' },
    a_byte_behind_the_map: { bundle: hex(seal(Uint8Array.from([...map, 0]))), code: '4.00' },
    empty_map: { bundle: hex(seal(fromHex('a0'))), code: '4.00' },
    another_wrap_than_its_keys_are_for: {
      bundle: hex(mac({ ...maced, wrap: 'encrypt0', authentication: undefined, encryption: 'A128GCM' })),
      code: '4.00',
    },
    two_keys_of_an_issuer_with_one_kid: refusedMap(withIssuerKeys(issuerKey('as-2'), issuerKey('as-2'))),
    seventeen_keys_of_an_issuer: refusedMap(withIssuerKeys(...several(17, 'k').map(issuerKey))),
    two_hub_keys_with_one_kid: refusedSigned(withHubKeys(hubKey('hub-new'), hubKey('hub-new'))),
    a_hub_key_without_kid: refusedSigned(withHubKeys(hubKey('hub-new'), hubKey(undefined))),
    nine_hub_keys: refusedSigned(withHubKeys(...several(9, 'hub').map(hubKey))),
    no_hub_key_for_a_wrap_that_is_signed: refusedSigned(withHubKeys()),
    a_byte_behind_the_map_that_is_signed: refusedSigned(
      makeSign1({ payload: concat(encodeDeviceTrust(signed), Uint8Array.of(0)), key: oldHub, externalAad: aad }),
    ),
    a_byte_behind_the_bundle: { bundle: `${hex(macBundle)}00`, code: '4.00' },
    no_cose: { bundle: 'a0', code: '4.00' },
    empty: { bundle: '', code: '4.00' },
  },
};

/** The map with an entry behind its last one. */
function withEntry(bytes: Uint8Array, entry: string): Uint8Array {
  return Uint8Array.from([(bytes[0] ?? 0) + 1, ...bytes.subarray(1), ...fromHex(entry)]);
}

function held(version: number, wrap: 'mac0' | 'sign1' = 'mac0', hub: CoseKey = VERIFYING_KEY.EdDSA): HeldTrust {
  const jwk = wrap === 'mac0' ? tokenMac.jwk.expose() : hub === VERIFYING_KEY.ES256 ? publicJwk('ES256') : oldHubJwk;
  const trust = readTrustFile(
    writeTrustFile({
      version,
      device,
      audience,
      wrap,
      cwtTag: false,
      scopeForm: 'text',
      maxTokenBytes: 1024,
      keys: [jwk, tokenEncryption.jwk.expose()],
      confirmationKeys: [],
      answerKey: answerKey.jwk.expose(),
      bundleKey: bundleKey.jwk.expose(),
      receipt: 'mac0',
      permissions: { read: [['temperature', 16]] },
    }),
  );
  return { trust, payload: undefined };
}

test('the file of vectors is what the program makes', async () => {
  await expect(`${JSON.stringify(vectors, undefined, 2)}\n`).toMatchFileSnapshot(
    '../vectors/latchkey/trust-bundle.json',
  );
});

describe('a device takes', () => {
  test('the MACed bundle, and its answer opens', () => {
    expect(judgeBundle(macBundle, 17, held(1))).toMatchObject({ kind: 'taken', held: { trust: { version: 2 } } });
    const bytes = fromHex(vectors.mac0.answer);
    expect(openTrustAnswer(bytes, { key: answerKey.key, device, code: 0x44, bundle: macBundle })).toBe(2);
  });

  test('the signed one, with both keys of the hub', () => {
    const verdict = judgeBundle(signBundle, 18, held(1, 'sign1'));
    const kids = verdict.kind === 'taken' ? verdict.held.trust.keys.map(({ keyId }) => hex(keyId ?? fromHex(''))) : [];
    expect(kids.slice(0, 2)).toEqual([hex(utf8('hub-new')), hex(utf8('hub-ed'))]);
  });

  test('one that was signed with ES256', () => {
    const bundle = fromHex(ES256_BUNDLE);
    expect(judgeBundle(bundle, 18, held(1, 'sign1', VERIFYING_KEY.ES256))).toMatchObject({ kind: 'taken' });
    expect(hex(openSign1(bundle, { key: VERIFYING_KEY.ES256, externalAad: aad }).payload)).toBe(
      vectors.sign1_es256.trust_map,
    );
  });

  test.each(['by_name', 'none'] as const)('issuers, %s, and the tokens of those alone', (name) => {
    const { bundle, tokens } = vectors.issuers[name];
    const verdict = judgeBundle(fromHex(bundle), 17, held(1));
    expect(verdict.kind).toBe('taken');
    if (verdict.kind !== 'taken') return;
    const now = { earliest: 1_795_490_500, latest: 1_795_490_500 };
    for (const { code, iss, token: bytes } of tokens) {
      const judged = judgeToken(fromHex(bytes), verdict.held.trust, now);
      const answered = judged.kind === 'good' ? '2.01' : codeText(TOKEN_REFUSALS[judged.reason]);
      expect(`${iss} ${answered}`).toBe(`${iss} ${code}`);
    }
  });

  test('the blocks put together', () => {
    expect(vectors.mac0.blocks.length).toBeGreaterThan(1);
    const payloads = vectors.mac0.blocks.map(({ coap }) => coap.slice(coap.indexOf('ff') + 2)).join('');
    expect(payloads).toBe(vectors.mac0.bundle);
  });
});

describe('a device refuses', () => {
  test.each(Object.entries(vectors.refused))('%s', (_, vector) => {
    const { bundle, code } = vector;
    const version = 'held_version' in vector ? vector.held_version : 1;
    const format = 'content_format' in vector ? vector.content_format : 17;
    const verdict = judgeBundle(fromHex(bundle), format, held(version, 'wrap' in vector ? 'sign1' : 'mac0'));
    expect(verdict.kind === 'refused' ? codeText(BUNDLE_REFUSALS[verdict.reason]) : verdict.kind).toBe(code);
  });

  test('no map for being put together by hand: with as many keys as may be it is taken', () => {
    const full = several(8, 'hub').map(hubKey);
    expect(judgeBundle(withHubKeys(...full), 18, held(1, 'sign1'))).toMatchObject({ kind: 'taken' });
    const keys = several(16, 'k').map(issuerKey);
    expect(judgeBundle(withIssuerKeys(...keys), 17, held(1))).toMatchObject({ kind: 'taken' });
  });

  test('and proves the higher version that it holds', () => {
    const bytes = fromHex(vectors.refused.lower_version.answer);
    expect(openTrustAnswer(bytes, { key: answerKey.key, device, code: 0x89, bundle: macBundle })).toBe(3);
  });
});

test('what the file says is to be signed is what is signed', () => {
  const again = makeSign1({ payload: fromHex(vectors.sign1.trust_map), key: oldHub, externalAad: aad });
  expect(hex(again)).toBe(vectors.sign1.bundle);
});

test('docs/protocol.md shows the same bytes', () => {
  const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
  const shown = (name: string) =>
    new RegExp(`\`\`\`hex ${name}\n([^\`]+)\`\`\``).exec(page)?.[1]?.replaceAll(/\s/g, '');
  expect(shown('trust-map')).toBe(vectors.mac0.trust_map);
  expect(shown('trust-bundle')).toBe(vectors.mac0.bundle);
  expect(shown('trust-answer')).toBe(vectors.mac0.answer);
});
