/** The built hub with the real systemd-notify, which writes to a datagram socket as systemd has one. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { HubFolder } from '../fixtures/hub-process.ts';

const FAULTS = fileURLToPath(new URL('../fixtures/odd-machine.cjs', import.meta.url));

/**
 * systemd-notify waits until the descriptor that it sends along is closed (sd_notify_barrier(3)), so a receiver has to take
 * and close it. socat takes none, and the wait ends after 5 s.
 */
const RECEIVER = `
import os, socket, sys
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1])
while True:
    message, descriptors, _, _ = socket.recv_fds(receiver, 4096, 4)
    print(message.decode(), flush=True)
    for each in descriptors:
        os.close(each)
`;

let folder: HubFolder;
let listener: ChildProcess;
/** What came, one message behind the other. */
let told: string;
let environment: Record<string, string>;

beforeEach(async () => {
  folder = new HubFolder();
  folder.configure('');
  told = '';
  const socket = join(folder.path, 'notify.sock');
  listener = spawn('python3', ['-c', RECEIVER, socket], { stdio: ['ignore', 'pipe', 'ignore'] });
  listener.stdout?.on('data', (chunk: Buffer) => {
    told += chunk.toString();
  });
  await vi.waitFor(() => expect(existsSync(socket)).toBe(true), { timeout: 10_000 });
  environment = {
    NOTIFY_SOCKET: socket,
    WATCHDOG_USEC: '1000000',
    NODE_OPTIONS: `--require ${FAULTS}`,
    HANG_FILE: join(folder.path, 'hang'),
  };
});
afterEach(async () => {
  listener.kill('SIGKILL');
  await folder.remove();
});

const count = (state: string) => told.split(state).length - 1;
const heard = (state: string, times = 1) =>
  vi.waitFor(() => expect(count(state)).toBeGreaterThanOrEqual(times), { timeout: 30_000, interval: 50 });

test('the heartbeat comes while the event loop turns, and stops when it hangs', async () => {
  await folder.start(environment);
  await heard('READY=1');
  await heard('WATCHDOG=1', 4);
  writeFileSync(join(folder.path, 'hang'), '');
  // It comes twice a second. What was on its way comes still, later on a busy machine.
  let before = -1;
  while (count('WATCHDOG=1') !== before) {
    before = count('WATCHDOG=1');
    await new Promise((resolve) => setTimeout(resolve, 2_500));
  }
});

test('a reload and the end are told', async () => {
  const hub = await folder.start(environment);
  await heard('READY=1');
  process.kill(hub.pid, 'SIGHUP');
  await heard('RELOADING=1');
  await heard('READY=1', 2);
  expect(await hub.stop()).toBe(0);
  await heard('STOPPING=1');
  expect(hub.output.join('\n')).not.toContain('notify_failed');
});

test('a watchdog of another process is not served', async () => {
  await folder.start({ ...environment, WATCHDOG_PID: '1' });
  await heard('READY=1');
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(count('WATCHDOG=1')).toBe(0);
});
