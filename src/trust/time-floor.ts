import type { FloorClock, TimeBounds, Timers } from '../core/clock.ts';
import { coded } from '../core/errors.ts';
import type { Log } from '../ports/log.ts';
import type { Store } from '../ports/store.ts';
import { type ClockMode, type ClockObservation, type ClockTrust, judgeClock } from './clock-source.ts';
import { type FloorRecord, LAST_PLAUSIBLE, readFloor, writeFloor } from './floor-record.ts';

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

/** Milliseconds between writes: a power cut costs no more of the floor than this, a flash card 100 writes a day. */
const WRITE_EVERY = 900_000;
/** Seconds that the floor must have risen by to be written. */
const WORTH_WRITING = 60;
/** Seconds that a clock may be stepped back by NTP without being doubted. */
const STEP_BACK = 60;
/**
 * Seconds that a witness may be ahead of what is known for certain. A hub can lie in a drawer for a season; whoever is
 * further ahead is more likely wrong, or hostile, and is not needed: floors rise again with the next good clock.
 */
const FURTHEST_WITNESS = 366 * 86_400;
/** The part of a second that surely passed when the monotonic clock says one second: crystals are off by 100 ppm. */
const SLOWEST_CRYSTAL = 0.9999;

/**
 * A floor under time that only rises, and the clock of the whole hub on top of it.
 *
 * The floor has two parts. `known` follows the system clock while that is trustworthy, and nothing lowers it.
 * `witnessed` is the latest `iat` under a good signature, taken only while the time is not known otherwise. An AS with a
 * wrong clock, or a hostile one, could push `witnessed` ahead and have every other issuer's tokens denied from then on;
 * so it goes no further than a year past `known`, and a clock that is *confirmed* (set over the network, or vouched for
 * by the operator) overrules `witnessed`, never `known`. Until then both count: neither a reboot nor a clock set back
 * revives an expired token. What is written or ended for good asks for `certain`, on which no issuer has a hand.
 */
export class TimeFloor implements FloorClock {
  readonly #options: TimeFloorOptions;
  #known: number;
  #witnessed: number;
  /** `monotonic()` to which both parts belong; since then at least that much time has passed. */
  #raisedAt: number;
  /** Height of the floor on disk. */
  #written: number;
  #cancel: (() => void) | undefined;
  #saidBehind = false;

  private constructor(options: TimeFloorOptions, { known, witnessed }: FloorRecord) {
    this.#options = options;
    this.#known = Math.max(known, options.initial ?? 0);
    this.#witnessed = witnessed;
    this.#written = Math.max(known, witnessed);
    this.#raisedAt = options.monotonic();
  }

  /** With the floor from disk, so that it stands before the first token is judged. */
  static async open(options: TimeFloorOptions): Promise<TimeFloor> {
    return new TimeFloor(options, await readFloor(options.store, options.log));
  }

  /** Begins to write the floor down now and then. */
  start(): void {
    this.#cancel = this.#options.timers.after(WRITE_EVERY, () => {
      this.start();
      void this.flush();
    });
  }

  async close(): Promise<void> {
    this.#cancel?.();
    await this.flush();
  }

  /** In whole seconds, rounded outwards. */
  now(): TimeBounds {
    const { seconds, floor } = this.#present();
    if (seconds === undefined) return { earliest: Math.floor(floor), latest: undefined };
    return { earliest: Math.floor(seconds), latest: Math.ceil(seconds) };
  }

  monotonic(): number {
    return this.#options.monotonic();
  }

  certain(): number {
    return Math.floor(this.#present().certain);
  }

  /** Tells of an `iat` (NumericDate) under a good signature of a configured issuer. */
  witness(issuedAt: number): void {
    const { seconds, floor, certain } = this.#present();
    if (seconds !== undefined || issuedAt <= floor) return;
    if (issuedAt > LAST_PLAUSIBLE || issuedAt > certain + FURTHEST_WITNESS) return;
    this.#raise(certain, issuedAt);
  }

  status(): TimeFloorStatus {
    const { trust, floor, behindFloor } = this.#present();
    return { floor: Math.floor(floor), trust, behindFloor };
  }

  /** Raises the floor to the present and writes it down, if it rose by enough to be worth a write. */
  async flush(): Promise<void> {
    const { store, log } = this.#options;
    try {
      const { floor, certain } = this.#present();
      if (Math.max(floor, certain) <= LAST_PLAUSIBLE) this.#raise(certain, floor);
      const height = Math.max(this.#known, this.#witnessed);
      if (height - this.#written < WORTH_WRITING) return;
      await writeFloor(store, { known: this.#known, witnessed: this.#witnessed });
      this.#written = height;
    } catch (error) {
      const { code, detail } = coded(error);
      log.error({ event: 'time_floor_write_failed', code, detail }, 'the time floor could not be written to disk');
    }
  }

  #raise(known: number, witnessed: number): void {
    this.#known = known;
    // What is known as well needs no witness.
    this.#witnessed = witnessed > known ? witnessed : 0;
    this.#raisedAt = this.#options.monotonic();
  }

  /** The floor, and what the system clock adds to it: `seconds` only where the time is known. */
  #present() {
    const observation = this.#options.observe();
    const trust = judgeClock(observation, this.#options.mode);
    const system = observation.systemSeconds;
    if (trust === 'confirmed') this.#overruleWitnesses(system);
    const elapsed = ((this.#options.monotonic() - this.#raisedAt) / 1000) * SLOWEST_CRYSTAL;
    const floor = Math.max(this.#known, this.#witnessed) + elapsed;
    const known = this.#known + elapsed;
    const certain = trust === 'doubted' || system < known - STEP_BACK ? known : Math.max(system, known);
    const behindFloor = system < floor - STEP_BACK;
    this.#sayBehind(trust !== 'doubted' && behindFloor, system, floor);
    // A clock stepped back by a little stands still until it has caught up.
    const seconds = trust === 'doubted' || behindFloor ? undefined : Math.max(system, floor);
    return { seconds, floor, certain, trust, behindFloor };
  }

  #overruleWitnesses(system: number): void {
    if (this.#witnessed <= system || system < this.#known) return;
    const fields = { event: 'time_witness_overruled', witnessed: this.#witnessed, system: Math.floor(system) };
    this.#options.log.warn(
      fields,
      'a token was issued later than the confirmed time: the clock of its issuer is wrong',
    );
    this.#written = this.#known;
    this.#witnessed = 0;
  }

  #sayBehind(isBehind: boolean, system: number, floor: number): void {
    if (isBehind && !this.#saidBehind) {
      const fields = { event: 'clock_behind_floor', floor: Math.floor(floor), system: Math.floor(system) };
      this.#options.log.warn(fields, 'the system clock is behind the time floor: the time is unsure until it is set');
    }
    this.#saidBehind = isBehind;
  }
}
