import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { readTracking } from '../../drivers/chrony.ts';
import { systemClock } from '../../drivers/system-clock.ts';

/** As chronyc 4.3 of Debian 12 prints them. */
const SET =
  'C0A80001,192.168.0.1,3,1795478400.123456789,-0.000012345,0.000010000,0.000020000,-12.345,0.001,0.020,0.010000000,0.001000000,64.2,Normal\n';
const UNSET =
  '00000000,,0,0.000000000,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,1.000000000,1.000000000,0.0,Not synchronised\n';

let root: string;
let elapsed = 0;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'latchkey-chrony-'));
  elapsed = 0;
});
afterEach(() => rmSync(root, { recursive: true }));

function chronyc(script: string): string {
  const file = join(root, 'chronyc');
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}

const clockOf = (program: string) => systemClock({ root, chronyc: program, monotonic: () => elapsed });

test.each([
  ['set', SET, true],
  ['set, with a leap second to come', SET.replace('Normal', 'Insert second'), true],
  ['not set', UNSET, false],
  ['of another form', '506 Cannot talk to daemon\n', 'unknown'],
  ['nothing', '', 'unknown'],
])('the answer of chronyc: %s', (_name, output, expected) => {
  expect(readTracking(output)).toBe(expected);
});

test('chronyd that has set the clock confirms it', async () => {
  mkdirSync(join(root, 'run/chrony'), { recursive: true });
  const clock = clockOf(chronyc(`printf '%s' '${SET}'`));
  await vi.waitFor(() => expect(clock()).toMatchObject({ synchronised: true }), { timeout: 10_000 });
});

test('chronyd that sets the clock later is asked again', async () => {
  mkdirSync(join(root, 'run/chrony'), { recursive: true });
  const clock = clockOf(chronyc(`printf '%s' '${UNSET}'`));
  await vi.waitFor(() => expect(clock()).toMatchObject({ synchronised: false }), { timeout: 10_000 });
  chronyc(`printf '%s' '${SET}'`);
  elapsed = 30_000;
  await vi.waitFor(() => expect(clock()).toMatchObject({ synchronised: true }), { timeout: 10_000 });
});

test('chronyc that fails says nothing of the clock', async () => {
  mkdirSync(join(root, 'run/chrony'), { recursive: true });
  const asked = join(root, 'asked');
  const clock = clockOf(chronyc(`echo asked > ${asked}; exit 1`));
  clock();
  await vi.waitFor(async () => (await import('node:fs')).readFileSync(asked), { timeout: 10_000 });
  expect(clock()).toMatchObject({ synchronised: 'unknown' });
});

test('a machine without chronyd starts no program', () => {
  expect(clockOf('/nowhere/chronyc')()).toMatchObject({ synchronised: 'unknown' });
});
