/** The whole job over a real tty: the built hub opens one end of a cable, the simulated device the other. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TUBE_AUDIENCE } from '../fixtures/authorization-server.ts';
import { PtyPair } from '../fixtures/pty-pair.ts';
import { World } from '../fixtures/world.ts';

let cable: PtyPair;
let world: World;

beforeEach(async () => {
  cable = await PtyPair.create();
});

afterEach(async () => {
  await world.close();
  await cable.close();
});

describe('over a tty', () => {
  test('a JWT becomes a CWT that the device accepts, and its holder gets an answer', async () => {
    world = await World.open({ linePath: cable.hub });
    await world.plugIn(cable.device);
    const token = await world.token();
    const client = world.client();
    const delivery = await client.deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token });
    expect(delivery).toMatchObject({ state: 'delivered', receipt: true });
    const answer = await client.session(delivery, token).request({ method: 'FETCH', path: ['temperature'] });
    expect(answer.payload.length).toBeGreaterThan(0);
    expect(world.device.acceptedTokens).toBe(1);
  });

  test('a token of 202 waits for the cable: pulled out before, plugged in after a kill -9, delivered once', async () => {
    world = await World.open({ linePath: cable.hub });
    await cable.unplug();
    const queued = await world
      .client()
      .deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token: await world.token(), wait: 0 });
    expect(queued.state).toBe('queued');
    await world.hub.stop('SIGKILL');
    await cable.plug();
    world.hub = await world.folder.start();
    await world.plugIn(cable.device);
    await world.hub.event('delivery_delivered');
    expect(await world.client().delivery(queued.id)).toMatchObject({ state: 'delivered' });
    expect(world.device.acceptedTokens).toBe(1);
  });
});
