/** What devices trust, kept current by the built hub over a real line. */
import { afterEach, describe, expect, test } from 'vitest';
import { codeText } from '../../src/codec/coap/codes.ts';
import type { CoapRequest } from '../../src/core/coap-exchange.ts';
import type { RotatedHubKey } from '../../src/ports/admin.ts';
import { openStrangersLine } from '../../src/simulator.ts';
import { World, type WorldOptions } from '../fixtures/world.ts';

let world: World;

afterEach(() => world.close());

/** Keys of the issuer are asked for anew as soon as a token names one that is not known. */
const EAGER = 'unknown_kid_cooldown = "1s"\n';
/** Nobody waits for the device but who asks again, and it is tried again every second. */
const RESTLESS = '[delivery]\nwait = "0s"\nretry_max = "1s"\n';

/** A hub with its device plugged in, and told of the keys of its issuer. */
async function ready(options: WorldOptions = {}): Promise<World> {
  world = await World.open({ settings: RESTLESS, issuers: EAGER, ...options });
  await world.plugIn();
  await holds(2);
  await world.trustOnce('current');
  return world;
}

const holds = (version: number) => world.until(() => world.held === version);
const names = () => world.events.map(({ event }) => event);
const bundles = () => world.requests.filter(({ path }) => path[0] === 'trust');

describe('an issuer that rotates its keys', () => {
  test('has its new key at the device before the token that is signed with it', async () => {
    await ready();
    await world.as.rotateKeys();
    const { state } = await world.deliverAnew();
    expect(state).toBe('delivered');
    expect(names()).toEqual(['trust_taken', 'trust_taken', 'token_accepted']);
    expect(world.held).toBe(3);
    expect(await world.trustOnce('current')).toMatchObject({ device: 'tube-1', version: 3, changes: [] });
  });

  test('has it there after a restart of the hub and of the device, behind the token that waits', async () => {
    await ready();
    world.relay.deviceIsAway = true;
    await world.as.rotateKeys();
    expect((await world.deliverAnew(0)).state).toBe('queued');
    const waiting = await world.trustOnce('waiting');
    expect(waiting.changes.map((change) => change.slice(0, 1))).toEqual(['+', '-']);
    await world.hub.stop('SIGKILL');
    world.relay.deviceIsAway = false;
    world.hub = await world.folder.start();
    await world.powerCycle();
    await holds(3);
    expect(names().slice(-2)).toEqual(['token_accepted', 'trust_taken']);
  });
});

describe('a bundle', () => {
  /** Rows enough that it takes three blocks. */
  const large = Array.from({ length: 9 }, (_, scope) => [
    '--allow',
    `scope-${scope}=FETCH ${Array.from({ length: 10 }, () => `a-rather-long-segment-${scope}`).join('/')}`,
  ]).flat();

  test('that is lost at any of its blocks changes nothing, and arrives once the cable is back', async () => {
    world = await World.open({ settings: RESTLESS, issuers: EAGER, device: large });
    await world.plugIn();
    await holds(2);
    const [whole] = bundles();
    const size = whole?.payload?.length ?? 0;
    expect(size).toBeGreaterThan(2_100);
    await world.as.rotateKeys();
    // The cable is pulled somewhere in each block, and put back each time.
    let pulled = world.relay.cutAfter(100);
    await world.deliverAnew(0);
    for (let cut = 1_200; cut < size; cut += 1_024) {
      await pulled;
      expect([cut, world.held, bundles().length]).toEqual([cut, 2, 1]);
      pulled = world.relay.cutAfter(cut);
      await world.plugIn();
    }
    await pulled;
    expect([world.held, bundles().length]).toEqual([2, 1]);
    await world.plugIn();
    await holds(3);
    expect(names().filter((event) => event === 'trust_taken')).toHaveLength(2);
    await world.trustOnce('current');
  }, 120_000);

  test('of before that comes again from a stranger on the line is refused, and so is a lower version', async () => {
    await ready();
    await world.as.rotateKeys();
    await world.deliverAnew();
    const [first, second] = bundles();
    const stranger = await openStrangersLine(world.device);
    try {
      const ask = async (request: CoapRequest | undefined) => {
        if (request === undefined) throw new Error('no bundle');
        return codeText((await stranger.request(request, { deadline: 5_000 })).code);
      };
      expect(await ask(first)).toBe('4.09');
      // The very same that it holds is answered again, with no effect.
      expect(await ask(second)).toBe('2.04');
    } finally {
      await stranger.close();
    }
    expect(world.held).toBe(3);
    expect(names().slice(-2)).toEqual(['trust_refused', 'trust_known']);
  });
});

