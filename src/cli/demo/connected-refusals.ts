/** What must not work at the connected device, each tried for real. */
import { type AccessToken, dpopToken } from '../../client/access-token.ts';
import { DpopKey } from '../../client/dpop-key.ts';
import { HubRefusal } from '../../client/hub-answer.ts';
import { LatchkeyError } from '../../core/errors.ts';
import { INTROSPECTION, READINGS } from './connected.ts';
import { hold, type Narrator } from './narrator.ts';
import { sendAgain } from './recorded-request.ts';
import { refusalOf } from './refusals.ts';
import { INTROSPECTION_CACHE, type Stage } from './stage.ts';
import { until } from './waiting.ts';

export async function connectedRefusals(story: Narrator, stage: Stage, token: AccessToken): Promise<void> {
  const { address, device } = stage.ekg.running;
  await story.step('wrong-key', 'A thief shows the token of the app with a proof by a key of his own', async () => {
    const stolen = dpopToken(token.value.expose(), await DpopKey.generate());
    const { sessions } = device;
    const refusal = await refusalOf(stage.doctor.device(address).open(READINGS, stolen));
    hold(refusal.hubCode === 'proof_key_mismatch', `it is proof_key_mismatch, not ${refusal.hubCode}`);
    hold(device.sessions === sessions, 'there is no key for him');
    story.say(`refused by the EKG machine: ${refusal.status} ${refusal.hubCode}`);
  });
  await story.step(
    'replayed-device-proof',
    'An attacker recorded the request of the app and sends it again',
    async () => {
      await stage.doctor.device(address).open(READINGS, token);
      const { sessions } = device;
      if (stage.doctor.recorded === undefined) throw new LatchkeyError('demo_failed', 'no request was recorded');
      const { code, status } = await sendAgain(stage.doctor.recorded);
      hold(status === 401 && code === 'proof_replayed', `it is 401 proof_replayed, not ${status} ${String(code)}`);
      hold(device.sessions === sessions, 'there is no second key');
      story.say(`refused by the EKG machine: ${status} ${code}; the hub takes each proof once`);
    },
  );
  await story.step('revoked-token', 'The doctor logs in once more, and then has that token revoked', async () => {
    const second = await stage.doctor.logIn();
    const app = stage.doctor.device(address);
    await app.open(READINGS, second);
    await stage.doctor.revoke(second);
    const before = stage.authorizationServer.requests(INTROSPECTION);
    await until(async () => (await outcomeOf(app.open(READINGS, second))) === 'token_inactive', 'the token is refused');
    hold(stage.authorizationServer.requests(INTROSPECTION) > before, 'the hub asked again');
    story.say('refused by the EKG machine: 401 token_inactive');
    story.say(
      `it may take as long as the hub believes what it heard: here ${INTROSPECTION_CACHE} s (introspection_cache), by default 60 s`,
    );
  });
}

async function outcomeOf(opening: Promise<unknown>): Promise<string> {
  try {
    await opening;
    return 'admitted';
  } catch (error) {
    if (error instanceof HubRefusal) return error.hubCode;
    throw error;
  }
}
