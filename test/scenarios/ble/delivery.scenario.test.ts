/** The main job by radio: the built hub with noble, the simulated device with bleno, real HCI, ATT and GATT bytes between them. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { decodeCbor } from '../../../src/codec/cbor.ts';
import { readTrustFile } from '../../../src/codec/trust-file.ts';
import { startSimulator } from '../../../src/simulator.ts';
import { TUBE_AUDIENCE } from '../../fixtures/authorization-server.ts';
import { World, type WorldOptions } from '../../fixtures/world.ts';

let world: World | undefined;
const closers: (() => Promise<unknown>)[] = [];

async function open(options: WorldOptions = {}): Promise<World> {
  world = await World.open({ air: {}, ...options });
  return world;
}

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
  await world?.close();
  world = undefined;
});

const target = { device: 'tube-1', audience: TUBE_AUDIENCE };

/** What `latchkey status` says, as JSON. */
async function status(of: World) {
  const { out } = await of.folder.command('status', '--json', '--config', of.folder.config);
  return JSON.parse(out) as {
    radio: {
      up: boolean;
      lastError?: string;
      devices: { device: string; up: boolean; rivals: number }[];
      counters: Record<string, number>;
    };
    conditions: { code: string; subject: string }[];
  };
}

describe('by radio', () => {
  test('a JWT becomes a CWT that the device accepts, and its holder gets an answer', async () => {
    const opened = await open();
    await opened.plugIn();
    const token = await opened.token();
    const client = opened.client();
    const delivery = await client.deliver({ ...target, token });
    await opened.hub.event('delivery_delivered');
    const settled = await client.delivery(delivery.id);
    expect(settled).toMatchObject({ state: 'delivered', receipt: true });
    const answer = await client.session(settled, token).request({ method: 'FETCH', path: ['temperature'] });
    expect(decodeCbor(answer.payload)).toBeInstanceOf(Map);
    expect(opened.device.acceptedTokens).toBe(1);
  });

  test('a token waits for a device that is away, over a kill -9, and is delivered once when it is heard', async () => {
    const opened = await open();
    const queued = await opened.client().deliver({ ...target, token: await opened.token(), wait: 0 });
    expect(queued.state).toBe('queued');
    await opened.hub.stop('SIGKILL');
    opened.hub = await opened.folder.start();
    await opened.plugIn();
    await opened.hub.event('delivery_delivered');
    expect(await opened.client().delivery(queued.id)).toMatchObject({ state: 'delivered' });
    expect(opened.device.acceptedTokens).toBe(1);
  });

  test('a token of 300 bytes arrives at a device with an MTU of 23, and its receipt comes back', async () => {
    const opened = await open({ device: ['--wrap', 'sign1+encrypt0', '--claims', 'full', '--cwt-tag'] });
    (await opened.tubeAdapter()).controller.faults.attMtu = 23;
    await opened.plugIn();
    await opened.client().deliver({ ...target, token: await opened.token() });
    await opened.hub.event('delivery_delivered');
    const [accepted] = opened.events.filter(({ event }) => event === 'token_accepted');
    expect(accepted).toMatchObject({ bytes: expect.any(Number) });
    expect((accepted as { bytes: number }).bytes).toBeGreaterThan(300);
    const attributes = opened.tube.controller.lastLink?.attributes ?? [];
    expect(Math.max(...attributes.map(({ length }) => length))).toBe(23);
  });

  test('`latchkey sim device --ble` is such a device, as a process of its own', async () => {
    const opened = await open();
    const trust = join(opened.folder.path, 'tube.json');
    writeFileSync(trust, opened.trust, { mode: 0o600 });
    const { path } = await opened.tubeAdapter();
    void opened.folder.command('sim', 'device', '--ble', '--hci', path, '--trust', trust, '--json');
    await opened.client().deliver({ ...target, token: await opened.token() });
    expect(await opened.hub.event('delivery_delivered')).toMatchObject({ device: 'tube-1', receipt: true });
  });

  test('a token that the device refuses is refused on its word, which its key vouches for', async () => {
    const opened = await open();
    const trust = readTrustFile(opened.trust);
    const { path } = await opened.tubeAdapter();
    // The device with its keys, to which the scope means nothing.
    const tube = await startSimulator({
      listen: { ble: 'tube-1', hci: path },
      trust: { ...trust, permissions: {} },
    });
    closers.push(() => tube.close());
    const delivered = opened.client().deliver({ ...target, token: await opened.token() });
    await expect(delivered).rejects.toMatchObject({ hubCode: 'device_refused_token', deviceCode: '4.00' });
    await opened.hub.event('delivery_refused');
  });
});

describe('a link that is lost', () => {
  test.each(['toPeripheral', 'toCentral'] as const)(
    'after every tenth byte %s of a delivery loses no token and delivers none twice',
    async (direction) => {
      const opened = await open({ ble: 'linger = "0s"\nvisit = "0s"\n', settings: '[delivery]\nwait = "0s"\n' });
      await opened.plugIn();
      const { faults } = opened.tube.controller;
      const client = opened.client();
      const deliver = async () => {
        const { id } = await client.deliver({ ...target, token: await opened.token(), wait: 0 });
        await opened.until(async () => (await client.delivery(id)).state !== 'queued', 20);
        expect(await client.delivery(id)).toMatchObject({ state: 'delivered', receipt: true });
        await opened.until(() => opened.tube.controller.links.size === 0);
      };
      // What the device trusts may come before the first one, on the same link.
      await deliver();
      await deliver();
      const carried = opened.tube.controller.lastLink?.carried[direction] ?? 0;
      expect(carried).toBeGreaterThan(100);
      let delivered = 2;
      for (let at = 0; at < carried; at += 10) {
        // As many as the device has slots.
        if (delivered % 7 === 0) await opened.powerCycle();
        const lost = faults.loseLinkAfter(direction, at);
        const before = opened.device.acceptedTokens;
        await deliver();
        await lost;
        delivered += 1;
        expect(opened.device.acceptedTokens).toBe(before + 1);
      }
    },
    300_000,
  );
});

