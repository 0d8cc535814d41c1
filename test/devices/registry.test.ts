import { describe, expect, test } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import { Secret } from '../../src/core/secret.ts';
import { type Device, encodeDevice, ROOT_KEY_BYTES } from '../../src/devices/device.ts';
import { Registry } from '../../src/devices/registry.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { deviceProfile } from '../fixtures/verified-token.ts';

const CANARY = Buffer.alloc(ROOT_KEY_BYTES, 'canary');

function device(changes: Partial<Device> = {}): Device {
  return {
    id: 'tube-1',
    audience: 'coap://tube-1',
    line: 'bench',
    profile: deviceProfile(),
    issuers: undefined,
    rootKey: new Secret(Uint8Array.from(CANARY)),
    trustVersion: 1,
    addedAt: 1_700_000_000,
    ...changes,
  };
}

function setup(store = new FaultyStore()) {
  const log = new QuietLog();
  return { store, log, registry: new Registry({ store, log }) };
}

describe('a device is refused', () => {
  test('whose id is taken', async () => {
    const { registry } = setup();
    await registry.add(device());
    await expect(registry.add(device({ audience: 'coap://other' }))).rejects.toMatchObject({ code: 'device_exists' });
  });

  test('whose audience is taken', async () => {
    const { registry } = setup();
    await registry.add(device());
    await expect(registry.add(device({ id: 'tube-2' }))).rejects.toMatchObject({ code: 'audience_taken' });
    expect(registry.size).toBe(1);
  });

  test('that the medium did not take, and it is not there afterwards', async () => {
    const { registry, store } = setup();
    store.failAt(1);
    await expect(registry.add(device())).rejects.toThrow('the medium failed');
    expect(registry.list()).toEqual([]);
    await registry.add(device());
  });
});

describe('a device that is not there', () => {
  test('is not found', () => {
    expect(() => setup().registry.get('tube-1')).toThrow('device_unknown');
  });

  test('cannot be removed', async () => {
    const { registry, store } = setup();
    await expect(registry.remove('tube-1')).rejects.toMatchObject({ code: 'device_unknown' });
    expect(store.writes).toBe(0);
  });
});

test('a device stays until the medium has forgotten it', async () => {
  const { registry, store } = setup();
  await registry.add(device());
  store.failAt(1);
  await expect(registry.remove('tube-1')).rejects.toThrow('the medium failed');
  expect(registry.get('tube-1').audience).toBe('coap://tube-1');
  await registry.remove('tube-1');
  expect(registry.size).toBe(0);
});

test('after a restart the devices are the same, in the order of their ids', async () => {
  const { registry, store } = setup();
  await registry.add(device({ id: 'b', audience: 'b', issuers: ['https://as.example'] }));
  await registry.add(device({ id: 'a', audience: 'a', line: undefined, ble: { name: 'tube' } }));
  const { registry: restarted } = setup(store);
  await restarted.load();
  expect(restarted.list().map(({ id }) => id)).toEqual(['a', 'b']);
  expect(restarted.list()).toEqual(registry.list());
  expect(restarted.byBleName('tube')?.id).toBe('a');
  expect(CANARY.equals(restarted.get('b').rootKey.expose())).toBe(true);
});

test('the name of a removed device is free', async () => {
  const { registry } = setup();
  await registry.add(device({ line: undefined, ble: { name: 'tube' } }));
  await registry.remove('tube-1');
  expect(registry.byBleName('tube')).toBeUndefined();
});

describe('a record is passed over, named in the log, and not quoted', () => {
  const whole = JSON.parse(Buffer.from(encodeDevice(device())).toString()) as Record<string, unknown>;

  test.each<[string, unknown]>([
    ['that is a list', [whole]],
    ['without an audience', { ...whole, audience: undefined }],
    ['with a short root key', { ...whole, root_key: 'AAAA' }],
    ['with a profile of another version', { ...whole, profile: { scopes: ['read'], warp: 1 } }],
    ['with a line and a name to advertise', { ...whole, ble: { name: 'tube' } }],
    ['with a name to advertise that is none', { ...whole, line: undefined, ble: { name: 7 } }],
    ['with an id that is none', { ...whole, id: '../etc' }],
    ['with a broken date', { ...whole, added_at: 1.5 }],
  ])('%s', async (_, record) => {
    const store = new FaultyStore(
      new Map([
        ['device/bad', Buffer.from(JSON.stringify(record))],
        ['device/tube-1', encodeDevice(device())],
      ]),
    );
    const { registry, log } = setup(store);
    await registry.load();
    expect(registry.list().map(({ id }) => id)).toEqual(['tube-1']);
    expect(log.lines).toMatchObject([
      { level: 'error', fields: { event: 'device_record_unreadable', code: 'store_corrupt', key: 'device/bad' } },
    ]);
    expect(JSON.stringify(log.lines)).not.toContain(CANARY.toString('base64url').slice(0, 8));
    expect(store.entries.has('device/bad')).toBe(true);
  });
});

