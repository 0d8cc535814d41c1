/** Pairing over a real tty: the built hub opens one end of a cable, the built device the other. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PairingWorld } from '../fixtures/pairing-world.ts';
import { PtyPair } from '../fixtures/pty-pair.ts';

let cable: PtyPair;
let world: PairingWorld;

beforeEach(async () => {
  cable = await PtyPair.create();
  world = await PairingWorld.open({ linePath: cable.hub });
});

afterEach(async () => {
  await world.close();
  await cable.close();
});

test('a device on a tty is paired, takes a token, and is unpaired', async () => {
  await world.powerOn({ listen: cable.device });
  expect((await world.pair()).status).toBe(0);
  expect(await world.deliver()).toBe('delivered and read');
  expect((await world.command('devices', 'unpair', 'tube-1')).status).toBe(0);
  await world.device.event('unpaired');
});

test('a cable that is pulled before the device is there is in nobody’s way', async () => {
  await world.powerOn({ listen: cable.device });
  await cable.unplug();
  expect((await world.pair(undefined, '--for', '1s')).status).toBe(1);
  await cable.plug();
  await world.until(async () => (await world.pair(undefined, '--for', '5s')).status === 0);
  expect(await world.deliver()).toBe('delivered and read');
});
