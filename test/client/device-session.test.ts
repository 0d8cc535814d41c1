import { expect, test } from 'vitest';
import { bearerToken, dpopToken } from '../../src/client/access-token.ts';
import { DpopKey } from '../../src/client/dpop-key.ts';
import { HubRefusal, readDelivery } from '../../src/client/hub-answer.ts';
import { HubClient } from '../../src/client/hub-client.ts';
import { importJwk } from '../../src/codec/cose/key.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../../src/codec/iana.ts';
import { openSignedRequest, readSignedRequest } from '../../src/codec/signed-request.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { DELIVERED, json, problem, type Script, scriptedHub, TOKEN_VALUE } from './scripted-hub.ts';

const NONCE = new Uint8Array(16).fill(5);
const AUDIENCE = DELIVERED.audience;
const DELIVERY = readDelivery({ body: utf8(JSON.stringify(DELIVERED)) });
const FETCH_TEMPERATURE = { method: 'FETCH', path: ['temperature'] } as const;
const nonceGiven = () => new Response(NONCE, { status: 201, headers: { 'content-type': 'application/octet-stream' } });
const reading = () =>
  new Response(new Uint8Array([0xa0]), {
    headers: { 'content-type': 'application/cbor', 'coap-code': '2.05', 'device-verified': 'true' },
  });

async function session(script: Script, token?: Parameters<HubClient['session']>[1]) {
  const { asked, environment } = scriptedHub(...script);
  const key = await DpopKey.generate();
  const hub = new HubClient({ url: 'https://hub.example', environment });
  return { asked, key, session: hub.session(DELIVERY, token ?? dpopToken(TOKEN_VALUE, key)) };
}

test('a request asks for a challenge and then goes signed, over method, path and device', async () => {
  const { asked, key, session: tube } = await session([nonceGiven, reading]);
  const answer = await tube.request(FETCH_TEMPERATURE);
  expect(answer).toMatchObject({ status: 200, deviceCode: '2.05', contentType: 'application/cbor', verified: true });
  expect(answer.payload).toEqual(new Uint8Array([0xa0]));
  const [challenge, request] = asked;
  expect(challenge).toMatchObject({ method: 'POST', url: 'https://hub.example/devices/tube-1/coap/challenge' });
  expect(challenge?.headers.get('content-type')).toBe('application/octet-stream');
  expect([...(challenge?.body ?? [])]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(request).toMatchObject({ method: 'POST', url: 'https://hub.example/devices/tube-1/coap/temperature' });
  expect(request?.headers.get('coap-method')).toBe('FETCH');
  expect(request?.headers.get('content-type')).toBe('application/cose; cose-type="cose-sign1"');
  const body = request?.body ?? new Uint8Array(0);
  expect(readSignedRequest(body)).toMatchObject({ kind: 'sign1', nonce: NONCE });
  const opened = openSignedRequest(body, {
    key: importJwk(key.publicJwk),
    audience: AUDIENCE,
    method: COAP_METHOD.FETCH,
    path: ['temperature'],
  });
  expect(opened.payload).toHaveLength(0);
});

test('payload and its format are under the signature', async () => {
  const { asked, key, session: tube } = await session([nonceGiven, reading]);
  await tube.request({ method: 'PUT', path: ['led'], payload: utf8('on'), contentFormat: CONTENT_FORMAT.text });
  const opened = openSignedRequest(asked[1]?.body ?? new Uint8Array(0), {
    key: importJwk(key.publicJwk),
    audience: AUDIENCE,
    method: COAP_METHOD.PUT,
    path: ['led'],
  });
  expect(opened).toMatchObject({ contentFormat: CONTENT_FORMAT.text });
  expect(new TextDecoder().decode(opened.payload)).toBe('on');
});

test('a shared key makes Mac0 requests', async () => {
  const key = importJwk({ kty: 'oct', alg: 'HMAC 256/256', k: Buffer.alloc(32, 1).toString('base64url') });
  const { asked, session: tube } = await session([nonceGiven, reading], bearerToken(TOKEN_VALUE, key));
  await tube.request(FETCH_TEMPERATURE);
  expect(asked[1]?.headers.get('content-type')).toBe('application/cose; cose-type="cose-mac0"');
  expect(readSignedRequest(asked[1]?.body ?? new Uint8Array(0)).kind).toBe('mac0');
});

test('path segments are escaped', async () => {
  const { asked, session: tube } = await session([nonceGiven, reading]);
  await tube.request({ method: 'FETCH', path: ['a b', 'ü?'] });
  expect(asked[1]?.url).toBe('https://hub.example/devices/tube-1/coap/a%20b/%C3%BC%3F');
});

test('a path segment with a slash is refused before anything is sent', async () => {
  const { asked, session: tube } = await session([nonceGiven]);
  await expect(tube.request({ method: 'FETCH', path: ['a/b'] })).rejects.toMatchObject({ code: 'request_invalid' });
  expect(asked).toHaveLength(1);
});

test('a challenge of another size is refused, and nothing is signed with it', async () => {
  const { asked, session: tube } = await session([() => new Response(NONCE.subarray(1), { status: 201 })]);
  await expect(tube.request(FETCH_TEMPERATURE)).rejects.toMatchObject({ code: 'client_answer_invalid' });
  expect(asked).toHaveLength(1);
});

test('a refused challenge carries the code of the hub', async () => {
  const { session: tube } = await session([() => problem(403, 'proxy_token_unknown')]);
  await expect(tube.request(FETCH_TEMPERATURE)).rejects.toMatchObject({
    code: 'client_request_failed',
    hubCode: 'proxy_token_unknown',
  });
});

test('a refusal of the device carries its code', async () => {
  const refuse = () => problem(403, 'device_refused_request', {}, { device_code: '4.03' });
  const { session: tube } = await session([nonceGiven, refuse]);
  const error = await tube.request(FETCH_TEMPERATURE).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(HubRefusal);
  expect(error).toMatchObject({ code: 'client_request_failed', hubCode: 'device_refused_request', deviceCode: '4.03' });
});

test('an answer that the hub did not verify says so', async () => {
  const { session: tube } = await session([nonceGiven, () => json(200, {})]);
  expect(await tube.request(FETCH_TEMPERATURE)).toMatchObject({ verified: false, deviceCode: undefined });
});

test('a token without its key opens no session', async () => {
  await expect(session([], bearerToken(TOKEN_VALUE))).rejects.toMatchObject({ code: 'client_key_missing' });
});
