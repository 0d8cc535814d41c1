import { beforeEach, describe, expect, it } from 'vitest';
import { encodeCbor } from '../../src/codec/cbor.ts';
import { codeText } from '../../src/codec/coap/codes.ts';
import { readConciseProblem, readProblemNonce } from '../../src/codec/concise-problem.ts';
import { makeDeviceRequest } from '../../src/codec/device-request.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../../src/codec/iana.ts';
import { utf8 } from '../../src/core/bytes.ts';
import type { CoapRequest, CoapResponse } from '../../src/core/coap-exchange.ts';
import type { ErrorCode } from '../../src/core/error-catalogue.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { RelayAnswer } from '../../src/core/introspection.ts';
import { Registry } from '../../src/devices/registry.ts';
import { ProtectedIntrospection } from '../../src/flows/protected-introspection.ts';
import { serveDevices } from '../../src/flows/serve-devices.ts';
import { TellTime } from '../../src/flows/tell-time.ts';
import { CoapPair } from '../fakes/coap-pair.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { activeAnswer, ScriptedRelay } from '../fakes/scripted-relay.ts';
import { AskingDevice, connectedDevice, plainQuestion } from '../fixtures/connected-device.ts';

const ekg = connectedDevice('ekg-1', { line: 'ward-3' });
const asking = new AskingDevice(ekg);

let relay: ScriptedRelay;
let pair: CoapPair;
let log: QuietLog;

async function open(medium?: (sent: unknown, index: number) => readonly number[]): Promise<void> {
  const time = new FakeTime();
  relay = new ScriptedRelay();
  log = new QuietLog();
  const registry = new Registry({ store: new FaultyStore(), log });
  await registry.add(ekg);
  await registry.add(connectedDevice('pump-1', { line: 'ward-4' }));
  const introspection = new ProtectedIntrospection({ registry, relay, clock: time, random: time });
  const handler = serveDevices({
    isExpected: (device) => device.line === 'ward-3',
    introspection,
    time: new TellTime({ registry, clock: time }),
    random: time,
    log: log.child({ line: 'ward-3' }),
  });
  pair = new CoapPair({ time, handler, ...(medium === undefined ? {} : { medium }) });
  await asking.learnNonce((message) => introspection.answer(message, () => true, { id: 'first', log: new QuietLog() }));
}

beforeEach(() => open());

const post = (payload: Uint8Array, changes: Partial<CoapRequest> = {}): CoapRequest => ({
  method: COAP_METHOD.POST,
  path: ['introspect'],
  contentFormat: CONTENT_FORMAT.aceCbor,
  payload,
  ...changes,
});

async function send(request: CoapRequest): Promise<CoapResponse> {
  const answer = pair.client.request(request, { deadline: 60_000 });
  await pair.time.advance(60_000);
  return answer;
}

/** A refusal is bare: a code and nothing else. */
async function refusal(request: CoapRequest): Promise<string> {
  const answer = await send(request);
  expect(answer.payload).toHaveLength(0);
  expect(answer.contentFormat).toBeUndefined();
  return codeText(answer.code);
}

describe('POST /introspect', () => {
  it('answers 2.01 with content format 19 (RFC 9200 §5.9.2), for the device alone', async () => {
    const { message, nonce } = asking.request(plainQuestion());
    const answer = await send(post(message));
    expect([codeText(answer.code), answer.contentFormat]).toEqual(['2.01', 19]);
    expect(asking.read(answer.payload, nonce)).toMatchObject({ active: true, members: { scope: 'read' } });
    expect(relay.requests[0]?.device).toBe('ekg-1');
  });

  it('takes a large token and gives a large answer in blocks', async () => {
    relay.answer = activeAnswer({ members: { scope: 's'.repeat(3_000) } });
    const { message, nonce } = asking.request(plainQuestion('t'.repeat(6_000)));
    const answer = await send(post(message));
    expect(relay.requests[0]?.token.expose()).toHaveLength(6_000);
    expect(asking.read(answer.payload, nonce).members.scope).toHaveLength(3_000);
  });

  it('judges once what a bad line makes the device send again', async () => {
    await open((_, index) => (index === 1 ? [] : [1]));
    const { message, nonce } = asking.request(plainQuestion());
    const answer = await send(post(message));
    expect(asking.read(answer.payload, nonce).active).toBe(true);
    expect(pair.from('client').length).toBeGreaterThan(1);
    expect(relay.requests).toHaveLength(1);
  });

  it('judges once what the device asks again in a new message', async () => {
    const { message } = asking.request(plainQuestion());
    const first = await send(post(message));
    expect((await send(post(message))).payload).toEqual(first.payload);
    expect(relay.requests).toHaveLength(1);
  });

  it('answers 4.01 with a nonce to a device that has none, and judges what it asks with that', async () => {
    asking.hubNonce = undefined;
    const refused = await send(post(asking.request(plainQuestion()).message));
    expect([codeText(refused.code), refused.contentFormat]).toEqual(['4.01', 257]);
    expect(readConciseProblem(refused.payload)).toBe('hub_nonce_required');
    expect(relay.requests).toEqual([]);
    asking.hubNonce = readProblemNonce(refused.payload);
    const { message, nonce } = asking.request(plainQuestion());
    expect(asking.read((await send(post(message))).payload, nonce).active).toBe(true);
  });

  it('covers a slow verdict with an acknowledgement, and answers by itself', async () => {
    let finish: (answer: RelayAnswer) => void = () => undefined;
    relay.answer = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    const { message, nonce } = asking.request(plainQuestion());
    const answer = pair.client.request(post(message), { deadline: 60_000 });
    await pair.time.advance(5_000);
    finish(activeAnswer());
    await pair.time.advance(5_000);
    expect(asking.read((await answer).payload, nonce).active).toBe(true);
  });

  it('puts the request and its line into every log line', async () => {
    await send(post(asking.request(plainQuestion()).message));
    const { message } = asking.request(plainQuestion(), new Uint8Array(12).fill(99));
    await send(post(message));
    await send(post(message));
    const duplicate = log.lines.find(({ fields }) => fields.event === 'introspection_duplicate');
    expect(duplicate?.fields).toMatchObject({ line: 'ward-3', device: 'ekg-1', request: expect.any(String) });
  });
});

