/** Files of the database that are damaged or gone: it is never taken for an empty one, and a repair brings it back. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isCoded } from '../../src/core/errors.ts';
import { checkStateFolder, repairStateFolder } from '../../src/hub/state-care.ts';
import { openStore } from '../../src/store/open-store.ts';
import { repairState } from '../../src/store/repair-state.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { KeptState } from '../fixtures/kept-state.ts';
import { filesOf, putRaw } from '../fixtures/sealed-files.ts';

let kept: KeptState;

/** Two runs, so that there are tables, a log, and a MANIFEST with more than one edit. */
beforeEach(async () => {
  kept = new KeptState();
  await kept.add('tube-1', 'tube-2');
  await kept.add('tube-3');
  await kept.withAdmin((admin) => admin.rotateHubKey());
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

/** The start, a check and a repair say so, and none of them leaves a copy or another audit. */
async function isLost(): Promise<void> {
  const damaged = kept.files();
  expect((await start()).code).toBe('store_lost');
  expect((await outcome(() => checkStateFolder(kept.config, kept.log))).code).toBe('store_lost');
  expect((await outcome(() => repairState(kept.state, 'now'))).code).toBe('store_lost');
  for (const name of readdirSync(kept.state)) expect(name).not.toMatch(/^before-repair/);
  const ofAudit = (files: object) => Object.keys(files).filter((name) => name.startsWith('audit'));
  expect(ofAudit(kept.files())).toEqual(ofAudit(damaged));
}

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
    await isLost();
  });

  test.each([
    ['are gone', (slots: string) => rmSync(slots)],
    ['are cut short', (slots: string) => truncateSync(slots, 4_095)],
    ['are zeros', (slots: string) => change(slots, (bytes) => bytes.fill(0))],
    ['are of another state', (slots: string) => change(slots, (bytes) => bytes.fill(randomBytes(2_048)))],
  ])('but for its files: its keys %s', async (_, damage) => {
    damage(path('slots'));
    await isLost();
  });

  test('is lost with its keys where another file of it is damaged too', async () => {
    rmSync(path('CURRENT'));
    rmSync(path('slots'));
    expect((await outcome(() => repairState(kept.state, 'now'))).code).toBe('store_lost');
    expect(readdirSync(kept.state).filter((name) => name.startsWith('before'))).toEqual([]);
  });

  test('as its audit alone is one neither, and a repair begins a new chain', async () => {
    rmSync(kept.audit, { recursive: true });
    expect((await start()).code).toBe('store_corrupt');
    expect(await repairStateFolder(kept.config, kept.log, 'now')).toMatchObject({ devices: 3, faults: [] });
    expect(await kept.devices()).toHaveLength(3);
  });

  const goneAudits: readonly (readonly [string, () => Promise<void>])[] = [
    ['neither folder nor mark', async () => removeAudit()],
    [
      'an empty database in its place',
      async () => {
        removeAudit();
        await (await openStore(kept.audit)).close();
      },
    ],
  ];

  function removeAudit(): void {
    for (const name of ['audit', 'audit.made']) rmSync(join(kept.state, name), { recursive: true });
  }

  test.each(goneAudits)('as its audit is one neither, whatever is missing: %s', async (_, damage) => {
    await damage();
    const damaged = readdirSync(kept.state).sort();
    expect(await start()).toMatchObject({ code: 'audit_lost', detail: expect.stringContaining(kept.audit) });
    expect(readdirSync(kept.state).sort()).toEqual(damaged);
    const report = await checkStateFolder(kept.config, kept.log);
    expect(report).toMatchObject({ devices: 3, faults: [expect.stringContaining('audit_lost')] });
    expect(await repairStateFolder(kept.config, kept.log, 'now')).toMatchObject({ audit: 1, faults: [] });
    const { records } = await kept.withAdmin((admin) => admin.audit({ limit: 9 }));
    expect(records).toMatchObject([{ kind: 'state', verdict: 'repaired' }]);
    removeAudit();
    expect((await start()).code).toBe('audit_lost');
  });

  test('as its audit is told too where the log of the audit is all that is missing', async () => {
    const [log = ''] = readdirSync(kept.audit).filter((name) => name.endsWith('.log'));
    rmSync(join(kept.audit, log));
    expect(await start()).toMatchObject({ code: 'store_corrupt', detail: expect.stringContaining(log) });
    expect(await repairStateFolder(kept.config, kept.log, 'now')).toMatchObject({ devices: 3, faults: [] });
  });

  test('as its log is one neither: its newest entries would be missing', async () => {
    await kept.add('tube-4');
    const log = one(/\.log$/);
    rmSync(log);
    expect(await start()).toMatchObject({ code: 'store_corrupt', detail: expect.stringContaining(log) });
    await repairStateFolder(kept.config, kept.log, 'now');
    expect(await kept.devices()).toEqual(['tube-1', 'tube-2', 'tube-3']);
  });

  test('as an audit that lost only the entry that ends it is none: it goes on after its last record', async () => {
    const audit = await openStore(kept.audit);
    await audit.write([{ remove: 'audit/head' }]);
    await audit.close();
    expect(await start()).toMatchObject({ code: 'none' });
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

test('what a killed repair or restore left is removed once the state is open, and not by a check', async () => {
  for (const name of ['.lock-a1B2c3', 'restoring/db']) {
    mkdirSync(join(kept.state, name), { recursive: true });
    writeFileSync(join(kept.state, name, 'slots'), 'keys');
  }
  const left = () => readdirSync(kept.state).filter((name) => /^(\.lock|restoring)/.test(name));
  await checkStateFolder(kept.config, kept.log);
  expect(left()).toHaveLength(2);
  expect(await kept.devices()).toHaveLength(3);
  expect(left()).toEqual([]);
});

describe('a check', () => {
  test('counts what is there, and says what cannot be read', async () => {
    const whole = await checkStateFolder(kept.config, kept.log);
    expect(whole).toMatchObject({ devices: 3, deliveries: 0, faults: [] });
    expect(whole.audit).toBeGreaterThan(0);
  });

  test('makes no audit where it is missing, and says so', async () => {
    for (const name of ['audit', 'audit.made']) rmSync(join(kept.state, name), { recursive: true });
    const report = await checkStateFolder(kept.config, kept.log);
    expect(report).toMatchObject({ devices: 3, audit: 0, faults: [expect.stringContaining('audit_lost')] });
    expect(readdirSync(kept.state).sort()).toEqual(['db', 'db.made']);
    expect(await repairStateFolder(kept.config, kept.log, 'now')).toMatchObject({ audit: 1, faults: [] });
  });

  test('counts the audit of a hub that lost its keys, and makes none', async () => {
    const store = await openStore(kept.db);
    await store.write([{ remove: 'hub/keys' }]);
    await store.close();
    const report = await checkStateFolder(kept.config, kept.log);
    expect(report.audit).toBeGreaterThan(0);
    expect(report.faults).toEqual([expect.stringContaining('keys of the hub are gone')]);
    expect(await checkStateFolder(kept.config, kept.log)).toEqual(report);
  });

  test('leaves a state of the first version as it is', async () => {
    for (const name of readdirSync(kept.state)) rmSync(join(kept.state, name), { recursive: true });
    await putRaw(kept.db, { 'device/a': 'in clear', 'time-floor': 'stays' });
    rmSync(`${kept.db}.made`, { force: true });
    const report = await checkStateFolder(kept.config, kept.log);
    expect(report).toMatchObject({
      audit: 0,
      faults: ['1 devices cannot be read: provision them again', 'the audit is missing'],
    });
    expect(readdirSync(kept.state)).toEqual(['db']);
    expect(names(/^slots$/)).toEqual([]);
    expect(await filesOf(kept.db)).toContain('in clear');
  });
});
