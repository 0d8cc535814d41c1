/** What goes on working when parts are away. */
import type { AccessToken } from '../../client/access-token.ts';
import { isCoded, LatchkeyError } from '../../core/errors.ts';
import { READINGS } from './connected.ts';
import { FETCH_TEMPERATURE, readTemperature, requestToken } from './good-way.ts';
import { hold, type Narrator } from './narrator.ts';
import { refusalOf } from './refusals.ts';
import { type Stage, TUBE, TUBE_AUDIENCE } from './stage.ts';
import { until } from './waiting.ts';

/** @param doctorsToken a reference that the OAuth server still stands by */
export async function outage(story: Narrator, stage: Stage, doctorsToken: AccessToken): Promise<void> {
  const goes = stage.radios === undefined ? 'is unplugged' : 'goes out of range';
  await story.step('tube-away', `The tube ${goes}; a new token waits for it`, async () => {
    const token = await requestToken(stage);
    await stage.tube.close();
    await until(async () => !(await stage.tubeIsHere()), 'the hub noticed that the tube is gone');
    const queued = await stage.client.deliver({ device: TUBE, audience: TUBE_AUDIENCE, token, wait: 0 });
    hold(queued.state === 'queued', 'the hub keeps the token');
    story.wire('hub', 'EKG', '202 Accepted: the token is on disk and goes out when the tube is back');
    await stage.startTube();
    await until(async () => (await stage.client.delivery(queued.id)).state === 'delivered', 'the tube has the token');
    hold(stage.tube.device.acceptedTokens === 1, 'the tube took it once');
    story.say('the tube is back, and the hub delivers by itself');
  });
  const token = await serverGone(story, stage, doctorsToken);
  await story.step('authorization-server-off', 'Without the OAuth server, the hub is restarted as well', async () => {
    await stage.restartHub();
    const delivery = await stage.client.deliver({ device: TUBE, audience: TUBE_AUDIENCE, token });
    hold(delivery.state === 'delivered' && delivery.receipt, 'a token that the hub never saw is delivered');
    const celsius = readTemperature(await stage.client.session(delivery, token).request(FETCH_TEMPERATURE));
    story.say(
      `the hub verified with the keys on its disk, confirmed ${Math.round(delivery.freshness.keysAge)} s ago, and says so`,
    );
    story.wire('tube', 'EKG', `${celsius} °C: still works`);
    await stage.ekg.connected();
    story.say('the EKG machine found its way back to the broker by itself');
  });
}

/** A token that is a reference needs the server: no client is let in by guess. Answers with a JWT that does not. */
function serverGone(story: Narrator, stage: Stage, doctorsToken: AccessToken): Promise<AccessToken> {
  return story.step(
    'authorization-server-gone',
    'The OAuth server is switched off; the app shows its token',
    async () => {
      const forTube = await requestToken(stage);
      await stage.stopAuthorizationServer();
      hold(await isUnreachable(stage), 'the OAuth server is off');
      const refusal = await refusalOf(stage.doctor.device(stage.ekg.running.address).open(READINGS, doctorsToken));
      hold(refusal.hubCode === 'as_unreachable', `no client is let in: ${refusal.hubCode}`);
      story.say(`refused by the EKG machine: ${refusal.status} ${refusal.hubCode}`);
      story.say('the token says nothing by itself, and the AS that could say whether it is still good is away');
      return forTube;
    },
  );
}

async function isUnreachable(stage: Stage): Promise<boolean> {
  try {
    await stage.discover();
    return false;
  } catch (error) {
    if (isCoded(error, 'client_unreachable')) return true;
    throw error instanceof LatchkeyError ? error : new LatchkeyError('internal', undefined, { cause: error });
  }
}
