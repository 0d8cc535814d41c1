/** What was removed is not found in the files any more, by whoever gets hold of them. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { base64url, utf8 } from '../../src/core/bytes.ts';
import { Secret } from '../../src/core/secret.ts';
import { DeliveryQueue } from '../../src/devices/delivery-queue.ts';
import { openStateFolder } from '../../src/hub.ts';
import type { Store } from '../../src/ports/store.ts';
import { openStore } from '../../src/store/open-store.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { QuietLog } from '../fakes/quiet-log.ts';

let folder: string;
let database: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-forget-'));
  database = join(folder, 'state', 'db');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Everything that a search through the files would find. */
function files(): string {
  const parts = readdirSync(database).map((name) => readFileSync(join(database, name), 'latin1'));
  return parts.join('\n');
}

async function withStore<T>(action: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore(database);
  try {
    return await action(store);
  } finally {
    await store.close();
  }
}

const put = (key: string, text: string) => ({ put: key, value: utf8(text) });

describe('forgetting', () => {
  test('takes out what was removed just now', async () => {
    await withStore(async (store) => {
      await store.write([put('device/a', 'canary-root-key'), put('hub/keys', 'stays')]);
      await store.write([{ remove: 'device/a' }]);
      expect(files()).toContain('canary-root-key');
      await store.forget('device/');
    });
    expect(files()).not.toContain('canary-root-key');
    expect(files()).toContain('stays');
  });

  test('takes out what was replaced', async () => {
    await withStore(async (store) => {
      await store.write([put('delivery/a', 'canary-token')]);
      await store.write([put('delivery/a', 'delivered')]);
      await store.forget('delivery/');
      expect(Buffer.from((await store.read('delivery/a')) ?? []).toString()).toBe('delivered');
    });
    expect(files()).not.toContain('canary-token');
  });

  test.each([1, 2, 3, 4, 5])('takes out what %i restarts have moved down the levels', async (restarts) => {
    await withStore((store) =>
      store.write([put('device/a', 'canary-root-key'), put('device/b', 'kept'), put('z', 'kept')]),
    );
    for (let restart = 0; restart < restarts; restart += 1) {
      await withStore((store) => store.write([put('device/b', `kept ${restart}`), put('a', 'kept')]));
    }
    await withStore((store) => store.write([{ remove: 'device/a' }]));
    // The record and its removal may lie in different files, or after this in one at the lowest level.
    await withStore(async () => undefined);
    await withStore((store) => store.forget('device/'));
    expect(files()).not.toContain('canary-root-key');
    await withStore(async (store) => {
      expect((await store.list('')).map(([key]) => key)).toEqual(['a', 'device/b', 'z']);
    });
  });

  test('takes out many at once, from under many others', async () => {
    await withStore(async (store) => {
      // What repeats itself would be compressed and not found, whether it is there or not.
      const token = () => `canary${randomBytes(1_500).toString('base64url')}`;
      for (let batch = 0; batch < 40; batch += 1) {
        await store.write(
          Array.from({ length: 100 }, (_, index) => put(`delivery/${(batch * 100 + index) % 3_000}`, token())),
        );
      }
      await store.write(Array.from({ length: 3_000 }, (_, index) => put(`delivery/${index}`, 'ended')));
      expect(files()).toContain('canary');
      await store.forget('delivery/');
      expect(await store.list('delivery/')).toHaveLength(3_000);
    });
    expect(files()).not.toContain('canary');
  }, 30_000);
});

test('a removed device leaves no root key in the state folder', async () => {
  const config = parseConfig(
    'state_dir = "state"\n[[lines]]\nname = "bench"\npath = "tcp://127.0.0.1:1"\n[[issuers]]\nissuer = "https://as.example"\n',
    { file: join(folder, 'latchkey.toml'), folder, environment: {} },
  );
  const opened = await openStateFolder({ config, log: new QuietLog(), create: true });
  const profile = { permissions: { read: [['temperature', 16]] } };
  for (const id of ['tube-1', 'tube-2']) {
    await opened.admin.addDevice({ id, audience: `coap://${id}`, line: 'bench', profile });
  }
  const rootKey = (id: string) => new RegExp(`"id":"${id}".*?"root_key":"([^"]+)"`).exec(files())?.[1] ?? '';
  const [removed, kept] = [rootKey('tube-1'), rootKey('tube-2')];
  expect(removed).toHaveLength(43);
  await opened.admin.removeDevice('tube-1');
  expect(files()).not.toContain(removed);
  expect(files()).toContain(kept);
  await opened.close();
  expect(files()).not.toContain(removed);
});

test('a delivered token leaves no CWT in the state folder', async () => {
  const cwt = new Uint8Array(randomBytes(200));
  await withStore(async (store) => {
    const queue = new DeliveryQueue({ store, log: new QuietLog(), clock: new FakeTime() });
    await queue.load();
    const { id } = await queue.add({
      id: '0'.repeat(32),
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
    });
    expect(files()).toContain(base64url(cwt));
    await queue.end(id, { state: 'delivered', deviceCode: '2.01', receipt: true });
    await queue.forgetEnded();
  });
  expect(files()).not.toContain(base64url(cwt));
});
