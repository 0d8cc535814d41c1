/** Files of the database that are damaged or gone: it is never taken for an empty one, and a repair brings it back. */
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isCoded } from '../../src/core/errors.ts';
import { checkStateFolder, repairStateFolder } from '../../src/hub/state-care.ts';
import { openStore } from '../../src/store/open-store.ts';
import { repairState } from '../../src/store/repair-state.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { KeptState } from '../fixtures/kept-state.ts';

let kept: KeptState;
let before: Readonly<Record<string, string>>;
let snapshot: Readonly<Record<string, string>>;

/** Two runs, so that there are tables, a log, and a MANIFEST with more than one edit. */
beforeEach(async () => {
  kept = new KeptState();
  await kept.add('tube-1', 'tube-2');
  await kept.add('tube-3');
  await kept.withAdmin((admin) => admin.rotateHubKey());
  snapshot = kept.files();
  before = snapshot;
});
afterEach(() => kept.remove());

const path = (name: string) => join(kept.db, name);
const names = (pattern: RegExp) => readdirSync(kept.db).filter((name) => pattern.test(name));
const one = (pattern: RegExp) => path(names(pattern)[0] ?? '');
const size = (file: string) => readFileSync(file).length;

function change(file: string, edit: (bytes: Buffer) => Buffer): void {
  writeFileSync(file, edit(readFileSync(file)));
}

async function outcome(action: () => Promise<unknown>): Promise<{ readonly code: string; readonly detail: string }> {
  try {
    await action();
    return { code: 'none', detail: '' };
  } catch (error) {
    if (!isCoded(error)) throw error;
    return { code: error.code, detail: error.detail ?? '' };
  }
}

const start = () => outcome(() => kept.devices());
const KINDS: readonly (readonly [string, () => void])[] = [
  ['a MANIFEST without its last byte', () => truncateSync(one(/^MANIFEST/), size(one(/^MANIFEST/)) - 1)],
  ['half a MANIFEST', () => truncateSync(one(/^MANIFEST/), Math.floor(size(one(/^MANIFEST/)) / 2))],
  ['an empty MANIFEST', () => truncateSync(one(/^MANIFEST/), 0)],
  ['a MANIFEST with zeros at its end', () => change(one(/^MANIFEST/), (bytes) => bytes.fill(0, bytes.length - 20))],
  ['a MANIFEST with a bit turned', () => change(one(/^MANIFEST/), (bytes) => turned(bytes, 12))],
  ['no MANIFEST', () => rmSync(one(/^MANIFEST/))],
  ['an empty CURRENT', () => truncateSync(path('CURRENT'), 0)],
  ['no CURRENT', () => rmSync(path('CURRENT'))],
  ['a CURRENT that names nothing', () => writeFileSync(path('CURRENT'), 'MANIFEST-999999\n')],
];

function turned(bytes: Buffer, at: number): Buffer {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}

describe.each(KINDS)('%s', (_, damage) => {
  test('keeps the hub from starting, changes no file, and is repaired with all that was there', async () => {
    damage();
    const damaged = kept.files();
    const { code, detail } = await start();
    expect(code).toBe('store_corrupt');
    expect(detail).toContain(kept.db);
    expect(kept.files()).toEqual(damaged);
    const report = await repairStateFolder(kept.config, kept.log, 'now');
    expect(report).toMatchObject({ devices: 3, faults: [] });
    expect(readdirSync(join(report.copy, 'db'))).toContain('slots');
    expect(await kept.devices()).toEqual(['tube-1', 'tube-2', 'tube-3']);
    const { records } = await kept.withAdmin((admin) => admin.audit({ limit: 9 }));
    expect(records.at(-1)).toMatchObject({ kind: 'state', verdict: 'repaired' });
    expect((await kept.withAdmin((admin) => admin.verifyAudit())).faults).toEqual([]);
  });
});

