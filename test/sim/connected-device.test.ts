import { beforeAll, describe, expect, test } from 'vitest';
import { type DpopToken, dpopToken } from '../../src/client/access-token.ts';
import { DpopKey } from '../../src/client/dpop-key.ts';
import { makeDpopProof } from '../../src/client/dpop-proof.ts';
import { openSessionKey } from '../../src/client/session-key.ts';
import { type CborMap, decodeCbor } from '../../src/codec/cbor.ts';
import { makeConciseProblem } from '../../src/codec/concise-problem.ts';
import { SessionChannel } from '../../src/codec/session-message.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { ConnectedDevice, type ConnectedDeviceOptions } from '../../src/sim/connected-device.ts';
import type { ConnectedEvent } from '../../src/sim/connected-event.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { activeAnswer } from '../fakes/scripted-relay.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { HubOfDevice } from '../fixtures/hub-of-device.ts';

const URI = 'https://ekg-1.ward.example/readings';
let token: DpopToken;
beforeAll(async () => {
  token = dpopToken('opaque-canary', await DpopKey.generate());
});

function rig(options: Partial<ConnectedDeviceOptions> = {}) {
  const hub = new HubOfDevice();
  const time = new FakeTime();
  const events: ConnectedEvent[] = [];
  const device = new ConnectedDevice({
    credentials: hub.credentials,
    policy: { scope: 'read', takesStale: false },
    ask: hub.ask,
    clock: time,
    random: time,
    onEvent: (event) => events.push(event),
    ...options,
  });
  const present = async (shown: DpopToken = token) => {
    const url = new URL(URI);
    const proof = await makeDpopProof({
      token: shown,
      method: 'POST',
      url,
      nonce: device.nonce(),
      environment: { clock: time, random: time },
    });
    return device.present({ token: shown.value, proof: new Secret(proof), method: 'POST', uri: URI });
  };
  /** The client's end of a session. */
  const open = async () => {
    const { copy, keyId } = await present();
    const session = await openSessionKey(copy, { token, audience: hub.credentials.audience });
    return { keyId, channel: new SessionChannel({ session, role: 'client', audience: hub.credentials.audience }) };
  };
  const now = () => time.now().earliest;
  return { device, events, hub, now, open, present, time };
}

/** Refused, with nothing to show for it. */
async function refusal({ device, events, present }: ReturnType<typeof rig>): Promise<string> {
  const code = await asyncCodeOf(present());
  expect(device.sessions).toBe(0);
  expect(events.at(-1)).toMatchObject({ event: 'client_refused', code });
  return code;
}

describe('a client that the hub vouches for', () => {
  test('gets its copy of the key, and both speak under it', async () => {
    const { device, now, open } = rig();
    const { channel, keyId } = await open();
    const answer = channel.open(device.message(keyId, channel.seal(utf8('read'), now())), now());
    expect(decodeCbor(answer)).toEqual(new Map([['beatsPerMinute', 72]]));
    expect(device.monitor.readings).toBe(1);
  });

  test('is asked about with its token, its proof, the request that it made and the nonce that it was given', async () => {
    const { device, hub, present } = rig();
    const nonce = device.nonce();
    await present();
    const [question] = hub.questions;
    expect(question).toMatchObject({
      proof: { kind: 'dpop', method: 'POST', uri: URI, nonce },
      wantsSessionKey: true,
      clientFormat: 'jose',
    });
    expect(question?.token.expose()).toBe('opaque-canary');
  });

  test('is told of without token, proof or key', async () => {
    const { events, present } = rig();
    await present();
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ event: 'client_admitted', scope: 'read', age: 0, expiresAt: 1_700_000_600 });
    expect(JSON.stringify(events)).not.toMatch(/canary|eyJ/);
  });

  test('may ask for what the machine does not know, and is answered so', async () => {
    const { device, now, open } = rig();
    const { channel, keyId } = await open();
    const answer = channel.open(device.message(keyId, channel.seal(utf8('stop'), now())), now());
    expect((decodeCbor(answer) as CborMap).get('understood')).toBe(false);
    expect(device.monitor.readings).toBe(0);
  });
});

