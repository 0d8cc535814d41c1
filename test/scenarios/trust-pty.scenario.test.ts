/** Trust bundles over a real tty: the built hub opens one end of a cable, the simulated device the other. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RotatedHubKey, TrustView } from '../../src/ports/admin.ts';
import { TUBE_AUDIENCE } from '../fixtures/authorization-server.ts';
import { PtyPair } from '../fixtures/pty-pair.ts';
import { World } from '../fixtures/world.ts';

let cable: PtyPair;
let world: World;

beforeEach(async () => {
  cable = await PtyPair.create();
  world = await World.open({
    linePath: cable.hub,
    issuers: 'unknown_kid_cooldown = "1s"\n',
    device: ['--wrap', 'sign1'],
  });
  await world.plugIn(cable.device);
  await world.until(() => world.held === 2);
});

afterEach(async () => {
  await world.close();
  await cable.close();
});

describe('over a tty', () => {
  test('the new key of an issuer arrives before the token that is signed with it', async () => {
    await world.as.rotateKeys();
    await world.deliverAnew(20);
    await world.until(() => world.device.acceptedTokens === 1);
    expect(world.events.map(({ event }) => event)).toEqual(['trust_taken', 'trust_taken', 'token_accepted']);
  });

  test('another key of the hub arrives when the cable is back, and tokens under it', async () => {
    await cable.unplug();
    const { keys } = await world.ask<RotatedHubKey>('trust', 'rotate-hub-key');
    await cable.plug();
    const token = await world.token();
    const delivery = await world.client().deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token });
    expect(delivery.state).toBe('delivered');
    await world.until(() => world.held === 4);
    await world.hub.event('hub_key_retired');
    const [view] = await world.ask<TrustView[]>('trust', 'status');
    expect(view).toMatchObject({ state: 'current', signed_by: keys.ES256 });
  });
});
