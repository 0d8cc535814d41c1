/** What was removed cannot be read any more from the files, which a thief may get hold of. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { base64url, utf8 } from '../../src/core/bytes.ts';
import { Secret } from '../../src/core/secret.ts';
import { DeliveryQueue } from '../../src/devices/delivery-queue.ts';
import { openStateFolder } from '../../src/hub.ts';
import type { Admin } from '../../src/ports/admin.ts';
import type { Store } from '../../src/ports/store.ts';
import { type OpenedStore, openStore } from '../../src/store/open-store.ts';
import { slotOfValue } from '../../src/store/sealed-value.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { filesOf, opensWith, putRaw, rawValue } from '../fixtures/sealed-files.ts';

let folder: string;
let database: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-forget-'));
  database = join(folder, 'state', 'db');
});
afterEach(() => rmSync(folder, { recursive: true }));

const files = () => filesOf(database);

async function withStore<T>(action: (store: OpenedStore) => Promise<T>): Promise<T> {
  const store = await openStore(database);
  try {
    return await action(store);
  } finally {
    await store.close();
  }
}

const put = (key: string, text: string) => ({ put: key, value: utf8(text) });

describe('a value that is sealed', () => {
  test.each(['device/a', 'delivery/a', 'hub/keys'])('is in no file in clear: %s', async (key) => {
    await withStore(async (store) => {
      await store.write([put(key, 'canary-secret'), put('other', 'in clear')]);
      expect(Buffer.from((await store.read(key)) ?? []).toString()).toBe('canary-secret');
      expect(files()).not.toContain('canary-secret');
      expect(files()).toContain('in clear');
    });
    expect(opensWith(database, key, await rawValue(database, key))).toBe('canary-secret');
  });

  test('comes back after a restart, by read, list and iteration', async () => {
    await withStore((store) => store.write([put('device/a', 'one'), put('device/b', 'two'), put('z', 'three')]));
    await withStore(async (store) => {
      const text = (value: Uint8Array | undefined) => Buffer.from(value ?? []).toString();
      expect(text(await store.read('device/b'))).toBe('two');
      expect((await store.list('')).map(([, value]) => text(value))).toEqual(['one', 'two', '1', 'three']);
      const found: string[] = [];
      for await (const [key, value] of store.entries('device/')) found.push(`${key} ${text(value)}`);
      expect(found).toEqual(['device/a one', 'device/b two']);
    });
  });

  test('is open still where one copy of its key went bad, and harms no other where both did', async () => {
    await withStore((store) => store.write([put('device/a', 'one'), put('device/b', 'two')]));
    const slots = join(database, 'slots');
    const bytes = readFileSync(slots);
    const [slot = 0] = [slotOfValue(await rawValue(database, 'device/a'))];
    bytes[slot * 32] = (bytes[slot * 32] ?? 0) ^ 1;
    writeFileSync(slots, bytes);
    const read = (key: string) =>
      withStore(async (store) => Buffer.from((await store.read(key)) ?? []).toString('latin1'));
    expect(await read('device/a')).toBe('one');
    bytes[2_048 + slot * 32] = (bytes[2_048 + slot * 32] ?? 0) ^ 1;
    writeFileSync(slots, bytes);
    expect(await read('device/a')).not.toBe('one');
    expect(await read('device/b')).toBe('two');
  });

  test('is never taken for lost where its keys are missing: the store does not open', async () => {
    await withStore((store) => store.write([put('device/a', 'one')]));
    rmSync(join(database, 'slots'));
    await expect(openStore(database)).rejects.toMatchObject({
      code: 'store_lost',
      detail: expect.stringContaining('slots'),
    });
  });

  test('of an earlier version is sealed at the first start, and out of the files', async () => {
    await putRaw(database, { 'device/a': 'canary-root-key', 'hub/keys': 'canary-hub', 'time-floor': 'stays' });
    expect(files()).toContain('canary-root-key');
    await withStore(async (store) => {
      expect(Buffer.from((await store.read('device/a')) ?? []).toString()).toBe('canary-root-key');
      expect(files()).not.toContain('canary');
      expect(files()).toContain('stays');
    });
  });
});

describe('forgetting', () => {
  /** What a thief makes of the value that was under the key before, with all the files of after. */
  async function afterForgetting(key: string, change: (store: Store) => Promise<void>): Promise<string | undefined> {
    const sealed = await rawValue(database, key);
    expect(opensWith(database, key, sealed)).toBeDefined();
    await withStore(async (store) => {
      await change(store);
      await store.forget(key.slice(0, key.indexOf('/') + 1));
      // At once, and not only once the store is closed.
      expect(opensWith(database, key, sealed)).toBeUndefined();
    });
    return opensWith(database, key, sealed);
  }

  test('makes unreadable what was removed just now, and nothing else', async () => {
    await withStore((store) => store.write([put('device/a', 'canary-root-key'), put('hub/keys', 'stays')]));
    expect(await afterForgetting('device/a', (store) => store.write([{ remove: 'device/a' }]))).toBeUndefined();
    await withStore(async (store) => {
      expect(Buffer.from((await store.read('hub/keys')) ?? []).toString()).toBe('stays');
      expect(await store.read('device/a')).toBeUndefined();
    });
  });

  test('makes unreadable what was replaced', async () => {
    await withStore((store) => store.write([put('delivery/a', 'canary-token')]));
    const replace = (store: Store) => store.write([put('delivery/a', 'delivered')]);
    expect(await afterForgetting('delivery/a', replace)).toBeUndefined();
    await withStore(async (store) => {
      expect(Buffer.from((await store.read('delivery/a')) ?? []).toString()).toBe('delivered');
    });
  });

  test('makes unreadable what a run before removed and was killed before it could forget', async () => {
    await withStore((store) => store.write([put('device/a', 'canary-root-key'), put('device/b', 'kept')]));
    const sealed = await rawValue(database, 'device/a');
    await withStore((store) => store.write([{ remove: 'device/a' }]));
    expect(opensWith(database, 'device/a', sealed)).toBe('canary-root-key');
    await withStore((store) => store.forget('device/'));
    expect(opensWith(database, 'device/a', sealed)).toBeUndefined();
    await withStore(async (store) => expect(Buffer.from((await store.read('device/b')) ?? []).toString()).toBe('kept'));
  });

  test('of many at once leaves the others as they are, and the file of keys small', async () => {
    const names = Array.from({ length: 3_000 }, (_, index) => `delivery/${index}`);
    await withStore(async (store) => {
      for (let round = 0; round < 5; round += 1) {
        await store.write(names.map((key) => put(key, `${key} ${round}`)));
        await store.forget('delivery/');
      }
    });
    await withStore(async (store) => {
      const found = await store.list('delivery/');
      expect(found).toHaveLength(3_000);
      for (const [key, value] of found) expect(Buffer.from(value).toString()).toBe(`${key} 4`);
    });
    // Twice the keys that are in use, and what waits to be used again.
    expect(statSync(join(database, 'slots')).size).toBeLessThan(64 * 8_192);
  });

  test('at once and again and again gives no key to two values', async () => {
    await withStore(async (store) => {
      for (let round = 0; round < 40; round += 1) {
        const writes = ['device/', 'delivery/'].flatMap((prefix) => [
          store.forget(prefix),
          store.write([put(`${prefix}${round % 5}`, `${round}`), put(`${prefix}kept-${round}`, `${round}`)]),
          store.forget(prefix),
        ]);
        await Promise.all(writes);
      }
    });
    await withStore(async (store) => {
      const found = [...(await store.list('device/')), ...(await store.list('delivery/'))];
      expect(found).toHaveLength(90);
      for (const [, value] of found) expect(Buffer.from(value).toString()).toMatch(/^\d+$/);
    });
    const used: Uint8Array[] = [];
    for (let round = 0; round < 40; round += 1) used.push(await rawValue(database, `device/kept-${round}`));
    expect(new Set(used.map(slotOfValue)).size).toBe(40);
  });

  test('holds writes of one entry in their order, also while keys are made for them', async () => {
    await withStore(async (store) => {
      const writes: Promise<void>[] = [];
      for (let number = 0; number < 500; number += 1) {
        writes.push(store.write([put('device/a', String(number)), put(`device/${number}`, 'x')]));
        if (number % 7 === 0) await Promise.resolve();
        if (number % 50 === 0) writes.push(store.forget('device/'));
      }
      await Promise.all(writes);
      expect(Buffer.from((await store.read('device/a')) ?? []).toString()).toBe('499');
    });
    await withStore(async (store) => {
      expect(Buffer.from((await store.read('device/a')) ?? []).toString()).toBe('499');
      expect(await store.list('device/')).toHaveLength(501);
    });
  });
});

