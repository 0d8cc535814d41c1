import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/codec/cbor.ts';
import { codeNumber } from '../../src/codec/coap/codes.ts';
import { importJwk } from '../../src/codec/cose/key.ts';
import { makeMac0 } from '../../src/codec/cose/mac0.ts';
import { makeCreationHints } from '../../src/codec/creation-hints.ts';
import { COAP_METHOD, CONTENT_FORMAT, COSE_HEADER } from '../../src/codec/iana.ts';
import { makeAnswer, makeSignedRequest } from '../../src/codec/signed-request.ts';
import { EMPTY, hex, sha256, utf8 } from '../../src/core/bytes.ts';
import type { CoapRequest } from '../../src/core/coap-exchange.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { Secret } from '../../src/core/secret.ts';
import { DeliveryQueue } from '../../src/devices/delivery-queue.ts';
import type { Device } from '../../src/devices/device.ts';
import { answerKey } from '../../src/devices/device-trust.ts';
import { profileFromJson } from '../../src/devices/profile.ts';
import { Registry } from '../../src/devices/registry.ts';
import { ProxyFlow } from '../../src/flows/proxy.ts';
import type { ProxyRequest } from '../../src/ports/northbound.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { ScriptedLink } from '../fakes/scripted-link.ts';

const NOW = 1_700_000_000;
const TOKEN_HASH = utf8('12345678');
const NONCE = utf8('0123456789abcdef');
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const clientKey = importJwk(privateKey.export({ format: 'jwk' }) as JsonObject);
const context = { id: 'r', log: new QuietLog() };

function device(id: string, fill: number): Device {
  return {
    id,
    audience: `coap://${id}`,
    line: 'line-1',
    profile: profileFromJson({ scopes: ['read'] }),
    issuers: undefined,
    rootKey: new Secret(new Uint8Array(32).fill(fill)),
    trustVersion: 1,
    addedAt: NOW,
  };
}

const tube = device('tube-1', 7);
const other = device('tube-2', 8);
const clockless: Device = { ...tube, profile: profileFromJson({ scopes: ['read'], clock: 'none' }) };

async function setup(answer: ScriptedLink['answer'], of = tube) {
  const time = new FakeTime({ now: NOW });
  const log = new QuietLog();
  const store = new FaultyStore();
  const registry = new Registry({ store, log });
  await registry.add(of);
  await registry.add(other);
  const queue = new DeliveryQueue({ store, log, clock: time });
  const added = await queue.add({
    id: 'd'.repeat(32),
    device: tube.id,
    audience: tube.audience,
    cwt: new Secret(utf8('cwt')),
    tokenHash: TOKEN_HASH,
    cti: utf8('cti'),
    expiresAt: NOW + 60,
    scope: 'read',
    jwtBytes: 1,
    cwtBytes: 3,
    keysAge: 0,
    clock: 'sure',
    request: 'r',
  });
  await queue.end(added.id, { state: 'delivered', deviceCode: '2.01', receipt: true });
  const line = new ScriptedLink(answer);
  const flow = new ProxyFlow({
    registry,
    queue,
    link: () => line,
    clock: time,
    issuersOf: ({ issuers = ['https://as.example'] }) => issuers,
    timeout: 1_000,
  });
  return { flow, line, time };
}

function challenge(changes: Partial<ProxyRequest> = {}): ProxyRequest {
  return {
    device: tube.id,
    method: COAP_METHOD.POST,
    path: ['challenge'],
    query: [],
    contentFormat: undefined,
    payload: TOKEN_HASH,
    ...changes,
  };
}

function signed(changes: Partial<ProxyRequest> = {}): ProxyRequest {
  const path = ['temperature'];
  const payload = makeSignedRequest({
    payload: EMPTY,
    key: clientKey,
    nonce: NONCE,
    clientNonce: utf8('client 1'),
    tokenHash: TOKEN_HASH,
    audience: tube.audience,
    method: COAP_METHOD.FETCH,
    path,
  });
  return {
    device: tube.id,
    method: COAP_METHOD.FETCH,
    path,
    query: [],
    contentFormat: CONTENT_FORMAT.coseSign1,
    payload,
    ...changes,
  };
}

function answerBy(of: Device, to: CoapRequest, code = '2.05') {
  const payload = makeAnswer({
    payload: utf8('21.5'),
    key: answerKey(of),
    request: to.payload ?? EMPTY,
    audience: of.audience,
    code: codeNumber(code),
    contentFormat: CONTENT_FORMAT.text,
  });
  return { code: codeNumber(code), payload };
}

