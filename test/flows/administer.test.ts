import { describe, expect, test } from 'vitest';
import { readTrustFile } from '../../src/codec/trust-file.ts';
import { utf8 } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { Secret } from '../../src/core/secret.ts';
import { DeliveryQueue } from '../../src/devices/delivery-queue.ts';
import { HubKeys } from '../../src/devices/hub-keys.ts';
import type { NamedProfile } from '../../src/devices/named-profile.ts';
import { profileFromJson } from '../../src/devices/profile.ts';
import { Registry } from '../../src/devices/registry.ts';
import { TrustRecords } from '../../src/devices/trust-records.ts';
import { AdministerFlow } from '../../src/flows/administer.ts';
import { DeliveryAttempts } from '../../src/flows/attempt-delivery.ts';
import { RefreshTrust } from '../../src/flows/refresh-trust.ts';
import type { NewDevice, Page } from '../../src/ports/admin.ts';
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
  const queue = new DeliveryQueue({ store, log, clock: time });
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
  const woken: string[] = [];
  const profiles: NamedProfile[] = [];
  const attempts = new DeliveryAttempts(
    {
      queue,
      registry,
      link: () => new ScriptedLink(() => 'silence'),
      certain: () => time.certain(),
      random: time,
      log,
      audit,
      attemptTimeout: 1_000,
    },
    new AbortController().signal,
  );
  const flow = new AdministerFlow({
    difficulty: () => ({ code: 'link_down', failures: 1 }),
    cancel: (id) => attempts.cancel(id),
    wake: (id) => void woken.push(id),
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
    profiles,
  });
  return { audit, flow, log, queue, records, profiles, store, time, woken };
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

  test('refuses more issuers than a device has room for, named or as any; a connected device has no such limit', async () => {
    const issuers = Array.from({ length: LIMITS.trustedIssuers + 1 }, (_, index) => `https://as-${index}.example`);
    const { flow } = await setup(issuers);
    const refusal = { code: 'device_invalid', detail: expect.stringContaining('room for 8') };
    await expect(flow.addDevice(device({ issuers }))).rejects.toMatchObject(refusal);
    await expect(flow.addDevice(device({ issuers: 'any' }))).rejects.toMatchObject(refusal);
    await flow.addDevice(device({ issuers: issuers.slice(1) }));
    const { line: _, ...connected } = device({ id: 'ekg-1', audience: 'coap://ekg-1', issuers: 'any' });
    await expect(flow.addDevice(connected)).resolves.toMatchObject({ device: { issuers: 'any' } });
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
    expect(flow.listDevices()).toEqual({ items: [] });
    expect([...store.entries.keys()]).not.toContain('device/tube-1');
  });

  test('is on record', async () => {
    const { audit, flow } = await setup();
    await flow.addDevice(device());
    await flow.removeDevice('tube-1');
    expect(audit.entries).toMatchObject([{ kind: 'unpair', verdict: 'removed', device: 'tube-1' }]);
    expect(audit.entries[0]?.request).toMatch(/^[0-9a-f]{16}$/);
  });

  test('leaves everything as it was where the medium does not take it, and nothing on record', async () => {
    const { audit, flow, queue, store } = await setup();
    await flow.addDevice(device());
    await queue.add(waiting('tube-1', 1));
    const before = [...store.entries.keys()];
    store.failAt(1);
    await expect(flow.removeDevice('tube-1')).rejects.toThrow('the medium failed');
    expect([...store.entries.keys()]).toEqual(before);
    expect(flow.showDevice('tube-1')).toMatchObject({ waiting: 1 });
    expect(queue.next('tube-1')).toBeDefined();
    expect(audit.entries).toEqual([]);
  });

  test('takes the tokens of the device along in the same write', async () => {
    const { flow, queue, store } = await setup();
    await flow.addDevice(device());
    await queue.add(waiting('tube-1', 1));
    store.failAt(2);
    await flow.removeDevice('tube-1');
    expect([...store.entries.keys()].filter((key) => /^(device|delivery|trust)\//.test(key))).toEqual([]);
  });

  test('refuses a device that nobody registered', async () => {
    const { flow } = await setup();
    await expect(flow.removeDevice('tube-1')).rejects.toMatchObject({ code: 'device_unknown' });
  });
});

/** All pages of a list, one after the other. */
function pagesOf<T>(ask: (after: string | undefined) => Page<T>): readonly (readonly T[])[] {
  const pages: (readonly T[])[] = [];
  let after: string | undefined;
  do {
    const page = ask(after);
    pages.push(page.items);
    after = page.next;
  } while (after !== undefined);
  return pages;
}

