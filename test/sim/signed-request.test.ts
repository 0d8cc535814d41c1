import { beforeEach, expect, test } from 'vitest';
import { decodeCbor } from '../../src/codec/cbor.ts';
import { codeText } from '../../src/codec/coap/codes.ts';
import { coseKeyFromJwk } from '../../src/codec/cose/key-map.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../../src/codec/iana.ts';
import { tokenHash } from '../../src/codec/signed-request.ts';
import { EMPTY, utf8 } from '../../src/core/bytes.ts';
import type { CoapRequest } from '../../src/core/coap-exchange.ts';
import {
  bitFlips,
  challenge,
  macToken,
  newClient,
  opened,
  SHARED_JWK,
  SHARED_KEY,
  signed,
  type Tube,
  trustFile,
  tube,
} from './tube.ts';

const { FETCH, GET, POST, PUT, DELETE } = COAP_METHOD;

let given: Tube;
const token = macToken({ scope: 'read configure' });

beforeEach(async () => {
  given = tube();
  await given.give(token);
});

async function expectRefusal(request: CoapRequest, code: string, reason: string): Promise<void> {
  const answer = await given.ask(request);
  expect(codeText(answer.code)).toBe(code);
  expect(given.events.at(-1)).toMatchObject({ event: 'request_refused', code, reason });
  expect(given.device.lamp.switched).toBe(0);
  expect(given.device.thermometer.readings).toBe(0);
}

test('a signed request is served, and the answer carries the MAC of the device', async () => {
  const nonce = await challenge(given, token);
  const request = signed({ token, nonce });
  const answer = await given.ask(request);
  expect(codeText(answer.code)).toBe('2.05');
  expect(answer.contentFormat).toBe(CONTENT_FORMAT.coseMac0);
  const { payload, contentFormat } = opened(answer, request);
  expect(contentFormat).toBe(CONTENT_FORMAT.cbor);
  expect(decodeCbor(payload)).toEqual(new Map([['milliCelsius', 36_600]]));
});

test('the lamp is switched once', async () => {
  const nonce = await challenge(given, token);
  const request = signed({
    token,
    nonce,
    method: PUT,
    path: ['led'],
    payload: utf8('on'),
    contentFormat: CONTENT_FORMAT.text,
  });
  const answer = await given.ask(request);
  expect(codeText(answer.code)).toBe('2.04');
  expect(opened(answer, request).payload).toHaveLength(0);
  expect(given.device.lamp).toMatchObject({ isOn: true, switched: 1 });
});

test('the lamp tells how it is', async () => {
  given.device.lamp.isOn = true;
  const nonce = await challenge(given, token);
  const request = signed({ token, nonce, path: ['led'] });
  const answer = await given.ask(request);
  expect(decodeCbor(opened(answer, request).payload)).toEqual(new Map([['on', true]]));
});

test('a replayed request is refused', async () => {
  const nonce = await challenge(given, token);
  const request = signed({ token, nonce, method: PUT, path: ['led'], payload: utf8('on') });
  await given.ask(request);
  const again = await given.ask(request);
  expect(codeText(again.code)).toBe('4.01');
  expect(given.events.at(-1)).toMatchObject({ reason: 'nonce_unknown' });
  expect(given.device.lamp.switched).toBe(1);
});

test('a request without a proof is refused', async () => {
  await expectRefusal({ method: FETCH, path: ['temperature'] }, '4.01', 'proof_missing');
});

test('a request whose body is no COSE is refused', async () => {
  const request = { method: FETCH, path: ['temperature'], contentFormat: CONTENT_FORMAT.coseSign1, payload: utf8('x') };
  await expectRefusal(request, '4.00', 'proof_unparsable');
});

test('a Sign1 that is announced as Mac0 is refused', async () => {
  const request = signed({ token, nonce: await challenge(given, token) });
  await expectRefusal({ ...request, contentFormat: CONTENT_FORMAT.coseMac0 }, '4.00', 'proof_unparsable');
});

test('a request under a token that is not here is refused', async () => {
  const other = macToken({ cwtId: new Uint8Array(16).fill(8) });
  await expectRefusal(signed({ token: other, nonce: await challenge(given, token) }), '4.01', 'token_unknown');
});

test('a request with a nonce that the device never gave is refused', async () => {
  await expectRefusal(signed({ token, nonce: new Uint8Array(16) }), '4.01', 'nonce_unknown');
});

test('a request with the nonce of another token is refused', async () => {
  const other = macToken({ cwtId: new Uint8Array(16).fill(8) });
  await given.give(other);
  await expectRefusal(signed({ token, nonce: await challenge(given, other) }), '4.01', 'nonce_unknown');
});

test('a nonce dies after 30 s', async () => {
  const nonce = await challenge(given, token);
  await given.time.advance(30_000);
  await expectRefusal(signed({ token, nonce }), '4.01', 'nonce_unknown');
});