describe('another record of a device', () => {
  const pairing = {
    nonces: { hub: new Uint8Array(16).fill(1), device: new Uint8Array(16).fill(2) },
    request: '0123456789abcdef',
  };

  test('takes the place of the one before, on the medium too', async () => {
    const { registry, store } = setup();
    const known = device({ ble: { name: 'old' }, line: undefined, pairing });
    await registry.add(known);
    await registry.update(known, { name: 'Fridge', ble: { name: 'new' }, pairing: undefined });
    expect(registry.byBleName('old')).toBeUndefined();
    expect(registry.byBleName('new')).toBe(registry.get('tube-1'));
    const { registry: later } = setup(new FaultyStore(new Map(store.entries)));
    await later.load();
    expect(later.get('tube-1')).toMatchObject({ name: 'Fridge', ble: { name: 'new' }, trustVersion: 1 });
    expect(later.get('tube-1').pairing).toBeUndefined();
  });

  test('keeps what an earlier change made of it', async () => {
    const { registry } = setup();
    const known = device({ pairing });
    await registry.add(known);
    await Promise.all([registry.update(known, { name: 'Fridge' }), registry.update(known, { pairing: undefined })]);
    expect(registry.get('tube-1')).toMatchObject({ name: 'Fridge' });
    expect(registry.get('tube-1').pairing).toBeUndefined();
  });

  test('is refused once the device was registered anew', async () => {
    const { registry } = setup();
    const known = device();
    await registry.add(known);
    await registry.remove('tube-1');
    await expect(registry.update(known, { name: 'Fridge' })).rejects.toMatchObject({ code: 'device_unknown' });
    await registry.add(device());
    await expect(registry.update(known, { name: 'Fridge' })).rejects.toMatchObject({ code: 'device_unknown' });
  });

  test('that the medium did not take is not there', async () => {
    const { registry, store } = setup();
    const known = device();
    await registry.add(known);
    store.failAt(1);
    await expect(registry.update(known, { name: 'Fridge' })).rejects.toThrow('the medium failed');
    expect(registry.get('tube-1')).toBe(known);
  });

  test('counts once it is on the medium, and until then the one before does', async () => {
    const { registry, store } = setup();
    const known = device({ line: undefined, ble: { name: 'old' } });
    await registry.add(known);
    const release = store.holdAt(1);
    const updating = registry.update(known, { ble: { name: 'new' } });
    expect(registry.get('tube-1')).toBe(known);
    expect(registry.byBleName('old')).toBe(known);
    release();
    await updating;
    expect(registry.byBleName('old')).toBeUndefined();
  });

  test('that the medium did not take leaves nothing in one that was asked for meanwhile', async () => {
    const { registry, store } = setup();
    const known = device({ pairing });
    await registry.add(known);
    store.failAt(1);
    const [named] = await Promise.allSettled([
      registry.update(known, { name: 'Fridge' }),
      registry.update(known, { pairing: undefined }),
    ]);
    expect(named.status).toBe('rejected');
    expect(registry.get('tube-1').name).toBeUndefined();
    const { registry: later } = setup(new FaultyStore(new Map(store.entries)));
    await later.load();
    expect(later.list()).toEqual(registry.list());
  });

  test('does not bring a device back that is being removed', async () => {
    const { registry, store } = setup();
    const known = device();
    await registry.add(known);
    const release = store.holdAt(1);
    const removing = registry.remove('tube-1');
    const updating = registry.update(known, { name: 'Fridge' });
    release();
    await removing;
    await expect(updating).rejects.toMatchObject({ code: 'device_unknown' });
    expect(store.entries.size).toBe(0);
    expect(registry.size).toBe(0);
  });

  test('says what is unfinished, over a restart', async () => {
    const { registry, store } = setup();
    await registry.add(device({ pairing }));
    const { registry: later } = setup(new FaultyStore(new Map(store.entries)));
    await later.load();
    expect(later.get('tube-1').pairing).toEqual(pairing);
  });

  test.each([
    ['a nonce of another size', { ...pairing, nonces: { hub: new Uint8Array(8), device: new Uint8Array(16) } }],
    ['a pairing that is none', 'soon'],
  ])('with %s is not read', async (_, broken) => {
    const { registry, store, log } = setup();
    const bytes = encodeDevice(device({ pairing: typeof broken === 'string' ? undefined : broken }));
    const json = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
    if (typeof broken === 'string') json.pairing = broken;
    store.entries.set('device/tube-1', Buffer.from(JSON.stringify(json)));
    await registry.load();
    expect(registry.size).toBe(0);
    expect(log.lines).toMatchObject([{ fields: { event: 'device_record_unreadable' } }]);
  });
});

