import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Terminal } from '../../src/cli/command.ts';
import { runCommandLine } from '../../src/cli/program.ts';
import { writeTrustFile } from '../../src/codec/trust-file.ts';
import { credentialsFileOf } from '../../src/devices/device-credentials.ts';
import { connectedDevice } from '../fixtures/connected-device.ts';
import { PROGRAM } from '../fixtures/hub-process.ts';
import { connected, type MqttRig, openMqttRig, secretOf } from '../fixtures/mqtt-front.ts';

const CODE = '00041-06105-0R3GG-28A1C-60T3G-F6';
const SECRET = Buffer.alloc(32, 'canary').toString('base64url');
let folder: string;
let trust: string;
let credentials: string;
let child: ChildProcess | undefined;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-test-'));
  trust = join(folder, 'trust.json');
  const key = { kty: 'oct', alg: 'HMAC 256/64', k: SECRET };
  const file = writeTrustFile({
    version: 1,
    device: 'tube-1',
    audience: 'https://tube-1.devices.example',
    wrap: 'mac0',
    cwtTag: false,
    scopeForm: 'text',
    maxTokenBytes: 1024,
    keys: [{ ...key, kid: 'mac1' }],
    confirmationKeys: [],
    answerKey: { ...key, kid: 'ans1' },
    receipt: 'mac0',
    permissions: { read: [['temperature', 16]] },
  });
  writeFileSync(trust, file);
  credentials = join(folder, 'credentials.json');
  writeFileSync(credentials, credentialsFileOf(connectedDevice('ekg-1')));
});

