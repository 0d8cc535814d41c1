/**
 * The calendar of the hub jumps under mixed load, by minutes up to ten years, both ways; the hub is killed before, in and
 * after it, and tokens wait for a device that is away. `CHAOS_CLOCKS=100 npm run chaos` goes on for longer; `CHAOS_SEED`
 * repeats a run.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { FakeTime } from '../fakes/fake-time.ts';
import { Load } from './load.ts';
import { ChaosSite } from './site.ts';

const MINUTE = 60;
const HOUR = 3_600;
const DAY = 86_400;
const YEARS = 3_653 * DAY;
const JUMPS = [HOUR, -YEARS, DAY, -HOUR, YEARS, 2 * MINUTE, -DAY, -2 * MINUTE];

const count = Number(process.env.CHAOS_CLOCKS ?? 3);
const seed = Number(process.env.CHAOS_SEED ?? 24);
/** Milliseconds that the calendar is wrong; and those after which a start has written its floor down, which comes after 5 s. */
const SHORT = 500;
const LONG = 6_000;
const KILL = 0.5;
/** A clock that is further back than this can only have been wrong before. */
const FURTHEST_HELD = 12 * HOUR;

let site: ChaosSite | undefined;
let shiftFile = '';
afterEach(() => site?.close());

function shift(seconds: number): void {
  writeFileSync(shiftFile, String(seconds));
}

async function open(): Promise<ChaosSite> {
  const opened = await ChaosSite.open({
    prepare: ({ environment, folder }) => {
      shiftFile = join(folder.path, 'shift');
      shift(0);
      const hook = fileURLToPath(new URL('../fixtures/shifted-clock.mjs', import.meta.url));
      Object.assign(environment, { NODE_OPTIONS: `--import ${hook}`, SHIFTED_CLOCK: shiftFile });
    },
  });
  site = opened;
  return opened;
}

async function isBehindFloor(opened: ChaosSite): Promise<boolean> {
  return (await opened.conditions()).includes('clock_behind_floor');
}

async function resetClock(opened: ChaosSite): Promise<void> {
  const { err, status } = await opened.command('clock', 'reset');
  expect([status, err]).toEqual([0, '']);
}

test(
  'whatever the calendar says, nothing is lost, doubled or shut out',
  async () => {
    const random = new FakeTime({ seed });
    const opened = await open();
    let [acknowledged, kills, resets] = [0, 0, 0];
    const maybeKill = async () => {
      if (random.fraction() >= KILL) return;
      kills += 1;
      await opened.restart();
    };
    for (let number = 0; number < count; number += 1) {
      const jump = JUMPS[number % JUMPS.length] as number;
      const load = new Load(opened);
      await load.advance(15);
      const isAway = random.fraction() < 0.5;
      if (isAway) opened.connect(false);
      await load.advance(15);
      shift(jump);
      await sleep(SHORT);
      await maybeKill();
      if (jump === HOUR) await sleep(LONG);
      await maybeKill();
      shift(0);
      await maybeKill();
      if (await isBehindFloor(opened)) {
        // No clock of a network and no server says that the clock is right: the operator does.
        expect(jump).toBeGreaterThan(0);
        expect(jump).toBeLessThan(FURTHEST_HELD);
        resets += 1;
        await resetClock(opened);
      }
      const deliveries = opened.acknowledged.deliveries.size;
      const proofs = opened.acknowledged.proofs.length;
      await load.advance(15);
      if (isAway) opened.connect(true);
      await load.stop();
      acknowledged += load.acknowledged;
      // Tokens of now are accepted for both kinds of device.
      expect(opened.acknowledged.deliveries.size).toBeGreaterThan(deliveries);
      expect(opened.acknowledged.proofs.length).toBeGreaterThan(proofs);
      await opened.check().catch((error: unknown) => {
        throw new Error(`after a jump of ${jump} s: ${error instanceof Error ? error.message : String(error)}`);
      });
    }
    process.stdout.write(
      `clocks, seed ${seed}: ${count} jumps, ${kills} kills, ${resets} resets, ${acknowledged} steps acknowledged, ${opened.summary()}\n`,
    );
    expect(kills).toBeGreaterThan(0);
    expect(resets).toBeGreaterThan(0);
  },
  60_000 + count * 30_000,
);

test('a day that the clock of the hub and that of an issuer were wrong together is left by `latchkey clock reset`', async () => {
  const opened = await open();
  const before = new Load(opened);
  await before.advance(15);
  await before.stop();
  await opened.check();
  shift(DAY);
  // A good token of then confirms the time. What waits ends as expired by it, so here nothing waits.
  await opened.relay(DAY);
  const meanwhile = new Load(opened);
  await sleep(SHORT);
  await meanwhile.stop();
  expect(meanwhile.refused.has('jwt_expired')).toBe(true);
  shift(0);
  // In good order, with which the floor is written.
  await opened.restart('SIGTERM');
  await opened.restart();
  expect(await isBehindFloor(opened)).toBe(true);
  await expect(opened.deliver()).rejects.toMatchObject({ hubCode: 'jwt_expired' });
  await resetClock(opened);
  expect(await isBehindFloor(opened)).toBe(false);
  const after = new Load(opened);
  await after.advance(15);
  await after.stop();
  await opened.check();
});