describe('rotating the key of the hub', () => {
  const SIGNED = { device: ['--wrap', 'sign1'] };

  test('reaches a device that is away when it comes back: first the bundle, then its tokens', async () => {
    await ready(SIGNED);
    const { signed_by: old } = await world.trustOnce('current');
    world.relay.deviceIsAway = true;
    const rotated = await world.ask<RotatedHubKey>('trust', 'rotate-hub-key');
    expect(rotated.waiting).toEqual(['tube-1']);
    const underOld = await world.deliverAnew(0);
    expect(await world.trustOnce('waiting')).toMatchObject({ version: 2, signed_by: old });
    world.relay.deviceIsAway = false;
    await world.hub.event('delivery_delivered');
    expect(await world.client().delivery(underOld.id)).toMatchObject({ state: 'delivered' });
    expect(await world.trustOnce('current')).toMatchObject({ signed_by: rotated.keys.ES256, version: 4 });
    expect((await world.deliverAnew()).state).toBe('delivered');
    expect(world.device.acceptedTokens).toBe(2);
    const retired = await world.hub.event('hub_key_retired');
    // The ids are no secret: an operator compares them with those of `trust status`.
    expect(retired.key_ids).toContain(old);
    expect(names().filter((event) => event.startsWith('t'))).toEqual([
      'trust_taken',
      'trust_taken',
      'token_accepted',
      'trust_taken',
      'token_accepted',
    ]);
  });

  test('twice while a device is away leaves it a way in', async () => {
    await ready(SIGNED);
    world.relay.deviceIsAway = true;
    await world.ask('trust', 'rotate-hub-key');
    const { keys } = await world.ask<RotatedHubKey>('trust', 'rotate-hub-key');
    world.relay.deviceIsAway = false;
    expect((await world.deliverAnew()).state).toBe('delivered');
    expect(await world.trustOnce('current')).toMatchObject({ signed_by: keys.ES256 });
  });

  test('with no hub running is brought by the next one', async () => {
    await ready(SIGNED);
    await world.hub.stop();
    const { keys } = await world.ask<RotatedHubKey>('trust', 'rotate-hub-key');
    world.hub = await world.folder.start();
    expect(await world.trustOnce('current')).toMatchObject({ signed_by: keys.ES256 });
    expect((await world.deliverAnew()).state).toBe('delivered');
  });

  test('does not trouble a device that checks MACs', async () => {
    await ready();
    const rotated = await world.ask<RotatedHubKey>('trust', 'rotate-hub-key');
    expect(rotated.waiting).toEqual([]);
    expect((await world.deliverAnew()).state).toBe('delivered');
    expect(bundles()).toHaveLength(1);
  });

  test('is shown in words, and audited', async () => {
    await ready(SIGNED);
    world.relay.deviceIsAway = true;
    const said = await world.folder.command('trust', 'rotate-hub-key', '--config', world.folder.config);
    expect(said.out).toMatch(
      /^The hub signs with \S{8} \(ES256\) and \S{8} \(EdDSA\) from now on\.\n1 device trusts an older key/,
    );
    await world.trustOnce('waiting');
    const shown = await world.folder.command('trust', 'status', '--config', world.folder.config);
    expect(shown.out).toMatch(/^DEVICE +HOLDS +SINCE +STATE +NEXT +WAITS SINCE +CHANGES\ntube-1 +\d+ +\S+Z +waiting/);
    const kinds = (await world.ask<{ kind: string; verdict: string }[]>('audit', 'list')).map(
      ({ kind, verdict }) => `${kind} ${verdict}`,
    );
    expect(kinds).toEqual(['trust delivered', 'hub-key rotated', 'hub-key retired']);
  });
});
