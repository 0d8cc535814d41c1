import { beforeEach, describe, expect, it } from 'vitest';
import { Sightings } from '../../../drivers/ble/sightings.ts';
import { LIMITS } from '../../../src/core/limits.ts';
import { FakeTime } from '../../fakes/fake-time.ts';

const AGE = 60_000;
let time: FakeTime;
let sightings: Sightings;

beforeEach(() => {
  time = new FakeTime();
  sightings = new Sightings(time, time);
});

const hear = (address: string, name = 'tube-1', rssi = -60) => sightings.heard(name, address, rssi);
const tried = (name = 'tube-1') => sightings.candidates(name, AGE).map(({ address }) => address);

describe('who is tried', () => {
  it('is whoever was heard of late', async () => {
    hear('a');
    await time.advance(AGE);
    hear('b');
    await time.advance(1);
    expect(tried()).toEqual(['b']);
  });

  it('is the one on the air for longest, before others that begin to advertise its name', async () => {
    hear('true');
    for (const address of ['x', 'y']) {
      await time.advance(100);
      hear(address);
    }
    hear('true');
    expect(tried()).toEqual(['true', 'x', 'y']);
  });

  it('is the one that proved itself, however late it came', async () => {
    hear('impostor');
    await time.advance(100);
    hear('true');
    sightings.confirm('tube-1', 'true');
    expect(tried()).toEqual(['true', 'impostor']);
  });

  it('is whoever else there is, before one that was asked and is silent, however often it is reached', async () => {
    hear('impostor');
    await time.advance(100);
    hear('true');
    sightings.silent('tube-1', 'impostor');
    sightings.reached('tube-1', 'impostor');
    expect(tried()).toEqual(['true', 'impostor']);
  });

  it('is not for long one that handed on a proof of the device and is silent since', async () => {
    hear('impostor');
    sightings.confirm('tube-1', 'impostor');
    await time.advance(100);
    hear('true');
    expect(tried()[0]).toBe('impostor');
    sightings.silent('tube-1', 'impostor');
    expect(tried()[0]).toBe('true');
  });

  it('is a device that was silent once its key vouches for it again, and all the while where nobody else is', () => {
    hear('true');
    sightings.confirm('tube-1', 'true');
    sightings.silent('tube-1', 'true');
    expect(tried()).toEqual(['true']);
    hear('impostor');
    expect(tried()).toEqual(['impostor', 'true']);
    sightings.confirm('tube-1', 'true');
    expect(tried()).toEqual(['true', 'impostor']);
  });

  it('is not one that did not prove itself, for a time that grows', async () => {
    hear('impostor');
    hear('true');
    const pauses: number[] = [];
    for (let round = 0; round < 8; round += 1) {
      sightings.unproven('tube-1', 'impostor');
      expect(tried()).toEqual(['true']);
      let waited = 0;
      while (!tried().includes('impostor')) {
        await time.advance(30_000);
        waited += 30_000;
        hear('impostor');
        hear('true');
      }
      pauses.push(waited);
    }
    expect(pauses).toEqual([60_000, 120_000, 240_000, 480_000, 960_000, 1_800_000, 1_800_000, 1_800_000]);
  });

  it('is one that could not be connected: at once, and then after a pause that grows', async () => {
    hear('a');
    sightings.unreachable('tube-1', 'a');
    expect(tried()).toEqual(['a']);
    for (const pause of [500, 1_000, 2_000]) {
      sightings.unreachable('tube-1', 'a');
      await time.advance(pause - 1);
      expect(tried()).toEqual([]);
      await time.advance(1);
      expect(tried()).toEqual(['a']);
    }
    sightings.reached('tube-1', 'a');
    sightings.unreachable('tube-1', 'a');
    expect(tried()).toEqual(['a']);
  });

  it('is soon again the one that proved itself once: whoever takes on its address may not keep it away', async () => {
    hear('true');
    sightings.confirm('tube-1', 'true');
    for (let round = 0; round < 10; round += 1) sightings.unproven('tube-1', 'true');
    await time.advance(30_000);
    hear('true');
    expect(tried()).toEqual(['true']);
  });

  it('is one without failures again, once it proved itself', () => {
    hear('a');
    sightings.unproven('tube-1', 'a');
    expect(tried()).toEqual([]);
    sightings.confirm('tube-1', 'a');
    expect(tried()).toEqual(['a']);
  });

  it('is nobody under a name that was never heard', () => {
    expect(tried('tube-2')).toEqual([]);
    expect(sightings.lastHeard('tube-2')).toBeUndefined();
  });
});

