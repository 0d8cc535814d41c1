import type { FloorClock, TimeBounds, Timers } from '../core/clock.ts';
import { coded } from '../core/errors.ts';
import type { Log } from '../ports/log.ts';
import type { Store } from '../ports/store.ts';
import { type ClockMode, type ClockObservation, type ClockTrust, judgeClock } from './clock-source.ts';
import { type FloorRecord, LAST_PLAUSIBLE, readFloor, writeFloor } from './floor-record.ts';
import { type ClockDifference, ServerDates } from './server-dates.ts';

export interface TimeFloorOptions {
  readonly store: Store;
  readonly observe: () => ClockObservation;
  readonly monotonic: () => number;
  readonly timers: Timers;
  readonly log: Log;
  readonly mode: ClockMode;
  /** NumericDate that is certainly past, such as the release of this software; 0 by default. */
  readonly initial?: number;
}

export interface TimeFloorStatus {
  /** NumericDate below which no time is believed. */
  readonly floor: number;
  readonly trust: ClockTrust;
  /** The system clock is behind the floor and therefore not believed, whatever its source. */
  readonly behindFloor: boolean;
}

/** What is wrong with the clock of the machine, as far as it shows. Seconds. */
export interface ClockFaults {
  /** By so much the system clock is behind the floor. */
  readonly behindFloor: number | undefined;
  /** The system clock is before `initial`: no reset of the floor helps against that. */
  readonly isBeforeInitial: boolean;
  /** By so much the system clock is ahead of all that confirmed a time; only where that is too far to be likely. */
  readonly aheadOfKnown: number | undefined;
  readonly differing: readonly ClockDifference[];
  /** The machine says that its clock was set over the network. */
  readonly isSet: boolean;
}

/** What a reset of the floor did; NumericDate. */
export interface FloorReset {
  readonly before: number;
  readonly after: number;
  /** What the system clock says, where that is before `initial`: it is behind the floor all the same. */
  readonly clock?: number;
}

/** Milliseconds between writes: a power cut costs no more of the floor than this, a flash card 100 writes a day. */
const WRITE_EVERY = 900_000;
/** Milliseconds from the start to the first write: a kill in the first minutes must not revive what was refused in them. */
const FIRST_WRITE = 5_000;
/** Seconds that a part of the floor must have moved by to be written. */
const WORTH_WRITING = 60;
/** Seconds that a clock may be stepped back by NTP without being doubted. */
const STEP_BACK = 60;
/**
 * Seconds that one source alone, a witness or a clock set over the network, may be ahead of what is known. A hub can lie in
 * a drawer for a season. A source that is further ahead is more likely wrong or forged. It is not needed: a clock and a
 * witness that agree raise the floor by any distance.
 */
const FURTHEST_ALONE = 366 * 86_400;
/**
 * Seconds by which a clock that nothing confirmed holds against one that is set back. Less is how an expired token would
 * be revived. More is how a clock looks that was wrong and is right again, a time zone apart or ten years.
 */
const FURTHEST_HELD = 12 * 3_600;
/** The part of a second that surely passed when the monotonic clock says one second: crystals are off by 100 ppm. */
const SLOWEST_CRYSTAL = 0.9999;

/**
 * A floor under time, and the clock of the whole hub on top of it. The floor has three parts.
 *
 * `known` is confirmed, and nothing but the operator lowers it. A time is confirmed by a clock that was set over the
 * network, or by the system clock and a witness that agree that it is past: the `iat` of a good token, or the `Date` of an
 * answer of an authorization server. It moves on with the monotonic clock.
 *
 * `believed` is the latest that the system clock said while it was believed and nothing confirmed it. It keeps a clock that
 * is set back by a little from reviving an expired token. A clock that was ahead, by a start with a bad battery or a slip of
 * the operator, gives way as soon as the right one is set over the network, or a server has the same time, or it is so
 * far back that only the earlier time can have been wrong.
 *
 * `witnessed` is the latest `iat` under a good signature, taken only while the time is not known otherwise. An AS with a
 * wrong clock, or a hostile one, could push it ahead and have every other issuer's tokens denied from then on; so it goes
 * no further than a year past `known`, and a clock that is set over the network, or trusted by the operator, overrules it.
 *
 * What is written or ended for good asks for `certain`, which is `known`: no clock alone, and no issuer alone, moves it.
 */
export class TimeFloor implements FloorClock {
  readonly #options: TimeFloorOptions;
  readonly #dates = new ServerDates();
  #known: number;
  /**
   * Where `known` stood when a clock and a witness last agreed, or when the first run began; it moves on with the monotonic
   * clock. A clock that is set over the network raises `known` to so far above this, however many steps and restarts it takes.
   */
  #anchor: number;
  #believed: number;
  #witnessed: number;
  /** `monotonic()` to which all parts belong; since then at least that much time has passed. */
  #movedAt: number;
  #written: FloorRecord;
  #cancel: (() => void) | undefined;
  #saidBehind = false;

