/** Pairing from label to reading, with the built hub and the built device, and what must not work. */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findAdminSockets } from '../../src/cli/admin-client.ts';
import { PairingClient } from '../../src/cli/pairing-client.ts';
import { readSetupCode, setupCodeToType } from '../../src/codec/setup-code.ts';
import { encodeSlipmux } from '../../src/codec/slipmux.ts';
import { base64url, fromBase64url, hex } from '../../src/core/bytes.ts';
import { Secret } from '../../src/core/secret.ts';
import { openStore } from '../../src/store/open-store.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { OTHER_CODE, PairingWorld, TUBE_CODE } from '../fixtures/pairing-world.ts';

let world: PairingWorld;

beforeEach(async () => {
  world = await PairingWorld.open();
  await world.powerOn();
});

afterEach(() => world.close());

const codeIn = ({ err }: { err: string }) => JSON.parse(err.trim().split('\n').at(-1) ?? '{}').error?.code;

test('a device is paired by its label, takes a token, and is unpaired', async () => {
  const paired = await world.pair(TUBE_CODE, '--name', 'Fridge');
  expect(paired.status).toBe(0);
  const lines = paired.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  // The line may be a moment away from being open, which is said.
  const events = lines.map(({ event }) => event).filter((event) => event !== 'obstacle');
  expect(events).toEqual(['window', 'sighting', 'paired']);
  expect(await world.registered()).toMatchObject({ id: 'tube-1', name: 'Fridge', line: 'bench' });
  expect(await world.deliver()).toBe('delivered and read');

  expect((await world.command('devices', 'identify', 'tube-1')).status).toBe(0);
  await world.device.event('identified');
  expect((await world.command('devices', 'rename', 'tube-1', 'Freezer')).status).toBe(0);
  expect(await world.registered()).toMatchObject({ name: 'Freezer' });

  expect((await world.command('devices', 'unpair', 'tube-1')).status).toBe(0);
  await world.device.event('unpaired');
  expect(await world.registered()).toBeUndefined();
  const audit = JSON.parse((await world.command('audit', 'list', '--json')).out) as { kind: string; verdict: string }[];
  expect(audit.filter(({ kind }) => kind.endsWith('pair')).map(({ kind, verdict }) => `${kind} ${verdict}`)).toEqual([
    'pair paired',
    'unpair unpaired',
  ]);
});

test('what a device was paired with outlives its power and that of the hub', async () => {
  await world.pair();
  await world.powerOff();
  await world.hub.stop('SIGKILL');
  await world.restartHub();
  await world.powerOn();
  expect(await world.deliver()).toBe('delivered and read');
});

test('what a device trusts is kept current once it is paired, and outlives its power', async () => {
  await world.pair(TUBE_CODE, '--wrap', 'sign1');
  expect(await world.deliver()).toBe('delivered and read');
  expect((await world.command('trust', 'rotate-hub-key')).status).toBe(0);
  await world.device.event('trust_taken');
  expect(await world.deliver()).toBe('delivered and read');
  await world.powerOff();
  await world.powerOn();
  expect(await world.deliver()).toBe('delivered and read');
  const [trust] = JSON.parse((await world.command('trust', 'status', '--json')).out) as Record<string, unknown>[];
  expect(trust).toMatchObject({ device: 'tube-1', state: 'current' });
});

test('a used code is dead, for this hub and any other, until the device is reset by hand', async () => {
  await world.pair();
  await world.command('devices', 'unpair', 'tube-1');
  expect(codeIn(await world.pair())).toBe('setup_code_dead');
  await world.powerOff();
  await world.powerOn();
  expect(codeIn(await world.pair())).toBe('setup_code_dead');
  await world.reset();
  expect((await world.pair()).status).toBe(0);
  expect(await world.deliver()).toBe('delivered and read');
});

