/** The embedded broker of the built hub: its process, its end, and devices that are removed. */
import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { HubFolder, type HubProcess } from '../fixtures/hub-process.ts';
import { isRunning } from '../fixtures/is-running.ts';
import { MqttDevice } from '../fixtures/mqtt-device.ts';
import { connect, subscribe } from '../fixtures/mqtt-packets.ts';
import { RawMqttClient } from '../fixtures/raw-mqtt-client.ts';

let folder: HubFolder;
let hub: HubProcess;
const devices: MqttDevice[] = [];

beforeEach(async () => {
  folder = new HubFolder();
  folder.configure(`
[mqtt]
embedded = true
embedded_listen = "127.0.0.1:0"
json = true
[[issuers]]
issuer = "https://as.example"
jwks_file = "jwks.json"
`);
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'as-1', alg: 'ES256', use: 'sig' }];
  writeFileSync(join(folder.path, 'jwks.json'), JSON.stringify({ keys }));
  hub = await folder.start();
});

afterEach(async () => {
  for (const device of devices.splice(0)) await device.close();
  await folder.remove();
});

async function port(): Promise<number> {
  return Number((await hub.event('broker_listens')).port);
}

/** Registers it at the running hub; answers with its secret. */
async function add(id: string): Promise<string> {
  const added = await folder.command('devices', 'add', id, '-c', folder.config, '--audience', `https://${id}.example`);
  expect(added.err).toBe('');
  expect(added.status).toBe(0);
  const file = join(folder.path, `${id}.json`);
  rmSync(file, { force: true });
  const written = await folder.command('devices', 'credentials', id, '-c', folder.config, '--out', file);
  expect(written.status).toBe(0);
  return String(JSON.parse(readFileSync(file, 'utf8')).httpSecret);
}

async function open(id: string, password: string): Promise<MqttDevice> {
  const device = await MqttDevice.connect({ port: await port(), device: id, password });
  devices.push(device);
  return device;
}

/** The process of the broker: the hub's only child that runs its program. */
function brokerPid(): number {
  const found = readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const status = readFileSync(`/proc/${name}/status`, 'utf8');
      return new RegExp(`^PPid:\\s+${hub.pid}$`, 'm').test(status);
    } catch {
      // It ended meanwhile.
      return false;
    }
  });
  const isBroker = (pid: string) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('mqtt-broker');
  return Number(found.find(isBroker));
}

test('a device that is removed loses its connection at once, and its successor has nothing to do with it', async () => {
  const secret = await add('ekg-1');
  const old = await RawMqttClient.open(await port());
  old.send(connect({ username: 'ekg-1', password: secret }));
  await old.received(2);
  const removed = await folder.command('devices', 'remove', 'ekg-1', '-c', folder.config);
  expect(removed.status).toBe(0);
  await old.closed();
  const anew = await add('ekg-1');
  expect(anew).not.toBe(secret);
  const again = await RawMqttClient.open(await port());
  again.send(connect({ username: 'ekg-1', password: secret }));
  expect((await again.received(2)).body[1]).toBe(0x86);
  expect((await (await open('ekg-1', anew)).ask('{"token":"opaque"}')).payload.toString()).toContain('code');
});

test('the process of the broker has no environment, and a device’s packets cost the hub nothing', async () => {
  const secret = await add('ekg-1');
  const pid = brokerPid();
  expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toContain('PATH');
  const rogue = await RawMqttClient.open(await port());
  rogue.send(connect({ username: 'ekg-1', password: secret }));
  await rogue.received(2);
  rogue.send(subscribe(1, '__proto__', 'x'));
  await rogue.closed();
  expect(brokerPid()).toBe(pid);
});

/** What is open in a process: paths, and sockets by their numbers. */
function openFiles(pid: number): readonly string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      // It was closed meanwhile.
      return [];
    }
  });
}

test('the process of the broker has no open file of the hub', async () => {
  // The hub has its database open, so that the broker could have inherited it.
  await add('ekg-1');
  const own = openFiles(hub.pid).filter((file) => file.includes(folder.path));
  expect(own.filter((file) => /MANIFEST|LOCK|\.log$/.test(file))).not.toEqual([]);
  const files = openFiles(brokerPid());
  expect(files.length).toBeGreaterThan(3);
  expect(files.filter((file) => file.includes(folder.path))).toEqual([]);
  const sockets = openFiles(hub.pid).filter((file) => file.startsWith('socket:'));
  expect(files.filter((file) => sockets.includes(file))).toEqual([]);
});

test('where it is killed the status says so, and devices are answered again', async () => {
  const secret = await add('ekg-1');
  await (await open('ekg-1', secret)).ask('{"token":"before"}');
  const pid = brokerPid();
  process.kill(pid, 'SIGKILL');
  await hub.event('child_down');
  await vi.waitFor(async () => {
    const { out, status } = await folder.command('status', '-c', folder.config);
    expect([status, out.includes('embedded_broker_down')]).toEqual([0, false]);
    expect(brokerPid()).toBeGreaterThan(0);
  }, 20_000);
  expect(brokerPid()).not.toBe(pid);
  await (await open('ekg-1', secret)).ask('{"token":"after"}');
  expect(await hub.stop()).toBe(0);
  await vi.waitFor(() => expect(isRunning(pid)).toBe(false));
});

test.each(['SIGKILL', 'SIGTERM'] as const)(
  'it does not outlive a hub that ends by %s, nor hold its port',
  async (signal) => {
    const pid = brokerPid();
    expect(isRunning(pid)).toBe(true);
    await hub.stop(signal);
    await vi.waitFor(() => expect(isRunning(pid)).toBe(false), 10_000);
    const at = await port();
    // The last thread of a process that was killed may let go of its sockets a moment after the process shows as ended.
    await vi.waitFor(async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(at, '127.0.0.1', resolve));
      await new Promise((resolve) => server.close(resolve));
    }, 5_000);
  },
);