describe('ProxyFlow', () => {
  test('forwards a challenge for a delivered token', async () => {
    const { flow, line } = await setup(() => ({ code: codeNumber('2.01'), payload: NONCE }));
    expect(hex((await flow.proxy(challenge(), context)).payload)).toBe(hex(NONCE));
    expect(line.requests).toMatchObject([{ path: ['challenge'], method: 2 }]);
  });

  test('forwards a signed request and hands out what the verified answer holds', async () => {
    const { flow } = await setup((request) => answerBy(tube, request));
    const answer = await flow.proxy(signed(), context);
    expect(Buffer.from(answer.payload).toString()).toBe('21.5');
    expect(answer).toMatchObject({ code: codeNumber('2.05'), contentFormat: CONTENT_FORMAT.text, verified: true });
  });

  test.each([
    ['a challenge for a token that nobody delivered', challenge({ payload: utf8('87654321') }), 'proxy_token_unknown'],
    [
      'a challenge at another device than the token was delivered to',
      challenge({ device: other.id }),
      'proxy_token_unknown',
    ],
    [
      'a signed request at another device than the token was delivered to',
      signed({ device: other.id }),
      'proxy_token_unknown',
    ],
    ['a challenge with a hash of another size', challenge({ payload: utf8('1234567') }), 'request_invalid'],
    ['a challenge by another method', challenge({ method: COAP_METHOD.PUT }), 'method_not_allowed'],
    ['a token past the queue', signed({ path: ['authz-info'] }), 'proxy_path_refused'],
    ['a trust bundle from outside', signed({ path: ['trust'] }), 'proxy_path_refused'],
    ['provisioning from outside', signed({ path: ['provision'] }), 'proxy_path_refused'],
    ['giving up what it trusts from outside', signed({ path: ['unpair'] }), 'proxy_path_refused'],
    ['blinking from outside', signed({ path: ['identify'] }), 'proxy_path_refused'],
    ['no path at all', signed({ path: [] }), 'proxy_path_refused'],
    ['a request that is not signed', signed({ contentFormat: CONTENT_FORMAT.text }), 'request_invalid'],
    ['a query that no signature covers', signed({ query: ['a=b'] }), 'request_invalid'],
    ['a body that is not COSE', signed({ payload: utf8('nonsense') }), 'cbor_invalid'],
    ['a device that nobody registered', signed({ device: 'tube-9' }), 'device_unknown'],
  ])('refuses %s, and the device hears nothing of it', async (_, request, code) => {
    const { flow, line } = await setup((request) => answerBy(tube, request));
    await expect(flow.proxy(request, context)).rejects.toMatchObject({ code });
    expect(line.requests).toHaveLength(0);
  });

  test('refuses requests once the token is expired', async () => {
    const { flow, line, time } = await setup((request) => answerBy(tube, request));
    await time.advance(60_000);
    await expect(flow.proxy(signed(), context)).rejects.toMatchObject({ code: 'proxy_token_unknown' });
    expect(line.requests).toHaveLength(0);
  });

  test.each<[string, ScriptedLink['answer']]>([
    ['another device', (request) => answerBy(other, request)],
    ['an answer to another request', () => answerBy(tube, { method: 5, path: [], payload: utf8('another') })],
    ['an answer with another code', (request) => ({ ...answerBy(tube, request, '2.04'), code: codeNumber('2.05') })],
    ['a bare answer', () => ({ code: codeNumber('2.05'), payload: utf8('21.5') })],
  ])('distrusts %s', async (_, answer) => {
    const { flow } = await setup(answer);
    await expect(flow.proxy(signed(), context)).rejects.toMatchObject({ code: 'device_answer_untrusted' });
  });

  test('passes a bare refusal of the device on, as not verified', async () => {
    const { flow } = await setup(() => ({ code: codeNumber('4.01'), payload: EMPTY }));
    expect(await flow.proxy(signed(), context)).toEqual({ code: codeNumber('4.01'), payload: EMPTY, verified: false });
  });

  test.each([
    ['no payload', EMPTY],
    ['a text for people', utf8('out of memory')],
    ['bytes that are no COSE', Uint8Array.of(0xff, 0, 1)],
  ])('passes 5.00 with %s on, as not verified', async (_, payload) => {
    const { flow, line } = await setup(() => ({ code: codeNumber('5.00'), payload }));
    expect(await flow.proxy(signed(), context)).toEqual({ code: codeNumber('5.00'), payload: EMPTY, verified: false });
    expect(line.proofs).toEqual([]);
  });

  test('tells odd content under the MAC of the device from an answer of somebody else', async () => {
    const { flow, line } = await setup((request) => {
      const code = codeNumber('2.05');
      const aad = encodeCbor(['latchkey-answer-1', sha256(request.payload ?? EMPTY), tube.audience, code]);
      const protectedHeader = new Map([[COSE_HEADER.contentType, 'text/html']]);
      return { code, payload: makeMac0({ payload: EMPTY, key: answerKey(tube), externalAad: aad, protectedHeader }) };
    });
    await expect(flow.proxy(signed(), context)).rejects.toMatchObject({ code: 'device_answer_invalid' });
    expect(line.proofs).toEqual([]);
  });

  test.each([
    ['coap_block_invalid', 502],
    ['coap_option_refused', 502],
    ['device_answer_invalid', 502],
    ['device_reset', 502],
    ['device_answer_lost', 504],
    ['device_no_answer', 504],
  ] as const)('does not blame the client for what the device does: %s is %i', async (code, status) => {
    const { flow } = await setup(() => new LatchkeyError(code));
    const failure = await flow.proxy(signed(), context).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code, entry: { status } });
  });

  test('passes a sealed refusal of the device on, as verified', async () => {
    const { flow } = await setup((request) => answerBy(tube, request, '4.03'));
    const answer = await flow.proxy(signed(), context);
    expect(answer).toMatchObject({ code: codeNumber('4.03'), verified: true });
    expect(answer.payload).toHaveLength(0);
  });

  test('distrusts a refusal that is sealed by another device', async () => {
    const { flow } = await setup((request) => answerBy(other, request, '4.03'));
    await expect(flow.proxy(signed(), context)).rejects.toMatchObject({ code: 'device_answer_untrusted' });
  });

  test('tells an open link whether it was the device that answered', async () => {
    const { flow, line } = await setup((request) => answerBy(line.proofs.length === 0 ? tube : other, request));
    await flow.proxy(signed(), context);
    await expect(flow.proxy(signed(), context)).rejects.toMatchObject({ code: 'device_answer_untrusted' });
    expect(line.proofs).toEqual([true, false]);
  });

  test('says nothing of a bare refusal, which anybody can give', async () => {
    const { flow, line } = await setup(() => ({ code: codeNumber('4.01'), payload: EMPTY }));
    await flow.proxy(signed(), context);
    expect(line.proofs).toEqual([]);
  });

  test('refuses a nonce of another size from the device', async () => {
    const { flow } = await setup(() => ({ code: codeNumber('2.01'), payload: utf8('short') }));
    await expect(flow.proxy(challenge(), context)).rejects.toMatchObject({ code: 'device_answer_invalid' });
  });

  test('refuses more requests at once than a line can carry', async () => {
    const { flow, line } = await setup(() => 'silence');
    for (let count = 0; count < LIMITS.requestsPerDevice; count += 1) void flow.proxy(challenge(), context);
    await expect(flow.proxy(challenge(), context)).rejects.toMatchObject({ code: 'link_busy' });
    expect(line.requests).toHaveLength(LIMITS.requestsPerDevice);
  });

  const hinted = {
    code: codeNumber('4.01'),
    contentFormat: CONTENT_FORMAT.aceCbor,
    payload: makeCreationHints({ audience: tube.audience, cnonce: Uint8Array.of(1, 2, 3, 4) }),
  };

  test.each([
    ['a signed request', signed()],
    ['a challenge', challenge()],
  ])('hands on what a device without a clock says beside its refusal of %s', async (_, request) => {
    const { flow } = await setup(() => hinted, clockless);
    const answer = await flow.proxy(request, context);
    expect(answer).toMatchObject({
      code: codeNumber('4.01'),
      verified: false,
      hints: { audience: tube.audience, cnonce: 'AQIDBA' },
    });
  });

  test('hands on nothing of the same from a device with a clock, which has nothing to say there', async () => {
    const { flow } = await setup(() => hinted);
    expect(await flow.proxy(signed(), context)).toEqual({ code: codeNumber('4.01'), payload: EMPTY, verified: false });
  });

  test.each([
    ['a signed request', signed()],
    ['a challenge', challenge()],
  ])('leaves out an issuer that the device does not take, in its refusal of %s', async (_, request) => {
    const payload = makeCreationHints({ as: 'https://as.attacker.example', audience: tube.audience });
    const { flow } = await setup(() => ({ ...hinted, payload }), clockless);
    expect((await flow.proxy(request, context)).hints).toEqual({ audience: tube.audience });
  });

  test.each([
    ['a signed request', signed()],
    ['a challenge', challenge()],
  ])('takes hints that are no CBOR for a fault of the device, in its refusal of %s', async (_, request) => {
    const { flow } = await setup(() => ({ ...hinted, payload: utf8('nonsense') }), clockless);
    await expect(flow.proxy(request, context)).rejects.toMatchObject({ code: 'device_answer_invalid' });
  });
});
