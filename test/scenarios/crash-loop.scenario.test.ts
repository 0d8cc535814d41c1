/** A power cut at every single write of the hub, one after the other. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { Delivery, DpopToken } from '../../src/client/index.ts';
import { readTrustFile } from '../../src/codec/trust-file.ts';
import { base64url } from '../../src/core/bytes.ts';
import type { DeviceEvent } from '../../src/sim/device-event.ts';
import { startSimulator } from '../../src/simulator.ts';
import { TUBE_AUDIENCE } from '../fixtures/authorization-server.ts';
import { type CrashedRun, type CrashWhen, runUntilCrash } from '../fixtures/crashing-hub.ts';
import { World } from '../fixtures/world.ts';

/** Far more writes than two deliveries take: the loop ends by itself. */
const MOST_WRITES = 200;
/** Both tokens queued and ended, the bundle begun and confirmed, and two batches of the audit at least. */
const LEAST_WRITES = 8;
/** Of these, all that come after the first 202 but for the audit, which has a time of its own. */
const LEAST_PROMISES = 5;

let world: World;

afterEach(() => world.close());

interface Told {
  readonly delivery: Delivery;
  /** Whether the client was told that the device has it. */
  readonly asDelivered: boolean;
}

/** One hub that dies at its `write`th write, and what clients had been told by then. */
async function deliverUntilCrash(write: number, when: CrashWhen, plugIn: () => void) {
  const told: Told[] = [];
  const tokens = [await world.token(), await world.token()];
  const run = await runUntilCrash(world.folder, { write, when }, async (hub) => {
    world.hub = hub;
    const deliver = async (token: DpopToken | undefined, wait: number) => {
      if (token === undefined) throw new Error('no token');
      const delivery = await world.client().deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token, wait });
      told.push({ delivery, asDelivered: delivery.state === 'delivered' });
    };
    await deliver(tokens[0], 0);
    plugIn();
    await hub.event('delivery_delivered');
    await deliver(tokens[1], 5_000);
  });
  return { ...run, told };
}

test.each(['before', 'after'] as const)(
  'a hub that dies %s any of its writes loses nothing that was answered with 202 and delivers nothing twice',
  async (when) => {
    world = await World.open({ settings: '[delivery]\nwait = "0s"\n' });
    await world.hub.stop('SIGTERM');
    const state = join(world.folder.path, 'state');
    const template = join(world.folder.path, 'template');
    cpSync(state, template, { recursive: true });
    /** What was told before each crash, by the number of the write less one. */
    const promises: number[] = [];
    let last: CrashedRun | undefined;
    while (last === undefined) {
      const write = promises.length + 1;
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
        const { told, ...run } = await deliverUntilCrash(write, when, plugIn);
        if (run.diedAt === undefined) {
          last = run;
          expect(told).toHaveLength(2);
          continue;
        }
        // Killed at this very write, no sooner and no later.
        expect(run.diedAt).toBe(write);
        world.hub = await world.folder.start();
        plugIn();
        await checkPromises(told, events, `${when} write ${write}`);
        promises.push(told.length);
      } finally {
        world.relay.plug(undefined);
        await device.close();
        await world.hub.stop('SIGKILL');
      }
    }
    // Every write of a whole run had its crash, and what makes up two deliveries is among them.
    expect(promises.length).toBeGreaterThanOrEqual(last.writes);
    expect(last.writes).toBeGreaterThanOrEqual(LEAST_WRITES);
    // Crashes before the first promise prove nothing of promises.
    expect(promises.filter((told) => told > 0).length).toBeGreaterThanOrEqual(LEAST_PROMISES);
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

/** The delivery once it has ended. */
async function delivered(id: string): Promise<Delivery> {
  const client = world.client();
  await world.until(async () => (await client.delivery(id)).state !== 'queued', 50);
  return client.delivery(id);
}
