import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeFolder } from '../../src/store/make-folder.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-folder-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

test.each(['/proc/latchkey', '/proc/latchkey/state/db'])('%s is refused at once', async (path) => {
  await expect(makeFolder(path)).rejects.toMatchObject({
    code: 'file_unwritable',
    detail: expect.stringContaining(path),
  });
});

test('a folder in place of which there is a file is refused', async () => {
  writeFileSync(join(folder, 'file'), '');
  await expect(makeFolder(join(folder, 'file'))).rejects.toMatchObject({ code: 'file_unwritable' });
  await expect(makeFolder(join(folder, 'file', 'deeper'))).rejects.toMatchObject({ code: 'file_unwritable' });
});

test('a folder is made with those above it, for its owner only', async () => {
  const path = join(folder, 'a', 'b', 'c');
  await makeFolder(path);
  expect(existsSync(path)).toBe(true);
  expect(statSync(join(folder, 'a')).mode & 0o777).toBe(0o700);
});

test('a folder that is there stays as it is', async () => {
  const path = join(folder, 'mine');
  mkdirSync(path, { mode: 0o755 });
  await makeFolder(path);
  expect(statSync(path).mode & 0o777).toBe(0o755);
});