describe('a bare refusal', () => {
  it.each([
    [
      '4.01 for a wrong MAC without a nonce of the hub, and none is given',
      () => {
        const message = Uint8Array.from(new AskingDevice(ekg).request(plainQuestion()).message);
        message[message.length - 1] = (message.at(-1) as number) ^ 1;
        return message;
      },
      '4.01',
    ],
    [
      '4.01 for a device that is not known',
      () => new AskingDevice(connectedDevice('ekg-9')).request(plainQuestion()).message,
      '4.01',
    ],
    [
      '4.01 for a device of another line',
      () => new AskingDevice(connectedDevice('pump-1')).request(plainQuestion()).message,
      '4.01',
    ],
    ['4.00 for something that is no COSE message', () => utf8('hello'), '4.00'],
    ['4.00 for no payload', () => new Uint8Array(0), '4.00'],
    [
      '4.01 for a wrong MAC',
      () => {
        const message = Uint8Array.from(asking.request(plainQuestion()).message);
        message[message.length - 1] = (message.at(-1) as number) ^ 1;
        return message;
      },
      '4.01',
    ],
    [
      '4.00 for a question that is none',
      () => {
        const { device, introspectKey: key } = asking.credentials;
        const payload = encodeCbor(new Map([[1, 2]]));
        return makeDeviceRequest({ device, nonce: asking.nextNonce(), hubNonce: asking.hubNonce, key, payload });
      },
      '4.00',
    ],
  ] as const)('is %s', async (_, message, code) => {
    expect(await refusal(post(message()))).toBe(code);
    expect(relay.requests).toEqual([]);
  });

  it('is 4.00 for a nonce that served for another question', async () => {
    const nonce = asking.nextNonce();
    await send(post(asking.request(plainQuestion('a'), nonce).message));
    expect(await refusal(post(asking.request(plainQuestion('b'), nonce).message))).toBe('4.00');
  });

  it.each([
    ['as_unreachable', '5.03'],
    ['as_timeout', '5.03'],
    ['clock_unsure', '5.03'],
    ['keys_unavailable', '5.03'],
    ['introspection_suspended', '5.03'],
    ['internal', '5.00'],
  ] as [ErrorCode, string][])('for %s is %s', async (code, coap) => {
    relay.answer = new LatchkeyError(code, 'canary');
    expect(await refusal(post(asking.request(plainQuestion()).message))).toBe(coap);
  });

  it.each([
    ['4.04 elsewhere', { path: ['provision'] }, '4.04'],
    ['4.04 below', { path: ['introspect', 'x'] }, '4.04'],
    ['4.04 at the root', { path: [] }, '4.04'],
    ['4.05 for another method', { method: COAP_METHOD.PUT }, '4.05'],
    ['4.15 for another content format', { contentFormat: CONTENT_FORMAT.cbor }, '4.15'],
    ['4.06 for another format of the answer', { accept: CONTENT_FORMAT.json }, '4.06'],
    ['4.00 for a query', { query: ['a=b'] }, '4.00'],
  ] as [string, Partial<CoapRequest>, string][])('is %s', async (_, changes, code) => {
    expect(await refusal(post(asking.request(plainQuestion()).message, changes))).toBe(code);
  });
});