describe('a long list', () => {
  const many = LIMITS.devicesAnswered * 2 + 5;
  const id = (index: number) => `tube-${String(index).padStart(4, '0')}`;

  async function registered() {
    const made = await setup();
    for (let index = 0; index < many; index += 1)
      await made.flow.addDevice(device({ id: id(index), audience: `coap://${id(index)}` }));
    return made;
  }

  test('of devices, and of what they trust, comes in pages that leave none out', async () => {
    const { flow } = await registered();
    const devices = pagesOf((after) => flow.listDevices({ after }));
    expect(devices.map(({ length }) => length)).toEqual([LIMITS.devicesAnswered, LIMITS.devicesAnswered, 5]);
    expect(devices.flat().map((view) => view.id)).toEqual(Array.from({ length: many }, (_, index) => id(index)));
    const trust = pagesOf((after) => flow.trust({ after }));
    expect(trust.flat().map((view) => view.device)).toEqual(devices.flat().map((view) => view.id));
  });

  test('goes on behind a device that was removed meanwhile', async () => {
    const { flow } = await registered();
    const { next = '' } = flow.listDevices();
    await flow.removeDevice(next);
    expect(flow.listDevices({ after: next }).items[0]?.id).toBe(id(LIMITS.devicesAnswered));
  });

  test('has pages that are bounded in bytes too', async () => {
    const { flow } = await setup();
    const issuers = Array.from({ length: 200 }, (_, index) => `https://as.example/${index}${'x'.repeat(200)}`);
    const rich = await setup(issuers);
    for (let index = 0; index < 60; index += 1)
      await rich.flow.addDevice({
        ...device({ id: id(index), audience: `https://${id(index)}`, issuers, profile: {} }),
        line: undefined as never,
      });
    const pages = pagesOf((after) => rich.flow.listDevices({ after }));
    expect(pages.length).toBeGreaterThan(1);
    for (const page of pages) expect(JSON.stringify(page).length).toBeLessThanOrEqual(LIMITS.adminPageBytes + 1_024);
    expect(pages.flat()).toHaveLength(60);
    expect(flow.listDevices()).toEqual({ items: [] });
  });

  test('of deliveries has the newest ones in pages, in the order of their arrival', async () => {
    const { flow, queue } = await setup();
    for (let number = 1; number <= LIMITS.deliveriesAnswered + 76; number += 1)
      await queue.add(waiting(`tube-${number % 40}`, number));
    const first = flow.deliveries({ limit: LIMITS.deliveriesAnswered + 50 });
    expect(first.items).toHaveLength(LIMITS.deliveriesAnswered);
    expect(first.items[0]?.scope).toBe('27');
    const second = flow.deliveries({ limit: 50, after: first.next });
    expect(second.items).toHaveLength(50);
    expect(second.items.at(-1)?.scope).toBe(String(LIMITS.deliveriesAnswered + 76));
    expect(second.next).toBeUndefined();
    expect(flow.deliveries({ limit: 3, device: 'tube-1', waiting: true }).items).toHaveLength(3);
  });

  test('of deliveries refuses a cursor that is none', async () => {
    const { flow } = await setup();
    expect(() => flow.deliveries({ limit: 3, after: 'tube-1' })).toThrow(
      expect.objectContaining({ code: 'request_invalid' }),
    );
  });
});

function waiting(of: string, number: number): Parameters<DeliveryQueue['add']>[0] {
  const name = utf8(`token ${number}`);
  return {
    id: number.toString(16).padStart(32, '0'),
    device: of,
    audience: `coap://${of}`,
    cwt: new Secret(name),
    tokenHash: name,
    cti: name,
    expiresAt: 2_000_000_000,
    scope: String(number),
    jwtBytes: 1,
    cwtBytes: 1,
    keysAge: 0,
    clock: 'sure',
    request: 'r',
  };
}

