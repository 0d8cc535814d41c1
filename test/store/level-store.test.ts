import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryLevel } from 'memory-level';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import { isCoded } from '../../src/core/errors.ts';
import type { Store } from '../../src/ports/store.ts';
import { openDatabase, openStore } from '../../src/store/open-store.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'latchkey-store-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function codeOf(action: Promise<unknown>): Promise<string> {
  try {
    await action;
    return 'none';
  } catch (error) {
    return isCoded(error) ? error.code : `uncoded: ${String(error)}`;
  }
}

const kinds: readonly { readonly kind: string; readonly openOne: () => Promise<Store> }[] = [
  { kind: 'on disk', openOne: () => openStore(join(folder, 'state')) },
  { kind: 'in memory', openOne: () => openDatabase(new MemoryLevel({ valueEncoding: 'view', keyEncoding: 'utf8' })) },
];

describe.each(kinds)('a store $kind', ({ openOne }) => {
  let store: Store;
  beforeEach(async () => {
    store = await openOne();
  });
  afterEach(async () => {
    await store.close();
  });

  test('gives back the bytes that were written', async () => {
    const value = new Uint8Array([0, 255, 128, 10]);
    await store.write([{ put: 'a/1', value }]);
    const read = await store.read('a/1');
    expect(read === undefined ? undefined : new Uint8Array(read)).toEqual(value);
  });

  test('has nothing under a key that was never written, or was removed', async () => {
    await store.write([{ put: 'a', value: utf8('x') }]);
    await store.write([{ remove: 'a' }]);
    expect(await store.read('a')).toBeUndefined();
    expect(await store.read('b')).toBeUndefined();
  });

  test('lists what begins with a prefix, in key order, and nothing else', async () => {
    for (const key of ['a0', 'a/2', 'a/1', 'a/~', 'a/é', 'a', 'b/1'])
      await store.write([{ put: key, value: utf8(key) }]);
    const entries = await store.list('a/');
    expect(entries.map(([key]) => key)).toEqual(['a/1', 'a/2', 'a/~', 'a/é']);
    expect(entries.map(([, value]) => Buffer.from(value).toString())).toEqual(['a/1', 'a/2', 'a/~', 'a/é']);
  });

  test('puts and removes together', async () => {
    await store.write([{ put: 'old', value: utf8('1') }]);
    await store.write([{ remove: 'old' }, { put: 'new', value: utf8('2') }]);
    expect((await store.list('')).map(([key]) => key)).toEqual(['new']);
  });

  test('gives back at once what was written without waiting for the medium', async () => {
    await store.write([{ put: 'a', value: utf8('1') }], { flush: false });
    await store.write([{ put: 'b', value: utf8('2') }, { remove: 'a' }], { flush: false });
    expect((await store.list('')).map(([key]) => key)).toEqual(['b']);
  });

  test('an empty write changes nothing', async () => {
    await store.write([]);
    expect(await store.list('')).toEqual([]);
  });
});

describe('a store on disk', () => {
  const path = () => join(folder, 'state');

  test('keeps everything over a restart', async () => {
    const first = await openStore(path());
    await first.write([{ put: 'a', value: utf8('kept') }]);
    await first.close();
    const second = await openStore(path());
    expect(Buffer.from((await second.read('a')) ?? []).toString()).toBe('kept');
    await second.close();
  });

  test('makes its folder, for its owner alone', async () => {
    const store = await openStore(join(path(), 'deeper'));
    await store.close();
    expect((await stat(join(path(), 'deeper'))).mode & 0o777).toBe(0o700);
  });

  test('closes to others what was left open to them', async () => {
    await (await openStore(path())).close();
    await chmod(path(), 0o755);
    for (const name of await readdir(path())) await chmod(join(path(), name), 0o644);
    await (await openStore(path())).close();
    for (const name of ['.', ...(await readdir(path()))]) {
      expect([name, (await stat(join(path(), name))).mode & 0o077]).toEqual([name, 0]);
    }
  });

  test('makes its files for its owner alone, whatever the mask was', async () => {
    const mask = process.umask(0o022);
    try {
      const store = await openStore(path());
      await store.write([{ put: 'a', value: utf8('x') }]);
      await store.forget('a');
      await store.close();
    } finally {
      process.umask(mask);
    }
    for (const name of await readdir(path())) {
      expect([name, (await stat(join(path(), name))).mode & 0o777]).toEqual([name, 0o600]);
    }
  });

  test('refuses a folder that another hub has open', async () => {
    const first = await openStore(path());
    expect(await codeOf(openStore(path()))).toBe('store_locked');
    await first.close();
  });

  test('refuses a folder whose manifest is broken', async () => {
    await (await openStore(path())).close();
    for (const name of await readdir(path())) {
      if (name.startsWith('MANIFEST')) await writeFile(join(path(), name), 'no manifest at all');
    }
    expect(await codeOf(openStore(path()))).toBe('store_corrupt');
  });

  test('refuses a path that leads through a file', async () => {
    await writeFile(join(folder, 'file'), '');
    expect(await codeOf(openStore(join(folder, 'file', 'state')))).toBe('file_unwritable');
  });

  test('refuses a folder in which it cannot make its files', async () => {
    await mkdir(join(path(), 'LOCK'), { recursive: true });
    expect(await codeOf(openStore(path()))).toBe('file_unwritable');
  });
});
