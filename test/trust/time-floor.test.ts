import { describe, expect, test } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import { type ClockMode, type ClockObservation, judgeClock } from '../../src/trust/clock-source.ts';
import { TimeFloor } from '../../src/trust/time-floor.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';

const NOW = 1_800_000_000;
const DAY = 86_400;
/** Milliseconds after which the floor is written for certain. */
const A_WHILE = 1_000_000;

const PC: ClockObservation = {
  systemSeconds: NOW,
  synchronised: true,
  hasBatteryClock: true,
  isDeviceTreeBoard: false,
};
/** A Raspberry Pi after a power cut: no network yet, a time that systemd made up. */
const PI: ClockObservation = {
  systemSeconds: NOW,
  synchronised: false,
  hasBatteryClock: false,
  isDeviceTreeBoard: true,
};

/** One machine: its store outlives its runs. */
class Machine {
  readonly store = new FaultyStore();
  readonly log = new QuietLog();
  observation: ClockObservation;

  #monotonic = () => 0;
  #setAt = 0;

  constructor(observation: ClockObservation) {
    this.observation = observation;
  }

  get system(): number {
    return this.observation.systemSeconds + (this.#monotonic() - this.#setAt) / 1_000;
  }

  /** The system clock moves on with the run, from what was set last. */
  async boot(options: { readonly mode?: ClockMode; readonly initial?: number } = {}) {
    const time = new FakeTime();
    this.#monotonic = () => time.monotonic();
    this.#setAt = 0;
    const floor = await TimeFloor.open({
      store: this.store,
      observe: () => ({ ...this.observation, systemSeconds: this.system }),
      monotonic: () => time.monotonic(),
      timers: time,
      log: this.log,
      mode: 'auto',
      ...options,
    });
    floor.start();
    return { floor, time };
  }

  set(systemSeconds: number, evidence: Partial<ClockObservation> = {}): void {
    this.#setAt = this.#monotonic();
    this.observation = { ...this.observation, systemSeconds, ...evidence };
  }
}

describe('judging the system clock', () => {
  test.each([
    ['a PC', PC, 'auto', 'confirmed'],
    ['a PC without NTP', { ...PC, synchronised: false }, 'auto', 'believed'],
    ['a PC of which nothing is known', { ...PC, synchronised: 'unknown', hasBatteryClock: false }, 'auto', 'believed'],
    ['a board after a power cut', PI, 'auto', 'doubted'],
    ['a board that NTP has set', { ...PI, synchronised: true }, 'auto', 'confirmed'],
    ['a board with a battery', { ...PI, hasBatteryClock: true }, 'auto', 'believed'],
    ['a board of which nothing is known', { ...PI, synchronised: 'unknown' }, 'auto', 'doubted'],
    ['a board whose operator vouches for it', PI, 'system', 'confirmed'],
    ['a PC whose operator does not', PC, 'never', 'doubted'],
  ] as const)('%s', (_name, observation, mode, trust) => {
    expect(judgeClock(observation, mode)).toBe(trust);
  });
});

describe('the bounds of the present', () => {
  test('are one second where the clock is believed', async () => {
    const { floor } = await new Machine(PC).boot();
    expect(floor.now()).toEqual({ earliest: NOW, latest: NOW });
  });

  test('are rounded outwards', async () => {
    const { floor } = await new Machine({ ...PC, systemSeconds: NOW + 0.4 }).boot();
    expect(floor.now()).toEqual({ earliest: NOW, latest: NOW + 1 });
  });

  test('have no end where the clock is doubted', async () => {
    const { floor } = await new Machine(PI).boot({ initial: NOW - 500 * DAY });
    expect(floor.now()).toEqual({ earliest: NOW - 500 * DAY, latest: undefined });
  });

  test('have no end where the clock is behind the floor, and the log says so once', async () => {
    const machine = new Machine({ ...PC, systemSeconds: NOW - DAY });
    const { floor } = await machine.boot({ initial: NOW });
    for (let call = 0; call < 3; call++)
      expect(floor.now()).toEqual({ earliest: NOW, latest: undefined, behindFloor: true });
    expect(floor.status()).toEqual({ floor: NOW, trust: 'confirmed', behindFloor: true });
    expect(machine.log.events()).toEqual(['clock_behind_floor']);
  });

  test('stand still when NTP steps the clock back a little', async () => {
    const machine = new Machine(PC);
    const { floor } = await machine.boot({ initial: NOW });
    machine.set(NOW - 30);
    expect(floor.now()).toEqual({ earliest: NOW, latest: NOW });
  });

  test('move on with the monotonic clock while the time is not known', async () => {
    const { floor, time } = await new Machine(PI).boot({ initial: NOW });
    await time.advance(DAY * 1000);
    const { earliest } = floor.now();
    expect(earliest).toBeGreaterThan(NOW + DAY - 30);
    expect(earliest).toBeLessThanOrEqual(NOW + DAY);
  });
});

describe('what is certain', () => {
  test('is the system clock where that is believed', async () => {
    const { floor } = await new Machine({ ...PC, systemSeconds: NOW + 0.9 }).boot();
    expect(floor.certain()).toBe(NOW);
  });

  test('is the floor where the clock is behind it', async () => {
    const { floor } = await new Machine({ ...PC, systemSeconds: NOW - DAY }).boot({ initial: NOW });
    expect(floor.certain()).toBe(NOW);
  });

  test('stands still when NTP steps the clock back a little', async () => {
    const { floor } = await new Machine({ ...PC, systemSeconds: NOW - 30 }).boot({ initial: NOW });
    expect(floor.certain()).toBe(NOW);
  });

  test('is not later than the earliest that the present may be, whatever is witnessed', async () => {
    const machine = new Machine(PI);
    const { floor } = await machine.boot({ initial: NOW });
    floor.witness(NOW + 40);
    for (const system of [NOW - 100, NOW - 30, NOW + 10, NOW + 39.5, NOW + 70]) {
      for (const synchronised of [true, false]) {
        machine.set(system, { hasBatteryClock: true, synchronised: synchronised ? 'unknown' : false });
        expect(floor.certain()).toBeLessThanOrEqual(floor.now().earliest);
      }
    }
  });
});

describe('the floor on disk', () => {
  test('is there after a reboot without a clock', async () => {
    const machine = new Machine(PC);
    const { time } = await machine.boot();
    await time.advance(A_WHILE);
    machine.observation = { ...PI, systemSeconds: NOW - 900 * DAY };
    const { floor } = await machine.boot();
    // Written after 5 s, and every 900 s from then on.
    expect(floor.now()).toEqual({ earliest: NOW + 905, latest: undefined });
  });

  test('is written when the hub is stopped', async () => {
    const machine = new Machine(PC);
    const { floor } = await machine.boot();
    machine.set(NOW + 100);
    await floor.close();
    machine.observation = PI;
    expect((await machine.boot()).floor.now().earliest).toBe(NOW + 100);
  });

  test('rises over reboots of a machine that never knows the time', async () => {
    const machine = new Machine(PI);
    for (let boot = 0; boot < 5; boot++) await (await machine.boot({ initial: NOW })).time.advance(A_WHILE);
    expect((await machine.boot()).floor.now().earliest).toBeGreaterThanOrEqual(NOW + 4_000);
  });

  test('is written at most once in 15 minutes, whatever is asked', async () => {
    const machine = new Machine(PC);
    const { floor, time } = await machine.boot();
    for (let minute = 1; minute <= 60; minute++) {
      machine.set(NOW + minute * 60);
      floor.now();
      floor.witness(NOW + minute * 60);
      await time.advance(60_000);
    }
    expect(machine.store.writes).toBe(4);
  });

  test('does not follow a clock that was wrong for a minute', async () => {
    const machine = new Machine(PC);
    const { floor, time } = await machine.boot();
    machine.set(NOW + 5_000 * DAY);
    expect(floor.now().earliest).toBe(NOW + 5_000 * DAY);
    await time.advance(60_000);
    machine.set(NOW + 60);
    expect(floor.now()).toEqual({ earliest: NOW + 60, latest: NOW + 60 });
  });

  test('does not follow a clock past the year 2100', async () => {
    const machine = new Machine({ ...PC, systemSeconds: 9_000_000_000 });
    const { time } = await machine.boot();
    await time.advance(A_WHILE);
    machine.set(NOW);
    expect((await machine.boot()).floor.now()).toEqual({ earliest: NOW, latest: NOW });
  });

  test('that cannot be written is tried again, and said', async () => {
    const machine = new Machine(PC);
    machine.store.failAt(1);
    const { time } = await machine.boot();
    await time.advance(A_WHILE);
    expect(machine.log.events()).toEqual(['time_floor_write_failed']);
    await time.advance(A_WHILE);
    expect(machine.store.entries.has('time-floor')).toBe(true);
  });

  test('that cannot be told ends nothing, and is tried again', async () => {
    const machine = new Machine(PC);
    const { time } = await machine.boot();
    const { observation } = machine;
    Object.defineProperty(machine, 'observation', {
      configurable: true,
      get: () => {
        throw new Error('EMFILE');
      },
    });
    await time.advance(A_WHILE);
    expect(machine.log.events()).toEqual(['time_floor_write_failed', 'time_floor_write_failed']);
    Object.defineProperty(machine, 'observation', { value: observation });
    await time.advance(A_WHILE);
    expect(machine.store.entries.has('time-floor')).toBe(true);
  });

  test.each([
    ['rubbish', 'rubbish'],
    ['a date that is none', '{"format":"latchkey-time-floor-1","known":-1,"witnessed":0}'],
    ['a date past the year 2100', '{"format":"latchkey-time-floor-1","known":9000000000,"witnessed":0}'],
    ['the second format without a part', '{"format":"latchkey-time-floor-2","known":1,"witnessed":0}'],
    ['the third format without its anchor', '{"format":"latchkey-time-floor-3","known":1,"believed":0,"witnessed":0}'],
    ['another format', '{"format":"latchkey-time-floor-4","known":1,"anchor":1,"believed":0,"witnessed":0}'],
  ])('is set aside when it is %s', async (_name, text) => {
    const machine = new Machine(PC);
    machine.store.entries.set('time-floor', utf8(text));
    const { floor } = await machine.boot();
    expect(floor.now().latest).toBe(NOW);
    expect(machine.log.events()).toEqual(['time_floor_set_aside']);
    expect([...machine.store.entries.keys()]).toEqual(['set-aside/time-floor']);
  });
});

describe('the iat of verified tokens', () => {
  test('raises the floor while the time is not known', async () => {
    const machine = new Machine(PI);
    const { floor, time } = await machine.boot({ initial: NOW });
    floor.witness(NOW + 5);
    expect(floor.now()).toEqual({ earliest: NOW + 5, latest: undefined });
    await time.advance(A_WHILE);
    expect((await machine.boot()).floor.now().earliest).toBeGreaterThanOrEqual(NOW + 5);
  });

  test('never lowers it', async () => {
    const { floor } = await new Machine(PI).boot({ initial: NOW });
    floor.witness(NOW - DAY);
    expect(floor.now().earliest).toBe(NOW);
  });

  test('does nothing while the time is known', async () => {
    const { floor } = await new Machine(PC).boot();
    floor.witness(NOW + 10 * DAY);
    expect(floor.now()).toEqual({ earliest: NOW, latest: NOW });
  });

  test('past the year 2100 is not believed', async () => {
    const { floor } = await new Machine(PI).boot({ initial: NOW });
    floor.witness(9_000_000_000);
    expect(floor.now().earliest).toBe(NOW);
  });

  test('more than a year ahead of what is certain is not believed', async () => {
    const { floor, time } = await new Machine(PI).boot({ initial: NOW });
    floor.witness(NOW + 367 * DAY);
    expect(floor.now().earliest).toBe(NOW);
    floor.witness(NOW + 366 * DAY);
    expect(floor.now().earliest).toBe(NOW + 366 * DAY);
    await time.advance(A_WHILE);
    floor.witness(NOW + 700 * DAY);
    expect(floor.now().earliest).toBeLessThan(NOW + 367 * DAY);
  });

  test('cannot climb from witness to witness, not over reboots either', async () => {
    const machine = new Machine(PI);
    for (let boot = 1; boot <= 5; boot++) {
      const { floor, time } = await machine.boot({ initial: NOW });
      floor.witness(NOW + boot * 365 * DAY);
      await time.advance(A_WHILE);
    }
    expect((await machine.boot()).floor.now().earliest).toBeLessThan(NOW + 366 * DAY);
  });

  test('has no part in what is certain', async () => {
    const machine = new Machine(PI);
    const { floor, time } = await machine.boot({ initial: NOW });
    floor.witness(NOW + 300 * DAY);
    await time.advance(A_WHILE);
    expect(floor.certain()).toBeGreaterThanOrEqual(NOW + 999);
    expect(floor.certain()).toBeLessThanOrEqual(NOW + 1_000);
    expect(floor.now().earliest).toBeGreaterThanOrEqual(NOW + 300 * DAY);
    // The floor is written after 5 s, and every 900 s from then on.
    const again = (await machine.boot()).floor;
    expect(again.certain()).toBeGreaterThanOrEqual(NOW + 904);
    expect(again.certain()).toBeLessThanOrEqual(NOW + 905);
    expect(again.now().earliest).toBeGreaterThanOrEqual(NOW + 300 * DAY);
  });

  test('ahead does not lock the hub out, once the time is confirmed', async () => {
    const machine = new Machine(PI);
    const { floor, time } = await machine.boot({ initial: NOW });
    floor.witness(NOW + 300 * DAY);
    await time.advance(A_WHILE);
    machine.set(NOW + 2_000, { synchronised: true });
    expect(floor.now()).toEqual({ earliest: NOW + 2_000, latest: NOW + 2_000 });
    expect(machine.log.events()).toEqual(['time_witness_overruled']);
    await time.advance(A_WHILE);
    machine.set(NOW + 3_000);
    expect((await machine.boot()).floor.now().latest).toBe(NOW + 3_000);
  });

  test('is not overruled by a clock that is merely believed', async () => {
    const machine = new Machine(PI);
    const { floor } = await machine.boot({ initial: NOW });
    floor.witness(NOW + 10 * DAY);
    machine.set(NOW, { hasBatteryClock: true });
    expect(floor.now()).toEqual({ earliest: NOW + 10 * DAY, latest: undefined, behindFloor: true });
  });

  test('is not overruled by a confirmed clock below what was known', async () => {
    const machine = new Machine(PI);
    const { floor } = await machine.boot({ initial: NOW });
    floor.witness(NOW + 10 * DAY);
    machine.set(NOW - DAY, { synchronised: true });
    expect(floor.now()).toEqual({ earliest: NOW + 10 * DAY, latest: undefined, behindFloor: true });
  });
});

describe('a clock that was ahead', () => {
  /** Nothing tells whether it was set: a container, or a machine whose operator trusts it. */
  const UNSET: ClockObservation = { ...PC, synchronised: 'unknown' };
  const RELEASED = NOW - 100 * DAY;

  const cases = [
    ['by ten years', 3_650 * DAY],
    ['by two years', 700 * DAY],
    ['by a day', DAY],
  ] as const;

  describe.each(['auto', 'system'] as const)('in mode %s', (mode) => {
    test.each(cases)('%s for one run counts no more when it is right', async (_name, ahead) => {
      const machine = new Machine({ ...UNSET, systemSeconds: NOW + ahead });
      const first = await machine.boot({ mode, initial: RELEASED });
      expect(first.floor.now().latest).toBe(NOW + ahead);
      await first.time.advance(A_WHILE);
      await first.floor.close();
      machine.set(NOW + 2_000);
      const { floor } = await machine.boot({ mode, initial: RELEASED });
      expect(floor.now()).toEqual({ earliest: NOW + 2_000, latest: NOW + 2_000 });
      expect(machine.log.events()).toContain('clock_was_ahead');
    });

    test.each(cases)('%s counts no more once it is set within the run', async (_name, ahead) => {
      const machine = new Machine({ ...UNSET, systemSeconds: NOW + ahead });
      const { floor, time } = await machine.boot({ mode, initial: RELEASED });
      await time.advance(A_WHILE);
      machine.set(NOW, { synchronised: true });
      expect(floor.now()).toEqual({ earliest: NOW, latest: NOW });
    });

    test('makes nothing certain', async () => {
      const machine = new Machine({ ...UNSET, systemSeconds: NOW + 3_650 * DAY });
      const { floor } = await machine.boot({ mode, initial: RELEASED });
      expect(floor.certain()).toBe(RELEASED);
      floor.witness(NOW);
      expect(floor.certain()).toBe(NOW);
    });
  });

  test('by ten years says nothing about what is expired while the next run doubts its clock', async () => {
    const machine = new Machine({ ...UNSET, systemSeconds: NOW + 3_650 * DAY });
    await (await machine.boot({ initial: RELEASED })).floor.close();
    machine.observation = PI;
    expect((await machine.boot({ initial: RELEASED })).floor.now()).toEqual({ earliest: RELEASED, latest: undefined });
  });

  test('as forged NTP has it, by ten years, gives way to the right one', async () => {
    const machine = new Machine({ ...PC, systemSeconds: NOW + 3_650 * DAY });
    await (await machine.boot({ initial: RELEASED })).floor.close();
    machine.set(NOW);
    expect((await machine.boot({ initial: RELEASED })).floor.now().latest).toBe(NOW);
  });

  test('as forged NTP has it, in ten steps of a year, is certain of no more than one step', async () => {
    const machine = new Machine({ ...PC, synchronised: true });
    const { floor, time } = await machine.boot({ initial: RELEASED });
    expect(floor.certain()).toBe(NOW);
    for (let step = 1; step <= 10; step += 1) {
      await time.advance(1_000);
      machine.set(NOW + step * 365 * DAY);
      floor.now();
    }
    expect(floor.certain()).toBeLessThanOrEqual(NOW + 366 * DAY + 60);
  });

  test('as forged NTP has it, in ten steps of a year and a restart for each, is certain of no more than one step', async () => {
    const machine = new Machine(PC);
    await (await machine.boot({ initial: RELEASED })).floor.close();
    for (let step = 1; step <= 10; step += 1) {
      machine.set(NOW + step * 365 * DAY);
      await (await machine.boot({ initial: RELEASED })).floor.close();
    }
    const { floor } = await machine.boot({ initial: RELEASED });
    expect(floor.certain()).toBeLessThanOrEqual(NOW + 366 * DAY + 60);
    // The right clock, and a server that has the same time, set it free.
    const late = NOW + 5 * 365 * DAY;
    machine.set(late);
    floor.heard('https://as.example', late);
    expect(floor.certain()).toBe(late);
  });

  test('holds after a reset that could not be written what it held before', async () => {
    const machine = new Machine(PC);
    const { floor } = await machine.boot({ initial: RELEASED });
    machine.set(NOW + 200 * DAY);
    expect(floor.certain()).toBe(NOW + 200 * DAY);
    machine.store.failAt(1);
    await expect(floor.reset()).rejects.toThrow('the medium failed');
    machine.set(NOW + 500 * DAY);
    expect(floor.certain()).toBeLessThanOrEqual(NOW + 200 * DAY + 60);
  });

  test('is told in a record of the second format, which has its anchor at what is known', async () => {
    const machine = new Machine(PC);
    machine.store.entries.set(
      'time-floor',
      utf8(JSON.stringify({ format: 'latchkey-time-floor-2', known: NOW, believed: 0, witnessed: 0 })),
    );
    machine.set(NOW + 300 * DAY);
    const { floor } = await machine.boot({ initial: RELEASED });
    expect(floor.certain()).toBe(NOW + 300 * DAY);
    machine.set(NOW + 600 * DAY);
    expect(floor.certain()).toBeLessThan(NOW + 301 * DAY);
  });

  test('by an hour gives way once a server has the time that it has now', async () => {
    const machine = new Machine({ ...UNSET, systemSeconds: NOW + 3_600 });
    const { floor } = await machine.boot({ initial: RELEASED });
    machine.set(NOW);
    expect(floor.now().latest).toBeUndefined();
    floor.heard('https://as.example', NOW - 20);
    expect(floor.now()).toEqual({ earliest: NOW, latest: NOW });
  });

  test('is told against the date of a server', async () => {
    const machine = new Machine({ ...UNSET, systemSeconds: NOW + 700 * DAY });
    const { floor } = await machine.boot({ initial: NOW });
    floor.heard('https://as.example', NOW);
    expect(floor.faults()).toMatchObject({
      differing: [{ issuer: 'https://as.example', ahead: 700 * DAY }],
      aheadOfKnown: 700 * DAY,
      isSet: false,
    });
    machine.set(NOW);
    expect(floor.faults()).toMatchObject({ differing: [], aheadOfKnown: undefined, behindFloor: undefined });
  });

  test('leaves a floor of the first format that gives way too', async () => {
    const machine = new Machine(UNSET);
    const known = NOW + 3_650 * DAY;
    machine.store.entries.set(
      'time-floor',
      utf8(JSON.stringify({ format: 'latchkey-time-floor-1', known, witnessed: 0 })),
    );
    expect((await machine.boot({ initial: RELEASED })).floor.now().latest).toBe(NOW);
  });
});

describe('a clock that is set back', () => {
  const UNSET: ClockObservation = { ...PC, synchronised: 'unknown' };

  test.each([
    ['that nothing confirmed', UNSET],
    ['that was set over the network', PC],
  ])('by an hour %s revives nothing in the first minutes of a run', async (_name, observation) => {
    const machine = new Machine(observation);
    const { floor, time } = await machine.boot({ initial: NOW - 100 * DAY });
    await time.advance(1_000);
    floor.now();
    machine.set(NOW - 3_600);
    expect(floor.now()).toEqual({ earliest: NOW + 1, latest: undefined, behindFloor: true });
  });

  test('by an hour revives nothing after a kill in the first minutes of a run either', async () => {
    const machine = new Machine(UNSET);
    const { time } = await machine.boot({ initial: NOW - 100 * DAY });
    await time.advance(10_000);
    machine.set(NOW - 3_600);
    const { floor } = await machine.boot({ initial: NOW - 100 * DAY });
    expect(floor.now()).toEqual({ earliest: NOW + 5, latest: undefined, behindFloor: true });
  });

  test.each(cases())('%s is refused by what witnesses confirmed, over reboots too', async (_name, confirm) => {
    const machine = new Machine(UNSET);
    const { floor } = await machine.boot({ initial: NOW - 100 * DAY });
    confirm(floor);
    await floor.close();
    machine.set(NOW - 2 * DAY);
    expect((await machine.boot({ initial: NOW - 100 * DAY })).floor.now()).toMatchObject({ latest: undefined });
  });

  function cases(): [string, (floor: TimeFloor) => void][] {
    return [
      ['by days, after a good token,', (floor) => floor.witness(NOW - 30)],
      ['by days, after an answer of a server,', (floor) => floor.heard('https://as.example', NOW - 30)],
    ];
  }

  test('by years, at a date of before this software, is never believed', async () => {
    const { floor } = await new Machine({ ...UNSET, systemSeconds: 60 }).boot({ mode: 'system', initial: NOW });
    expect(floor.now()).toEqual({ earliest: NOW, latest: undefined, behindFloor: true });
    expect(floor.faults().behindFloor).toBe(NOW - 60);
  });
});

describe('a reset by the operator', () => {
  test('takes a floor back that was confirmed too high, and stays', async () => {
    const machine = new Machine({ ...PC, systemSeconds: NOW + 300 * DAY });
    const first = await machine.boot({ initial: NOW - 10 * DAY });
    await first.floor.close();
    machine.set(NOW);
    const { floor } = await machine.boot({ initial: NOW - 10 * DAY });
    expect(floor.now().latest).toBeUndefined();
    expect(await floor.reset()).toEqual({ before: NOW + 300 * DAY, after: NOW });
    expect(floor.now()).toEqual({ earliest: NOW, latest: NOW });
    expect(machine.log.events()).toContain('clock_reset');
    expect((await machine.boot({ initial: NOW - 10 * DAY })).floor.now().latest).toBe(NOW);
  });

  test('says what the clock reads where that is before this software, and so does not help', async () => {
    const machine = new Machine({ ...PC, systemSeconds: NOW - DAY });
    const { floor } = await machine.boot({ initial: NOW });
    expect(await floor.reset()).toEqual({ before: NOW, after: NOW, clock: NOW - DAY });
    expect(floor.faults()).toMatchObject({ behindFloor: DAY, isBeforeInitial: true });
    machine.set(NOW + 1);
    expect(floor.faults()).toMatchObject({ behindFloor: undefined, isBeforeInitial: false });
    expect(await floor.reset()).not.toHaveProperty('clock');
  });

  test('that cannot be written is an error', async () => {
    const machine = new Machine(PC);
    machine.store.failAt(1);
    const { floor } = await machine.boot();
    await expect(floor.reset()).rejects.toThrow();
  });
});

test('an issuer alone makes nothing certain by the date of its answers', async () => {
  const machine = new Machine(PI);
  const { floor } = await machine.boot({ initial: NOW });
  floor.heard('https://hostile.example', NOW + 100 * DAY);
  expect(floor.certain()).toBe(NOW);
  machine.set(NOW + 10, { hasBatteryClock: true });
  floor.heard('https://hostile.example', NOW + 100 * DAY);
  expect(floor.certain()).toBe(NOW + 10);
});
