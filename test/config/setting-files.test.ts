import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCertificate, readKeySet } from '../../src/config/setting-files.ts';
import { LatchkeyError } from '../../src/core/errors.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-files-'));
  writeFileSync(join(folder, 'text'), 'no key set');
  writeFileSync(join(folder, 'list.json'), '[]');
  writeFileSync(join(folder, 'large'), '');
  truncateSync(join(folder, 'large'), 1_048_577);
});

afterAll(() => rmSync(folder, { recursive: true }));

function refusal(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof LatchkeyError && error.detail?.startsWith('a_file: ')) return error.code;
    throw error;
  }
  return 'none';
}

describe('a file that a setting names is refused, by the name of the setting,', () => {
  test.each([
    ['where it is missing', 'nothing', 'file_unreadable'],
    ['where it is a folder', '.', 'config_invalid'],
    ['where it is a device, which may have no end', '/dev/zero', 'config_invalid'],
    ['where it is larger than 1 MiB', 'large', 'config_invalid'],
    ['where it is no JSON', 'text', 'jwks_invalid'],
    ['where it is a list', 'list.json', 'jwks_invalid'],
  ])('%s', (_, name, code) => {
    expect(refusal(() => readKeySet('a_file', resolve(folder, name)))).toBe(code);
  });

  test('where a certificate authority is none', () => {
    expect(refusal(() => readCertificate('a_file', join(folder, 'text')))).toBe('config_invalid');
  });
});