test('a nonce serves just before 30 s are over', async () => {
  const nonce = await challenge(given, token);
  await given.time.advance(29_999);
  expect(codeText((await given.ask(signed({ token, nonce }))).code)).toBe('2.05');
});

test('a request under a token that expired meanwhile is refused', async () => {
  const short = macToken({ cwtId: new Uint8Array(16).fill(8), expiresAt: 1_700_000_010 });
  await given.give(short);
  const nonce = await challenge(given, short);
  await given.time.advance(10_000);
  await expectRefusal(signed({ token: short, nonce }), '4.01', 'token_unknown');
});

test('a request by another key is refused', async () => {
  const nonce = await challenge(given, token);
  await expectRefusal(signed({ token, nonce, key: newClient().key }), '4.01', 'proof_wrong');
});

test('a request under the shared key of somebody else is refused where the token names a public one', async () => {
  const nonce = await challenge(given, token);
  await expectRefusal(signed({ token, nonce, key: SHARED_KEY }), '4.01', 'proof_wrong');
});

test('a request that was signed for another device is refused', async () => {
  const nonce = await challenge(given, token);
  await expectRefusal(signed({ token, nonce, audience: 'https://tube-2.devices.example' }), '4.01', 'proof_wrong');
});

test('a request that was signed for another path is refused', async () => {
  const request = signed({ token, nonce: await challenge(given, token), path: ['temperature'] });
  await expectRefusal({ ...request, path: ['led'] }, '4.01', 'proof_wrong');
});

test('a request that was signed for another method is refused', async () => {
  const request = signed({ token, nonce: await challenge(given, token), path: ['led'], method: FETCH });
  await expectRefusal({ ...request, method: PUT }, '4.01', 'proof_wrong');
});

test('a query is refused: no signature covers it', async () => {
  const request = signed({ token, nonce: await challenge(given, token) });
  await expectRefusal({ ...request, query: ['unit=F'] }, '4.02', 'query_refused');
});

test('an answer in another format than Mac0 is refused', async () => {
  const request = signed({ token, nonce: await challenge(given, token) });
  await expectRefusal({ ...request, accept: CONTENT_FORMAT.cbor }, '4.06', 'answer_format_refused');
});

test('a device that lost its time serves nobody', async () => {
  const nonce = await challenge(given, token);
  given.time.forgetLatest();
  await expectRefusal(signed({ token, nonce }), '4.01', 'time_unknown');
});

test('a path outside the scope is forbidden, and the answer says so under the MAC', async () => {
  const narrow = macToken({ cwtId: new Uint8Array(16).fill(8), scope: 'read' });
  await given.give(narrow);
  const nonce = await challenge(given, narrow);
  const request = signed({ token: narrow, nonce, path: ['led'] });
  const answer = await given.ask(request);
  expect(codeText(answer.code)).toBe('4.03');
  expect(opened(answer, request).payload).toHaveLength(0);
  expect(given.events.at(-1)).toMatchObject({ reason: 'path_not_granted' });
});

test('a method outside the scope is refused with 4.05, and the lamp stays', async () => {
  const narrow = macToken({ cwtId: new Uint8Array(16).fill(8), scope: 'read-only-lamp' });
  await given.give(narrow);
  const nonce = await challenge(given, narrow);
  await expectRefusal(
    signed({ token: narrow, nonce, path: ['led'], method: PUT, payload: utf8('on') }),
    '4.05',
    'method_not_granted',
  );
});

test('what a token permits is not told to somebody without a proof', async () => {
  const narrow = macToken({ cwtId: new Uint8Array(16).fill(8), scope: 'read' });
  await given.give(narrow);
  const nonce = await challenge(given, narrow);
  await expectRefusal(signed({ token: narrow, nonce, path: ['led'], key: newClient().key }), '4.01', 'proof_wrong');
});

test('a method that is granted but that the resource does not have is refused', async () => {
  const odd = macToken({ cwtId: new Uint8Array(16).fill(8), scope: 'broken' });
  await given.give(odd);
  const nonce = await challenge(given, odd);
  const answer = await given.ask(signed({ token: odd, nonce, path: ['led'], method: DELETE }));
  expect(codeText(answer.code)).toBe('4.05');
});

test.each([
  ['a word that is neither on nor off', utf8('bright'), CONTENT_FORMAT.text, '4.00'],
  ['something that is no UTF-8', new Uint8Array([0xff]), CONTENT_FORMAT.text, '4.00'],
  ['another format', utf8('on'), CONTENT_FORMAT.json, '4.15'],
])('the lamp refuses %s', async (_, payload, contentFormat, code) => {
  const nonce = await challenge(given, token);
  const answer = await given.ask(signed({ token, nonce, method: PUT, path: ['led'], payload, contentFormat }));
  expect(codeText(answer.code)).toBe(code);
  expect(given.device.lamp.switched).toBe(0);
});

