/** The process of the radio dies, hangs, or loses its hub. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { IGNORED_SIGNALS } from '../../../drivers/child-prologue.ts';
import { TUBE_AUDIENCE } from '../../fixtures/authorization-server.ts';
import { isRunning } from '../../fixtures/is-running.ts';
import { ATTRIBUTE } from '../../fixtures/virtual-radio/hci-numbers.ts';
import { World } from '../../fixtures/world.ts';

let world: World;

afterEach(() => world.close());

/** Processes that the hub started and that run, by their ids: one that was killed is listed until the hub has taken note of its end. */
function processes(): readonly number[] {
  const { pid } = world.hub;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return children === '' ? [] : children.split(' ').map(Number).filter(isRunning);
}

/**
 * The one process of the radio, once it has the adapter. The controller alone does not say so: it goes on scanning where its
 * process was killed, and the next one may have no program yet. One that is stopped then keeps libuv's spawn from returning.
 */
async function radioProcess(): Promise<number> {
  await world.hub.event('radio_opened');
  await world.until(() => processes().length === 1 && world.air.hub.controller.isScanning);
  return processes()[0] as number;
}

async function deliver(): Promise<string> {
  const token = await world.token();
  return (await world.client().deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token, wait: 0 })).id;
}

const delivered = (id: string) => async () => (await world.client().delivery(id)).state === 'delivered';

interface Status {
  readonly radio: { readonly up: boolean; readonly lastError?: string; readonly counters: Record<string, number> };
  readonly conditions: readonly { readonly code: string }[];
}

test.each(['SIGKILL', 'SIGSTOP'] as const)(
  '%s under a delivery: the hub answers meanwhile, and the device has its token after it',
  async (signal) => {
    world = await World.open({ air: {}, settings: '[delivery]\nwait = "0s"\nattempt_timeout = "60s"\n' });
    const tube = await world.tubeAdapter();
    await world.plugIn();
    // The device has what it is to trust, and the link is let go.
    await world.until(() => world.held === 2 && tube.controller.links.size === 0);
    const pid = await radioProcess();
    // The answer of the device is on its way for as long as it takes.
    tube.controller.faults.drop('toCentral', ATTRIBUTE.indication);
    const id = await deliver();
    const answered = () =>
      tube.controller.lastLink?.attributes.some(({ opcode }) => opcode === ATTRIBUTE.indication) === true;
    await world.until(() => tube.controller.links.size === 1 && answered());
    process.kill(pid, signal);
    const slowest: number[] = [];
    await world.until(async () => {
      const began = performance.now();
      await world.client().delivery(id);
      slowest.push(performance.now() - began);
      return !isRunning(pid);
    });
    expect(Math.max(...slowest)).toBeLessThan(1_000);
    const lost = await world.hub.event('radio_lost');
    expect(lost).toMatchObject({ code: 'radio_process_failed' });
    tube.controller.faults.pass('toCentral', ATTRIBUTE.indication);
    await world.until(delivered(id));
    expect(world.device.acceptedTokens).toBeGreaterThan(0);
    const { radio } = await world.ask<Status>('status');
    expect(radio).toMatchObject({ up: true, counters: { adapterLost: 1 } });
  },
);

test('that cannot stay alive shows as a condition, and is started again with pauses', async () => {
  world = await World.open({ air: {} });
  let killed = 0;
  const conditions: string[] = [];
  await world.until(async () => {
    for (const pid of processes()) {
      process.kill(pid, 'SIGKILL');
      killed += 1;
    }
    const status = await world.ask<Status>('status');
    conditions.push(...status.conditions.map(({ code }) => code));
    return killed >= 3 && conditions.includes('radio_process_failed');
  }, 50);
  await world.until(async () => (await world.ask<Status>('status')).radio.up);
  const { conditions: left } = await world.ask<Status>('status');
  expect(left.map(({ code }) => code)).not.toContain('radio_process_failed');
});

test('is gone when its hub is killed, and when its hub is told to stop while it hangs', async () => {
  world = await World.open({ air: {} });
  const orphan = await radioProcess();
  await world.hub.stop('SIGKILL');
  await world.until(() => !isRunning(orphan));
  world.hub = await world.folder.start();
  const hanging = await radioProcess();
  process.kill(hanging, 'SIGSTOP');
  const began = performance.now();
  expect(await world.hub.stop()).toBe(0);
  expect(performance.now() - began).toBeLessThan(5_000);
  expect(isRunning(hanging)).toBe(false);
});

test('leaves the signals of a terminal and of systemd to the hub', async () => {
  world = await World.open({ air: {} });
  await world.tubeAdapter();
  await world.plugIn();
  const pid = await radioProcess();
  expect(IGNORED_SIGNALS).toContain('SIGQUIT');
  for (const signal of IGNORED_SIGNALS) process.kill(pid, signal);
  await world.until(delivered(await deliver()));
  expect(processes()).toEqual([pid]);
  const { radio } = await world.ask<Status>('status');
  expect(radio.counters.adapterLost ?? 0).toBe(0);
});

test('has nothing of the hub but its connection', async () => {
  world = await World.open({ air: {} });
  await world.hub.stop();
  world.hub = await world.folder.start({ LATCHKEY_SECRET: 'not for it' });
  const pid = await radioProcess();
  expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).toBe('');
  const files = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  expect(files.filter((file) => file.includes(world.folder.path))).toEqual([]);
  const sockets = files.filter((file) => file.startsWith('socket:'));
  // Standard output and error, and the connection.
  expect(sockets).toHaveLength(3);
});

/** The least of what is read within a second. */
async function least(read: () => number): Promise<number> {
  let found = read();
  for (let reading = 0; reading < 20; reading += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    found = Math.min(found, read());
  }
  return found;
}

test('that dies again and again leaves neither memory nor files behind', async () => {
  world = await World.open({ air: {} });
  await world.hub.stop();
  // Without this, what is resident says when V8 last collected its young objects, up to 48 MiB of them, and little else.
  world.hub = await world.folder.start({ NODE_OPTIONS: '--max-semi-space-size=1' });
  const files = () => readdirSync(`/proc/${world.hub.pid}/fd`).length;
  const memory = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${world.hub.pid}/status`, 'utf8'))?.[1]);
  const die = async (times: number) => {
    for (let death = 0; death < times; death += 1) {
      await world.until(() => processes().length === 1);
      const [pid] = processes();
      process.kill(pid as number, 'SIGKILL');
      await world.until(() => !processes().includes(pid as number));
    }
    await radioProcess();
  };
  await die(2);
  // The pipes of a process close some time after its end, and its successor has some already. What stays open is what counts.
  const few = await least(files);
  const before = memory();
  await die(4);
  await world.until(() => files() <= few);
  expect(memory() - before).toBeLessThan(8_192);
});