describe('what is remembered', () => {
  it('is so many addresses under one name, and the one that proved itself among them', async () => {
    hear('true');
    sightings.confirm('tube-1', 'true');
    for (let made = 0; made < LIMITS.bleAddressesPerName + 50; made += 1) {
      await time.advance(10);
      hear(`x${made}`);
    }
    expect(sightings.addresses()).toHaveLength(LIMITS.bleAddressesPerName);
    expect(tried()[0]).toBe('true');
  });

  it('is that an address failed, until its time is over', async () => {
    hear('impostor');
    sightings.unproven('tube-1', 'impostor');
    await time.advance(59_000);
    sightings.forget(() => true, 1_000);
    expect(sightings.addresses()).toEqual(['impostor']);
    await time.advance(2_000);
    sightings.forget(() => true, 1_000);
    expect(sightings.addresses()).toEqual([]);
    expect(sightings.size).toBe(0);
  });

  it('is nothing of names that are of no interest any more', () => {
    hear('a');
    hear('b', 'tube-2');
    sightings.forget((name) => name === 'tube-2', AGE);
    expect(sightings.addresses()).toEqual(['b']);
  });

  it('is how loud each was heard last', () => {
    hear('a', 'tube-1', -80);
    hear('a', 'tube-1', -50);
    expect(sightings.list(AGE)).toMatchObject([{ name: 'tube-1', address: 'a', rssi: -50 }]);
  });
});

describe('who takes a connection now', () => {
  const fresh = () => sightings.fresh('tube-1').map(({ address }) => address);

  it('is whoever was heard within the last second', async () => {
    hear('a');
    await time.advance(1_000);
    expect(fresh()).toEqual(['a']);
    await time.advance(1);
    expect(fresh()).toEqual([]);
    expect(tried()).toEqual(['a']);
  });

  it('is nobody whom an adapter heard that was there before', async () => {
    hear('a');
    await time.advance(1);
    sightings.begin();
    expect(fresh()).toEqual([]);
    hear('a');
    expect(fresh()).toEqual(['a']);
  });

  it('is whoever was connected until just now, though it advertised long ago', async () => {
    hear('a');
    hear('b');
    await time.advance(5_000);
    sightings.stillThere('a');
    expect(fresh()).toEqual(['a']);
  });
});

describe('where another secret is to be proven', () => {
  it('nobody is set aside for the last one, and whoever failed that comes last', () => {
    hear('failed');
    hear('other');
    sightings.unproven('tube-1', 'failed');
    expect(tried()).toEqual(['other']);
    sightings.askAnew('tube-1');
    expect(tried()).toEqual(['other', 'failed']);
  });

  it('one that could not be connected keeps its pause', () => {
    hear('away');
    sightings.unreachable('tube-1', 'away');
    sightings.unreachable('tube-1', 'away');
    sightings.askAnew('tube-1');
    expect(tried()).toEqual([]);
  });
});

describe('under invented addresses', () => {
  /** Seconds until the device is tried; an attacker advertises so many new addresses a second, and each attempt takes a second. */
  async function secondsUntilTried(
    perSecond: number,
    options: { readonly failedOnce?: boolean; readonly answers?: 'nothing' | 'wrongly' },
  ) {
    const { answers = 'nothing', failedOnce = false } = options;
    let made = 0;
    const tick = 1_000 / perSecond;
    let nextAttempt = 0;
    let nextDevice = 700;
    hear('true');
    if (failedOnce) sightings.silent('tube-1', 'true');
    for (let now = 0; now < 600_000; now += tick) {
      await Promise.resolve();
      hear(`x${made}`);
      made += 1;
      if (now >= nextDevice) {
        hear('true');
        nextDevice += 2_000;
      }
      if (now >= nextAttempt) {
        const address = sightings.next('tube-1')?.address;
        if (address === 'true') return now / 1_000;
        if (address !== undefined && answers === 'nothing') sightings.silent('tube-1', address);
        if (address !== undefined && answers === 'wrongly') sightings.unproven('tube-1', address);
        nextAttempt += 1_000;
      }
      time.skip(tick);
    }
    return Number.POSITIVE_INFINITY;
  }

  for (const perSecond of [2, 12, 20, 40, 100])
    for (const answers of ['nothing', 'wrongly'] as const)
      for (const failedOnce of [false, true])
        it(`a device is tried soon: ${perSecond} a second that answer ${answers}, ${failedOnce ? 'after it failed once' : 'unknown so far'}`, async () => {
          expect(await secondsUntilTried(perSecond, { answers, failedOnce })).toBeLessThan(60);
        });

  it('memory stays bounded, however many names are under attack', () => {
    for (let made = 0; made < 3_000; made += 1)
      for (let address = 0; address < 12; address += 1) hear(`x${address}`, `tube-${made}`);
    expect(sightings.addresses().length).toBeLessThan(3_000 * 8 + LIMITS.bleAddresses);
  });
});

describe('under invented names', () => {
  const names = () => new Set(sightings.list(AGE).map(({ name }) => name));

  it('a new name displaces the dispensable one that was heard longest ago', async () => {
    for (const name of ['first', 'second', 'third']) {
      await time.advance(1);
      hear('a', name);
    }
    sightings.makeRoom(3, (name) => name !== 'first');
    expect(names()).toEqual(new Set(['first', 'second', 'third']));
    sightings.makeRoom(2, (name) => name !== 'first');
    expect(names()).toEqual(new Set(['first', 'third']));
  });

  it('a name that is not dispensable stays', () => {
    hear('a', 'tube-1');
    sightings.makeRoom(1, () => false);
    expect(sightings.has('tube-1')).toBe(true);
  });
});
