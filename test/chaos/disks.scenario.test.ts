/**
 * A disk that fails under mixed load: single faults at random syncs and writes, a disk that is full for a while, one that is
 * read-only for a while. `CHAOS_FAULTS=500 npm run chaos` goes on for longer; `CHAOS_SEED` repeats a run.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { FakeTime } from '../fakes/fake-time.ts';
import { DiskFaults } from '../fixtures/disk-faults.ts';
import { Load } from './load.ts';
import { ChaosSite } from './site.ts';

const count = Number(process.env.CHAOS_FAULTS ?? 8);
const seed = Number(process.env.CHAOS_SEED ?? 22);
/** The call that fails is at most so far from the order. */
const FURTHEST = 12;
/** Steps between two faults. */
const BETWEEN = 6;
/** One fault in four is followed by a kill at once, so that what is on the disk shows. */
const WITH_KILL = 0.25;
const CHECK_EVERY = 12;
/** Milliseconds of a disk that is full, or read-only. */
const FAULT_LASTS = 3_000;
/** MiB that a hub may grow by under load: what V8 collects late included. */
const GROWTH = 96;
/** Lines that the hub may write about one fault: its beginning and end per database, and each request that it refused. */
const LINES_PER_FAULT = 40;

let site: ChaosSite | undefined;
let faults: DiskFaults | undefined;
let unmount: (() => void) | undefined;
afterEach(async () => {
  faults?.end();
  await site?.hub?.stop('SIGKILL');
  unmount?.();
  await site?.close();
  faults?.remove();
  [site, faults, unmount] = [undefined, undefined, undefined];
});

async function siteWithFaults(): Promise<{ readonly site: ChaosSite; readonly faults: DiskFaults }> {
  const opened = await ChaosSite.open({
    prepare: (preparing) => {
      faults = new DiskFaults(preparing.state);
      Object.assign(preparing.environment, faults.environment);
    },
  });
  site = opened;
  return { site: opened, faults: faults as DiskFaults };
}

