/** What goes on working when parts are away. */
import { isCoded, LatchkeyError } from '../../core/errors.ts';
import { FETCH_TEMPERATURE, readTemperature, requestToken } from './good-way.ts';
import { hold, type Narrator } from './narrator.ts';
import { type Stage, TUBE, TUBE_AUDIENCE } from './stage.ts';
import { until } from './waiting.ts';

export async function outage(story: Narrator, stage: Stage): Promise<void> {
  await story.step('tube-away', 'The tube is unplugged; a new token waits for it', async () => {
    const token = await requestToken(stage);
    await stage.tube.close();
    await until(async () => !(await stage.lineIsUp()), 'the hub noticed that the line is gone');
    const queued = await stage.client.deliver({ device: TUBE, audience: TUBE_AUDIENCE, token, wait: 0 });
    hold(queued.state === 'queued', 'the hub keeps the token');
    story.wire('hub', 'EKG', '202 Accepted: the token is on disk and goes out when the tube is back');
    await stage.startTube();
    await until(async () => (await stage.client.delivery(queued.id)).state === 'delivered', 'the tube has the token');
    hold(stage.tube.device.acceptedTokens === 1, 'the tube took it once');
    story.say('the tube is plugged in again, and the hub delivers by itself');
  });
  await story.step('authorization-server-off', 'The OAuth server is switched off and the hub restarted', async () => {
    const token = await requestToken(stage);
    await stage.stopAuthorizationServer();
    hold(await isUnreachable(stage), 'the OAuth server is off');
    await stage.restartHub();
    const delivery = await stage.client.deliver({ device: TUBE, audience: TUBE_AUDIENCE, token });
    hold(delivery.state === 'delivered' && delivery.receipt, 'a token that the hub never saw is delivered');
    const celsius = readTemperature(await stage.client.session(delivery, token).request(FETCH_TEMPERATURE));
    story.say(
      `the hub verified with the keys on its disk, confirmed ${Math.round(delivery.freshness.keysAge)} s ago, and says so`,
    );
    story.wire('tube', 'EKG', `${celsius} °C: still works`);
  });
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
