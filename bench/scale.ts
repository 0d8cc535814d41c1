/**
 * How much slower a hub is that has much: 30,000 waiting tokens against none, 10,000 devices against none. Both are the built
 * hub with its real store, over HTTP and the admin socket, and take turns within one run.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Figure, quantile } from './harness.ts';
import { deviceId, KeyServer, LINES, ScaledHub } from './scaled-hub.ts';

const WAITING = 30_000;
const DEVICES = 10_000;
/** Milliseconds that no work on all devices may keep the others waiting. */
const LONGEST_STALL = 100;
/** Milliseconds after which what a start, a rotation or new keys set off is over, on a slow machine too. */
const AFTERWARDS = 6_000;

export interface ScaleEffort {
  /** Tokens that each of both hubs accepts. */
  readonly tokens: number;
  /** Starts of each of both hubs. */
  readonly starts: number;
}

export async function scaleFigures(effort: ScaleEffort): Promise<readonly Figure[]> {
  const keys = await KeyServer.start();
  try {
    return [await queueFigure(keys, effort.tokens), ...(await deviceFigures(keys, effort.starts))];
  } finally {
    keys.close();
  }
}

async function queueFigure(keys: KeyServer, tokens: number): Promise<Figure> {
  const empty = await ScaledHub.fill(keys, { devices: LINES, waiting: 0 });
  const full = await ScaledHub.fill(keys, { devices: LINES, waiting: WAITING - tokens });
  try {
    for (const hub of [empty, full]) await hub.start();
    const first: number[] = [];
    const last: number[] = [];
    for (let count = 0; count < tokens; count += 1) {
      const device = deviceId(count % LINES);
      first.push(await empty.deliver(device));
      last.push(await full.deliver(device));
    }
    const [before, after] = [quantile(first, 0.5), quantile(last, 0.5)];
    return {
      name: 'waiting-tokens-rate',
      value: before / after,
      goal: 0.8,
      better: 'higher',
      remark: `of the rate with none waiting, with ${WAITING} over ${LINES} devices; p50 ${before.toFixed(2)} ms and ${after.toFixed(2)} ms, ${tokens} tokens each`,
    };
  } finally {
    for (const hub of [empty, full]) await hub.remove();
  }
}

async function deviceFigures(keys: KeyServer, starts: number): Promise<readonly Figure[]> {
  const empty = await ScaledHub.fill(keys, { devices: 0, waiting: 0 });
  const full = await ScaledHub.fill(keys, { devices: DEVICES, waiting: 0 });
  try {
    const emptyTimes: number[] = [];
    const fullTimes: number[] = [];
    for (let start = 0; start < starts; start += 1) {
      for (const [hub, times] of [
        [empty, emptyTimes],
        [full, fullTimes],
      ] as const) {
        times.push(await hub.start());
        await hub.stop();
      }
    }
    const [none, many] = [quantile(emptyTimes, 0.5), quantile(fullTimes, 0.5)];
    const stalls = await stallsOf(full, keys);
    const worst = Math.max(...stalls.values());
    return [
      {
        name: 'start-with-10000-devices',
        value: many / none,
        goal: 3,
        better: 'lower',
        remark: `times a start without any; ready after ${many.toFixed(0)} ms and ${none.toFixed(0)} ms, middle of ${starts}`,
      },
      {
        name: 'stall-with-10000-devices',
        value: worst,
        goal: LONGEST_STALL,
        better: 'lower',
        remark: `ms at most; ${[...stalls].map(([what, stall]) => `${what} ${stall.toFixed(0)}`).join(', ')}`,
      },
    ];
  } finally {
    for (const hub of [empty, full]) await hub.remove();
  }
}

/** The longest stall while the hub does what it does for all of its devices, milliseconds each. */
async function stallsOf(hub: ScaledHub, keys: KeyServer): Promise<ReadonlyMap<string, number>> {
  const stalls = new Map<string, number>();
  const measured = async (what: string, action: () => Promise<unknown>) => {
    await action();
    await sleep(AFTERWARDS);
    stalls.set(what, await hub.longestStall());
  };
  await measured('start', () => hub.start());
  // What the machine does to a hub that does nothing.
  await measured('nothing', async () => undefined);
  await measured('status', () => hub.admin('GET', '/status'));
  await measured('trust status', () => hub.admin('GET', '/trust'));
  await measured('hub key', () => hub.admin('POST', '/trust/hub-key'));
  // The hub asks for new keys when it meets a token that is signed by one.
  keys.rotate();
  await measured('AS key', () => hub.deliver(deviceId(0)));
  await measured('status after', () => hub.admin('GET', '/status'));
  return stalls;
}