describe('a database that is gone', () => {
  test.each([
    [
      'an emptied folder',
      () => {
        for (const name of names(/./)) rmSync(path(name));
      },
    ],
    ['no folder', () => rmSync(kept.db, { recursive: true })],
    [
      'neither folder nor mark, beside an audit',
      () => {
        for (const name of ['db', 'db.made']) rmSync(join(kept.state, name), { recursive: true });
      },
    ],
  ])('is no first start: %s', async (_, damage) => {
    damage();
    expect((await start()).code).toBe('store_corrupt');
    expect((await outcome(() => repairState(kept.state, 'now'))).code).toBe('store_missing');
  });

  test('as its audit alone is one neither, and a repair begins a new chain', async () => {
    rmSync(kept.audit, { recursive: true });
    expect((await start()).code).toBe('store_corrupt');
    expect(await repairStateFolder(kept.config, kept.log, 'now')).toMatchObject({ devices: 3, faults: [] });
    expect(await kept.devices()).toHaveLength(3);
  });

  test('by a first start that was killed is one', async () => {
    rmSync(kept.state, { recursive: true });
    const store = await openStore(kept.db);
    await store.close();
    for (const name of readdirSync(kept.db)) if (!/^(LOCK|LOG|MANIFEST)/.test(name)) rmSync(path(name));
    rmSync(`${kept.db}.made`);
    expect(await start()).toMatchObject({ code: 'none' });
  });
});

describe('a table', () => {
  test.each([
    ['that is missing', (file: string) => rmSync(file)],
    ['that is short', (file: string) => truncateSync(file, size(file) - 1)],
  ])('%s is named', async (_, damage) => {
    const table = one(/\.ldb$/);
    damage(table);
    const { code, detail } = await start();
    expect(code).toBe('store_corrupt');
    expect(detail).toContain(table);
  });
});

test('a MANIFEST whose newest edit a power cut tore opens: what the edit was to replace is still there', async () => {
  const whole = readFileSync(one(/^MANIFEST/));
  // The beginning of one more record, as LevelDB appends it.
  writeFileSync(one(/^MANIFEST/), Buffer.concat([whole, whole.subarray(0, 11)]));
  expect(await start()).toMatchObject({ code: 'none' });
  expect(await kept.devices()).toHaveLength(3);
});

describe('what the database drops while it opens', () => {
  test('is told, and is a fault until the next start', async () => {
    rmSync(kept.state, { recursive: true });
    const first = await openStore(kept.db);
    for (let number = 0; number < 40; number += 1)
      await first.write([{ put: `z/${number}`, value: new Uint8Array(100).fill(number) }]);
    await first.close();
    change(one(/\.log$/), (bytes) => turned(bytes, Math.floor(bytes.length / 2)));
    const log = new QuietLog();
    const second = await openStore(kept.db, { log });
    expect((await second.list('z/')).length).toBeLessThan(40);
    expect(log.lines).toMatchObject([{ level: 'error', fields: { event: 'store_records_lost' } }]);
    expect(second.faults()).toMatchObject([{ code: 'store_records_lost', path: kept.db }]);
    await second.close();
    const third = await openStore(kept.db);
    expect(third.faults()).toEqual([]);
    await third.close();
  });
});

describe('a repair', () => {
  test('of a state that is whole changes nothing that matters', async () => {
    await repairStateFolder(kept.config, kept.log, 'now');
    expect(await kept.devices()).toEqual(['tube-1', 'tube-2', 'tube-3']);
  });

  test('does not bring back a device that was removed', async () => {
    await kept.withAdmin((admin) => admin.removeDevice('tube-2'));
    rmSync(path('CURRENT'));
    await repairStateFolder(kept.config, kept.log, 'now');
    expect(await kept.devices()).toEqual(['tube-1', 'tube-3']);
  });
});

test('a check counts what is there, and says what cannot be read', async () => {
  expect(await checkStateFolder(kept.config, kept.log)).toMatchObject({ devices: 3, deliveries: 0, faults: [] });
  writeFileSync(path('slots'), Buffer.alloc(size(path('slots'))));
  const { devices, faults } = await checkStateFolder(kept.config, kept.log).catch(() => ({
    devices: 0,
    faults: ['hub keys'],
  }));
  expect(devices).toBe(0);
  expect(faults.length).toBeGreaterThan(0);
  kept.putFiles(before);
  expect(await kept.devices()).toHaveLength(3);
});