test('a device that is away is unpaired by force alone; it trusts the hub until it is reset, and the hub has forgotten it', async () => {
  await world.pair();
  await world.powerOff();
  const refused = await world.command('devices', 'unpair', 'tube-1', '--json');
  expect(codeIn(refused)).toMatch(/^link_down$|^device_answer_lost$|^device_no_answer$/);
  expect(await world.registered()).toBeDefined();
  expect((await world.command('devices', 'unpair', 'tube-1', '--force')).out).toContain('until it is reset by hand');
  expect(await world.registered()).toBeUndefined();
  await world.powerOn();
  expect(codeIn(await world.pair())).toBe('setup_code_dead');
});

test('wrong codes are refused and on record; five close the window', async () => {
  const pairing = new PairingClient(findAdminSockets({ config: world.folder.config, environment: {} }));
  await pairing.open({ seconds: 60 });
  await world.until(async () => (await pairing.view()).candidates.length === 1);
  const guess = () => pairing.pair({ code: new Secret(OTHER_CODE), profile: { scopes: ['read'] } });
  const codes: string[] = [];
  for (let attempt = 1; attempt <= 6; attempt++) codes.push(await asyncCodeOf(guess()));
  expect(codes).toEqual([...Array(4).fill('setup_code_refused'), 'pairing_attempts_spent', 'pairing_window_closed']);
  expect(world.device.events.filter(({ reason }) => reason === 'not_authentic')).toHaveLength(5);
  const audit = JSON.parse((await world.command('audit', 'list', '--json')).out) as { code?: string }[];
  expect(audit.map(({ code }) => code)).toEqual([...Array(5).fill('setup_code_refused'), 'pairing_attempts_spent']);
  // The device is as it was.
  expect((await world.pair()).status).toBe(0);
});

describe('a pairing that was recorded', () => {
  test('is of no use once the device is reset, nor before', async () => {
    await world.pair();
    expect(world.tap.recorded).toHaveLength(3);
    for (const reset of [false, true]) {
      if (reset) await world.reset();
      world.tap.plug(undefined);
      const refusals = world.device.count('setup_refused');
      await replay(world.device.address, world.tap.recorded);
      await world.device.event('setup_refused', refusals + 2);
      expect(world.device.count('paired')).toBe(reset ? 0 : 1);
    }
  });
});

test('no setup code and no root key is in any log, answer, audit or error', async () => {
  await world.pair(OTHER_CODE);
  await world.pair('latchkey:1?id=tube-1&s=mistyped&c=0');
  await world.pair();
  await world.command('status');
  await world.command('devices', 'show', 'tube-1');
  await world.command('audit', 'export');
  await world.powerOff();
  await world.hub.stop();
  const all = [...world.said, ...world.hub.output].join('\n');
  expect(all).toContain('device_paired');

  const secrets = [OTHER_CODE, TUBE_CODE].flatMap((code) => {
    const { secret } = readSetupCode(code);
    const symbols = setupCodeToType(secret).expose();
    return [code, symbols, symbols.replaceAll('-', '').slice(0, 26), hex(secret.expose()), base64url(secret.expose())];
  });
  const store = await openStore(join(world.folder.path, 'state', 'db'));
  const record = JSON.parse(Buffer.from((await store.read('device/tube-1')) ?? []).toString());
  await store.close();
  const root = fromBase64url(record.root_key);
  secrets.push(record.root_key, hex(root));
  // The device keeps it too, in its own file and nowhere else.
  expect(Buffer.from(readFileSync(join(world.folder.path, 'tube.state'))).toString()).toContain('"setup":"dead"');
  expect(secrets.filter((secret) => all.includes(secret))).toEqual([]);
});

/** Sends messages as they were recorded, and waits for an answer to each. */
async function replay(address: string, messages: readonly Uint8Array[]): Promise<void> {
  const { hostname, port } = new URL(address);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  for (const message of messages) {
    const answered = new Promise((resolve) => socket.once('data', resolve));
    socket.write(encodeSlipmux(message));
    await answered;
  }
  socket.destroy();
}
