import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { COAP_CODE, COAP_METHOD } from '../../src/codec/iana.ts';
import { writeTrustFile } from '../../src/codec/trust-file.ts';
import { GattHub } from '../fixtures/gatt-hub.ts';
import { PROGRAM } from '../fixtures/hub-process.ts';
import { NobleCentral } from '../fixtures/noble-central.ts';
import type { Adapter } from '../fixtures/virtual-radio/adapter.ts';
import { VirtualRadio } from '../fixtures/virtual-radio/virtual-radio.ts';

let folder: string;
let radio: VirtualRadio;
let tube: Adapter;
let central: NobleCentral;
let child: ChildProcess | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-test-'));
  radio = new VirtualRadio();
  tube = await radio.plugIn({ advertisingInterval: 20 });
  central = await NobleCentral.open((await radio.plugIn()).path);
});

afterEach(async () => {
  if (child !== undefined && child.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  central.close();
  await radio.close();
  rmSync(folder, { recursive: true, force: true });
});

async function start(...args: readonly string[]): Promise<{ started: ChildProcess; line: string }> {
  const key = { kty: 'oct', alg: 'HMAC 256/64', k: Buffer.alloc(32, 'canary').toString('base64url') };
  const trust = join(folder, 'trust.json');
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
  const command = [PROGRAM, 'sim', 'device', '--trust', trust, '--hci', tube.path, ...args];
  const started = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'] });
  child = started;
  const [line] = (await once(createInterface({ input: started.stdout }), 'line')) as [string];
  return { started, line };
}

test('it advertises the id of the device, answers the hub, and ends on SIGTERM with a hub connected', async () => {
  const { started, line } = await start('--ble');
  expect(line).toBe('tube-1 is ready on ble:tube-1');
  const [peripheral] = await central.find('tube-1');
  const hub = new GattHub();
  const link = await hub.connect(central, peripheral as NonNullable<typeof peripheral>);
  const answer = await hub.endpoint.request({ method: COAP_METHOD.GET, path: ['status'] }, { deadline: 5_000 });
  expect(answer.code).toBe(COAP_CODE.content);
  started.kill('SIGTERM');
  expect(await once(started, 'exit')).toEqual([0, null]);
  await link.gone;
  hub.endpoint.close();
});

test('it advertises the name that it is given, and ends on SIGINT', async () => {
  const { started, line } = await start('--ble', 'Infusion pump');
  expect(line).toBe('tube-1 is ready on ble:Infusion pump');
  expect(await central.find('Infusion pump')).toHaveLength(1);
  started.kill('SIGINT');
  expect(await once(started, 'exit')).toEqual([0, null]);
});
