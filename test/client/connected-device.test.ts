import { beforeAll, describe, expect, test } from 'vitest';
import { DpopKey } from '../../src/client/dpop-key.ts';
import { ConnectedDevice, type DpopToken, dpopToken, HubRefusal } from '../../src/client/index.ts';
import { openForDevice } from '../../src/codec/session-key.ts';
import { SessionChannel } from '../../src/codec/session-message.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { Secret } from '../../src/core/secret.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { HubOfDevice } from '../fixtures/hub-of-device.ts';
import { json, problem, type Script, scriptedHub } from './scripted-hub.ts';

const URL_OF_DEVICE = 'https://ekg-1.ward.example/face/';
let token: DpopToken;
beforeAll(async () => {
  token = dpopToken('opaque-canary', await DpopKey.generate());
});

/** The hub's part in it: what device and client get. */
function keysFor(headers: Headers, shown = 'opaque-canary') {
  const hub = new HubOfDevice();
  const { forClient, forDevice } = hub.keyFor({
    token: new Secret(shown),
    proof: {
      kind: 'dpop',
      proof: new Secret(headers.get('dpop') ?? ''),
      method: 'POST',
      uri: URL_OF_DEVICE,
      nonce: undefined,
    },
    wantsSessionKey: true,
    clientFormat: 'jose',
  });
  const { audience, device, sessionKey } = hub.credentials;
  const session = openForDevice(forDevice, { audience, device, key: sessionKey });
  return { copy: forClient, channel: new SessionChannel({ session, role: 'device', audience }) };
}

let channel: SessionChannel;
const admit: Script[number] = ({ headers }) => {
  const keys = keysFor(headers);
  channel = keys.channel;
  return json(201, { session_key: keys.copy, exp: 1 }, { location: '/face/sessions/k-1' });
};
const answer: Script[number] = ({ body }) => {
  const message = channel.open(body, 1_700_000_000);
  return new Response(Buffer.from(channel.seal(utf8(`${Buffer.from(message)}!`), 1_700_000_000)));
};

function device(...script: Script) {
  const { asked, environment, time } = scriptedHub(...script);
  const audience = 'https://ekg-1.ward.example';
  return { asked, time, device: new ConnectedDevice({ url: URL_OF_DEVICE, audience, environment }) };
}

test('a client shows its token with a proof for the address of the device, and speaks under the key that it gets', async () => {
  const { asked, device: ekg } = device(admit, answer, answer);
  const session = await ekg.open('readings', token);
  expect(session.expiresAt).toBe(1_700_000_600);
  expect(await session.exchange(utf8('one'))).toEqual(utf8('one!'));
  expect(await session.exchange(utf8('two'))).toEqual(utf8('two!'));
  expect(asked.map(({ method, url }) => `${method} ${url}`)).toEqual([
    'POST https://ekg-1.ward.example/face/readings',
    'POST https://ekg-1.ward.example/face/sessions/k-1',
    'POST https://ekg-1.ward.example/face/sessions/k-1',
  ]);
  expect(asked[1]?.headers.get('content-type')).toBe('application/cose; cose-type="cose-encrypt0"');
  expect(asked[1]?.headers.has('authorization')).toBe(false);
  expect(asked.every(({ redirect }) => redirect === 'manual')).toBe(true);
});

test('a nonce that the device asks for goes into a second proof', async () => {
  const challenge = { 'www-authenticate': 'DPoP error="use_dpop_nonce"', 'dpop-nonce': 'n-1' };
  const { asked, device: ekg } = device(() => problem(401, 'proof_nonce_required', challenge), admit);
  await ekg.open('readings', token);
  const [, second] = asked.map(({ headers }) => headers.get('dpop')?.split('.')[1] ?? '');
  expect(JSON.parse(Buffer.from(second ?? '', 'base64url').toString())).toMatchObject({ nonce: 'n-1', htm: 'POST' });
});

