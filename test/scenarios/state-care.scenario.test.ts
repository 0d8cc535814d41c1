/** The state of the built hub: kept from a repair while it runs, backed up meanwhile, and damaged. */
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HubFolder, type HubProcess } from '../fixtures/hub-process.ts';

let folder: HubFolder;
let hub: HubProcess;
const state = () => join(folder.path, 'state');

beforeEach(async () => {
  folder = new HubFolder();
  folder.configure('');
  hub = await folder.start();
  await add('tube-1');
});
afterEach(() => folder.remove());

const latchkey = (...args: readonly string[]) => folder.command(...args, '--config', folder.config);
const add = (id: string) => latchkey('devices', 'add', id, '--audience', `coap://${id}`, '--any-issuer');

test('a hub that runs is backed up, and its state is left alone by everything else', async () => {
  const file = join(folder.path, 'backup.jsonl');
  const { err, out, status } = await latchkey('backup', file);
  expect([status, err]).toEqual([0, '']);
  expect(out).toContain(file);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readFileSync(file, 'utf8')).toContain('"key":"device/tube-1"');
  for (const command of [
    ['state', 'check'],
    ['state', 'repair'],
    ['restore', file],
  ]) {
    const refused = await latchkey(...command);
    expect(refused.err).toContain(`The hub is running: ${state()}, process ${hub.pid}.`);
    expect(refused.err).toContain('Stop it first: `systemctl stop latchkey`. [hub_running]');
  }
  expect((await latchkey('backup', file)).err).toContain(`That file exists already: ${file}.`);
  // A hub whose socket is gone holds the lock of its database all the same.
  rmSync(join(state(), 'admin.sock'));
  for (const command of ['check', 'repair']) {
    expect((await latchkey('state', command)).err).toContain(`The hub is running: ${state()}, process ${hub.pid}.`);
  }
  expect(readdirSync(state()).filter((name) => /repair|\.lock/.test(name))).toEqual([]);
  expect(await hub.stop()).toBe(0);
  expect((await latchkey('state', 'check')).out).toContain('Devices: 1');
  rmSync(state(), { recursive: true });
  expect((await latchkey('restore', file)).out).toContain('Devices: 1');
  hub = await folder.start();
  expect((await latchkey('devices', 'list')).out).toContain('tube-1');
});

test('a damaged state ends with 78, where a start again cannot help, and names the command that mends it', async () => {
  await hub.stop();
  rmSync(join(state(), 'db', 'CURRENT'));
  const run = await latchkey('run');
  expect(run.status).toBe(78);
  expect(run.err).toContain('latchkey state repair');
  expect(run.err).toContain(join(state(), 'db', 'CURRENT'));
  const repair = await latchkey('state', 'repair');
  expect([repair.status, repair.out]).toEqual([0, expect.stringContaining('Devices: 1')]);
  expect(repair.out).toContain(`The files as they were: ${join(state(), 'before-repair-')}`);
  hub = await folder.start();
  expect((await latchkey('devices', 'list')).out).toContain('tube-1');
});

test.each(['db/slots', 'db'])(
  'a state without %s ends with 78, and every command names the same way out',
  async (gone) => {
    await hub.stop();
    rmSync(join(state(), gone), { recursive: true });
    const run = await latchkey('run');
    expect(run.status).toBe(78);
    for (const { err } of [run, await latchkey('state', 'check'), await latchkey('state', 'repair')]) {
      expect(err).toContain('[store_lost]');
      expect(err).toContain('`latchkey restore FILE`');
      expect(err).not.toContain('state repair');
    }
    expect(readdirSync(state()).filter((name) => name.startsWith('before-repair'))).toEqual([]);
  },
);
