/** A power cut at every single write of the hub, one after the other. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import type { Delivery, DpopToken } from '../../src/client/index.ts';
import { readTrustFile } from '../../src/codec/trust-file.ts';
import { base64url } from '../../src/core/bytes.ts';
import type { DeviceEvent } from '../../src/sim/device-event.ts';
import { startSimulator } from '../../src/simulator.ts';
import { TUBE_AUDIENCE } from '../fixtures/authorization-server.ts';
import { World } from '../fixtures/world.ts';

const CRASH = fileURLToPath(new URL('../fixtures/crash-at-write.cjs', import.meta.url));
/** Far more writes than two deliveries take: the loop ends by itself. */
const MOST_WRITES = 200;

let world: World;

afterEach(() => world.close());

interface Told {
  readonly delivery: Delivery;
  /** Whether the client was told that the device has it. */
  readonly asDelivered: boolean;
}

/** One hub that dies at its `write`th write, and what clients had been told by then. Undefined: it wrote less than that. */
async function runUntilCrash(write: number, when: 'before' | 'after', plugIn: () => void) {
  const told: Told[] = [];
  const tokens = [await world.token(), await world.token()];
  const deliver = async (token: DpopToken | undefined, wait: number) => {
    if (token === undefined) throw new Error('no token');
    const delivery = await world.client().deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token, wait });
    told.push({ delivery, asDelivered: delivery.state === 'delivered' });
  };
  try {
    world.hub = await world.folder.start({
      NODE_OPTIONS: `--require ${CRASH}`,
      CRASH_AT: String(write),
      CRASH_WHEN: when,
    });
  } catch {
    // It died before it was ready: nobody was told anything.
    return told;
  }
  try {
    await deliver(tokens[0], 0);
    plugIn();
    await world.hub.event('delivery_delivered');
    await deliver(tokens[1], 5_000);
  } catch {
    // What it was in the middle of is not answered.
  }
  return (await world.hub.stop('SIGTERM')) === 'SIGKILL' ? told : undefined;
}

test.each(['before', 'after'] as const)(
  'a hub that dies %s any of its writes loses nothing that was answered with 202 and delivers nothing twice',
  async (when) => {
    world = await World.open({ settings: '[delivery]\nwait = "0s"\n' });
    await world.hub.stop('SIGTERM');
    const state = join(world.folder.path, 'state');
    const template = join(world.folder.path, 'template');
    cpSync(state, template, { recursive: true });
    let write = 0;
    let promised = 0;
    for (;;) {
      write += 1;
      expect(write).toBeLessThan(MOST_WRITES);
      rmSync(state, { recursive: true });
      cpSync(template, state, { recursive: true });
      const events: DeviceEvent[] = [];
      const device = await startSimulator({
        listen: 'tcp://127.0.0.1:0',
        trust: readTrustFile(world.trust),
        onEvent: (event) => events.push(event),
      });
      const plugIn = () => world.relay.plug(device.address);
      try {
        const told = await runUntilCrash(write, when, plugIn);
        if (told === undefined) break;
        world.hub = await world.folder.start();
        plugIn();
        await checkPromises(told, events, `${when} write ${write}`);
        promised += told.length;
      } finally {
        world.relay.plug(undefined);
        await device.close();
        await world.hub.stop('SIGKILL');
      }
    }
    // A loop that never got as far as a promise would prove nothing.
    expect(promised).toBeGreaterThan(3);
  },
  300_000,
);

async function checkPromises(told: readonly Told[], events: readonly DeviceEvent[], at: string): Promise<void> {
  const client = world.client();
  for (const { delivery, asDelivered } of told) {
    const now = asDelivered ? await client.delivery(delivery.id) : await delivered(delivery.id);
    expect([at, now.state]).toEqual([at, 'delivered']);
    const hash = base64url(delivery.tokenHash);
    const accepted = events.filter((each) => each.event === 'token_accepted' && each.token === hash);
    expect([at, accepted.length]).toEqual([at, 1]);
  }
  const accepted = events.flatMap((each) => (each.event === 'token_accepted' ? [each.token] : []));
  expect([at, accepted.length]).toEqual([at, new Set(accepted).size]);
  const audit = await world.folder.command('audit', 'verify', '--config', world.folder.config);
  expect([at, audit.status]).toEqual([at, 0]);
}

/** The delivery once it has ended, or after 10 s as it is. */
async function delivered(id: string): Promise<Delivery> {
  const client = world.client();
  let delivery = await client.delivery(id);
  for (let turn = 0; delivery.state === 'queued' && turn < 200; turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    delivery = await client.delivery(id);
  }
  return delivery;
}
