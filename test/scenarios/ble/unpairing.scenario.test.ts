/** From pairing to unpairing by radio, over a rotation of the key of the hub: a device that checks signatures. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PairingWorld, TUBE_CODE } from '../../fixtures/pairing-world.ts';
import type { Adapter } from '../../fixtures/virtual-radio/adapter.ts';
import { VirtualRadio } from '../../fixtures/virtual-radio/virtual-radio.ts';

let radio: VirtualRadio;
let tube: Adapter;
let world: PairingWorld;

beforeEach(async () => {
  radio = new VirtualRadio();
  const hub = await radio.plugIn();
  tube = await radio.plugIn({ advertisingInterval: 20 });
  world = await PairingWorld.open({ adapter: hub.path });
  await world.powerOn({ hci: tube.path });
  const paired = await world.pair(TUBE_CODE, '--wrap', 'sign1');
  if (paired.status !== 0) throw new Error(paired.err);
});

afterEach(async () => {
  await world.close();
  await radio.close();
});

const auditOf = async (kind: string) => {
  const { out } = await world.command('audit', 'list', '--json');
  return (JSON.parse(out) as { kind: string; verdict: string }[])
    .filter((record) => record.kind === kind)
    .map(({ verdict }) => verdict);
};

test('a device takes tokens under the key that it was paired with and the next one, and none when it was unpaired', async () => {
  expect(await world.deliver()).toBe('delivered and read');
  expect((await world.command('trust', 'rotate-hub-key')).status).toBe(0);
  await world.device.event('trust_taken');
  expect(await world.deliver()).toBe('delivered and read');
  expect((await world.command('devices', 'unpair', 'tube-1')).err).toBe('');
  await world.device.event('unpaired');
  expect(await world.registered()).toBeUndefined();
  await expect(world.deliver()).rejects.toMatchObject({ hubCode: 'device_unknown' });
  expect(await auditOf('unpair')).toEqual(['unpaired']);
});

test('a device that is out of range stays registered, and is unpaired when it is back', async () => {
  tube.controller.leave();
  const missed = await world.command('devices', 'unpair', 'tube-1');
  expect(missed.status).not.toBe(0);
  expect(await world.registered()).toMatchObject({ id: 'tube-1' });
  tube.controller.comeBack();
  await world.until(async () => (await world.command('devices', 'unpair', 'tube-1')).status === 0);
  await world.device.event('unpaired');
  expect(await world.registered()).toBeUndefined();
});
