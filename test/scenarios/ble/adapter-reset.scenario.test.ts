/**
 * An adapter that is reset, or gone and back, in the middle of use. The device advertises by hand here, so that it is counted
 * in advertisements, and not in time, how soon its link is in use again: the first one after the adapter is back is heard,
 * and the next one takes the connection. A device whose link was cut off by a reset is known to be there, and its first one
 * takes it.
 */
import { afterEach, expect, test } from 'vitest';
import { TUBE_AUDIENCE } from '../../fixtures/authorization-server.ts';
import type { Adapter } from '../../fixtures/virtual-radio/adapter.ts';
import { ATTRIBUTE } from '../../fixtures/virtual-radio/hci-numbers.ts';
import { World } from '../../fixtures/world.ts';

/** HCI_Reset, as another program sends it that shares the adapter: every program hears of its completion. */
const HCI_RESET = Uint8Array.of(0x01, 0x03, 0x0c, 0x00);

let world: World;
let hub: Adapter;
let tube: Adapter;

afterEach(() => world.close());

/** The device has taken one token. Nothing is tried again by itself in the time that a test takes. */
async function inUse(ble: string): Promise<void> {
  world = await World.open({ air: {}, ble, settings: '[delivery]\nwait = "0s"\nattempt_timeout = "60s"\n' });
  hub = world.air.hub;
  tube = await world.tubeAdapter('by hand');
  await world.plugIn();
  await queue();
  await world.until(() => {
    tube.controller.advertise();
    return world.device.acceptedTokens === 1 && world.held === 2;
  });
}

/** @returns the id of the delivery */
async function queue(): Promise<string> {
  const token = await world.token();
  return (await world.client().deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token, wait: 0 })).id;
}

const isListening = () => hub.controller.isScanning;
const isConnecting = () => hub.controller.wants(tube.controller) !== undefined;

/** The device is heard by one advertisement, unless it just was, connected by the next one, and gets what waits for it. */
async function heardAndConnected(): Promise<void> {
  await world.until(() => isListening() || isConnecting());
  if (!isConnecting()) tube.controller.advertise();
  await world.until(isConnecting);
  tube.controller.advertise();
  expect(tube.controller.links.size).toBe(1);
  await world.until(() => world.device.acceptedTokens === 2);
}

const resets = {
  'reset by another program': async () => hub.controller.receive(HCI_RESET),
  'pulled out and put back': async () => {
    await hub.unplug();
    await world.hub.event('radio_lost');
    await hub.plug();
  },
};

test.each(Object.entries(resets))('%s while no link is up: the next advertisement is heard', async (_, reset) => {
  await inUse('linger = "0s"\n');
  await world.until(() => tube.controller.links.size === 0 && isListening());
  await reset();
  await world.until(isListening);
  await queue();
  await heardAndConnected();
});

test.each(Object.entries(resets))(
  '%s while the hub connects: the device is heard and connected again',
  async (_, reset) => {
    await inUse('linger = "0s"\n');
    await world.until(() => tube.controller.links.size === 0 && isListening());
    await queue();
    tube.controller.advertise();
    await world.until(isConnecting);
    await reset();
    expect(isConnecting()).toBe(false);
    await heardAndConnected();
  },
);

test('pulled out and put back under a delivery: it is the device that was heard that gets it, and no failure of its own', async () => {
  await inUse('linger = "0s"\n');
  await world.until(() => tube.controller.links.size === 0 && isListening());
  tube.controller.faults.stall('toCentral');
  await queue();
  tube.controller.advertise();
  await world.until(isConnecting);
  tube.controller.advertise();
  expect(tube.controller.links.size).toBe(1);
  await hub.unplug();
  tube.controller.faults.flow('toCentral');
  await world.hub.event('radio_lost');
  await hub.plug();
  await heardAndConnected();
});

test('reset by another program under a link: the first advertisement takes the connection again', async () => {
  await inUse('linger = "0s"\n');
  await world.until(() => tube.controller.links.size === 0 && isListening());
  tube.controller.faults.stall('toCentral');
  await queue();
  tube.controller.advertise();
  await world.until(isConnecting);
  tube.controller.advertise();
  await world.until(() => (tube.controller.lastLink?.carried.toPeripheral ?? 0) > 0);
  tube.controller.faults.flow('toCentral');
  hub.controller.receive(HCI_RESET);
  // The device advertises by itself when its link is gone; the hub may wait for it by then.
  await world.until(() => isConnecting() || world.device.acceptedTokens === 2);
  tube.controller.advertise();
  await world.until(() => world.device.acceptedTokens === 2);
});

test('reset by another program while the device answers: the delivery is begun anew at its first advertisement', async () => {
  await inUse('linger = "0s"\n');
  await world.until(() => tube.controller.links.size === 0 && isListening());
  const { faults } = tube.controller;
  faults.drop('toCentral', ATTRIBUTE.indication);
  const id = await queue();
  tube.controller.advertise();
  await world.until(isConnecting);
  tube.controller.advertise();
  const link = tube.controller.lastLink;
  await world.until(() => link?.attributes.some(({ opcode }) => opcode === ATTRIBUTE.indication) === true);
  faults.pass('toCentral', ATTRIBUTE.indication);
  hub.controller.receive(HCI_RESET);
  const delivered = async () => (await world.client().delivery(id)).state === 'delivered';
  await world.until(async () => isConnecting() || (await delivered()));
  tube.controller.advertise();
  await world.until(delivered);
  expect(world.device.acceptedTokens).toBe(2);
});
