import { describe, expect, test } from 'vitest';
import { readTrustFile } from '../../src/codec/trust-file.ts';
import { DeliveryQueue } from '../../src/devices/delivery-queue.ts';
import { HubKeys } from '../../src/devices/hub-keys.ts';
import { Registry } from '../../src/devices/registry.ts';
import { TrustRecords } from '../../src/devices/trust-records.ts';
import { AdministerFlow } from '../../src/flows/administer.ts';
import { RefreshTrust } from '../../src/flows/refresh-trust.ts';
import type { NewDevice } from '../../src/ports/admin.ts';
import { AuditList } from '../fakes/audit-list.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { ScriptedLink } from '../fakes/scripted-link.ts';

async function setup(issuers: readonly string[] = ['https://as.example'], radio = true) {
  const time = new FakeTime();
  const log = new QuietLog();
  const store = new FaultyStore();
  const registry = new Registry({ store, log });
  const queue = new DeliveryQueue({ store, log });
  const [hubKeys, audit] = [await HubKeys.load(store), new AuditList()];
  const records = new TrustRecords({ store, hubKeys, log });
  const trust = new RefreshTrust({
    registry,
    records,
    hubKeys,
    queue,
    link: () => new ScriptedLink(() => 'silence'),
    issuers: () => [],
    clock: time,
    timers: time,
    random: time,
    log,
    audit,
    wake: () => undefined,
  });
  const flow = new AdministerFlow({
    difficulty: () => ({ code: 'link_down', failures: 1 }),
    registry,
    queue,
    hubKeys,
    trust,
    clock: time,
    random: time,
    log,
    audit,
    lines: ['line-1'],
    radio,
    issuers,
  });
  return { flow, log, records, store, time };
}

/** A device that is found by radio. */
function wireless(changes: Partial<NewDevice> = {}): NewDevice {
  return { id: 'tube-1', audience: 'coap://tube-1', ble: {}, profile: { scopes: ['read'] }, ...changes };
}

function device(changes: Partial<NewDevice> = {}): NewDevice {
  return { id: 'tube-1', audience: 'coap://tube-1', line: 'line-1', profile: { scopes: ['read'] }, ...changes };
}