  private constructor(options: TimeFloorOptions, record: FloorRecord) {
    this.#options = options;
    this.#known = Math.max(record.known, options.initial ?? 0);
    this.#anchor = Math.max(record.anchor, options.initial ?? 0);
    this.#believed = record.believed;
    this.#witnessed = record.witnessed;
    this.#written = record;
    this.#movedAt = options.monotonic();
  }

  /** With the floor from disk, so that it stands before the first token is judged. */
  static async open(options: TimeFloorOptions): Promise<TimeFloor> {
    const floor = new TimeFloor(options, await readFloor(options.store, options.log));
    floor.#look();
    return floor;
  }

  /** Begins to write the floor down: soon, and then now and then. */
  start(): void {
    this.#flushAfter(FIRST_WRITE);
  }

  async close(): Promise<void> {
    this.#cancel?.();
    await this.flush();
  }

  /** In whole seconds, rounded outwards. */
  now(): TimeBounds {
    const { seconds, floor, behindFloor, trust } = this.#look();
    if (seconds !== undefined) return { earliest: Math.floor(seconds), latest: Math.ceil(seconds) };
    const bounds = { earliest: Math.floor(floor), latest: undefined };
    return behindFloor && trust !== 'doubted' ? { ...bounds, behindFloor } : bounds;
  }

  monotonic(): number {
    return this.#options.monotonic();
  }

  certain(): number {
    this.#look();
    return Math.floor(this.#known);
  }

  /** Tells of an `iat` (NumericDate) under a good signature of a configured issuer. */
  witness(issuedAt: number): void {
    const { seconds, floor, system } = this.#look();
    if (issuedAt > LAST_PLAUSIBLE) return;
    if (seconds !== undefined) this.#agree(Math.min(issuedAt, system));
    else if (issuedAt > floor && issuedAt <= this.#known + FURTHEST_ALONE) this.#witnessed = issuedAt;
  }

  /** Tells of the `Date` (NumericDate) in an answer of a configured issuer, as the answer came. */
  heard(issuer: string, date: number): void {
    this.#dates.hear(issuer, date, this.#options.monotonic());
    this.#look();
  }

  status(): TimeFloorStatus {
    const { trust, floor, behindFloor } = this.#look();
    return { floor: Math.floor(floor), trust, behindFloor };
  }

  faults(): ClockFaults {
    const { behindFloor, floor, isSet, system, trust } = this.#look();
    const ahead = system - Math.max(this.#known, this.#witnessed);
    return {
      behindFloor: behindFloor && trust !== 'doubted' ? Math.round(floor - system) : undefined,
      isBeforeInitial: this.#isBeforeInitial(system),
      aheadOfKnown: trust !== 'doubted' && ahead > FURTHEST_ALONE ? Math.round(ahead) : undefined,
      differing: this.#dates.differing(system, this.#options.monotonic()),
      isSet,
    };
  }

  /**
   * Forgets the floor, on disk too, but for the date of this software: for an operator who knows that it is wrong.
   * @throws errors of the store
   */
  async reset(): Promise<FloorReset> {
    const before = Math.floor(this.#look().floor);
    const kept = this.#parts();
    const initial = this.#options.initial ?? 0;
    this.#take({ known: initial, anchor: initial, believed: 0, witnessed: 0 });
    const { floor, system } = this.#look();
    const after = Math.floor(floor);
    try {
      await this.#write();
    } catch (error) {
      this.#take(kept);
      throw error;
    }
    this.#options.log.warn({ event: 'clock_reset', before, after }, 'the time floor was reset by an operator');
    return this.#isBeforeInitial(system) ? { before, after, clock: Math.floor(system) } : { before, after };
  }

  #isBeforeInitial(system: number): boolean {
    return system < (this.#options.initial ?? 0) - STEP_BACK;
  }

  /** Writes the floor down, if it moved by enough to be worth a write. */
  async flush(): Promise<void> {
    try {
      this.#look();
      // The anchor is written with the others and never for itself: an older one only holds a clock back.
      const moved = (part: keyof FloorRecord) => Math.abs(this.#parts()[part] - this.#written[part]) >= WORTH_WRITING;
      if (moved('known') || moved('believed') || moved('witnessed')) await this.#write();
    } catch (error) {
      const { code, detail } = coded(error);
      this.#options.log.error(
        { event: 'time_floor_write_failed', code, detail },
        'the time floor could not be written to disk',
      );
    }
  }

  #flushAfter(milliseconds: number): void {
    this.#cancel = this.#options.timers.after(milliseconds, () => {
      this.#flushAfter(WRITE_EVERY);
      void this.flush();
    });
  }

  #take({ anchor, believed, known, witnessed }: FloorRecord): void {
    this.#known = known;
    this.#anchor = anchor;
    this.#believed = believed;
    this.#witnessed = witnessed;
  }

