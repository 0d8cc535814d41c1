/** The vectors for makers of firmware: made anew from fixed keys, compared with the file, and opened again. */
import { describe, expect, test } from 'vitest';
import { codeNumber } from '../../src/codec/coap/codes.ts';
import { encodeMessage } from '../../src/codec/coap/message.ts';
import { makeConciseProblem, readProblemNonce } from '../../src/codec/concise-problem.ts';
import { importJwk } from '../../src/codec/cose/key.ts';
import { encodeClaims, makeCwt, openCwt } from '../../src/codec/cwt.ts';
import { deriveDeviceKey } from '../../src/codec/device-keys.ts';
import {
  makeDeviceAnswer,
  makeDeviceRequest,
  openDeviceAnswer,
  readDeviceRequest,
} from '../../src/codec/device-request.ts';
import { COAP_METHOD, COAP_OPTION, COAP_TYPE, CONTENT_FORMAT } from '../../src/codec/iana.ts';
import { introspectionCbor } from '../../src/codec/introspection-answer.ts';
import { writeIntrospectionCbor } from '../../src/codec/introspection-message.ts';
import {
  makeAnswer,
  makeReceipt,
  makeSignedRequest,
  openAnswer,
  openReceipt,
  openSignedRequest,
  receiptQuery,
  tokenHash,
} from '../../src/codec/signed-request.ts';
import { encodeSlipmux } from '../../src/codec/slipmux.ts';
import { fromHex, hex, utf8 } from '../../src/core/bytes.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { IntrospectionQuestion } from '../../src/core/introspection.ts';
import { Secret } from '../../src/core/secret.ts';
import { CONNECTED_VECTORS } from '../fixtures/connected-vectors.ts';

const root = new Secret(new Uint8Array(32).map((_, index) => index));
const audience = 'coap://tube-1';
const nonce = fromHex('000102030405060708090a0b0c0d0e0f');
const clientNonce = fromHex('c0c1c2c3c4c5c6c7');
const receiptNonce = fromHex('b0b1b2b3b4b5b6b7');
const clientKey = importJwk({
  kty: 'oct',
  kid: 'client',
  alg: 'HS256',
  k: Buffer.alloc(32, 0xc1).toString('base64url'),
});
const tokenMac = deriveDeviceKey(root, 'token-mac', 'HMAC 256/64');
const tokenEncryption = deriveDeviceKey(root, 'token-encryption', 'AES-CCM-16-64-128');
const answer = deriveDeviceKey(root, 'answer', 'HMAC 256/64');

const claims = {
  audience,
  expiresAt: 1_795_491_045,
  issuedAt: 1_795_490_445,
  cwtId: fromHex('c37aff42d5402bbcd776f823ba267ad6'),
  confirmation: { method: 'kid', keyId: utf8('client') },
  scope: 'read',
} as const;
const keys = { authentication: tokenMac.key, encryption: tokenEncryption.key };
const mac0 = makeCwt(claims, { wrap: 'mac0', keys, cwtTag: false, nonce: () => nonce.subarray(0, 13) });
const nested = makeCwt(claims, { wrap: 'mac0+encrypt0', keys, cwtTag: true, nonce: () => nonce.subarray(0, 13) });
const hash = tokenHash(mac0);
const code = codeNumber('2.05');
const path = ['temperature'];
const request = makeSignedRequest({
  payload: new Uint8Array(0),
  key: clientKey,
  nonce,
  clientNonce,
  tokenHash: hash,
  audience,
  method: COAP_METHOD.FETCH,
  path,
});
const receipt = makeReceipt({ key: answer.key, tokenHash: hash, audience, nonce: receiptNonce });
const refusalCode = codeNumber('4.03');
const refusedReceipt = makeReceipt({
  key: answer.key,
  tokenHash: hash,
  audience,
  nonce: receiptNonce,
  refusal: refusalCode,
});
const sealed = makeAnswer({
  payload: utf8('36.6'),
  key: answer.key,
  request,
  audience,
  code,
  contentFormat: CONTENT_FORMAT.text,
});
const coap = encodeMessage({
  type: COAP_TYPE.CON,
  code: COAP_METHOD.POST,
  messageId: 0x1234,
  token: fromHex('aabbccdd'),
  options: [
    { number: COAP_OPTION.uriPath, value: utf8('authz-info') },
    { number: COAP_OPTION.contentFormat, value: new Uint8Array([CONTENT_FORMAT.cwt]) },
  ],
  payload: mac0,
});

const introspect = deriveDeviceKey(root, 'introspect', 'HMAC 256/64');
const session = deriveDeviceKey(root, 'session', 'AES-CCM-16-64-128');
const hubNonce = fromHex('d0d1d2d3d4d5d6d7');
const nextHubNonce = fromHex('e0e1e2e3e4e5e6e7');
const iv = fromHex('f0f1f2f3f4f5f6f7f8f9fafbfc');
const device = 'ekg-1';
const asking = { device, nonce: nonce.subarray(0, 12) };
const plain: IntrospectionQuestion = {
  token: new Secret('mF_9.B5f-4.1JqM'),
  proof: undefined,
  wantsSessionKey: false,
  clientFormat: 'jose',
};
const question = writeIntrospectionCbor(plain);
const ask = (given: Uint8Array | undefined) =>
  makeDeviceRequest({ ...asking, hubNonce: given, key: introspect.key, payload: question });