describe('what a device asks by radio', () => {
  test('is answered when it is there, though nothing waits for it: what time it is', async () => {
    const opened = await open({ ble: 'linger = "3s"\n' });
    const { path } = await opened.tubeAdapter();
    const told: string[] = [];
    const tube = await startSimulator({
      listen: { ble: 'tube-1', hci: path },
      trust: readTrustFile(opened.trust),
      clock: 'hub',
      onEvent: ({ event }) => told.push(event),
    });
    closers.push(() => tube.close());
    await opened.hub.event('time_told');
    await opened.client().deliver({ ...target, token: await opened.token() });
    await opened.hub.event('delivery_delivered');
    expect(told).toContain('time_told');
    expect(tube.device.acceptedTokens).toBe(1);
  });
});

describe('an impostor', () => {
  test('that advertises the name of the device gets no say, goes on record, and does not keep the device from its token', async () => {
    const opened = await open();
    const stranger = readTrustFile(await anotherTrust(opened));
    const { path } = await opened.air.radio.plugIn({ advertisingInterval: 20 });
    const impostor = await startSimulator({ listen: { ble: 'tube-1', hci: path }, trust: stranger });
    closers.push(() => impostor.close());
    const queued = await opened.client().deliver({ ...target, token: await opened.token(), wait: 0 });
    await opened.hub.event('device_impostor');
    expect((await opened.client().delivery(queued.id)).state).toBe('queued');
    await opened.plugIn();
    await opened.hub.event('delivery_delivered');
    expect(opened.device.acceptedTokens).toBe(1);
    const { out } = await opened.folder.command('audit', 'list', '--json', '--config', opened.folder.config);
    const records = JSON.parse(out) as { kind: string }[];
    // A trust bundle may have gone first, and belongs to no delivery.
    expect(records.filter(({ kind }) => kind === 'answer')[0]).toMatchObject({
      verdict: 'refused',
      device: 'tube-1',
      code: 'device_impostor',
    });
    expect((await status(opened)).radio.devices).toMatchObject([{ device: 'tube-1', rivals: 1 }, { device: 'tube-2' }]);
  });
});

/** The trust of another device of this hub: its keys are not those of tube-1. */
async function anotherTrust(opened: World): Promise<string> {
  const file = join(opened.folder.path, 'other.json');
  const { err, status: ended } = await opened.folder.command(
    ...['devices', 'add', 'tube-2', '--config', opened.folder.config, '--audience', 'coap://other', '--ble'],
    ...['--allow', 'read=FETCH temperature', '--trust', file],
  );
  if (ended !== 0) throw new Error(err);
  return readFileSync(file, 'utf8');
}

describe('noble', () => {
  test.each([
    ['one process', {}],
    ['none', { air: undefined }],
  ])('is not loaded by the hub, and %s is started for it', async (processes, options) => {
    const probe = join(mkdtempSync(join(tmpdir(), 'latchkey-probe-')), 'probe.cjs');
    closers.push(async () => rmSync(dirname(probe), { recursive: true }));
    const says = '{"event":"probed","noble":"%"}';
    writeFileSync(
      probe,
      `const { Module } = require('module');
       process.on('SIGUSR2', () => {
         const noble = Object.keys(Module._cache).some((path) => path.includes('/noble/'));
         console.log('${says}'.replace('%', noble));
       });`,
    );
    const opened = await open(options as WorldOptions);
    await opened.hub.stop();
    opened.hub = await opened.folder.start({ NODE_OPTIONS: `--require=${probe}` });
    if (processes === 'one process') await opened.hub.event('radio_opened');
    process.kill(opened.hub.pid, 'SIGUSR2');
    expect(await opened.hub.event('probed')).toMatchObject({ noble: 'false' });
    const { pid } = opened.hub;
    const started = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
    expect(started).toHaveLength(processes === 'one process' ? 1 : 0);
  });
});

describe('the adapter', () => {
  test('is a condition with its code while it is away, and what waited is delivered when it is back', async () => {
    const opened = await open();
    await opened.plugIn();
    await opened.hub.event('radio_opened');
    await opened.air.hub.unplug();
    await opened.hub.event('radio_lost');
    const conditions = async () => (await status(opened)).conditions.map(({ code }) => code);
    await opened.until(async () => (await conditions()).includes('radio_missing'));
    const queued = await opened.client().deliver({ ...target, token: await opened.token(), wait: 0 });
    expect(queued.state).toBe('queued');
    await opened.air.hub.plug();
    await opened.hub.event('delivery_delivered');
    await opened.until(async () => (await conditions()).length === 0);
  });

  test('that does not exist leaves the rest of the hub at work', async () => {
    const opened = await open();
    await opened.hub.stop();
    await opened.air.hub.unplug();
    opened.hub = await opened.folder.start();
    expect(await opened.hub.event('radio_closed')).toMatchObject({ code: 'radio_missing' });
    expect((await fetch(`${opened.hub.address}/jwks`)).status).toBe(200);
    expect((await status(opened)).conditions).toMatchObject([{ code: 'radio_missing' }]);
  });

  test('does not keep the hub from ending at once', async () => {
    const opened = await open();
    await opened.plugIn();
    await opened.client().deliver({ ...target, token: await opened.token() });
    await opened.hub.event('delivery_delivered');
    const began = performance.now();
    expect(await opened.hub.stop('SIGINT')).toBe(0);
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});