describe('a key that no device has any more is told once', () => {
  function watched() {
    const parts = setup();
    const revoked: string[] = [];
    const unwatch = parts.registry.revocations.watch((id) => revoked.push(id));
    return { ...parts, revoked, unwatch };
  }

  test('where its device is removed, and by then it is not found', async () => {
    const { registry } = setup();
    const found: (Device | undefined)[] = [];
    registry.revocations.watch((id) => found.push(registry.find(id)));
    await registry.add(device());
    await registry.remove('tube-1');
    expect(found).toEqual([undefined]);
  });

  test('where its device gets another one', async () => {
    const { registry, revoked } = watched();
    const before = device();
    await registry.add(before);
    await registry.update(before, { line: 'other' });
    expect(revoked).toEqual([]);
    await registry.update(before, { rootKey: new Secret(new Uint8Array(ROOT_KEY_BYTES)) });
    expect(revoked).toEqual(['tube-1']);
  });

  test('where the medium did not take the device', async () => {
    const { registry, revoked, store } = watched();
    store.failAt(1);
    await expect(registry.add(device())).rejects.toThrow();
    expect(revoked).toEqual(['tube-1']);
  });

  test('but not where the removal failed, and not to who has stopped to listen', async () => {
    const { registry, revoked, store, unwatch } = watched();
    await registry.add(device());
    store.failAt(1);
    await expect(registry.remove('tube-1')).rejects.toThrow();
    expect(revoked).toEqual([]);
    unwatch();
    await registry.remove('tube-1');
    expect(revoked).toEqual([]);
  });
});

test('a record of an earlier version is of a device whose proofs the hub verifies', async () => {
  const { line: _line, ...connected } = JSON.parse(Buffer.from(encodeDevice(device())).toString()) as {
    line?: string;
    profile: Record<string, unknown>;
  };
  const { checksProofs, ...profile } = connected.profile;
  expect(checksProofs).toBe(false);
  const entries = new Map([
    ['device/tube-1', utf8(JSON.stringify({ ...connected, profile }))],
    [
      'device/ekg-1',
      utf8(
        JSON.stringify({
          ...connected,
          id: 'ekg-1',
          audience: 'coap://ekg-1',
          profile: { ...profile, checksProofs: true },
        }),
      ),
    ],
  ]);
  const registry = new Registry({ store: new FaultyStore(entries), log: new QuietLog() });
  await registry.load();
  expect(registry.get('tube-1').profile.checksProofs).toBe(false);
  expect(registry.get('ekg-1').profile.checksProofs).toBe(true);
});

test('an offline device that an earlier version registered for bearer tokens is read, takes none, and is in the log', async () => {
  const log = new QuietLog();
  const json = JSON.parse(Buffer.from(encodeDevice(device())).toString()) as { profile: object };
  const record = (changes: object) => utf8(JSON.stringify({ ...json, ...changes }));
  const bearer = { ...json.profile, bearer: true };
  const { line: _line, ...connected } = json as { line?: string; profile: object };
  const entries = new Map([
    ['device/tube-1', record({ profile: bearer })],
    ['device/ekg-1', utf8(JSON.stringify({ ...connected, id: 'ekg-1', audience: 'coap://ekg-1', profile: bearer }))],
  ]);
  const registry = new Registry({ store: new FaultyStore(entries), log });
  await registry.load();
  expect(registry.get('tube-1').profile.bearer).toBe(false);
  expect(registry.get('ekg-1').profile.bearer).toBe(true);
  expect(log.lines).toMatchObject([
    { level: 'warn', fields: { event: 'device_bearer_ended', code: 'device_bearer_ended', device: 'tube-1' } },
  ]);
});
