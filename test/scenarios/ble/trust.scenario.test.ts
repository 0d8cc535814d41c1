/** What devices trust, kept current by radio: the built hub with noble, a device that checks signatures with bleno. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { codeText } from '../../../src/codec/coap/codes.ts';
import type { CoapRequest } from '../../../src/core/coap-exchange.ts';
import type { RotatedHubKey } from '../../../src/ports/admin.ts';
import { GattHub } from '../../fixtures/gatt-hub.ts';
import { NobleCentral } from '../../fixtures/noble-central.ts';
import { World, type WorldOptions } from '../../fixtures/world.ts';

const closers: (() => unknown)[] = [];
let world: World;

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
  await world.close();
});

/** A hub and its device, which holds the keys of its issuer. */
async function ready(options: WorldOptions = {}): Promise<void> {
  world = await World.open({
    air: {},
    settings: '[delivery]\nwait = "0s"\nretry_max = "1s"\n',
    issuers: 'unknown_kid_cooldown = "1s"\n',
    device: ['--wrap', 'sign1'],
    ...options,
  });
  await world.plugIn();
  await world.until(() => world.held === 2);
  await world.trustOnce('current');
}

const names = () => world.events.map(({ event }) => event);
const bundles = () => world.requests.filter(({ path }) => path[0] === 'trust');
const trustRecords = async () =>
  (await world.ask<{ kind: string; verdict: string; code?: string }[]>('audit', 'list'))
    .filter(({ kind }) => kind === 'trust')
    .map(({ code, verdict }) => (code === undefined ? verdict : `${verdict} ${code}`));

describe('an issuer that rotates its keys', () => {
  test('has its new key at the device before the token that is signed with it', async () => {
    await ready();
    await world.as.rotateKeys();
    await world.deliverAnew(20);
    await world.until(() => world.device.acceptedTokens === 1);
    expect(names()).toEqual(['trust_taken', 'trust_taken', 'token_accepted']);
    expect(await world.trustOnce('current')).toMatchObject({ version: 3, changes: [] });
  });

  test('has it there behind the token when the device comes back into range of a hub that was killed meanwhile', async () => {
    await ready();
    world.tube.controller.leave();
    await world.as.rotateKeys();
    const { id, state } = await world.deliverAnew(0);
    expect(state).toBe('queued');
    await world.hub.stop('SIGKILL');
    world.hub = await world.folder.start();
    world.tube.controller.comeBack();
    await world.hub.event('delivery_delivered');
    expect(await world.client().delivery(id)).toMatchObject({ state: 'delivered', receipt: true });
    await world.until(() => world.held === 3);
    expect(names()).toEqual(['trust_taken', 'token_accepted', 'trust_taken']);
  });
});

describe('another key of the hub', () => {
  test('reaches a device that was out of range: the bundle, what waited under the old key, what comes under the new one', async () => {
    await ready();
    const { signed_by: old } = await world.trustOnce('current');
    world.tube.controller.leave();
    const rotated = await world.ask<RotatedHubKey>('trust', 'rotate-hub-key');
    expect(rotated.waiting).toEqual(['tube-1']);
    const underOld = await world.deliverAnew(0);
    expect(await world.trustOnce('waiting')).toMatchObject({ version: 2, signed_by: old });
    world.tube.controller.comeBack();
    await world.hub.event('delivery_delivered');
    await world.until(() => world.held === 4);
    expect(await world.client().delivery(underOld.id)).toMatchObject({ state: 'delivered' });
    expect(await world.trustOnce('current')).toMatchObject({ version: 4, signed_by: rotated.keys.ES256 });
    await world.deliverAnew(20);
    await world.until(() => world.device.acceptedTokens === 2);
    // Both keys first, for the sake of the token that waits; the old one goes when nothing needs it.
    expect(names()).toEqual(['trust_taken', 'trust_taken', 'token_accepted', 'trust_taken', 'token_accepted']);
    expect(await trustRecords()).toEqual(['delivered', 'delivered', 'delivered']);
  });
});

describe('a bundle', () => {
  test('that is lost with the link changes nothing, and arrives when the device is heard again', async () => {
    await ready({ ble: 'linger = "0s"\n' });
    await world.until(() => world.tube.controller.links.size === 0);
    // Past what GATT needs to find its characteristics: in the middle of the bundle.
    const lost = world.tube.controller.faults.loseLinkAfter('toPeripheral', 400);
    await world.as.rotateKeys();
    const delivering = world.deliverAnew(20);
    await lost;
    expect([world.held, bundles().length]).toEqual([2, 1]);
    await delivering;
    await world.until(() => world.held === 3);
    // No token needs it, so the one that waits goes first.
    expect(names()).toEqual(['trust_taken', 'token_accepted', 'trust_taken']);
  });

  test('of before that a stranger brings again by radio is refused', async () => {
    await ready();
    await world.as.rotateKeys();
    await world.deliverAnew(20);
    await world.until(() => world.held === 3 && world.device.acceptedTokens === 1);
    const [first, second] = bundles();
    const stranger = await strangerByRadio();
    expect(await stranger(first)).toBe('4.09');
    // The very same that it holds is answered again, with no effect.
    expect(await stranger(second)).toBe('2.04');
    expect(world.held).toBe(3);
    expect(names().slice(-2)).toEqual(['trust_refused', 'trust_known']);
  });

  test('of a hub that was restored from a backup is refused for its lower version, on record, and the next one is above', async () => {
    await ready();
    const state = join(world.folder.path, 'state');
    const backup = join(world.folder.path, 'backup');
    await world.hub.stop();
    cpSync(state, backup, { recursive: true });
    world.hub = await world.folder.start();
    for (const version of [3, 4]) {
      await world.as.rotateKeys();
      await world.deliverAnew(20);
      await world.until(() => world.held === version);
    }
    await world.hub.stop();
    rmSync(state, { recursive: true });
    cpSync(backup, state, { recursive: true });
    world.hub = await world.folder.start();
    const outrun = await world.hub.event('trust_outrun');
    expect(outrun).toMatchObject({ code: 'trust_outrun', device: 'tube-1' });
    expect([outrun.version, outrun.held].map((version) => world.counted(Number(version)))).toEqual([3, 4]);
    await world.until(() => world.held === 5);
    await world.trustOnce('current');
    expect(world.events.filter(({ event }) => event === 'trust_refused')).toMatchObject([
      { code: '4.09', reason: 'old' },
    ]);
    expect(await trustRecords()).toEqual(['delivered', 'refused trust_outrun', 'delivered']);
    const accepted = world.device.acceptedTokens;
    await world.deliverAnew(20);
    await world.until(() => world.device.acceptedTokens === accepted + 1);
  });
});

/** Somebody else in the room with a radio: what the device answers to what he sends, as a code. */
async function strangerByRadio(): Promise<(request: CoapRequest | undefined) => Promise<string>> {
  const central = await NobleCentral.open((await world.air.radio.plugIn()).path);
  closers.push(() => central.close());
  const [tube] = await central.find('tube-1');
  if (tube === undefined) throw new Error('the device is not heard');
  const hub = new GattHub();
  await hub.connect(central, tube);
  return async (request) => {
    if (request === undefined) throw new Error('no bundle');
    return codeText((await hub.endpoint.request(request, { deadline: 10_000 })).code);
  };
}