test('the root key of a removed device cannot be had from the state folder', async () => {
  const config = parseConfig(
    'state_dir = "state"\n[[lines]]\nname = "bench"\npath = "tcp://127.0.0.1:1"\n[[issuers]]\nissuer = "https://as.example"\n',
    { file: join(folder, 'latchkey.toml'), folder, environment: {} },
  );
  const withAdmin = async (action: (admin: Admin) => Promise<unknown>) => {
    const opened = await openStateFolder({ config, log: new QuietLog(), create: true });
    await action(opened.admin);
    await opened.close();
  };
  const profile = { permissions: { read: [['temperature', 16]] } };
  await withAdmin(async (admin) => {
    for (const id of ['tube-1', 'tube-2'])
      await admin.addDevice({ id, audience: `coap://${id}`, line: 'bench', profile });
  });
  const [removed, kept] = [await rawValue(database, 'device/tube-1'), await rawValue(database, 'device/tube-2')];
  const rootKey = /"root_key":"([^"]+)"/.exec(opensWith(database, 'device/tube-1', removed) ?? '')?.[1] ?? '';
  expect(rootKey).toHaveLength(43);
  await withAdmin(async (admin) => {
    await admin.removeDevice('tube-1');
    expect(opensWith(database, 'device/tube-1', removed)).toBeUndefined();
    expect(files()).not.toContain(rootKey);
  });
  expect(opensWith(database, 'device/tube-1', removed)).toBeUndefined();
  expect(opensWith(database, 'device/tube-2', kept)).toContain('root_key');
});

