/** What must not work, each tried for real. */

import { DpopKey } from '../../client/dpop-key.ts';
import { HubRefusal } from '../../client/hub-answer.ts';
import { codeText } from '../../codec/coap/codes.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../../codec/iana.ts';
import { CLIENT_NONCE_BYTES, makeSignedRequest, tokenHash } from '../../codec/signed-request.ts';
import { EMPTY } from '../../core/bytes.ts';
import type { CoapRequest } from '../../core/coap-exchange.ts';
import { LatchkeyError } from '../../core/errors.ts';
import type { DeviceLink } from '../../ports/device-link.ts';
import { openStrangersLine } from '../../simulator.ts';
import { type GoodWay, requestToken } from './good-way.ts';
import { hold, type Narrator } from './narrator.ts';
import { sendAgain } from './recorded-request.ts';
import { OTHER_AUDIENCE, type Stage, TUBE, TUBE_AUDIENCE } from './stage.ts';

const STRANGERS_DEADLINE = 3_000;

export async function refusals(story: Narrator, stage: Stage, { token, delivery }: GoodWay): Promise<void> {
  await story.step(
    'out-of-scope',
    'The EKG machine tries to switch the lamp of the tube with a token for reading',
    async () => {
      const session = stage.client.session(delivery, token);
      const refusal = await refusalOf(
        session.request({ method: 'PUT', path: ['led'], payload: new TextEncoder().encode('on') }),
      );
      hold(refusal.deviceCode === '4.03' && !stage.tube.device.lamp.isOn, 'the tube answers 4.03 and stays dark');
      story.say('refused by the tube: 4.03 Forbidden');
    },
  );
  await story.step('another-tube', 'A token for another tube is sent to this one', async () => {
    const foreign = await requestToken(stage, OTHER_AUDIENCE);
    const before = stage.tokensOnLine.length;
    const refusal = await refusalOf(stage.client.deliver({ device: TUBE, audience: TUBE_AUDIENCE, token: foreign }));
    hold(refusal.hubCode === 'jwt_audience_mismatch', 'the hub refuses its audience');
    hold(stage.tokensOnLine.length === before, 'nothing crossed the line');
    story.say(`refused by the hub: ${refusal.status} ${refusal.hubCode}; nothing crossed the line`);
  });
  await story.step(
    'replayed-proof',
    'An attacker recorded the request of the EKG machine and sends it again',
    async () => {
      const { recorded } = stage;
      if (recorded === undefined) throw new LatchkeyError('demo_failed', 'no request was recorded');
      await stage.client.deliver({ device: TUBE, audience: TUBE_AUDIENCE, token });
      const fresh = stage.recorded ?? recorded;
      const { code, status } = await sendAgain(fresh);
      hold(status === 401 && code === 'proof_replayed', `the hub answers 401 proof_replayed, not ${String(code)}`);
      story.say(`refused by the hub: ${status} ${code}; token and proof are genuine, and worth nothing`);
    },
  );
  const [cwt = EMPTY] = stage.tokensOnLine;
  await onStrangersLine(stage, async (stranger) => {
    await story.step(
      'tampered-token',
      'A stranger with a cable to the tube alters the CWT, byte by byte, and sends it',
      async () => {
        const held = stage.tube.device.tokens().length;
        const bits = await sendAltered(stranger, cwt);
        hold(stage.tube.device.tokens().length === held, 'the tube took none of them');
        story.say(`refused by the tube: ${bits} copies with one bit turned, none taken`);
      },
    );
    await story.step(
      'stolen-token',
      'The stranger sends the genuine CWT and asks for the temperature with a key that is not in it',
      async () => {
        const accepted = stage.tube.device.acceptedTokens;
        const taken = await stranger.request(authzInfo(cwt), { deadline: STRANGERS_DEADLINE });
        hold(codeText(taken.code) === '2.01', 'the tube knows the token');
        hold(stage.tube.device.acceptedTokens === accepted, 'a token that is known has no second effect');
        const nonce = await stranger.request(challengeFor(cwt), { deadline: STRANGERS_DEADLINE });
        const answer = await stranger.request(await askAsThief(cwt, nonce.payload), { deadline: STRANGERS_DEADLINE });
        hold(codeText(answer.code) === '4.01', `the tube answers 4.01, not ${codeText(answer.code)}`);
        hold(stage.tube.device.thermometer.readings === 1, 'the tube gave no second reading');
        story.say('refused by the tube: 4.01 Unauthorized; the token opens nothing without its key');
      },
    );
  });
}

export async function refusalOf(promise: Promise<unknown>): Promise<HubRefusal> {
  const outcome: unknown = await promise.catch((error: unknown) => error);
  if (outcome instanceof HubRefusal) return outcome;
  if (outcome instanceof Error) throw outcome;
  throw new LatchkeyError('demo_failed', 'it was not refused');
}

async function onStrangersLine(stage: Stage, action: (stranger: DeviceLink) => Promise<void>): Promise<void> {
  const stranger = await openStrangersLine(stage.tube.device);
  try {
    await action(stranger);
  } finally {
    await stranger.close();
  }
}

async function sendAltered(stranger: DeviceLink, cwt: Uint8Array): Promise<number> {
  let sent = 0;
  // Every byte once, each with another bit: all bits of all bytes are for the tests.
  for (let index = 0; index < cwt.length; index += 1) {
    const altered = Uint8Array.from(cwt);
    altered[index] = (altered[index] ?? 0) ^ (1 << (index % 8));
    const answer = await stranger.request(authzInfo(altered), { deadline: STRANGERS_DEADLINE });
    hold(answer.code >> 5 === 4, `byte ${index} altered is answered ${codeText(answer.code)}`);
    sent += 1;
  }
  return sent;
}

function authzInfo(payload: Uint8Array): CoapRequest {
  return { method: COAP_METHOD.POST, path: ['authz-info'], contentFormat: CONTENT_FORMAT.cwt, payload };
}

function challengeFor(cwt: Uint8Array): CoapRequest {
  return {
    method: COAP_METHOD.POST,
    path: ['challenge'],
    contentFormat: CONTENT_FORMAT.octetStream,
    payload: tokenHash(cwt),
  };
}

async function askAsThief(cwt: Uint8Array, nonce: Uint8Array): Promise<CoapRequest> {
  const { coseKey } = await DpopKey.generate();
  const target = { method: COAP_METHOD.FETCH, path: ['temperature'] };
  const payload = makeSignedRequest({
    ...target,
    payload: EMPTY,
    key: coseKey,
    nonce,
    clientNonce: new Uint8Array(CLIENT_NONCE_BYTES),
    tokenHash: tokenHash(cwt),
    audience: TUBE_AUDIENCE,
  });
  return { ...target, contentFormat: CONTENT_FORMAT.coseSign1, payload };
}