test('messages that are sent at once arrive one after the other', async () => {
  const { device: ekg } = device(admit, answer, answer, answer);
  const session = await ekg.open('readings', token);
  const answers = await Promise.all(['a', 'b', 'c'].map((text) => session.exchange(utf8(text))));
  expect(answers).toEqual(['a!', 'b!', 'c!'].map(utf8));
});

test('after a message that failed the next one goes through', async () => {
  const lose: Script[number] = () => Promise.reject(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
  const { device: ekg } = device(admit, lose, answer);
  const session = await ekg.open('readings', token);
  expect(await asyncCodeOf(session.exchange(utf8('lost')))).toBe('client_unreachable');
  expect(await session.exchange(utf8('next'))).toEqual(utf8('next!'));
});

describe('a device that refuses', () => {
  test.each([
    [401, 'token_inactive'],
    [401, 'proof_replayed'],
    [403, 'scope_insufficient'],
    [503, 'verdict_stale'],
    [503, 'hub_no_answer'],
  ])('is believed, with its code: %s %s', async (status, code) => {
    const { device: ekg } = device(() => problem(status, code));
    const outcome: unknown = await ekg.open('readings', token).catch((error: unknown) => error);
    expect(outcome).toBeInstanceOf(HubRefusal);
    expect(outcome).toMatchObject({ code: 'client_request_failed', hubCode: code, status });
  });

  test('a message is believed too', async () => {
    const { device: ekg } = device(admit, () => problem(401, 'session_key_expired'));
    const session = await ekg.open('readings', token);
    await expect(session.exchange(utf8('one'))).rejects.toMatchObject({ hubCode: 'session_key_expired' });
  });
});

describe('an answer is refused', () => {
  const opened = (script: Script[number]) => asyncCodeOf(device(script).device.open('readings', token));

  test('without a key', async () => {
    expect(await opened(() => json(201, { exp: 1 }, { location: '/s' }))).toBe('client_answer_invalid');
  });

  test('with a key that does not open', async () => {
    expect(await opened(() => json(201, { session_key: 'a.b.c.d.e' }, { location: '/s' }))).toBe('jwe_invalid');
  });

  test('with a key for another token of this client', async () => {
    const other: Script[number] = ({ headers }) =>
      json(201, { session_key: keysFor(headers, 'another').copy }, { location: '/s' });
    expect(await opened(other)).toBe('session_key_invalid');
  });

  test('with a key for another device', async () => {
    const { environment } = scriptedHub(admit);
    const ekg = new ConnectedDevice({ url: URL_OF_DEVICE, audience: 'https://ekg-2.ward.example', environment });
    expect(await asyncCodeOf(ekg.open('readings', token))).toBe('session_key_invalid');
  });

  test.each([
    ['nowhere', undefined],
    ['at another origin', 'https://elsewhere.example/sessions/k-1'],
    ['in no address', 'https://['],
  ])('that has the session %s', async (_, location) => {
    const script: Script[number] = ({ headers }) =>
      json(201, { session_key: keysFor(headers).copy }, location === undefined ? {} : { location });
    expect(await opened(script)).toBe('client_answer_invalid');
  });

  test('by somebody who does not hold the key', async () => {
    const { device: ekg } = device(admit, () => new Response('anything'));
    const session = await ekg.open('readings', token);
    expect(await asyncCodeOf(session.exchange(utf8('one')))).toBe('client_answer_invalid');
  });

  test('that came before', async () => {
    let first: ArrayBuffer | undefined;
    const keep: Script[number] = async (asked) => {
      const reply = await answer(asked);
      first = await reply.clone().arrayBuffer();
      return reply;
    };
    const { device: ekg } = device(admit, keep, () => new Response(first));
    const session = await ekg.open('readings', token);
    await session.exchange(utf8('one'));
    expect(await asyncCodeOf(session.exchange(utf8('two')))).toBe('client_answer_invalid');
  });
});

test('nothing is sent under a key that is expired', async () => {
  const { asked, device: ekg, time } = device(admit);
  const session = await ekg.open('readings', token);
  await time.advance(600_000);
  expect(await asyncCodeOf(session.exchange(utf8('one')))).toBe('session_key_expired');
  expect(asked).toHaveLength(1);
});
