/** A device without room for another token: its client and the operator learn of it, and the operator can cancel the delivery. */
import { afterEach, expect, test } from 'vitest';
import type { Delivery } from '../../src/client/index.ts';
import type { ListedDelivery } from '../../src/ports/admin.ts';
import { TUBE_AUDIENCE } from '../fixtures/authorization-server.ts';
import { World } from '../fixtures/world.ts';

/** Of the simulated device. */
const SLOTS = 8;

let world: World | undefined;

afterEach(async () => {
  await world?.close();
  world = undefined;
});

async function deliver(opened: World): Promise<Delivery> {
  return opened.client().deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token: await opened.token(), wait: 0 });
}

test('client and operator hear that the device is full, and the client that the delivery was cancelled', async () => {
  world = await World.open();
  await world.plugIn();
  for (let slot = 0; slot < SLOTS; slot += 1) expect((await deliver(world)).state).toBe('delivered');
  const waiting = await deliver(world);
  expect(waiting).toMatchObject({ state: 'queued', hubCode: 'device_full' });
  expect(await world.client().delivery(waiting.id)).toMatchObject({ state: 'queued', hubCode: 'device_full' });
  const [listed] = await world.ask<ListedDelivery[]>('deliveries', 'list', '--waiting');
  expect(listed).toMatchObject({ delivery: waiting.id, difficulty: { code: 'device_full' } });
  const stream = await fetch(`${world.hub.address}/deliveries/${waiting.id}`, {
    headers: { accept: 'text/event-stream' },
  });
  const told = stream.text();
  const cancelled = await world.ask<ListedDelivery>('deliveries', 'cancel', waiting.id, '--yes');
  expect(cancelled).toMatchObject({ state: 'cancelled', code: 'delivery_cancelled' });
  const states = [...(await told).matchAll(/"state":"(\w+)"/g)].map(([, state]) => state);
  expect([states[0], states.at(-1)]).toEqual(['queued', 'cancelled']);
  const audit = await world.folder.command('audit', 'list', '--config', world.folder.config, '--json');
  expect(audit.out).toMatch(new RegExp(`"verdict":"cancelled"[^}]*"delivery":"${waiting.id}"`));
  const again = await world.folder.command('deliveries', 'retry', waiting.id, '--config', world.folder.config);
  expect([again.status, again.err]).toEqual([1, expect.stringContaining('[delivery_ended]')]);
});

test('a token that waits is tried at once when an operator says so, and is cancelled with no hub running too', async () => {
  world = await World.open();
  const [first, second] = [await deliver(world), await deliver(world)];
  const { config } = world.folder;
  const away = await world.folder.command('deliveries', 'retry', first.id, '--config', config);
  expect(away.out).toContain('tube-1 cannot be tried now:');
  await world.hub.stop();
  const stopped = await world.folder.command('deliveries', 'retry', first.id, '--config', config);
  expect(stopped.err).toContain('[admin_unreachable]');
  const cancelled = await world.folder.command('deliveries', 'cancel', first.id, '--yes', '--config', config);
  expect(cancelled.out).toContain(`Cancelled ${first.id}, a token for tube-1.`);
  world.hub = await world.folder.start();
  await world.plugIn();
  await world.until(async () => (await world?.client().delivery(second.id))?.state === 'delivered');
  expect((await world.client().delivery(first.id)).hubCode).toBe('delivery_cancelled');
});
