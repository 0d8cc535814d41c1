import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readSetupCode, setupCodeText } from '../../src/codec/setup-code.ts';
import { hex } from '../../src/core/bytes.ts';
import { runLine } from '../fixtures/fake-terminal.ts';
import { CODE } from '../fixtures/pair-rig.ts';
import { SETUP } from '../sim/paired-device.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-label-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const label = (...args: readonly string[]) => runLine(['devices', 'label', 'tube-1', ...args]);

test('a new code is printed as a drawing, as QR text and as typed, which are one', async () => {
  const { status, printed } = await label();
  expect(status).toBe(0);
  const lines = printed.split('\n');
  const [qr = '', typed = ''] = lines.slice(-2);
  expect(readSetupCode(qr).id).toBe('tube-1');
  expect(hex(readSetupCode(qr).secret.expose())).toBe(hex(readSetupCode(typed).secret.expose()));
  // Version 5 in quality Q has 37 modules, and two on each side; two of them stand in one line.
  const drawing = lines.slice(0, -2);
  expect(drawing).toHaveLength(21);
  expect(new Set(drawing.map((line) => [...line].length))).toEqual(new Set([41]));
  expect(drawing.join('')).toMatch(/^[█▀▄ ]+$/);
});

test('no two new codes are the same', async () => {
  expect((await label('--json')).printed).not.toBe((await label('--json')).printed);
});

test('a code that there is keeps what it is', async () => {
  const { printed } = await runLine(['devices', 'label', 'tube-1', '--code', '-', '--json'], { '-': CODE.expose() });
  expect(JSON.parse(printed)).toEqual({
    id: 'tube-1',
    qr: setupCodeText('tube-1', SETUP).expose(),
    typed: CODE.expose(),
  });
});

test('the drawing goes to a file for its owner alone, and nothing of the code to the screen', async () => {
  const svg = join(folder, 'tube-1.svg');
  const { printed } = await label('--code', CODE.expose(), '--svg', svg);
  expect(printed).not.toContain(CODE.expose());
  expect(readFileSync(svg, 'utf8')).toMatch(/^<svg .*<\/svg>$/s);
  expect(statSync(svg).mode & 0o777).toBe(0o600);
});

describe('with the configuration of the hub', () => {
  const config = () => join(folder, 'latchkey.toml');
  const profile = '[[profiles]]\nname = "tube"\nallow = ["read=FETCH temperature"]\n';

  test.each(['-c', '--config'])('(%s) a profile of it is named on the label', async (option) => {
    writeFileSync(config(), profile);
    const { printed, status } = await label('--profile', 'tube', '--json', option, config());
    expect(status).toBe(0);
    expect(readSetupCode(JSON.parse(printed).qr).profile).toBe('tube');
  });

  test('a label without a profile needs none', async () => {
    writeFileSync(config(), '');
    expect((await label('--json', '-c', config())).status).toBe(0);
  });

  test.each([
    ['of an option', ['--profile', 'tub']],
    ['of the code', ['--code', setupCodeText('tube-1', SETUP, 'tub').expose()]],
  ])('another name %s is refused', async (_, args) => {
    writeFileSync(config(), profile);
    const svg = join(folder, 'tube-1.svg');
    const { noted, printed, status } = await label(...args, '--svg', svg, '-c', config());
    expect([status, printed]).toEqual([1, '']);
    expect(noted).toContain('"tub"; [[profiles]] has tube');
    expect(noted).toContain('[profile_unknown]');
    expect(existsSync(svg)).toBe(false);
  });
});

describe('a label is refused', () => {
  test.each<[string, readonly string[], string]>([
    ['of another device', ['--code', setupCodeText('tube-2', SETUP).expose()], 'usage'],
    ['of a code that was mistyped', ['--code', `${CODE.expose().slice(0, -1)}0`], 'setup_code_invalid'],
  ])('%s', async (_, args, code) => {
    const { noted, status } = await label('--json', ...args);
    expect(status).not.toBe(0);
    expect(JSON.parse(noted).error.code).toBe(code);
    expect(noted).not.toContain(CODE.expose().slice(0, 12));
  });

  test('for an id that no device can have', async () => {
    const { noted } = await runLine(['devices', 'label', 'Tube 1', '--json']);
    expect(JSON.parse(noted).error.code).toBe('device_invalid');
  });

  test('into a file that is there', async () => {
    const svg = join(folder, 'tube-1.svg');
    await label('--svg', svg);
    const { noted } = await label('--svg', svg, '--json');
    expect(JSON.parse(noted).error.code).toBe('file_exists');
  });
});

test('the QR text names a profile, that of the option before that of the code', async () => {
  const qrOf = async (...args: readonly string[]) => JSON.parse((await label('--json', ...args)).printed).qr;
  const code = setupCodeText('tube-1', SETUP, 'lamp').expose();
  expect(readSetupCode(await qrOf('--profile', 'tube')).profile).toBe('tube');
  expect(await qrOf('--code', code)).toBe(code);
  expect(readSetupCode(await qrOf('--code', code, '--profile', 'tube')).profile).toBe('tube');
  expect((await label('--profile', 'Tube')).noted).toContain('[device_invalid]');
});