afterEach(async () => {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Starts the built program and resolves with its first line. */
function start(...args: readonly string[]) {
  return startWith('--trust', trust, ...args);
}

async function startWith(...args: readonly string[]) {
  const started = spawn(process.execPath, [PROGRAM, 'sim', 'device', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child = started;
  const lines: string[] = [];
  const input = createInterface({ input: started.stdout });
  input.on('line', (line) => lines.push(line));
  await once(input, 'line');
  return { started, lines };
}

test('it says where it listens, and ends with status 0 on SIGTERM', async () => {
  const { started, lines } = await start('--listen', 'tcp://127.0.0.1:0');
  expect(lines[0]).toMatch(/^tube-1 is ready on tcp:\/\/127\.0\.0\.1:[1-9]\d*$/);
  started.kill('SIGTERM');
  expect(await once(started, 'exit')).toEqual([0, null]);
});

test('with --json every line is JSON and none holds a key', async () => {
  const { started, lines } = await start('--listen', 'tcp://127.0.0.1:0', '--json');
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    event: 'ready',
    device: 'tube-1',
    address: expect.stringMatching(/^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/),
  });
  started.kill('SIGINT');
  expect(await once(started, 'exit')).toEqual([0, null]);
  expect(lines.join('\n')).not.toContain(SECRET);
});

test('a connected device says where its clients reach it, that its broker is away, and ends on SIGTERM', async () => {
  const { lines, started } = await startWith(
    '--connected',
    'mqtt://127.0.0.1:1',
    '--credentials',
    credentials,
    '--json',
  );
  while (lines.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const ready = events.find(({ event }) => event === 'ready');
  expect(ready).toMatchObject({ device: 'ekg-1', address: expect.stringMatching(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/) });
  expect(events.find(({ event }) => event === 'broker_down')).toMatchObject({
    code: 'broker_unreachable',
    detail: 'ECONNREFUSED',
  });
  const headers = { authorization: 'DPoP token', dpop: 'proof' };
  const answer = await fetch(`${String(ready?.address)}/readings`, { method: 'POST', headers });
  expect([answer.status, await answer.json()]).toMatchObject([503, { code: 'hub_no_answer' }]);
  started.kill('SIGTERM');
  expect(await once(started, 'exit')).toEqual([0, null]);
});

describe('a password of its own at the broker', () => {
  let mqtt: MqttRig;
  beforeEach(async () => {
    mqtt = await openMqttRig();
    await connected(mqtt.front);
  });
  afterEach(() => mqtt.front.close(500));

  /** The first thing that it says of the broker. */
  async function brokerEvent(...args: readonly string[]) {
    const { lines } = await startWith(
      '--connected',
      `mqtt://127.0.0.1:${mqtt.front.port}`,
      '--credentials',
      credentials,
      '--json',
      ...args,
    );
    while (lines.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    return events.find(({ event }) => event !== 'ready');
  }

  test('is taken from a file', async () => {
    const file = join(folder, 'password');
    writeFileSync(file, `${secretOf('ekg-1')}\n`);
    expect(await brokerEvent('--password-file', file)).toEqual({ event: 'broker_up' });
  });

  test('is missed where it is needed, with the reason of the broker', async () => {
    expect(await brokerEvent()).toMatchObject({
      event: 'broker_down',
      code: 'broker_refused',
      detail: expect.stringContaining('password'),
    });
  });
});

test('it ends quietly once nobody reads what it prints', async () => {
  const started = spawn(
    process.execPath,
    [PROGRAM, 'sim', 'device', '--listen', 'tcp://127.0.0.1:0', '--trust', trust],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  child = started;
  started.stdout.destroy();
  const noted: Buffer[] = [];
  started.stderr.on('data', (chunk: Buffer) => noted.push(chunk));
  expect(await once(started, 'close')).toEqual([0, null]);
  expect(Buffer.concat(noted).toString()).toBe('');
});

async function refused(...args: readonly string[]) {
  const noted: string[] = [];
  const terminal: Terminal = {
    environment: {},
    print: () => undefined,
    heading: () => undefined,
    note: (line) => void noted.push(line),
    ask: async () => undefined,
    read: async (file) => readFileSync(file),
  };
  const status = await runCommandLine(['sim', 'device', '--json', ...args], terminal);
  return {
    status,
    error: JSON.parse(noted.at(-1) ?? '{}').error as { readonly code: string; readonly detail: string },
  };
}

test('an address that is no line is refused', async () => {
  expect(await refused('--listen', '127.0.0.1:4161', '--trust', trust)).toMatchObject({
    status: 2,
    error: { code: 'usage' },
  });
});

test('a port that is taken is refused by its name', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const listen = `tcp://127.0.0.1:${(other.address() as AddressInfo).port}`;
  const answer = await refused('--listen', listen, '--trust', trust);
  await new Promise((resolve) => other.close(resolve));
  expect(answer).toMatchObject({
    status: 1,
    error: { code: 'address_unavailable', detail: `${listen} (EADDRINUSE)`, fix: expect.stringContaining('--listen') },
  });
});

test('a trust file that is none is refused without quoting it', async () => {
  const broken = join(folder, 'broken.json');
  writeFileSync(broken, `{"format":"latchkey-trust-1","keys":"${SECRET}`);
  const { status, error } = await refused('--listen', 'tcp://127.0.0.1:0', '--trust', broken);
  expect(status).toBe(1);
  expect(error.code).toBe('trust_file_invalid');
  expect(JSON.stringify(error)).not.toContain(SECRET);
});

test.each([
  ['without a trust file and without a broker', []],
  ['both as a device on a line and as a connected one', ['--connected', 'mqtt://127.0.0.1:1', '--trust', 'FILE']],
  ['connected without credentials', ['--connected', 'mqtt://127.0.0.1:1']],
  ['with a broker of another kind', ['--connected', 'http://127.0.0.1:1', '--credentials', 'FILE']],
  ['with a password in the address of its broker', ['--connected', 'mqtt://a:b@127.0.0.1', '--credentials', 'FILE']],
  [
    'with clients beyond loopback, where tokens would go by without TLS',
    ['--connected', 'mqtt://127.0.0.1:1', '--credentials', 'FILE', '--listen', 'http://0.0.0.0:0'],
  ],
  [
    'with an empty password for its broker',
    ['--connected', 'mqtt://127.0.0.1:1', '--credentials', 'CREDENTIALS', '--password-file', '/dev/null'],
  ],
  ['without a place to listen', ['--trust', 'FILE']],
  ['with a setup code and nowhere to keep its state', ['--listen', 'tcp://127.0.0.1:0', '--setup', CODE]],
  ['with a state and no setup code', ['--listen', 'tcp://127.0.0.1:0', '--state', 'FILE']],
  ['with a setup code and a trust file', ['--listen', 'tcp://127.0.0.1:0', '--setup', CODE, '--trust', 'FILE']],
  ['connected and with a setup code', ['--connected', 'mqtt://127.0.0.1:1', '--setup', CODE]],
  ['both on a line and on the radio', ['--trust', 'FILE', '--listen', 'tcp://127.0.0.1:0', '--ble']],
  ['on a line with a Bluetooth controller', ['--trust', 'FILE', '--listen', 'tcp://127.0.0.1:0', '--hci', '/dev/null']],
])('a device %s is refused', async (_, args) => {
  const given = args.map((arg) => (arg === 'CREDENTIALS' ? credentials : arg));
  expect(await refused(...given)).toMatchObject({ status: 2, error: { code: 'usage' } });
});

test.each([
  ['where it is', ['--trust', 'FILE'], '--listen, --ble or --connected'],
  ['where it keeps its state', ['--listen', 'tcp://127.0.0.1:0', '--setup', CODE], '--state FILE'],
])('a device that was not told %s says what is needed', async (_, args, words) => {
  expect((await refused(...args)).error.detail).toContain(words);
});

test('a device that can be paired makes its state, and begins anew when it is reset', async () => {
  const state = join(folder, 'tube.state');
  const args = ['--listen', 'tcp://127.0.0.1:0', '--setup', CODE, '--state', state];
  const { started, lines } = await startWith(...args);
  expect(lines[0]).toMatch(/^device is ready on tcp:/);
  started.kill('SIGTERM');
  expect(await once(started, 'exit')).toEqual([0, null]);
  expect(statSync(state).mode & 0o777).toBe(0o600);
  const fresh = readFileSync(state, 'utf8');
  writeFileSync(state, 'worn out');
  expect((await refused(...args)).error.code).toBe('device_state_invalid');
  const again = await startWith(...args, '--reset');
  again.started.kill('SIGTERM');
  await once(again.started, 'exit');
  expect(readFileSync(state, 'utf8')).toBe(fresh);
});

test('a setup code that was mistyped is refused without quoting it', async () => {
  const typed = `${CODE.slice(0, -1)}0`;
  const { error } = await refused('--listen', 'tcp://127.0.0.1:0', '--setup', typed, '--state', join(folder, 'x'));
  expect(error.code).toBe('setup_code_invalid');
  expect(JSON.stringify(error)).not.toContain(typed.slice(0, 11));
});

test('a credentials file that is none is refused without quoting it', async () => {
  const broken = join(folder, 'broken-credentials.json');
  writeFileSync(broken, `{"format":"latchkey-credentials-1","httpSecret":"${SECRET}`);
  const { error, status } = await refused('--connected', 'mqtt://127.0.0.1:1', '--credentials', broken);
  expect([status, error.code]).toEqual([1, 'credentials_file_invalid']);
  expect(JSON.stringify(error)).not.toContain(SECRET);
});

test('a Bluetooth controller that is not there is refused by its path', async () => {
  const hci = join(folder, 'absent');
  expect(await refused('--ble', '--hci', hci, '--trust', trust)).toMatchObject({
    status: 1,
    error: { code: 'peripheral_adapter_down', detail: expect.stringContaining(hci) },
  });
});

test.each(['hci9', 'bench'])(
  'the Bluetooth adapter %s, which is not there, is an error and nothing else',
  async (hci) => {
    const args = [PROGRAM, 'sim', 'device', '--ble', '--hci', hci, '--trust', trust];
    child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const said: Record<'stdout' | 'stderr', string> = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const)
      child[stream]?.on('data', (chunk: Buffer) => {
        said[stream] += chunk.toString();
      });
    expect(await once(child, 'close')).toEqual([1, null]);
    expect(said.stdout).toBe('');
    expect(said.stderr).toMatch(/^latchkey: .*\[peripheral_adapter_down\]\n$/);
  },
);