describe('a client is refused', () => {
  test.each([
    'token_inactive',
    'proof_key_mismatch',
    'proof_replayed',
    'proof_nonce_required',
    'jwt_audience_mismatch',
    'jwt_expired',
  ] as const)('where the hub says %s', async (code) => {
    const given = rig();
    given.hub.answer = () => ({ active: false, code, freshness: undefined });
    expect(await refusal(given)).toBe(code);
  });

  test('where the hub says no with a code that would mean something else to a client', async () => {
    const given = rig();
    given.hub.answer = () => ({ active: false, code: 'internal', freshness: undefined });
    expect(await refusal(given)).toBe('token_inactive');
  });

  test.each([
    ['another one', 'configure'],
    ['one that only begins like it', 'read-only'],
    ['none', undefined],
  ])('whose scope lacks what the device asks for: it has %s', async (_, scope) => {
    const given = rig();
    given.hub.answer = (question) => given.hub.admit(question, { members: scope === undefined ? {} : { scope } });
    expect(await refusal(given)).toBe('scope_insufficient');
  });

  test('where the verdict is stale, whatever the operator of the hub allows', async () => {
    const given = rig();
    given.hub.answer = (question) => given.hub.admit(question, { freshness: STALE });
    expect(await refusal(given)).toBe('verdict_stale');
  });

  test('where the hub verified no proof', async () => {
    const given = rig();
    given.hub.answer = (question) => given.hub.admit(question, { proof: 'none' });
    expect(await refusal(given)).toBe('proof_missing');
  });

  test('where the hub made no key', async () => {
    const given = rig();
    given.hub.answer = () => activeAnswer({ proof: 'dpop' });
    expect(await refusal(given)).toBe('session_key_unsupported');
  });

  test('where the hub does not answer', async () => {
    const given = rig({ ask: () => Promise.reject(new LatchkeyError('hub_no_answer')) });
    expect(await refusal(given)).toBe('hub_no_answer');
  });

  test.each(['as_unreachable', 'introspection_suspended', 'clock_unsure'] as const)(
    'where the hub has no verdict: %s',
    async (code) => {
      const given = rig();
      given.hub.answer = () => new LatchkeyError(code);
      expect(await refusal(given)).toBe(code);
    },
  );

  test('where a problem, for which nobody vouches, says more than that', async () => {
    const given = rig();
    given.hub.answer = () => new LatchkeyError('proof_nonce_required');
    expect(await refusal(given)).toBe('hub_no_answer');
  });

  test('where a problem cannot be read', async () => {
    const given = rig();
    given.hub.onTheWay = () => ({
      contentType: 'application/concise-problem-details+cbor',
      payload: utf8('nothing of the kind'),
    });
    expect(await refusal(given)).toBe('hub_no_answer');
  });

  test('where the answer is to another question', async () => {
    const given = rig();
    const answers: { contentType: string; payload: Uint8Array }[] = [];
    given.hub.onTheWay = (answer) => {
      answers.push(answer);
      return answers[0] ?? answer;
    };
    await given.present();
    expect(await asyncCodeOf(given.present())).toBe('hub_no_answer');
    expect(given.device.sessions).toBe(1);
  });

  test('where the key is for another token', async () => {
    const given = rig();
    given.hub.answer = (question) =>
      given.hub.admit(question, { sessionKey: given.hub.keyFor({ ...question, token: new Secret('another') }) });
    expect(await refusal(given)).toBe('hub_no_answer');
  });

  test('where one bit of what the hub sealed was turned', async () => {
    const given = rig();
    for (let bytesFromEnd = 1; bytesFromEnd <= 600; bytesFromEnd += 7) {
      given.hub.onTheWay = ({ contentType, payload }) => {
        const turned = Uint8Array.from(payload);
        const at = turned.length - bytesFromEnd;
        turned[at] = (turned[at] ?? 0) ^ (1 << (bytesFromEnd % 8));
        return { contentType, payload: turned };
      };
      expect(await refusal(given)).toBe('hub_no_answer');
    }
  });
});

