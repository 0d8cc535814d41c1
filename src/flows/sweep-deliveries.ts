/**
 * What time alone does to deliveries: a token that expires while it waits ends in that second, records of ended ones go some
 * time later, and what ended is taken off the medium by the hour.
 */
import type { Timers } from '../core/clock.ts';
import { coded } from '../core/errors.ts';
import { type Delivery, hasEnded } from '../devices/delivery.ts';
import type { DeliveryQueue } from '../devices/delivery-queue.ts';
import type { Log } from '../ports/log.ts';

/** How often old records are removed, and expired deliveries looked for whatever their dates say. Milliseconds. */
const SWEEP_EVERY = 30_000;
/** Shortest time from one sweep to the next: a clock that goes back must not make the hub sweep all the time. Milliseconds. */
const SWEEP_PAUSE = 1_000;
/** How often ended tokens are taken off the medium. Each time overwrites the pages with their keys. Milliseconds. */
const FORGET_EVERY = 3_600_000;
/** Records of ended deliveries outlive their token by this, so that a client can still ask. Seconds. */
const KEEP_ENDED_FOR = 3_600;

export interface SweepDependencies {
  readonly queue: DeliveryQueue;
  /** NumericDate that is surely past (`FloorClock`): a delivery that was ended cannot be brought back. */
  readonly certain: () => number;
  readonly timers: Timers;
  readonly log: Log;
  /** Ends a delivery whose token is expired. */
  readonly expire: (delivery: Delivery) => Promise<void>;
}

export class DeliverySweeps {
  readonly #dependencies: SweepDependencies;
  #stopped = false;
  #cancelSweep: (() => void) | undefined;
  #cancelForget: (() => void) | undefined;
  #unwatch: (() => void) | undefined;
  /** When the next sweep is due; NumericDate. */
  #sweepAt = Number.POSITIVE_INFINITY;

  constructor(dependencies: SweepDependencies) {
    this.#dependencies = dependencies;
  }

  start(): void {
    this.#scheduleSweep();
    this.#scheduleForgetting(SWEEP_EVERY);
    this.#unwatch = this.#dependencies.queue.watchers.watchAll((delivery) => {
      if (!hasEnded(delivery) && delivery.expiresAt < this.#sweepAt) this.#scheduleSweep();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelSweep?.();
    this.#cancelForget?.();
    this.#unwatch?.();
  }

  /** The next sweep: when the first of what waits expires, so that its end is told the moment that it is certain. */
  #scheduleSweep(pause = 0): void {
    const { certain, log, queue, timers } = this.#dependencies;
    if (this.#stopped) return;
    const now = certain();
    const untilExpiry = ((queue.firstExpiry() ?? Number.POSITIVE_INFINITY) - now) * 1_000;
    const wait = Math.max(pause, Math.min(SWEEP_EVERY, untilExpiry));
    this.#sweepAt = now + wait / 1_000;
    this.#cancelSweep?.();
    this.#cancelSweep = timers.after(wait, () => {
      this.#sweep()
        .catch((error: unknown) => {
          log.error({ event: 'sweep_failed', code: coded(error).code, error }, 'cleaning up old deliveries failed');
        })
        .finally(() => this.#scheduleSweep(SWEEP_PAUSE));
    });
  }

  async #sweep(): Promise<void> {
    const { certain, expire, queue } = this.#dependencies;
    const past = certain();
    for (const delivery of queue.expired(past)) {
      if (this.#stopped) return;
      await expire(delivery);
    }
    await queue.clean(past, KEEP_ENDED_FOR);
  }

  #scheduleForgetting(wait: number): void {
    const { log, queue, timers } = this.#dependencies;
    if (this.#stopped) return;
    this.#cancelForget = timers.after(wait, () => {
      queue
        .forgetEnded()
        .catch((error: unknown) => {
          log.error({ event: 'forget_failed', code: coded(error).code, error }, 'ended tokens are still on the medium');
        })
        .finally(() => this.#scheduleForgetting(FORGET_EVERY));
    });
  }
}