describe('addDevice', () => {
  test('answers with a trust file that the device can read, and a view without keys', async () => {
    const { flow, log, store } = await setup();
    const { device: view, trust } = await flow.addDevice(device());
    expect(readTrustFile(trust)).toMatchObject({ device: 'tube-1', audience: 'coap://tube-1', wrap: 'mac0' });
    expect(JSON.stringify(view)).not.toMatch(/"(k|d|root_key)"/);
    expect(JSON.stringify(log.lines)).not.toContain(JSON.parse(trust).keys[0].k);
    expect([...store.entries.keys()]).toContain('device/tube-1');
  });

  test('begins above every trust bundle that the device was sent before, where it was registered before', async () => {
    const { flow, time } = await setup();
    const first = readTrustFile((await flow.addDevice(device())).trust).version;
    await time.advance(60_000);
    await flow.removeDevice('tube-1');
    const again = readTrustFile((await flow.addDevice(device())).trust).version;
    expect(again).toBe(first + 60);
  });

  test('takes the only configured issuer where none is named', async () => {
    const { flow } = await setup();
    expect((await flow.addDevice(device())).device.issuers).toEqual(['https://as.example']);
  });

  test('opens the device to every issuer only where that was asked for', async () => {
    const { flow } = await setup(['https://as.example', 'https://guests.example']);
    expect((await flow.addDevice(device({ issuers: 'any' }))).device.issuers).toBe('any');
  });

  test.each<[string, readonly string[], Partial<NewDevice>]>([
    ['no issuer where several are configured', ['https://a.example', 'https://b.example'], {}],
    ['no issuer where none is configured', [], {}],
    ['an issuer that is not configured', ['https://a.example'], { issuers: ['https://evil.example'] }],
    ['a line that is not configured', ['https://a.example'], { line: 'line-2' }],
    ['an id with a slash', ['https://a.example'], { id: 'a/b' }],
    ['an empty audience', ['https://a.example'], { audience: '' }],
    ['a profile without scopes', ['https://a.example'], { profile: {} }],
  ])('refuses %s, and registers nothing', async (_, issuers, changes) => {
    const { flow, store } = await setup(issuers);
    await expect(flow.addDevice(device(changes))).rejects.toMatchObject({ code: 'device_invalid' });
    expect([...store.entries.keys()]).not.toContain('device/tube-1');
  });

  test('takes a device that is found by radio, by its id or by a name', async () => {
    const { flow } = await setup();
    expect((await flow.addDevice(wireless())).device.ble).toEqual({ name: 'tube-1' });
    const named = await flow.addDevice(wireless({ id: 'b', audience: 'b', ble: { name: 'Tube Ä' } }));
    expect(named.device.ble).toEqual({ name: 'Tube Ä' });
  });

  test.each<[string, Partial<NewDevice>]>([
    ['with a line as well', { line: 'line-1' }],
    ['without scopes', { profile: {} }],
    ['with an id that no advertisement has room for', { id: 'x'.repeat(30) }],
    ['with an empty name', { ble: { name: '' } }],
    ['with a name of 30 bytes', { ble: { name: 'ä'.repeat(15) } }],
    ['with a name that drives a terminal', { ble: { name: 'tube\u001b[2J' } }],
  ])('refuses a device that is found by radio %s', async (_, changes) => {
    const { flow } = await setup();
    await expect(flow.addDevice(wireless(changes))).rejects.toMatchObject({ code: 'device_invalid' });
  });

  test('refuses a device that is found by radio where there is no radio', async () => {
    const { flow } = await setup(['https://as.example'], false);
    await expect(flow.addDevice(wireless())).rejects.toMatchObject({ code: 'device_invalid' });
  });

  test('refuses a name that another device advertises', async () => {
    const { flow } = await setup();
    await flow.addDevice(wireless());
    const second = wireless({ id: 'tube-2', audience: 'coap://tube-2', ble: { name: 'tube-1' } });
    await expect(flow.addDevice(second)).rejects.toMatchObject({ code: 'device_exists' });
  });

  test('refuses an id, and an audience, that is taken', async () => {
    const { flow } = await setup();
    await flow.addDevice(device());
    await expect(flow.addDevice(device({ audience: 'coap://tube-2' }))).rejects.toMatchObject({
      code: 'device_exists',
    });
    await expect(flow.addDevice(device({ id: 'tube-2' }))).rejects.toThrow();
  });
});

describe('removeDevice', () => {
  test('forgets the device and its record', async () => {
    const { flow, store } = await setup();
    await flow.addDevice(device());
    await flow.removeDevice('tube-1');
    expect(flow.listDevices()).toEqual([]);
    expect([...store.entries.keys()]).not.toContain('device/tube-1');
  });

  test('refuses a device that nobody registered', async () => {
    const { flow } = await setup();
    await expect(flow.removeDevice('tube-1')).rejects.toMatchObject({ code: 'device_unknown' });
  });
});

describe('renameDevice', () => {
  test('gives a device another name for people, and keeps its id', async () => {
    const { flow, store } = await setup();
    await flow.addDevice(device());
    expect(await flow.renameDevice('tube-1', 'Fridge, second floor')).toMatchObject({
      id: 'tube-1',
      name: 'Fridge, second floor',
    });
    expect(Buffer.from(store.entries.get('device/tube-1') ?? []).toString()).toContain('Fridge, second floor');
    expect(flow.showDevice('tube-1').name).toBe('Fridge, second floor');
  });

  test.each(['', ' Fridge', 'a'.repeat(64), 'Fridge\u001b[2J', 'a\u2028b'])('refuses %j', async (name) => {
    const { flow } = await setup();
    await flow.addDevice(device());
    await expect(flow.renameDevice('tube-1', name)).rejects.toMatchObject({ code: 'device_invalid' });
    expect(flow.showDevice('tube-1').name).toBeUndefined();
  });

  test('refuses a device that nobody registered', async () => {
    const { flow } = await setup();
    await expect(flow.renameDevice('tube-1', 'x')).rejects.toMatchObject({ code: 'device_unknown' });
  });
});