describe('the nonce of the hub', () => {
  test('is learnt from the refusal of a question without one, and the question is asked anew', async () => {
    const { device, events, hub, present } = rig();
    hub.wantedNonce = Uint8Array.of(1, 2, 3);
    await present();
    expect([device.sessions, hub.refused, hub.questions.length]).toEqual([1, 1, 1]);
    expect(events.map(({ event }) => event)).toEqual(['client_admitted']);
  });

  test('comes with every answer, a no among them, so that no later question is asked twice', async () => {
    const { hub, present } = rig();
    hub.wantedNonce = Uint8Array.of(1, 2, 3);
    hub.answer = () => ({ active: false, code: 'token_inactive', freshness: undefined });
    for (let count = 0; count < 5; count += 1) expect(await asyncCodeOf(present())).toBe('token_inactive');
    expect([hub.refused, hub.questions.length]).toEqual([1, 5]);
  });

  test('is learnt anew from a hub that was restarted', async () => {
    const { hub, present } = rig();
    hub.wantedNonce = Uint8Array.of(1, 2, 3);
    await present();
    hub.wantedNonce = Uint8Array.of(4, 5, 6);
    await present();
    await present();
    expect([hub.refused, hub.questions.length]).toEqual([2, 3]);
  });

  test('makes no device ask for ever', async () => {
    const given = rig();
    let asked = 0;
    given.hub.wantedNonce = Uint8Array.of(1, 2, 3);
    given.hub.onTheWay = (answer) => {
      // Somebody on the way gives a nonce that the hub never gave.
      asked += 1;
      const error = new LatchkeyError('hub_nonce_required');
      return { contentType: answer.contentType, payload: makeConciseProblem(error, 'r-1', Uint8Array.of(9)) };
    };
    expect(await refusal(given)).toBe('hub_no_answer');
    expect([asked, given.hub.questions.length]).toEqual([2, 0]);
  });
});

test('a device that was told to takes a stale verdict', async () => {
  const { device, hub, present } = rig({ policy: { scope: 'read', takesStale: true } });
  hub.answer = (question) => hub.admit(question, { freshness: STALE });
  await present();
  expect(device.sessions).toBe(1);
});

test('a nonce serves for a minute, then there is another one', async () => {
  const { device, time } = rig();
  const first = device.nonce();
  await time.advance(59_999);
  expect(device.nonce()).toBe(first);
  await time.advance(1);
  expect(device.nonce()).not.toBe(first);
});

describe('a message is refused', () => {
  async function session() {
    const given = rig();
    return { ...given, ...(await given.open()) };
  }

  test('under a name that the device does not know', async () => {
    const { channel, device, now } = await session();
    expect(codeOf(() => device.message('unknown', channel.seal(utf8('read'), now())))).toBe('session_key_expired');
  });

  test('that comes twice', async () => {
    const { channel, device, keyId, now } = await session();
    const message = channel.seal(utf8('read'), now());
    device.message(keyId, message);
    expect(codeOf(() => device.message(keyId, message))).toBe('session_message_replayed');
    expect(device.monitor.readings).toBe(1);
  });

  test('that is the device’s own', async () => {
    const { channel, device, keyId, now } = await session();
    const answer = device.message(keyId, channel.seal(utf8('read'), now()));
    expect(codeOf(() => device.message(keyId, answer))).toBe('cose_invalid');
  });

  test('under the key of another session', async () => {
    const { channel, device, now, open } = await session();
    const other = await open();
    expect(codeOf(() => device.message(other.keyId, channel.seal(utf8('read'), now())))).toBe(
      'cose_verification_failed',
    );
  });

  test('once the key is expired', async () => {
    const { channel, device, events, keyId, now, time } = await session();
    const message = channel.seal(utf8('read'), now());
    await time.advance(600_000);
    expect(codeOf(() => device.message(keyId, message))).toBe('session_key_expired');
    expect(events.at(-1)).toEqual({ event: 'message_refused', code: 'session_key_expired' });
  });

  test('once newer sessions took its room', async () => {
    const { channel, device, keyId, now, present } = await session();
    for (let count = 0; count < 8; count += 1) await present();
    expect(device.sessions).toBe(8);
    expect(codeOf(() => device.message(keyId, channel.seal(utf8('read'), now())))).toBe('session_key_expired');
  });
});

test('expired sessions make room', async () => {
  const { device, hub, present, time } = rig();
  for (let count = 0; count < 4; count += 1) await present();
  await time.advance(600_000);
  hub.keysExpireAt += 600;
  await present();
  expect(device.sessions).toBe(1);
});

const STALE = { source: 'introspection', age: 90, stale: true, clock: 'sure' } as const;