/** As root, by sudo where the test is not. @throws {Error} with what the system said */
function asRoot(...command: readonly string[]): void {
  const all = process.getuid?.() === 0 ? command : ['sudo', '-n', ...command];
  execFileSync(all[0] as string, all.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
}

function siteOnOwnDisk(): Promise<ChaosSite> {
  return ChaosSite.open({
    prepare: (preparing) => {
      site = preparing;
      const { state } = preparing;
      mkdirSync(state, { mode: 0o700 });
      const owner = `uid=${process.getuid?.()},gid=${process.getgid?.()}`;
      asRoot('mount', '-t', 'tmpfs', '-o', `size=48m,mode=0700,${owner}`, 'tmpfs', state);
      unmount = () => asRoot('umount', '--lazy', state);
    },
  });
}

/** Resident MiB. */
function memoryOf({ hub }: ChaosSite): number {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${hub.pid}/status`, 'utf8')) ?? [];
  return Number(kib) / 1_024;
}

/** Lines of the hub that are not about work that succeeded. */
function complaints({ hub }: ChaosSite): number {
  return hub.output.filter((line) => /"level":"(warn|error)"/.test(line)).length;
}

test(
  'a single EIO or ENOSPC at any sync or write loses nothing, and needs no restart',
  async () => {
    const random = new FakeTime({ seed });
    const { faults, site } = await siteWithFaults();
    let load = new Load(site);
    await load.advance(BETWEEN);
    let memory = memoryOf(site);
    let [acknowledged, hits, kills] = [0, 0, 0];
    for (let fault = 1; fault <= count; fault += 1) {
      const before = faults.hits;
      const said = complaints(site);
      faults.order({
        call: random.fraction() < 0.6 ? 'sync' : 'write',
        errno: random.fraction() < 0.5 ? 'EIO' : 'ENOSPC',
        from: 1 + Math.floor(random.fraction() * FURTHEST),
      });
      const from = load.acknowledged;
      while (faults.hits === before && load.acknowledged < from + 60) await load.advance(1);
      hits += faults.hits - before;
      if (random.fraction() < WITH_KILL) {
        kills += 1;
        await site.hub.stop('SIGKILL');
        // The fault may come in the start.
        await site.startAgain(/disk_full|store_failing/, () => faults.end());
        await load.advance(BETWEEN);
        memory = memoryOf(site);
      } else {
        await load.advance(BETWEEN);
        expect(complaints(site) - said).toBeLessThan(LINES_PER_FAULT);
        expect(memoryOf(site) - memory).toBeLessThan(GROWTH);
      }
      if (fault % CHECK_EVERY !== 0 && fault !== count) continue;
      faults.end();
      await load.stop();
      acknowledged += load.acknowledged;
      await site.check();
      expect(await site.conditions()).not.toContain('store_failing');
      if (fault < count) load = new Load(site);
    }
    process.stdout.write(
      `disks, seed ${seed}: ${hits} faults, ${kills} kills, ${acknowledged} steps acknowledged, ${site.summary()}\n`,
    );
    expect(hits).toBeGreaterThan(count / 2);
  },
  60_000 + count * 10_000,
);

/** Runs into a fault that lasts, and out of it. */
async function across(opened: ChaosSite, begin: () => void, end: () => void, refusal: RegExp): Promise<void> {
  const load = new Load(opened);
  await load.advance(20);
  const memory = memoryOf(opened);
  const said = complaints(opened);
  begin();
  await sleep(FAULT_LASTS);
  expect([...load.refused.keys()].join(' ')).toMatch(refusal);
  const refused = [...load.refused.values()].reduce((sum, each) => sum + each, 0);
  // Many more requests are refused than lines are written.
  expect(complaints(opened) - said).toBeLessThan(LINES_PER_FAULT * 2);
  process.stdout.write(`disks: ${refused} refused, ${complaints(opened) - said} lines\n`);
  end();
  await load.advance(20);
  await load.stop();
  expect(memoryOf(opened) - memory).toBeLessThan(GROWTH);
  await opened.check();
  expect((await opened.conditions()).filter((code) => /^(store|audit|disk)_/.test(code))).toEqual([]);
  await opened.restart();
  await opened.check();
}

test('a disk that is full, then has room again, loses nothing', async () => {
  const opened = await siteOnOwnDisk();
  const ballast = join(opened.state, 'ballast');
  await across(
    opened,
    () => fill(ballast),
    () => rmSync(ballast),
    /disk_full|: 503/,
  );
});

test('a disk that is read-only for a while loses nothing', async () => {
  const { faults, site } = await siteWithFaults();
  const begin = () => faults.order({ call: 'all', errno: 'EROFS', times: 1_000_000_000 });
  await across(site, begin, () => faults.end(), /store_failing/);
});

test('a disk that is mounted read-only keeps the hub from starting, with the path, until it is mounted for writing', async () => {
  const opened = await siteOnOwnDisk();
  const load = new Load(opened);
  await load.advance(10);
  await opened.hub.stop('SIGKILL');
  // The kernel mounts nothing read-only in which files are open for writing: the test before has that case.
  asRoot('mount', '-o', 'remount,ro', opened.state);
  const run = await opened.command('run');
  expect(run.err).toMatch(/\[(file_unwritable|store_failing)\]/);
  expect(run.err).toContain(opened.state);
  expect(run.status).toBe(1);
  asRoot('mount', '-o', 'remount,rw', opened.state);
  opened.hub = await opened.folder.start(opened.environment);
  await load.advance(10);
  await load.stop();
  await opened.check();
});

/** Leaves no byte. */
function fill(path: string): void {
  const file = openSync(path, 'w', 0o600);
  try {
    for (let size = 1_048_576; size >= 1; ) {
      try {
        if (writeSync(file, Buffer.alloc(size)) < size) size = Math.floor(size / 2);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        size = Math.floor(size / 2);
      }
    }
  } finally {
    closeSync(file);
  }
}
