/** A power cut at every single write of the hub while its key is rotated and devices are told. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { adminRequest } from '../../src/cli/admin-client.ts';
import { readTrustFile } from '../../src/codec/trust-file.ts';
import type { Page, TrustView } from '../../src/ports/admin.ts';
import type { DeviceEvent } from '../../src/sim/device-event.ts';
import { startSimulator } from '../../src/simulator.ts';
import { TUBE_AUDIENCE } from '../fixtures/authorization-server.ts';
import { type CrashedRun, runUntilCrash } from '../fixtures/crashing-hub.ts';
import type { HubProcess } from '../fixtures/hub-process.ts';
import { World } from '../fixtures/world.ts';

/** Far more writes than a rotation takes: the loop ends by itself. */
const MOST_WRITES = 100;
/** The new keys, a bundle with them begun and confirmed, the old ones retired twice, and the audit of all this. */
const LEAST_WRITES = 8;
/** Of these, what comes after the new keys are on the medium. */
const LEAST_AFTER = 5;

let world: World;

afterEach(() => world.close());

/** Rejects when the hub ends, and what was asked of it is over then too. */
async function rotate(hub: HubProcess): Promise<void> {
  world.hub = hub;
  const work = async () => {
    await admin('POST', '/trust/hub-key');
    await settled();
  };
  await Promise.race([hub.event('never'), work()]);
}

/** What the hub answers on its admin socket; without a program in between, since this is asked very often. */
function admin(method: 'GET' | 'POST', path: string): Promise<unknown> {
  return adminRequest({ sockets: [join(world.folder.path, 'state', 'admin.sock')], method, path });
}

/** The device's trust once nothing is waiting. */
async function settled(): Promise<TrustView> {
  const deadline = performance.now() + 30_000;
  while (performance.now() < deadline) {
    const { items } = (await admin('GET', '/trust')) as Page<TrustView>;
    const [view] = items;
    if (view?.state === 'current' && world.counted(view.version) > 1) return view;
    if (view?.state !== 'waiting' && view?.state !== 'current') throw new Error(JSON.stringify(view));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('the device never got what it should trust');
}

test.each(['before', 'after'] as const)(
  'a hub that dies %s any of its writes still finds its way to the device, which takes its tokens',
  async (when) => {
    world = await World.open({
      settings: '[delivery]\nwait = "0s"\nretry_max = "1s"\n',
      device: ['--wrap', 'sign1'],
    });
    await world.hub.stop('SIGTERM');
    const state = join(world.folder.path, 'state');
    const template = join(world.folder.path, 'template');
    cpSync(state, template, { recursive: true });
    /** The key that the device trusts in the end, after each crash: by the number of the write less one. */
    const keys: (string | undefined)[] = [];
    let last: CrashedRun | undefined;
    while (last === undefined) {
      const write = keys.length + 1;
      expect(write).toBeLessThan(MOST_WRITES);
      rmSync(state, { recursive: true });
      cpSync(template, state, { recursive: true });
      const events: DeviceEvent[] = [];
      const device = await startSimulator({
        listen: 'tcp://127.0.0.1:0',
        trust: readTrustFile(world.trust),
        onEvent: (event) => events.push(event),
      });
      world.relay.plug(device.address);
      try {
        const run = await runUntilCrash(world.folder, { write, when }, rotate);
        if (run.diedAt === undefined) {
          last = run;
          continue;
        }
        // Killed at this very write, no sooner and no later.
        expect(run.diedAt).toBe(write);
        world.hub = await world.folder.start();
        const at = `${when} write ${write}`;
        const { signed_by: signedBy, version } = await settled();
        expect([at, version]).toEqual([at, device.device.trustVersion]);
        const token = await world.token();
        const delivery = await world.client().deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token });
        expect([at, delivery.state]).toEqual([at, 'delivered']);
        expect([at, events.filter(({ event }) => event === 'token_refused')]).toEqual([at, []]);
        keys.push(signedBy);
      } finally {
        world.relay.plug(undefined);
        await device.close();
        await world.hub.stop('SIGKILL');
      }
    }
    // Every write of a whole run had its crash, and what makes up a rotation is among them.
    expect(keys.length).toBeGreaterThanOrEqual(last.writes);
    expect(last.writes).toBeGreaterThanOrEqual(LEAST_WRITES);
    // Some before there was another key, and more after.
    const after = keys.filter((key) => key !== keyOfTemplate());
    expect(after.length).toBeLessThan(keys.length);
    expect(after.length).toBeGreaterThanOrEqual(LEAST_AFTER);
  },
  600_000,
);

/** The key of the hub in the trust file: that of before the rotation. */
function keyOfTemplate(): string {
  const { keys } = JSON.parse(world.trust) as { readonly keys: readonly { readonly kid: string }[] };
  return keys[0]?.kid ?? '';
}
