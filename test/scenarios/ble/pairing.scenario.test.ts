/** Pairing by radio: the built hub and the built device, with noble and bleno, over controllers that a test orders about. */
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DeviceProcess } from '../../fixtures/device-process.ts';
import { OTHER_CODE, PairingWorld } from '../../fixtures/pairing-world.ts';
import type { Adapter } from '../../fixtures/virtual-radio/adapter.ts';
import { VirtualRadio } from '../../fixtures/virtual-radio/virtual-radio.ts';

let radio: VirtualRadio;
let tube: Adapter;
let world: PairingWorld;

beforeEach(async () => {
  radio = new VirtualRadio();
  const hub = await radio.plugIn();
  tube = await radio.plugIn({ advertisingInterval: 20 });
  tube.controller.rssi = -58;
  world = await PairingWorld.open({ adapter: hub.path });
});

afterEach(async () => {
  await world.close();
  await radio.close();
});

test('a device is found by its name, paired by its label, takes a token, and is unpaired', async () => {
  await world.powerOn({ hci: tube.path });
  const paired = await world.pair();
  expect(paired.err).toBe('');
  expect(paired.out).toContain('"key":"ble/tube-1","name":"tube-1","medium":"ble","signal":-58');
  expect(await world.deliver()).toBe('delivered and read');
  expect((await world.command('devices', 'identify', 'tube-1')).status).toBe(0);
  await world.device.event('identified');
  expect((await world.command('devices', 'unpair', 'tube-1')).err).toBe('');
  await world.device.event('unpaired');
});

test('a link that is lost in the middle of a pairing leaves both as before, and it can be repeated', async () => {
  await world.powerOn({ hci: tube.path });
  tube.controller.faults.loseLinkAfter('toPeripheral', 120);
  const first = await world.pair();
  if (first.status !== 0) {
    expect(await world.registered()).toBeUndefined();
    expect((await world.pair()).status).toBe(0);
  }
  expect(await world.deliver()).toBe('delivered and read');
});

test('an impostor that advertises the name gets nothing, and the device beside it is paired', async () => {
  // It is nearer, and has another setup code.
  const stranger = await radio.plugIn({ advertisingInterval: 20 });
  stranger.controller.rssi = -30;
  const state = join(world.folder.path, 'stranger.state');
  const impostor = await DeviceProcess.start('--ble', '--hci', stranger.path, '--setup', OTHER_CODE, '--state', state);
  expect((await world.pair()).err).toContain('setup_code_refused');
  await world.powerOn({ hci: tube.path });
  // The impostor is asked first, does not know the code and is set aside; so the device is asked within the same attempt.
  expect((await world.pair()).err).toBe('');
  expect(impostor.count('paired')).toBe(0);
  expect(await world.deliver()).toBe('delivered and read');
  await impostor.stop();
});
