/**
 * Bytes that the hub's process writes to its disk, as the kernel counts them (`write_bytes` of proc(5)): for a durable update,
 * for the removal of a device, and while nothing happens. A flash card ends by them.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseConfig } from '../src/config/load.ts';
import { openStateFolder } from '../src/hub.ts';
import type { Admin } from '../src/ports/admin.ts';
import { openState } from '../src/store/open-state.ts';
import type { Figure } from './harness.ts';

const UPDATES = 1_000;
const REMOVALS = 50;
/** What the database of the removals holds beside its devices: tokens that wait, 10 MB in all. */
const FILLING = 7_000;
const FILLING_BYTES = 1_500;
const IDLE_MILLISECONDS = 3_000;
const KIBIBYTE = 1_024;

/** Not below /tmp, which may be memory: there the kernel counts nothing. */
const PLACE = process.cwd();

export async function writeFigures(): Promise<readonly Figure[]> {
  const folder = mkdtempSync(join(PLACE, '.bench-writes-'));
  try {
    const updates = await withAdmin(join(folder, 'updates'), async (admin) => {
      await add(admin, ids('tube', UPDATES + 1));
      return perStep(ids('tube', UPDATES), (id) => admin.renameDevice(id, `Fridge ${id}`));
    });
    const adds = await withAdmin(join(folder, 'adds'), async (admin) => {
      await add(admin, ['first']);
      return perStep(ids('tube', UPDATES), (id) => add(admin, [id]));
    });
    const state = join(folder, 'removals');
    await withAdmin(state, (admin) => add(admin, ids('tube', REMOVALS + 1)));
    await fill(state);
    const [removals, idle] = await withAdmin(state, async (admin) => {
      // The first one of a run overwrites what the run before left behind.
      await admin.removeDevice(ids('tube', REMOVALS + 1).at(-1) ?? '');
      await stillness();
      const measured = await perStep(ids('tube', REMOVALS), (id) => admin.removeDevice(id));
      return [measured, await idleBytes()] as const;
    });
    const figure = { better: 'lower', value: 0 } as const;
    return [
      { ...figure, name: 'write-update-kib', value: updates, goal: 5, remark: `KiB for one of ${UPDATES} renamings` },
      { ...figure, name: 'write-add-kib', value: adds, goal: 5, remark: `KiB for one of ${UPDATES} registrations` },
      {
        ...figure,
        name: 'write-removal-kib',
        value: removals,
        goal: 10,
        remark: `KiB for one of ${REMOVALS} removals from 10 MB`,
      },
      {
        ...figure,
        name: 'write-idle-kib',
        value: idle,
        goal: 0,
        remark: `KiB in ${IDLE_MILLISECONDS / 1_000} s of rest`,
      },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function withAdmin<T>(stateDir: string, action: (admin: Admin) => Promise<T>): Promise<T> {
  const config = parseConfig(
    `state_dir = ${JSON.stringify(stateDir)}\n[[lines]]\nname = "bench"\npath = "tcp://127.0.0.1:1"\n[[issuers]]\nissuer = "https://as.example"\n`,
    { file: `${stateDir}.toml`, folder: PLACE, environment: {} },
  );
  const opened = await openStateFolder({ config, log: SILENT, create: true });
  try {
    return await action(opened.admin);
  } finally {
    await opened.close();
  }
}

async function add(admin: Admin, names: readonly string[]): Promise<void> {
  const profile = { permissions: { read: [['temperature', 16]] } };
  for (const id of names) await admin.addDevice({ id, audience: `coap://${id}`, line: 'bench', profile });
}

/** Other things of the state, so that what a removal rewrites would show. */
async function fill(stateDir: string): Promise<void> {
  const stores = await openState(stateDir, { log: SILENT });
  try {
    for (let at = 0; at < FILLING; at += 500) {
      const changes = Array.from({ length: 500 }, (_, index) => ({
        put: `filling/${at + index}`,
        value: crypto.getRandomValues(new Uint8Array(FILLING_BYTES)),
      }));
      await stores.store.write(changes, { flush: false });
    }
  } finally {
    await stores.close();
  }
}

async function perStep(names: readonly string[], step: (name: string) => Promise<unknown>): Promise<number> {
  const before = writtenBytes();
  for (const name of names) await step(name);
  return (writtenBytes() - before) / names.length / KIBIBYTE;
}

/** LevelDB tidies up in the background what was filled in before. */
async function stillness(): Promise<void> {
  for (let before = Number.NaN; before !== writtenBytes(); await sleep(500)) before = writtenBytes();
}

async function idleBytes(): Promise<number> {
  const before = writtenBytes();
  await sleep(IDLE_MILLISECONDS);
  return (writtenBytes() - before) / KIBIBYTE;
}

/** Of this process so far. */
function writtenBytes(): number {
  return Number(/^write_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'latin1'))?.[1]);
}

function ids(name: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${name}-${index}`);
}

const quiet = () => undefined;
const SILENT = { debug: quiet, info: quiet, warn: quiet, error: quiet, child: () => SILENT };