test('a delivered token leaves no CWT in the state folder', async () => {
  const cwt = new Uint8Array(randomBytes(200));
  const id = '0'.repeat(32);
  const withQueue = (action: (queue: DeliveryQueue) => Promise<unknown>) =>
    withStore(async (store) => {
      const queue = new DeliveryQueue({ store, log: new QuietLog(), clock: new FakeTime() });
      await queue.load();
      await action(queue);
    });
  await withQueue((queue) =>
    queue.add({
      id,
      device: 'tube-1',
      audience: 'coap://tube-1',
      cwt: new Secret(cwt),
      tokenHash: utf8('12345678'),
      cti: utf8('cti'),
      expiresAt: 1_900_000_000,
      scope: 'read',
      jwtBytes: 1,
      cwtBytes: cwt.length,
      keysAge: 0,
      clock: 'sure',
      request: 'r',
    }),
  );
  const sealed = await rawValue(database, `delivery/${id}`);
  expect(opensWith(database, `delivery/${id}`, sealed)).toContain(base64url(cwt));
  await withQueue(async (queue) => {
    await queue.end(id, { state: 'delivered', deviceCode: '2.01', receipt: true });
    await queue.forgetEnded();
    expect(opensWith(database, `delivery/${id}`, sealed)).toBeUndefined();
  });
  expect(files()).not.toContain(base64url(cwt));
});
