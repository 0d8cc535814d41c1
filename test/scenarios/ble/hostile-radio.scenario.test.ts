/**
 * Somebody in radio range who holds no key advertises the name of a device, and sends one malformed packet as soon as the
 * hub connects. It costs him the link. The hub, its radio and the device of that name go on.
 */
import { afterEach, expect, test } from 'vitest';
import { TUBE_AUDIENCE } from '../../fixtures/authorization-server.ts';
import { HOSTILE, HostilePeripheral } from '../../fixtures/hostile-peripheral.ts';
import { World } from '../../fixtures/world.ts';

let world: World;
let hostile: HostilePeripheral;

afterEach(async () => {
  hostile.close();
  await world.close();
});

const lines = (event: string) => world.hub.output.filter((line) => line.includes(`"event":"${event}"`));

test.each(Object.entries(HOSTILE))(
  '%s: the peer is hung up on, and the device gets its token',
  async (_, hostility) => {
    world = await World.open({ air: {}, settings: '[delivery]\nwait = "0s"\n' });
    const controller = world.air.radio.controller({ advertisingInterval: 20 });
    hostile = new HostilePeripheral(controller, 'tube-1', hostility);
    hostile.start();
    const token = await world.token();
    const { id } = await world.client().deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token, wait: 0 });
    const refused = await world.hub.event('radio_packet_refused');
    expect(refused).toMatchObject({ address: controller.address });
    await world.until(() => controller.links.size === 0);
    await world.plugIn();
    await world.until(async () => (await world.client().delivery(id)).state === 'delivered');
    expect(world.device.acceptedTokens).toBe(1);
    expect(hostile.connections).toBeGreaterThan(0);
    // The gate was enough: the stack saw nothing of it.
    expect([lines('radio_lost'), lines('radio_output')]).toEqual([[], []]);
    const { radio } = await world.ask<{ radio: { up: boolean; counters: Record<string, number> } }>('status');
    expect(radio.up).toBe(true);
    expect(radio.counters.brokenRules).toBeGreaterThan(0);
  },
);
