import { afterEach, describe, expect, test } from 'vitest';
import type { DeviceEvent } from '../../src/sim/device-event.ts';
import { TUBE_AUDIENCE } from '../fixtures/authorization-server.ts';
import { World } from '../fixtures/world.ts';

let world: World;

afterEach(() => world.close());

const names = (events: readonly DeviceEvent[]) => events.map(({ event }) => event);

async function restart(opened: World): Promise<void> {
  opened.hub = await opened.folder.start();
}

describe('a token that was answered with 202', () => {
  test('is delivered once, although the hub was killed before it could', async () => {
    world = await World.open();
    const token = await world.token();
    const queued = await world.client().deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token, wait: 0 });
    expect(queued.state).toBe('queued');
    await world.hub.stop('SIGKILL');
    await restart(world);
    await world.plugIn();
    const delivered = await world.hub.event('delivery_delivered');
    expect(delivered.delivery).toBe(queued.id);
    expect(await world.client().delivery(queued.id)).toMatchObject({ state: 'delivered' });
    expect(world.device.acceptedTokens).toBe(1);
  });

  test('is delivered once, although the hub was killed after the device took it and before it could write that down', async () => {
    world = await World.open({ settings: '[delivery]\nwait = "0s"\nattempt_timeout = "1s"\n' });
    await world.plugIn();
    // The device's answer never reaches the hub: for the hub that is the same as dying before it is read.
    world.relay.muteDevice = true;
    const queued = await world
      .client()
      .deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token: await world.token(), wait: 0 });
    await world.until(() => world.device.acceptedTokens === 1);
    await world.hub.stop('SIGKILL');
    world.relay.muteDevice = false;
    await restart(world);
    await world.hub.event('delivery_delivered');
    expect(await world.client().delivery(queued.id)).toMatchObject({ state: 'delivered', receipt: true });
    expect(world.device.acceptedTokens).toBe(1);
    expect(names(world.events)).toEqual(expect.arrayContaining(['token_accepted', 'token_known']));
  });

  test('is delivered when the device comes back, with the hub running all the while', async () => {
    world = await World.open();
    const queued = await world
      .client()
      .deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token: await world.token(), wait: 0 });
    await world.plugIn();
    const done = world.client().delivery(queued.id);
    expect((await done).state).toMatch(/queued|delivered/);
    await world.hub.event('delivery_delivered');
    expect(world.device.acceptedTokens).toBe(1);
  });

  test('is the same delivery when the client sends the token again', async () => {
    world = await World.open();
    const token = await world.token();
    const client = world.client();
    const first = await client.deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token, wait: 0 });
    const second = await client.deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token, wait: 0 });
    expect(second.id).toBe(first.id);
  });

  test('waits for its turn: tokens reach the device in the order of their arrival', async () => {
    world = await World.open({ settings: '[delivery]\nwait = "0s"\n' });
    const client = world.client();
    const ids: string[] = [];
    for (let count = 0; count < 4; count += 1)
      ids.push(
        (await client.deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token: await world.token(), wait: 0 })).id,
      );
    await world.hub.stop('SIGKILL');
    await restart(world);
    await world.plugIn();
    const order = () =>
      world.hub.output.flatMap(
        (line) => /"delivery":"([0-9a-f]+)".*"event":"delivery_delivered"/.exec(line)?.[1] ?? [],
      );
    await world.until(() => order().length === 4);
    expect(order()).toEqual(ids);
  });
});

describe('an authorization server that is gone', () => {
  test('is not missed: the hub verifies with the keys on its disk, also after a restart', async () => {
    world = await World.open();
    await world.plugIn();
    const first = await world.token();
    const second = await world.token();
    await world.client().deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token: first });
    await world.switchOffAs();
    await world.hub.stop('SIGTERM');
    await restart(world);
    const delivery = await world.client().deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token: second });
    expect(delivery.state).toBe('delivered');
  });
});

describe('stopping', () => {
  test('SIGTERM answers the request under way, exits with 0 inside 5 s, and loses nothing', async () => {
    world = await World.open({ settings: '[delivery]\nwait = "30s"\n' });
    const waiting = world
      .client()
      .deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token: await world.token(), wait: 0 });
    await world.hub.event('delivery_queued');
    const began = performance.now();
    expect(await world.hub.stop('SIGTERM')).toBe(0);
    expect(performance.now() - began).toBeLessThan(5_000);
    const queued = await waiting;
    expect(queued.state).toBe('queued');
    await restart(world);
    await world.plugIn();
    await world.hub.event('delivery_delivered');
  });

  test('a second hub on the same state is refused, and the first goes on', async () => {
    world = await World.open();
    const second = await world.folder.command('run', '--config', world.folder.config);
    expect(second.status).toBe(1);
    expect(second.err).toContain('store_locked');
    expect((await world.folder.command('status', '--config', world.folder.config)).status).toBe(0);
  });
});