test('a proof that does not verify leaves the nonce to its owner', async () => {
  const nonce = await challenge(given, token);
  await given.ask(signed({ token, nonce, key: newClient().key }));
  expect(codeText((await given.ask(signed({ token, nonce }))).code)).toBe('2.05');
});

test('a nonce is dead after four proofs that do not verify', async () => {
  const nonce = await challenge(given, token);
  const { key } = newClient();
  for (let attempt = 0; attempt < 4; attempt += 1) await given.ask(signed({ token, nonce, key }));
  await expectRefusal(signed({ token, nonce }), '4.01', 'nonce_unknown');
});

test('with a fifth challenge the oldest nonce goes', async () => {
  const nonces: Uint8Array[] = [];
  for (let count = 0; count < 5; count += 1) nonces.push(await challenge(given, token));
  const [oldest = EMPTY, next = EMPTY] = nonces;
  await expectRefusal(signed({ token, nonce: oldest }), '4.01', 'nonce_unknown');
  expect(codeText((await given.ask(signed({ token, nonce: next }))).code)).toBe('2.05');
});

test('no request with one bit turned is served', async () => {
  const flippable = signed({ token, nonce: await challenge(given, token) });
  const bits = flippable.payload.length * 8;
  const served: number[] = [];
  for (let bit = 0; bit < bits; bit += 1) {
    // A fresh nonce each time: four wrong proofs kill one, and a dead nonce would prove nothing about the flip.
    const request = signed({ token, nonce: await challenge(given, token) });
    const payload = Uint8Array.from(request.payload);
    payload[bit >> 3] = (payload[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const answer = await given.ask({ ...request, payload });
    if (answer.code >> 5 !== 4) served.push(bit);
  }
  expect(served).toEqual([]);
  expect(given.device.thermometer.readings).toBe(0);
});

test('no answer with one bit turned passes as the device', async () => {
  const nonce = await challenge(given, token);
  const request = signed({ token, nonce });
  const answer = await given.ask(request);
  const passed: number[] = [];
  for (const { bit, flipped } of bitFlips(answer.payload)) {
    try {
      const { payload } = opened({ ...answer, payload: flipped }, request);
      // The unprotected kid is signed by nobody and changes nothing: what counts is what was inside.
      if (!Buffer.from(payload).equals(Buffer.from(opened(answer, request).payload))) passed.push(bit);
    } catch (error) {
      expect(error).toMatchObject({ name: 'LatchkeyError' });
    }
  }
  expect(passed).toEqual([]);
});

test.each([
  ['a key in the token', { method: 'COSE_Key', key: coseKeyFromJwk(SHARED_JWK) } as const],
  ['a key that was provisioned', { method: 'kid', keyId: utf8('shared-1') } as const],
])('a client with %s, shared, is served over Mac0', async (_, confirmation) => {
  const shared = macToken({ cwtId: new Uint8Array(16).fill(8), confirmation });
  await given.give(shared);
  const nonce = await challenge(given, shared);
  const answer = await given.ask(signed({ token: shared, nonce, key: SHARED_KEY }));
  expect(codeText(answer.code)).toBe('2.05');
});

test('a shared key without alg serves as HMAC 256/256', async () => {
  const { alg: _, ...bare } = SHARED_JWK;
  const shared = macToken({
    cwtId: new Uint8Array(16).fill(8),
    confirmation: { method: 'COSE_Key', key: coseKeyFromJwk(bare) },
  });
  await given.give(shared);
  const nonce = await challenge(given, shared);
  expect(codeText((await given.ask(signed({ token: shared, nonce, key: SHARED_KEY }))).code)).toBe('2.05');
});

test('a challenge for a token that is not here is refused', async () => {
  const answer = await given.ask({ method: POST, path: ['challenge'], payload: new Uint8Array(8) });
  expect(codeText(answer.code)).toBe('4.01');
});

test('a challenge for a hash of another size is refused', async () => {
  const answer = await given.ask({ method: POST, path: ['challenge'], payload: tokenHash(token).subarray(1) });
  expect(codeText(answer.code)).toBe('4.00');
});

test('a challenge by another method is refused', async () => {
  const answer = await given.ask({ method: GET, path: ['challenge'], payload: tokenHash(token) });
  expect(codeText(answer.code)).toBe('4.05');
});

test('two challenges are never the same', async () => {
  expect(await challenge(given, token)).not.toEqual(await challenge(given, token));
});

test('a device that ends forgets its tokens, as one does that loses its power', async () => {
  const reborn = tube({ trust: trustFile() });
  expect(codeText((await reborn.ask({ method: POST, path: ['challenge'], payload: tokenHash(token) })).code)).toBe(
    '4.01',
  );
});
