import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readReplacedFile, replaceFile } from '../../drivers/replaced-file.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-test-'));
  path = join(folder, 'below', 'tube.state');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a file that is not there has no text', async () => {
  expect(await readReplacedFile(path)).toBeUndefined();
});

test('a file is replaced whole, and nothing is left beside it', async () => {
  await replaceFile(path, 'a long first text');
  await replaceFile(path, 'second');
  expect(await readReplacedFile(path)).toBe('second');
  expect(readdirSync(join(folder, 'below'))).toEqual(['tube.state']);
});

test('a file is for its owner alone, whatever a crash left behind', async () => {
  await replaceFile(path, 'first');
  writeFileSync(`${path}.new`, 'half of a');
  chmodSync(`${path}.new`, 0o644);
  await replaceFile(path, 'second');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readFileSync(path, 'utf8')).toBe('second');
});

test('a file that cannot be written is refused', async () => {
  writeFileSync(join(folder, 'below'), 'no folder');
  await expect(replaceFile(path, 'text')).rejects.toMatchObject({ code: 'file_unwritable' });
});

test('a folder in the place of the file is refused', async () => {
  await expect(readReplacedFile(folder)).rejects.toMatchObject({ code: 'file_unreadable' });
});
