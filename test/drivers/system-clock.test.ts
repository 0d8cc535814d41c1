import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../drivers/system-clock.ts';

const NOW = 1_800_000_000;
let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'latchkey-clock-'));
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

async function put(path: string, text = ''): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
}

function observe() {
  return systemClock({ root, systemSeconds: () => NOW, monotonic: () => 0 })();
}

test('a machine that shows nothing', () => {
  expect(observe()).toEqual({
    systemSeconds: NOW,
    synchronised: 'unknown',
    hasBatteryClock: false,
    isDeviceTreeBoard: false,
  });
});

test('a board', async () => {
  await put('proc/device-tree/model', 'Raspberry Pi 4 Model B Rev 1.5\0');
  expect(observe()).toMatchObject({ isDeviceTreeBoard: true });
});

test('timesyncd that has not set the clock yet', async () => {
  await mkdir(join(root, 'run/systemd/timesync'), { recursive: true });
  expect(observe()).toMatchObject({ synchronised: false });
});

test('timesyncd that has set the clock', async () => {
  await put('run/systemd/timesync/synchronized');
  expect(observe()).toMatchObject({ synchronised: true });
});

test('a hardware clock that agrees with the system clock', async () => {
  await put('sys/class/rtc/rtc0/since_epoch', `${NOW - 2}\n`);
  expect(observe()).toMatchObject({ hasBatteryClock: true });
});

test('a hardware clock that lost its power is none', async () => {
  await put('sys/class/rtc/rtc0/since_epoch', '37\n');
  expect(observe()).toMatchObject({ hasBatteryClock: false });
});

test('a hardware clock that cannot be read is none', async () => {
  await mkdir(join(root, 'sys/class/rtc/rtc0'), { recursive: true });
  expect(observe()).toMatchObject({ hasBatteryClock: false });
});

test('evidence is gathered anew after a while, the time at every call', async () => {
  let elapsed = 0;
  let seconds = NOW;
  const clock = systemClock({ root, systemSeconds: () => seconds, monotonic: () => elapsed });
  await put('run/systemd/timesync/synchronized');
  seconds += 1;
  elapsed = 9_000;
  expect(clock()).toMatchObject({ systemSeconds: NOW + 1, synchronised: 'unknown' });
  elapsed = 10_000;
  expect(clock()).toMatchObject({ synchronised: true });
});

test('evidence that cannot be gathered any more stays what it was', async () => {
  await put('sys/class/rtc/rtc0/since_epoch', `${NOW}\n`);
  let elapsed = 0;
  const clock = systemClock({ root, systemSeconds: () => NOW, monotonic: () => elapsed });
  // No folder: reading it fails, as it does in a process without a file descriptor left.
  await rm(join(root, 'sys/class/rtc'), { recursive: true });
  await put('sys/class/rtc');
  await put('run/systemd/timesync/synchronized');
  elapsed = 10_000;
  expect(clock()).toMatchObject({ hasBatteryClock: true, synchronised: true });
});

test('the machine that the tests run on can be asked', () => {
  expect(systemClock()().systemSeconds).toBeGreaterThan(1_600_000_000);
});
