/**
 * Pairing interrupted at each of its three messages, in each way: lost on the way there or back, the hub killed, the device
 * without power. Afterwards hub and device are paired, or both as before; and a second try always ends in a reading.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PairingWorld } from '../fixtures/pairing-world.ts';

let world: PairingWorld;

beforeEach(async () => {
  world = await PairingWorld.open();
  await world.powerOn();
});

afterEach(() => world.close());

/** Nothing is in the way any more: what is unfinished finishes by itself, and what is as before is paired. */
async function finish(): Promise<void> {
  world.tap.heal();
  const known = await world.registered();
  if (known === undefined) expect((await world.pair()).status).toBe(0);
  else await world.until(async () => (await world.registered())?.unfinished !== true);
  expect(world.device.count('paired')).toBeLessThanOrEqual(1);
  expect(await world.deliver()).toBe('delivered and read');
}

const steps = [1, 2, 3] as const;
const directions = ['request', 'answer'] as const;
const cases = steps.flatMap((step) => directions.map((direction) => ({ step, direction })));

describe.each(cases)('in message $step, at its $direction', ({ step, direction }) => {
  test('lost', async () => {
    world.tap.loses = (lost, number) => lost === direction && number >= step;
    const { status } = await world.pair();
    expect(status).toBe(1);
    const known = await world.registered();
    expect(known === undefined ? 'as before' : `unfinished: ${known.unfinished}`).toBe(
      step < 3 ? 'as before' : 'unfinished: true',
    );
    await finish();
  });

  test('the hub is killed', async () => {
    let killed: Promise<unknown> | undefined;
    world.tap.onMessage = (seen, number) => {
      if (seen === direction && number === step) killed ??= world.hub.stop('SIGKILL');
    };
    const { status } = await world.pair();
    expect(status).not.toBe(0);
    await killed;
    world.tap.heal();
    await world.restartHub();
    await finish();
  });

  test('the device loses its power', async () => {
    let killed = false;
    world.tap.onMessage = (seen, number) => {
      if (seen !== direction || number !== step || killed) return;
      killed = true;
      world.device.kill();
      world.tap.plug(undefined);
    };
    const { status } = await world.pair();
    expect(killed).toBe(true);
    world.tap.heal();
    await world.powerOn();
    // What was lost with the power was the answer at most.
    expect(status).toBe(1);
    await finish();
  });
});

test('in the last message, and the device is reset by hand: the hub says so, and it is paired again', async () => {
  world.tap.loses = (direction, number) => direction === 'request' && number >= 3;
  await world.pair();
  world.tap.heal();
  await world.reset();
  await world.until(async () => (await world.command('status', '--json')).out.includes('pairing_unfinished'));
  expect((await world.pair()).status).toBe(0);
  expect(await world.deliver()).toBe('delivered and read');
});

test('a token that waits for a device that is not finished goes to it, and not before', async () => {
  world.tap.loses = (direction, number) => direction === 'answer' && number >= 3;
  await world.pair();
  expect(await world.deliver(10)).toBe('queued');
  expect(world.device.count('token_accepted')).toBe(0);
  world.tap.heal();
  await world.device.event('token_accepted');
  expect((await world.registered())?.unfinished).toBeUndefined();
});
