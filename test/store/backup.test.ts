/** A backup of all that there is in one file, and a state folder made from it. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DurableReplayWindow } from '../../src/pop/durable-replay-window.ts';
import { openState } from '../../src/store/open-state.ts';
import { runLine } from '../fixtures/fake-terminal.ts';
import { KeptState } from '../fixtures/kept-state.ts';
import { putRaw } from '../fixtures/sealed-files.ts';

let kept: KeptState;
let file: string;

beforeEach(async () => {
  kept = new KeptState();
  file = join(kept.folder, 'backup.jsonl');
  await kept.add('tube-1', 'tube-2');
  await kept.withAdmin((admin) => admin.rotateHubKey());
});
afterEach(() => kept.remove());

const latchkey = (...args: readonly string[]) => runLine([...args, '-c', kept.file]);
const lines = () => readFileSync(file, 'utf8').split('\n');

function moveAway(): void {
  renameSync(kept.state, `${kept.state}.old`);
}

async function credentials(): Promise<string> {
  return kept.withAdmin((admin) => admin.deviceCredentials('tube-1'));
}

describe('a backup', () => {
  test('is one file for its owner alone, with format, version and checksum', async () => {
    expect((await latchkey('backup', file)).status).toBe(0);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(JSON.parse(lines()[0] ?? '')).toMatchObject({ format: 'latchkey-backup-1', version: '0.1.0' });
    expect(JSON.parse(lines().at(-2) ?? '')).toMatchObject({ sha256: expect.stringMatching(/^[\w-]{43}$/) });
  });

  test('says that it holds keys', async () => {
    expect((await latchkey('backup', file)).printed).toContain('holds keys');
  });

  test('replaces no file', async () => {
    writeFileSync(file, 'mine');
    expect((await latchkey('backup', file)).status).toBe(1);
    expect(readFileSync(file, 'utf8')).toBe('mine');
  });
});

describe('a restore', () => {
  test('brings back devices, keys of the hub and the audit, and says so in it', async () => {
    const [before, head] = [await credentials(), (await kept.withAdmin((admin) => admin.verifyAudit())).head];
    await latchkey('backup', file);
    moveAway();
    const { printed, status } = await latchkey('restore', file);
    expect([status, printed]).toEqual([0, expect.stringContaining('Devices: 2')]);
    expect(await kept.devices()).toEqual(['tube-1', 'tube-2']);
    expect(await credentials()).toBe(before);
    expect((await kept.withAdmin((admin) => admin.verifyAudit(head))).faults).toEqual([]);
    const { records } = await kept.withAdmin((admin) => admin.audit({ limit: 9 }));
    expect(records.at(-1)).toMatchObject({ kind: 'state', verdict: 'restored' });
    expect(readdirSync(kept.state)).not.toContain('restoring');
  });

  test('has proofs of before refused for a window: those used after the backup are unknown', async () => {
    await latchkey('backup', file);
    moveAway();
    await latchkey('restore', file);
    const stores = await openState(kept.state, { log: kept.log });
    const window = await DurableReplayWindow.open({ store: stores.store, bootId: 'boot', monotonic: 0, window: 60 });
    const time = { earliest: 1_000, latest: 1_000 };
    expect(window.mayHaveForgotten(1_000, { time, monotonic: 1_000 })).toBe(true);
    expect(window.mayHaveForgotten(1_000, { time, monotonic: 121_000 })).toBe(false);
    await stores.close();
  });

  test('never replaces a state', async () => {
    await latchkey('backup', file);
    const before = kept.files();
    const { noted, status } = await latchkey('restore', file, '--json');
    expect(status).toBe(1);
    expect(noted).toContain('store_not_empty');
    expect(kept.files()).toEqual(before);
  });

  test.each<[string, (text: string) => string]>([
    ['cut short', (text) => text.slice(0, -100)],
    ['without its last line', (text) => `${text.split('\n').slice(0, -2).join('\n')}\n`],
    ['without one entry', (text) => text.split('\n').toSpliced(2, 1).join('\n')],
    [
      'with an entry twice',
      (text) =>
        text
          .split('\n')
          .toSpliced(2, 0, text.split('\n')[2] ?? '')
          .join('\n'),
    ],
    ['with a byte altered', (text) => text.replace(/"value":"./, '"value":"_')],
    ['with more behind its end', (text) => `${text}{}\n`],
    ['of another format', (text) => text.replace('latchkey-backup-1', 'latchkey-backup-9')],
    ['that is empty', () => ''],
    ['that is none', () => '\u0000\u0001 nothing'],
  ])('refuses a file %s whole', async (_, damage) => {
    await latchkey('backup', file);
    writeFileSync(file, damage(readFileSync(file, 'utf8')));
    moveAway();
    mkdirSync(kept.state, { mode: 0o700 });
    const { noted, status } = await latchkey('restore', file, '--json');
    expect(status).toBe(1);
    expect(noted).toContain('backup_invalid');
    expect(readdirSync(kept.state)).toEqual([]);
  });

  test('refuses a file that is not there', async () => {
    moveAway();
    expect((await latchkey('restore', file, '--json')).noted).toContain('file_unreadable');
  });
});

describe('the audit of an earlier version, in the same database as the rest', () => {
  /** Puts the audit back to where it was. */
  async function asBefore(): Promise<readonly string[]> {
    const stores = await openState(kept.state, { log: kept.log });
    const entries = await stores.audit.list('audit/');
    await stores.store.write(entries.map(([put, value]) => ({ put, value })));
    await stores.close();
    rmSync(kept.audit, { recursive: true });
    rmSync(`${kept.audit}.made`);
    return entries.map(([key]) => key);
  }

  test('is moved once, whole', async () => {
    const head = (await kept.withAdmin((admin) => admin.verifyAudit())).head;
    const keys = await asBefore();
    expect(keys.length).toBeGreaterThan(1);
    expect(await kept.withAdmin((admin) => admin.verifyAudit(head))).toMatchObject({ head, faults: [] });
    const stores = await openState(kept.state, { log: kept.log });
    expect(await stores.store.list('audit/')).toEqual([]);
    expect((await stores.audit.list('audit/')).map(([key]) => key)).toEqual(keys);
    await stores.close();
  });

  test('is moved as well where a start was killed on the way', async () => {
    const head = (await kept.withAdmin((admin) => admin.verifyAudit())).head;
    await asBefore();
    // Some of it is copied, and nothing is removed yet.
    await putRaw(kept.audit, {});
    const stores = await openState(kept.state, { log: kept.log });
    const copied = await stores.audit.list('audit/');
    await stores.store.write(copied.map(([put, value]) => ({ put, value })));
    await stores.audit.write([{ remove: copied.at(-1)?.[0] ?? '' }]);
    await stores.close();
    expect(await kept.withAdmin((admin) => admin.verifyAudit(head))).toMatchObject({ head, faults: [] });
    expect(existsSync(kept.audit)).toBe(true);
  });
});
