/** The installation of docs/operations.md under a real systemd: what goes wrong with it, it gets over without a hand. */
import { readFileSync, readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { InstalledPackage, installationList } from '../fixtures/installed-package.ts';
import { StaticIssuer } from '../fixtures/static-issuer.ts';
import { SystemdMachine } from '../fixtures/systemd-machine.ts';

const UNIT = 'latchkey.service';
const SHIFTED_CLOCK = fileURLToPath(new URL('../fixtures/shifted-clock.mjs', import.meta.url));
const TEN_YEARS = 10 * 365 * 86_400;
const issuer = new StaticIssuer();
let installed: InstalledPackage;
let machine: SystemdMachine;
let made = 0;

const latchkey = (...args: readonly string[]) => machine.run('latchkey', ...args);

beforeAll(async () => {
  installed = await InstalledPackage.make();
  machine = await SystemdMachine.boot(installed.path);
  // The package was put into its place outside, where there is a registry.
  await machine.must('ln', '-s', readlinkSync(installed.program), '/usr/bin/latchkey');
  await machine.must('sh', '-c', installationList().unit);
  await until('the unit runs', async () => (await machine.property(UNIT, 'ActiveState')) === 'active');
  await machine.write('/etc/latchkey/latchkey.toml', CONFIG);
  const jwks = issuer.jwks();
  await machine.write('/etc/latchkey/jwks.json', jwks);
  await machine.must('chmod', '0644', '/etc/latchkey/latchkey.toml', '/etc/latchkey/jwks.json');
  // A hang is noticed sooner than where it is installed, and the calendar is the test's.
  await machine.write('/usr/lib/latchkey-test/shifted-clock.mjs', readFileSync(SHIFTED_CLOCK, 'utf8'));
  await setClock(0);
  const environment =
    'NODE_OPTIONS=--import=/usr/lib/latchkey-test/shifted-clock.mjs SHIFTED_CLOCK=/etc/latchkey/shift';
  const dropIn = `[Service]\nWatchdogSec=6s\nEnvironment=${environment}\n`;
  await machine.write(`/etc/systemd/system/${UNIT}.d/test.conf`, dropIn);
  await machine.must('systemctl', 'daemon-reload');
  await machine.must('systemctl', 'restart', UNIT);
});

afterAll(async () => {
  await machine?.close();
  installed?.remove();
});

const CONFIG = `[clock]
trust = "system"
[[issuers]]
issuer = "${issuer.issuer}"
jwks_file = "jwks.json"
`;

function setClock(seconds: number): Promise<void> {
  return machine.write('/etc/latchkey/shift', String(seconds));
}

/** Resolves once the unit runs again after more restarts than `before`. */
async function restarted(before: number): Promise<void> {
  await until('the hub was started again', async () => {
    const restarts = Number(await machine.property(UNIT, 'NRestarts'));
    return restarts > before && (await machine.property(UNIT, 'ActiveState')) === 'active';
  });
}

async function restarts(): Promise<number> {
  return Number(await machine.property(UNIT, 'NRestarts'));
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 50_000;
  while (!(await holds())) {
    if (performance.now() > deadline) {
      const { out } = await machine.run('journalctl', '--unit', UNIT, '--no-pager', '--lines', '40', '--output', 'cat');
      throw new Error(`not in time: ${what}\n${out}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Adds a connected device, and answers with its id where the hub acknowledged it. */
async function addDevice(): Promise<string> {
  made += 1;
  const id = `ekg-${made}`;
  const { err, status } = await latchkey('devices', 'add', id, '--audience', `https://${id}.example`, '--bearer');
  if (status !== 0) throw new Error(err);
  return id;
}

async function devices(): Promise<readonly string[]> {
  const out = await machine.must('latchkey', 'devices', 'list', '--json');
  return (JSON.parse(out) as { id: string }[]).map(({ id }) => id);
}

async function conditions(): Promise<readonly string[]> {
  const out = await machine.must('latchkey', 'status', '--json');
  return (JSON.parse(out) as { conditions: { code: string }[] }).conditions.map(({ code }) => code);
}

/** Whether the hub accepts a token of now for the device, which asks as `latchkey sim` would. */
async function accepts(id: string): Promise<{ active: boolean; latchkey?: { code?: string } }> {
  const credentials = await machine.must('latchkey', 'devices', 'credentials', id, '--out', '-');
  const secret = (JSON.parse(credentials) as { httpSecret: string }).httpSecret;
  const body = `token=${issuer.sign({ aud: `https://${id}.example` })}`;
  const url = 'http://127.0.0.1:8430/introspect';
  return JSON.parse(await machine.must('curl', '--silent', '--user', `${id}:${secret}`, '--data', body, url)) as {
    active: boolean;
  };
}

test('a hub that is killed is started again and knows what it acknowledged', async () => {
  const id = await addDevice();
  const before = await restarts();
  await machine.must('kill', '-KILL', await machine.property(UNIT, 'MainPID'));
  await restarted(before);
  expect(await devices()).toContain(id);
});

test('a hub that hangs is killed by the watchdog and started again', async () => {
  const id = await addDevice();
  const before = await restarts();
  // Longer than the watchdog waits: a hub that lives is left alone.
  await new Promise((resolve) => setTimeout(resolve, 8_000));
  expect(await restarts()).toBe(before);
  await machine.must('kill', '-STOP', await machine.property(UNIT, 'MainPID'));
  await restarted(before);
  expect(await devices()).toContain(id);
});

test('a hub on a full card refuses, says so, and goes on once there is room', async () => {
  const id = await addDevice();
  const process = await machine.property(UNIT, 'MainPID');
  await machine.run('dd', 'if=/dev/zero', 'of=/var/lib/latchkey/filler', 'bs=64k');
  let refused = '';
  // What is in a block of the disk already may still be written.
  for (let attempt = 0; attempt < 400 && refused === ''; attempt += 1) {
    refused = await addDevice().then(
      () => '',
      (error: Error) => error.message,
    );
  }
  expect(refused).toContain('disk_full');
  expect(await conditions()).toContain('disk_full');
  await machine.must('rm', '/var/lib/latchkey/filler');
  let added = '';
  await until('the hub takes devices again', async () => {
    added = await addDevice().catch(() => '');
    return added !== '';
  });
  await until('nothing is wrong any more', async () => !(await conditions()).includes('disk_full'));
  expect(await devices()).toEqual(expect.arrayContaining([id, added]));
  expect(await machine.property(UNIT, 'MainPID')).toBe(process);
});

test('a hub that started with a clock ten years ahead accepts tokens once the clock is right', async () => {
  const id = await addDevice();
  expect(await accepts(id)).toMatchObject({ active: true });
  await setClock(TEN_YEARS);
  await machine.must('systemctl', 'restart', UNIT);
  expect(await accepts(id)).toMatchObject({ active: false });
  await setClock(0);
  await until('a token of now is accepted', async () => (await accepts(id)).active);
  await machine.must('systemctl', 'restart', UNIT);
  expect(await accepts(id)).toMatchObject({ active: true });
});
