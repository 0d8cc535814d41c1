/** A disk that fails for a moment, or is full for a while, below the built hub: it goes on by itself, and tells no lie. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { DiskFaults } from '../fixtures/disk-faults.ts';
import { HubFolder, type HubProcess } from '../fixtures/hub-process.ts';

let folder: HubFolder;
let faults: DiskFaults;
let hub: HubProcess;

beforeEach(async () => {
  folder = new HubFolder();
  folder.configure('');
  faults = new DiskFaults(join(folder.path, 'state'));
  hub = await folder.start(faults.environment);
});
afterEach(async () => {
  faults.end();
  await folder.remove();
  faults.remove();
});

async function add(id: string): Promise<boolean> {
  const audience = `coap://${id}`;
  const command = ['devices', 'add', id, '--config', folder.config, '--audience', audience, '--any-issuer'];
  const { err, status } = await folder.command(...command);
  if (status !== 0) expect(err).toMatch(/disk_full|store_failing/);
  return status === 0;
}

async function devices(): Promise<readonly string[]> {
  const { out } = await folder.command('devices', 'list', '--config', folder.config, '--json');
  return (JSON.parse(out) as { readonly id: string }[]).map(({ id }) => id).sort();
}

async function conditions(): Promise<readonly string[]> {
  const { out } = await folder.command('status', '--config', folder.config, '--json');
  const { conditions: found } = JSON.parse(out) as { readonly conditions: readonly { readonly code: string }[] };
  return found.map(({ code }) => code).filter((code) => code !== 'jwt_issuer_unknown');
}

/** Resolves once nothing is wrong any more, by itself. */
function calm(): Promise<void> {
  const look = async () => expect(await conditions()).toEqual([]);
  return vi.waitFor(look, { timeout: 30_000, interval: 250 });
}

const events = (name: string) => hub.output.filter((line) => line.includes(`"event":"${name}"`)).length;

/** What is there after the hub was killed, which is what is on the disk. */
async function afterKill(): Promise<readonly string[]> {
  await hub.stop('SIGKILL');
  hub = await folder.start();
  expect(await conditions()).toEqual([]);
  return devices();
}

describe('a single EIO', () => {
  test.each([1, 2, 3, 4, 5])('at sync %i after the order costs no acknowledged write and no restart', async (from) => {
    faults.order({ call: 'sync', errno: 'EIO', from });
    const told: string[] = [];
    for (let number = 0; number < 6; number += 1) if (await add(`tube-${number}`)) told.push(`tube-${number}`);
    expect(faults.hits).toBe(1);
    expect(told.length).toBeGreaterThanOrEqual(5);
    await calm();
    expect(events('store_recovered') + events('audit_recovered')).toBeGreaterThan(0);
    expect(await devices()).toEqual(told);
    expect(await afterKill()).toEqual(told);
  });
});

describe('a full disk', () => {
  test.each(['write', 'sync'] as const)('at each %s refuses and says so, until there is room again', async (call) => {
    expect(await add('before')).toBe(true);
    faults.order({ call, errno: 'ENOSPC', times: 1_000_000 });
    expect(await add('refused')).toBe(false);
    expect(await devices()).toEqual(['before']);
    expect(await conditions()).toContain('disk_full');
    const lines = hub.output.length;
    await sleep(3_000);
    expect(hub.output.length - lines).toBeLessThan(20);
    faults.end();
    await calm();
    expect(await add('after')).toBe(true);
    expect(await devices()).toEqual(['after', 'before']);
    expect(await afterKill()).toEqual(['after', 'before']);
  });
});
