/** A table with an entry whose key cannot be read: LevelDB's repair keeps it, and every later start fails at it. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { expect, onTestFinished, test } from 'vitest';
import { rewriteWhereUnreadable } from '../../src/store/rewrite-database.ts';

const COUNT = 200;
const keyOf = (index: number) => `key-${String(index).padStart(4, '0')}`;

async function databaseWithTable(): Promise<string> {
  const place = mkdtempSync(join(tmpdir(), 'latchkey-test-'));
  onTestFinished(() => rmSync(place, { recursive: true, force: true }));
  const folder = join(place, 'db');
  // Noise is not compressed, so that the keys stand in the file as they are.
  const level = new ClassicLevel<string, Buffer>(folder, { valueEncoding: 'buffer', compression: false });
  for (let index = 0; index < COUNT; index += 1) await level.put(keyOf(index), randomBytes(64));
  await level.compactRange(keyOf(0), keyOf(COUNT));
  await level.close();
  return folder;
}

/** Makes the type of one entry an unknown one: the first of the eight bytes behind its key. */
function spoil(folder: string, index: number): void {
  const [table] = readdirSync(folder).filter((name) => name.endsWith('.ldb'));
  const file = join(folder, table as string);
  const bytes = readFileSync(file);
  // A key shares its beginning with the one before it, so only the end of it is there, behind three lengths.
  const suffix = keyOf(index).slice(-1);
  const sequence = index + 1;
  const at = bytes.indexOf(Buffer.concat([Buffer.from(suffix), Buffer.from([1, sequence, 0, 0, 0, 0, 0, 0])]));
  expect(at).toBeGreaterThan(0);
  bytes[at + 1] = 0x81;
  writeFileSync(file, bytes);
}

async function read(folder: string): Promise<readonly string[]> {
  const level = new ClassicLevel<string, Buffer>(folder, { valueEncoding: 'buffer' });
  try {
    return await level.keys().all();
  } finally {
    await level.close();
  }
}

test('is written anew without the entry that cannot be read', async () => {
  const folder = await databaseWithTable();
  spoil(folder, 107);
  await ClassicLevel.repair(folder);
  await expect(read(folder)).rejects.toThrow('corrupted internal key');
  expect(await rewriteWhereUnreadable(folder)).toBe(true);
  expect(await read(folder)).toEqual(
    Array.from({ length: COUNT }, (_, index) => keyOf(index)).filter((key) => key !== keyOf(107)),
  );
  expect(readdirSync(join(folder, '..'))).toEqual(['db']);
});

test('is left alone where all of it can be read', async () => {
  const folder = await databaseWithTable();
  const before = readdirSync(folder);
  expect(await rewriteWhereUnreadable(folder)).toBe(false);
  expect(readdirSync(folder)).toEqual(before);
  expect(await read(folder)).toHaveLength(COUNT);
});