const verdict = introspectionCbor(
  {
    active: true,
    members: { aud: 'https://ekg-1.ward.example', exp: 1_795_491_045, scope: 'read' },
    proof: 'none',
    freshness: { source: 'introspection', age: 0, stale: false, clock: 'sure' },
    sessionKey: undefined,
  },
  { withProof: false },
);
const sealedVerdict = makeDeviceAnswer({
  ...asking,
  hubNonce: nextHubNonce,
  key: session.key,
  iv,
  payload: verdict,
});
const refusal = makeConciseProblem(new LatchkeyError('hub_nonce_required'), '0f4c2f9a6c1e4b7f', hubNonce);

describe('docs/protocol.md', () => {
  test('its vectors are what the program makes', async () => {
    const vectors = {
      keys: {
        root: hex(root.expose()),
        token_mac: tokenMac.jwk.expose(),
        token_encryption: tokenEncryption.jwk.expose(),
        answer: answer.jwk.expose(),
      },
      token: {
        audience,
        claims_cbor: hex(encodeClaims(claims)),
        mac0: hex(mac0),
        mac0_inside_encrypt0_with_tag_61: hex(nested),
        token_hash: hex(hash),
        receipt_query: receiptQuery(receiptNonce),
        receipt: hex(receipt),
        refusal_code: '4.03',
        refusal: hex(refusedReceipt),
      },
      signed_request: {
        client_key: Buffer.alloc(32, 0xc1).toString('hex'),
        nonce: hex(nonce),
        client_nonce: hex(clientNonce),
        method: 'FETCH',
        path: '/temperature',
        request: hex(request),
        answer_code: '2.05',
        answer: hex(sealed),
        answer_payload: hex(utf8('36.6')),
      },
      introspection: {
        introspect_key: introspect.jwk.expose(),
        session_key: session.jwk.expose(),
        device,
        nonce: hex(asking.nonce),
        question_cbor: hex(question),
        question_without_nonce_of_the_hub: hex(ask(undefined)),
        hub_nonce: hex(hubNonce),
        refusal: hex(refusal),
        question: hex(ask(hubNonce)),
        next_hub_nonce: hex(nextHubNonce),
        iv: hex(iv),
        answer_cbor: hex(verdict),
        answer: hex(sealedVerdict),
      },
      ...CONNECTED_VECTORS,
      line: { coap: hex(coap), slipmux: hex(encodeSlipmux(coap)) },
    };
    await expect(`${JSON.stringify(vectors, undefined, 2)}\n`).toMatchFileSnapshot('../vectors/latchkey/protocol.json');
  });

  test('the tokens open with the derived keys and say what they were made with', () => {
    for (const [cwt, wrap] of [
      [mac0, 'mac0'],
      [nested, 'mac0+encrypt0'],
    ] as const) {
      expect(openCwt(cwt, { keys: [tokenMac.key, tokenEncryption.key], expected: wrap }).claims).toMatchObject({
        audience,
        expiresAt: claims.expiresAt,
        scope: 'read',
      });
    }
  });

  test('receipt, request and answer open in their context', () => {
    openReceipt(receipt, { key: answer.key, tokenHash: hash, audience, nonce: receiptNonce });
    expect(
      openSignedRequest(request, { key: clientKey, audience, method: COAP_METHOD.FETCH, path }).payload,
    ).toHaveLength(0);
    expect(hex(openAnswer(sealed, { key: answer.key, request, audience, code }).payload)).toBe(hex(utf8('36.6')));
  });

  test('question and answer open for device and hub, and bring the nonces of the hub', () => {
    const read = readDeviceRequest(ask(hubNonce));
    expect(read).toMatchObject({ ...asking, hubNonce });
    expect(read.open(introspect.key)).toEqual(question);
    expect(readDeviceRequest(ask(undefined)).hubNonce).toBeUndefined();
    expect(readProblemNonce(refusal)).toEqual(hubNonce);
    expect(openDeviceAnswer(sealedVerdict, { ...asking, key: session.key })).toEqual({
      payload: verdict,
      hubNonce: nextHubNonce,
    });
  });

  test.each([
    ['another method', { method: COAP_METHOD.PUT }],
    ['another path', { path: ['led'] }],
    ['another device', { audience: 'coap://tube-2' }],
    ['another key', { key: answer.key }],
  ])('a request does not open under %s', (_, changes) => {
    const context = { key: clientKey, audience, method: COAP_METHOD.FETCH, path, ...changes };
    expect(() => openSignedRequest(request, context)).toThrow(expect.objectContaining({ name: 'LatchkeyError' }));
  });

  test('a receipt does not open as the receipt of another token', () => {
    const other = hash.map((byte) => byte ^ 1);
    expect(() => openReceipt(receipt, { key: answer.key, tokenHash: other, audience, nonce: receiptNonce })).toThrow(
      expect.objectContaining({ code: 'cose_verification_failed' }),
    );
  });
});