describe('the removal of a device', () => {
  test('leaves one end of a token that is being delivered meanwhile', async () => {
    const { audit, flow, queue, store } = await setup();
    await flow.addDevice(device());
    const [slow, idle] = [await queue.add(waiting('tube-1', 1)), await queue.add(waiting('tube-1', 2))];
    const release = store.holdAt(1);
    const outcome = { state: 'delivered', deviceCode: '2.01', receipt: true } as const;
    const ending = queue.end(slow.id, outcome);
    const removing = flow.removeDevice('tube-1');
    release();
    expect(await ending).toMatchObject({ isFirst: true });
    await removing;
    // What was delivered leaves its record where it ended.
    expect(audit.entries.filter(({ kind }) => kind === 'deliver-end')).toMatchObject([
      { delivery: idle.id, verdict: 'refused', code: 'device_unknown' },
    ]);
    expect([...store.entries.keys()].filter((key) => key.startsWith('delivery/'))).toEqual([]);
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

describe('profiles of the configuration', () => {
  const tube = {
    scopes: ['read'],
    permissions: { read: [['temperature', 16]] },
    wrap: 'sign1',
    authentication: 'EdDSA',
  };
  const named = (members: JsonObject): NamedProfile => {
    const profile = profileFromJson(members);
    return { name: 'tube', members, profile, audience: 'https://x.example/{id}', issuers: ['https://as.example'] };
  };

  test('say what a registration leaves out', async () => {
    const { flow, profiles } = await setup();
    profiles.push(named(tube));
    const { device: view } = await flow.addDevice({ id: 'tube-1', line: 'line-1', profileName: 'tube', profile: {} });
    expect(view).toMatchObject({
      audience: 'https://x.example/tube-1',
      issuers: ['https://as.example'],
      profile_name: 'tube',
      paired: false,
      profile: { wrap: 'sign1', authentication: 'EdDSA', scopes: ['read'] },
    });
    expect(view).not.toHaveProperty('profile_differs');
  });

  test('give way to what a registration says, an algorithm together with its wrap', async () => {
    const { flow, profiles } = await setup();
    profiles.push(named(tube));
    const { device: view } = await flow.addDevice({
      ...device({ audience: 'coap://mine', profileName: 'tube', profile: { wrap: 'mac0', ctiBytes: 8 } }),
    });
    expect(view.profile).toMatchObject({ wrap: 'mac0', authentication: 'HMAC 256/64', ctiBytes: 8, scopes: ['read'] });
    expect(view).toMatchObject({ audience: 'coap://mine', profile_differs: true });
  });

  test('change nothing on devices that are registered', async () => {
    const { flow, profiles, store } = await setup();
    profiles.push(named(tube));
    await flow.addDevice(device({ profileName: 'tube', profile: {} }));
    const before = store.entries.get('device/tube-1');
    profiles.splice(0, 1, named({ ...tube, maxTokenBytes: 512 }));
    expect(flow.showDevice('tube-1')).toMatchObject({ profile_differs: true, profile: { maxTokenBytes: 1_024 } });
    expect(flow.profiles()).toMatchObject([
      { name: 'tube', devices: 1, differing: 1, profile: { maxTokenBytes: 512 } },
    ]);
    expect(store.entries.get('device/tube-1')).toEqual(before);
  });

  test('that are not there are refused, with those that are', async () => {
    const { flow, profiles } = await setup();
    profiles.push(named(tube));
    const asked = flow.addDevice(device({ profileName: 'lamp', profile: {} }));
    await expect(asked).rejects.toMatchObject({ code: 'profile_unknown', detail: '"lamp"; [[profiles]] has tube' });
  });
});

describe('a delivery that waits', () => {
  const waiting = (id: string) => ({
    id,
    device: 'tube-1',
    audience: 'coap://tube-1',
    cwt: new Secret(utf8(id)),
    tokenHash: utf8(id),
    cti: utf8(id),
    expiresAt: 1_800_000_000,
    scope: 'read',
    jwtBytes: 1,
    cwtBytes: 1,
    keysAge: 0,
    clock: 'sure' as const,
    request: 'r',
  });

  test('is tried at once, and it is said what goes before it', async () => {
    const { flow, queue, woken } = await setup();
    await flow.addDevice(device());
    for (const id of ['d1', 'd2', 'd3']) await queue.add(waiting(id));
    expect(flow.retryDelivery('d3')).toMatchObject({ delivery: 'd3', before: 2, difficulty: { code: 'link_down' } });
    expect(woken).toEqual(['tube-1']);
  });

  test('is cancelled once, on record, and its token is off the medium', async () => {
    const { audit, flow, queue, store, woken } = await setup();
    await flow.addDevice(device());
    await queue.add(waiting('d1'));
    expect(await flow.cancelDelivery('d1')).toMatchObject({ state: 'cancelled', code: 'delivery_cancelled' });
    await expect(flow.cancelDelivery('d1')).rejects.toMatchObject({ code: 'delivery_ended', detail: 'cancelled' });
    expect(() => flow.retryDelivery('d1')).toThrow(expect.objectContaining({ code: 'delivery_ended' }));
    await expect(flow.cancelDelivery('d2')).rejects.toMatchObject({ code: 'delivery_unknown' });
    const ends = audit.entries.filter(({ kind }) => kind === 'deliver-end');
    expect(ends).toMatchObject([{ verdict: 'cancelled', delivery: 'd1', code: 'delivery_cancelled' }]);
    expect(new TextDecoder().decode(store.entries.get('delivery/d1'))).not.toContain('"cwt"');
    expect(woken).toEqual([]);
  });
});