  #parts(): FloorRecord {
    // What is known as well needs neither a clock nor a witness.
    const above = (part: number) => (part > this.#known ? Math.min(part, LAST_PLAUSIBLE) : 0);
    return {
      known: Math.min(this.#known, LAST_PLAUSIBLE),
      anchor: Math.min(this.#anchor, LAST_PLAUSIBLE),
      believed: above(this.#believed),
      witnessed: above(this.#witnessed),
    };
  }

  async #write(): Promise<void> {
    const parts = this.#parts();
    await writeFloor(this.#options.store, parts);
    this.#written = parts;
  }

  #confirm(time: number): void {
    this.#known = Math.max(this.#known, time);
  }

  /** A clock and a witness agree that this time is past. */
  #agree(time: number): void {
    this.#confirm(time);
    this.#anchor = Math.max(this.#anchor, time);
  }

  /** Looks at the clock, raises the floor to what it says, and answers with both. */
  #look() {
    const observation = this.#options.observe();
    const trust = judgeClock(observation, this.#options.mode);
    const system = observation.systemSeconds;
    const isSet = trust !== 'doubted' && observation.synchronised === true;
    this.#moveOn();
    if (trust === 'confirmed') this.#overruleWitnesses(system);
    if (trust !== 'doubted' && system <= LAST_PLAUSIBLE) this.#follow(system, isSet);
    const floor = this.#floor(trust);
    const behindFloor = system < floor - STEP_BACK;
    this.#sayBehind(trust !== 'doubted' && behindFloor, system, floor);
    // A clock stepped back by a little stands still until it has caught up.
    const seconds = trust === 'doubted' || behindFloor ? undefined : Math.max(system, floor);
    return { seconds, floor, trust, behindFloor, system, isSet };
  }

  #moveOn(): void {
    const now = this.#options.monotonic();
    const elapsed = ((now - this.#movedAt) / 1_000) * SLOWEST_CRYSTAL;
    this.#movedAt = now;
    this.#known += elapsed;
    if (this.#anchor > 0) this.#anchor += elapsed;
    if (this.#believed > 0) this.#believed += elapsed;
    if (this.#witnessed > 0) this.#witnessed += elapsed;
  }

  #follow(system: number, isSet: boolean): void {
    const monotonic = this.#options.monotonic();
    if (isSet && this.#anchor === 0) this.#anchor = system;
    if (isSet && system <= this.#anchor + FURTHEST_ALONE) this.#confirm(system);
    const date = this.#dates.latest(monotonic);
    if (date !== undefined) this.#agree(Math.min(system, date));
    if (system >= this.#believed - STEP_BACK) {
      this.#believed = Math.max(this.#believed, system);
      return;
    }
    const isWrong = isSet || this.#believed - system > FURTHEST_HELD || this.#dates.agree(system, monotonic);
    if (!isWrong || system < this.#known - STEP_BACK) return;
    const fields = { event: 'clock_was_ahead', believed: Math.floor(this.#believed), system: Math.floor(system) };
    this.#options.log.warn(fields, 'the clock of the machine was ahead; the time that it has now counts');
    this.#believed = system;
  }

  /**
   * While the clock is doubted, a time that was only believed counts as far as it is near to what is known: the clock that
   * said it may have been years ahead.
   */
  #floor(trust: ClockTrust): number {
    const firm = Math.max(this.#known, this.#witnessed);
    if (trust === 'doubted' && this.#believed > firm + FURTHEST_ALONE) return firm;
    return Math.max(firm, this.#believed);
  }

  #overruleWitnesses(system: number): void {
    if (this.#witnessed <= system || system < this.#known) return;
    const fields = {
      event: 'time_witness_overruled',
      witnessed: Math.floor(this.#witnessed),
      system: Math.floor(system),
    };
    this.#options.log.warn(
      fields,
      'a token was issued later than the confirmed time: the clock of its issuer is wrong',
    );
    this.#witnessed = 0;
  }

  #sayBehind(isBehind: boolean, system: number, floor: number): void {
    if (isBehind && !this.#saidBehind) {
      const fields = {
        event: 'clock_behind_floor',
        code: this.#isBeforeInitial(system) ? 'clock_before_release' : 'clock_behind_floor',
        floor: Math.floor(floor),
        system: Math.floor(system),
      };
      this.#options.log.warn(fields, 'the system clock is behind the time floor: the time is unsure until it is set');
    }
    this.#saidBehind = isBehind;
  }
}
