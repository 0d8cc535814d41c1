/** The connected device as `latchkey sim device` runs it, over HTTP and MQTT, before a hub that is told what to say. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DpopKey } from '../../src/client/dpop-key.ts';
import { ConnectedDevice, type DpopToken, dpopToken } from '../../src/client/index.ts';
import { decodeCbor } from '../../src/codec/cbor.ts';
import { readProblemNonce } from '../../src/codec/concise-problem.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { DeviceAuthentication } from '../../src/ports/device-authentication.ts';
import type { ProtectedAnswer } from '../../src/ports/relay.ts';
import type { ConnectedEvent } from '../../src/sim/connected-event.ts';
import { type RunningConnectedDevice, startConnectedDevice } from '../../src/simulator.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { HubOfDevice } from '../fixtures/hub-of-device.ts';
import { connected, type MqttRig, openMqttRig } from '../fixtures/mqtt-front.ts';

const AUDIENCE = 'https://ekg-1.ward.example';
let hub: HubOfDevice;
let mqtt: MqttRig;
let running: RunningConnectedDevice;
let events: ConnectedEvent[];
let token: DpopToken;

beforeEach(async () => {
  hub = new HubOfDevice();
  // The machine's time counts here.
  hub.keysExpireAt = 4_000_000_000;
  const devices: DeviceAuthentication = {
    authenticate(credential) {
      const { device, httpSecret } = hub.credentials;
      if (credential.kind === 'secret' && credential.secret.expose() === httpSecret.expose()) return device;
      throw new LatchkeyError('device_unauthenticated');
    },
    isRegistered: (id) => id === hub.credentials.device,
  };
  const answerProtected = async (message: Uint8Array): Promise<ProtectedAnswer> => {
    const { payload } = await hub.ask(message);
    const nonce = readProblemNonce(payload);
    return nonce === undefined ? { kind: 'sealed', message: payload } : { kind: 'nonce_required', nonce };
  };
  mqtt = await openMqttRig({ devices, answerProtected });
  await connected(mqtt.front);
  events = [];
  let up: () => void = () => undefined;
  const isUp = new Promise<void>((resolve) => {
    up = resolve;
  });
  running = await startConnectedDevice({
    broker: `mqtt://127.0.0.1:${mqtt.front.port}`,
    topicPrefix: 'latchkey/v1',
    credentials: hub.credentials,
    listen: { host: '127.0.0.1', port: 0 },
    policy: { scope: 'read', takesStale: false },
    deadline: 2_000,
    onEvent: (event) => {
      events.push(event);
      if (event.event === 'broker_up') up();
    },
  });
  await isUp;
  token = dpopToken('opaque-canary', await DpopKey.generate());
});

afterEach(async () => {
  await running.close();
  await mqtt.front.close(500);
});

const post = (path: string, headers: Readonly<Record<string, string>>, body?: string) =>
  fetch(running.address + path, { method: 'POST', headers, ...(body === undefined ? {} : { body }) });
const codeOf = async (answer: Response) => `${answer.status} ${((await answer.json()) as { code: string }).code}`;

test('client and device come to a key, and speak under it', async () => {
  const session = await new ConnectedDevice({ url: running.address, audience: AUDIENCE }).open('readings', token);
  expect(decodeCbor(await session.exchange(utf8('read')))).toEqual(new Map([['beatsPerMinute', 72]]));
  expect(decodeCbor(await session.exchange(utf8('read')))).toEqual(new Map([['beatsPerMinute', 72]]));
  expect(events.map(({ event }) => event)).toEqual([
    'broker_up',
    'client_admitted',
    'message_answered',
    'message_answered',
  ]);
});

test('a hub that wants a nonce of its own in the question is asked again with it', async () => {
  hub.wantedNonce = Uint8Array.of(1, 2, 3);
  await new ConnectedDevice({ url: running.address, audience: AUDIENCE }).open('readings', token);
  await new ConnectedDevice({ url: running.address, audience: AUDIENCE }).open('readings', token);
  expect([hub.refused, hub.questions.length]).toEqual([1, 2]);
});

test('the address in the proof is held against that of the device, whatever the Host header says', async () => {
  await new ConnectedDevice({ url: running.address, audience: AUDIENCE }).open('readings', token);
  expect(hub.questions[0]?.proof).toMatchObject({ method: 'POST', uri: `${running.address}/readings` });
});

test('a client without the nonce of the device gets it, and is let in with it', async () => {
  hub.answer = (question) => {
    const claims = question.proof?.kind === 'dpop' ? question.proof.proof.expose().split('.')[1] : undefined;
    const { nonce } = JSON.parse(Buffer.from(claims ?? '', 'base64url').toString()) as { nonce?: string };
    return nonce === undefined
      ? { active: false, code: 'proof_nonce_required', freshness: undefined }
      : hub.admit(question);
  };
  await new ConnectedDevice({ url: running.address, audience: AUDIENCE }).open('readings', token);
  expect(events.slice(1)).toMatchObject([
    { event: 'client_refused', code: 'proof_nonce_required' },
    { event: 'client_admitted' },
  ]);
});

describe('the device refuses', () => {
  test('a token without a proof', async () => {
    expect(await codeOf(await post('/readings', { authorization: 'DPoP token' }))).toBe('401 proof_missing');
    expect(hub.questions).toEqual([]);
  });

  test('a bearer token', async () => {
    const headers = { authorization: 'Bearer token', dpop: 'proof' };
    expect(await codeOf(await post('/readings', headers))).toBe('401 proof_missing');
    expect(hub.questions).toEqual([]);
  });

  test('a scope that is not enough, with the challenge of RFC 6750', async () => {
    hub.answer = (question) => hub.admit(question, { members: { scope: 'other' } });
    const ekg = new ConnectedDevice({ url: running.address, audience: AUDIENCE });
    await expect(ekg.open('readings', token)).rejects.toMatchObject({ status: 403, hubCode: 'scope_insufficient' });
    // A proof is nothing to the hub of this test as long as it shows a key.
    const proof = hub.questions[0]?.proof?.kind === 'dpop' ? hub.questions[0].proof.proof.expose() : '';
    const answer = await post('/readings', { authorization: 'DPoP opaque-canary', dpop: proof });
    expect(answer.headers.get('www-authenticate')).toBe('DPoP error="insufficient_scope", algs="ES256 EdDSA"');
  });

  test('everybody once the broker is gone', async () => {
    await mqtt.front.close(0);
    const ekg = new ConnectedDevice({ url: running.address, audience: AUDIENCE });
    await expect(ekg.open('readings', token)).rejects.toMatchObject({ status: 503, hubCode: 'hub_no_answer' });
    expect(running.device.sessions).toBe(0);
  });

  test('a message of another media type', async () => {
    const answer = await post('/sessions/k-1', { 'content-type': 'application/json' }, '{}');
    expect(await codeOf(answer)).toBe('415 media_type_refused');
  });

  test('a message under a key that it does not have', async () => {
    const headers = { 'content-type': 'application/cose; cose-type="cose-encrypt0"' };
    expect(await codeOf(await post('/sessions/k-1', headers, 'x'))).toBe('401 session_key_expired');
  });
});

test('an address that somebody else has is refused', async () => {
  const { port } = new URL(running.address);
  const second = startConnectedDevice({
    broker: `mqtt://127.0.0.1:${mqtt.front.port}`,
    topicPrefix: 'latchkey/v1',
    credentials: hub.credentials,
    listen: { host: '127.0.0.1', port: Number(port) },
    policy: { scope: 'read', takesStale: false },
    deadline: 2_000,
  });
  expect(await asyncCodeOf(second)).toBe('address_unavailable');
});
