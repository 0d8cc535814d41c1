/** A power cut at every single write of the hub while its key is rotated and devices are told. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { adminRequest } from '../../src/cli/admin-client.ts';
import { readTrustFile } from '../../src/codec/trust-file.ts';
import type { TrustView } from '../../src/ports/admin.ts';
import type { DeviceEvent } from '../../src/sim/device-event.ts';
import { startSimulator } from '../../src/simulator.ts';
import { TUBE_AUDIENCE } from '../fixtures/authorization-server.ts';
import { World } from '../fixtures/world.ts';

const CRASH = fileURLToPath(new URL('../fixtures/crash-at-write.cjs', import.meta.url));
/** Far more writes than a rotation takes: the loop ends by itself. */
const MOST_WRITES = 100;

let world: World;

afterEach(() => world.close());

/** One hub that dies at its `write`th write. False: it wrote less than that. */
async function rotateUntilCrash(write: number, when: 'before' | 'after'): Promise<boolean> {
  try {
    world.hub = await world.folder.start({
      NODE_OPTIONS: `--require ${CRASH}`,
      CRASH_AT: String(write),
      CRASH_WHEN: when,
    });
  } catch {
    return true;
  }
  // Rejects when the hub ends, and what was asked of it is over then too.
  const ended = world.hub.event('never').catch(() => undefined);
  await Promise.race([ended, rotate().catch(() => undefined)]);
  return (await world.hub.stop('SIGTERM')) === 'SIGKILL';
}

async function rotate(): Promise<void> {
  await admin('POST', '/trust/hub-key');
  await settled();
}

/** What the hub answers on its admin socket; without a program in between, since this is asked very often. */
function admin(method: 'GET' | 'POST', path: string): Promise<unknown> {
  return adminRequest({ sockets: [join(world.folder.path, 'state', 'admin.sock')], method, path });
}

/** The device's trust once nothing is waiting. */
async function settled(): Promise<TrustView> {
  for (let turn = 0; turn < 500; turn += 1) {
    const [view] = (await admin('GET', '/trust')) as readonly TrustView[];
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
    let rotated = 0;
    for (let write = 1; ; write += 1) {
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
        if (!(await rotateUntilCrash(write, when))) break;
        world.hub = await world.folder.start();
        const at = `${when} write ${write}`;
        const { signed_by: signedBy, version } = await settled();
        expect([at, version]).toEqual([at, device.device.trustVersion]);
        const token = await world.token();
        const delivery = await world.client().deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token });
        expect([at, delivery.state]).toEqual([at, 'delivered']);
        expect([at, events.filter(({ event }) => event === 'token_refused')]).toEqual([at, []]);
        if (signedBy !== keyOfTemplate()) rotated += 1;
      } finally {
        world.relay.plug(undefined);
        await device.close();
        await world.hub.stop('SIGKILL');
      }
    }
    // A loop that never got as far as another key would prove nothing.
    expect(rotated).toBeGreaterThan(1);
  },
  600_000,
);

/** The key of the hub in the trust file: that of before the rotation. */
function keyOfTemplate(): string {
  const { keys } = JSON.parse(world.trust) as { readonly keys: readonly { readonly kid: string }[] };
  return keys[0]?.kid ?? '';
}
