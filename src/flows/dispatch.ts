/**
 * Brings queued deliveries to their devices: one at a time per device, oldest first, with a back-off that a sighting of
 * the device cuts short. A delivery ends in the device's receipt, in its refusal, or in its own expiry.
 */

import { setMaxListeners } from 'node:events';
import type { Timers } from '../core/clock.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { coded } from '../core/errors.ts';
import { inSlices } from '../core/slices.ts';
import { type Delivery, hasEnded } from '../devices/delivery.ts';
import type { End } from '../devices/delivery-queue.ts';
import type { Difficulty } from '../ports/admin.ts';
import type { DeviceLink } from '../ports/device-link.ts';
import { type AttemptDependencies, DeliveryAttempts } from './attempt-delivery.ts';
import type { Errand } from './errand.ts';
import { RestingDevices } from './resting-devices.ts';
import { DeliverySweeps } from './sweep-deliveries.ts';

/** First pause between attempts, milliseconds; each further one is twice as long. */
const FIRST_PAUSE = 1_000;
/** Devices that are woken in one turn of the event loop: each may have to be compared with what it should trust. */
const WOKEN_AT_ONCE = 32;
/** Milliseconds for ends that are being written when the hub stops: what the medium has, the audit should have too. */
const STOP_WAIT = 1_500;

export interface DispatchDependencies extends AttemptDependencies {
  readonly timers: Timers;
  /** Milliseconds of a clock that only goes forward. */
  readonly monotonic: () => number;
  /** What goes before a device's tokens, in this order. */
  readonly errands?: readonly Errand[];
  /** Longest pause between attempts, milliseconds. */
  readonly longestPause: number;
}

interface Worker {
  busy: boolean;
  /** Set when the device was sighted, or something queued, while an attempt was under way. */
  again: boolean;
  failures: number;
  /** Failures since the pauses began with the shortest one. */
  pauses: number;
  /** Since when the device has been answering that it is full, by the monotonic clock. */
  fullSince: number | undefined;
  /** Code of why the last attempt failed. */
  lastError: ErrorCode | undefined;
  cancelPause: (() => void) | undefined;
  /** The link that is known to be down; it is tried again when that is up. */
  restsOn: DeviceLink | undefined;
}

/** Why a device cannot be reached now. */
interface LinkFault {
  /** Undefined where it has none. */
  readonly link: DeviceLink | undefined;
  readonly code: ErrorCode;
}

export class Dispatcher {
  readonly #dependencies: DispatchDependencies;
  readonly #workers = new Map<string, Worker>();
  readonly #stopping = new AbortController();
  readonly #sweeps: DeliverySweeps;
  readonly #resting: RestingDevices;
  readonly #attempts: DeliveryAttempts;

  constructor(dependencies: DispatchDependencies) {
    this.#dependencies = dependencies;
    const { certain, log, queue, registry, timers } = dependencies;
    this.#attempts = new DeliveryAttempts(dependencies, this.#stopping.signal);
    const expire = (delivery: Delivery) => this.#attempts.expire(delivery);
    this.#sweeps = new DeliverySweeps({ queue, certain, timers, log, expire });
    this.#resting = new RestingDevices({
      timers,
      isKnown: (device) => registry.find(device) !== undefined,
      wake: (devices) => void this.#wakeInSlices(devices, () => true),
    });
    // One listener for each attempt under way and each client that waits: as many as there are devices and clients.
    setMaxListeners(0, this.#stopping.signal);
  }

  /** Starts with whatever the run before left waiting. */
  start(): void {
    const { queue, registry } = this.#dependencies;
    void this.wakeForWork(new Set([...queue.waitingDevices(), ...registry.list().map(({ id }) => id)]));
    this.#sweeps.start();
  }

  /** Wakes those of many devices for which something waits. Resolves once that is done; other work gets its turn meanwhile. */
  async wakeForWork(devices: Iterable<string>): Promise<void> {
    await this.#wakeInSlices(devices, (device) => this.hasWork(device));
  }

  /** Whether anything waits for this device: a token, or what goes before tokens. */
  hasWork(device: string): boolean {
    return this.#dueErrand(device) !== undefined || this.#dependencies.queue.next(device) !== undefined;
  }

  /** Attempts at once what waits for this device: something was queued, or the device was sighted. */
  wake(device: string): void {
    if (this.#stopping.signal.aborted) return;
    const worker = this.#workers.get(device) ?? {
      busy: false,
      again: false,
      failures: 0,
      pauses: 0,
      fullSince: undefined,
      lastError: undefined,
      cancelPause: undefined,
      restsOn: undefined,
    };
    this.#workers.set(device, worker);
    worker.cancelPause?.();
    worker.cancelPause = undefined;
    if (worker.restsOn !== undefined) this.#resting.remove(worker.restsOn, device);
    worker.restsOn = undefined;
    if (worker.busy) {
      worker.again = true;
      return;
    }
    worker.busy = true;
    void this.#work(device, worker);
  }

  /**
   * The delivery once it has ended, or as it stands after `milliseconds`.
   * @throws {LatchkeyError} `delivery_unknown` where it is gone by then, with its device
   */
  async settled(id: string, milliseconds: number): Promise<Delivery> {
    const { queue, timers } = this.#dependencies;
    const { signal } = this.#stopping;
    const delivery = queue.get(id);
    if (hasEnded(delivery) || signal.aborted) return delivery;
    await new Promise<void>((resolve) => {
      const finish = () => {
        cancel();
        unwatch();
        signal.removeEventListener('abort', finish);
        resolve();
      };
      const cancel = timers.after(milliseconds, finish);
      const unwatch = queue.watchers.watch(id, (changed) => {
        if (hasEnded(changed)) finish();
      });
      signal.addEventListener('abort', finish);
    });
    return queue.get(id);
  }

  /** Why what waits for this device is still waiting; undefined where nothing failed since it was last reached. */
  difficulty(device: string): Difficulty | undefined {
    const worker = this.#workers.get(device);
    if (worker?.lastError === undefined) return undefined;
    return { code: worker.lastError, failures: worker.failures };
  }

  /** Devices that tokens wait for, and that have been answering for so many milliseconds that they are full. */
  fullFor(milliseconds: number): readonly string[] {
    const { monotonic, queue } = this.#dependencies;
    const since = monotonic() - milliseconds;
    return [...this.#workers].flatMap(([device, { fullSince }]) =>
      fullSince !== undefined && fullSince <= since && queue.waiting(device) > 0 ? [device] : [],
    );
  }

  /**
   * Ends a delivery that waits, whatever is under way for it, and goes on with the next one.
   * @throws {LatchkeyError} `delivery_unknown`
   */
  async cancel(id: string): Promise<End> {
    const end = await this.#attempts.cancel(id);
    this.wake(end.delivery.device);
    return end;
  }

  /** Ends attempts under way and begins no more. What waits stays on the medium; what is ending has a moment to end. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#sweeps.stop();
    this.#resting.stop();
    for (const worker of this.#workers.values()) worker.cancelPause?.();
    const ending = this.#attempts.ending();
    if (ending.length === 0) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#dependencies.timers.after(STOP_WAIT, resolve);
      void Promise.allSettled(ending).then(() => {
        cancel();
        resolve();
      });
    });
  }

  /** So many at a time. A device that cannot be looked at keeps no other from its turn. */
  async #wakeInSlices(devices: Iterable<string>, isWanted: (device: string) => boolean): Promise<void> {
    const wake = (device: string) => {
      try {
        if (isWanted(device)) this.wake(device);
      } catch (error) {
        const { code } = coded(error);
        const text = 'what waits for this device could not be looked at';
        this.#dependencies.log.error({ event: 'dispatch_failed', device, code, error }, text);
      }
    };
    await inSlices(devices, wake, { size: WOKEN_AT_ONCE, signal: this.#stopping.signal });
  }

  async #work(device: string, worker: Worker): Promise<void> {
    const { log } = this.#dependencies;
    try {
      for (;;) {
        worker.again = false;
        const attempt = this.#nextAttempt(device);
        if (attempt === undefined || this.#stopping.signal.aborted) return;
        const fault = this.#linkFault(device);
        if (fault !== undefined) {
          this.#rest(device, worker, fault);
          return;
        }
        const failed = await attempt();
        this.#note(device, worker, failed);
        if (failed === undefined) {
          worker.failures = 0;
          worker.pauses = 0;
          continue;
        }
        worker.failures += 1;
        worker.pauses += 1;
        if (!worker.again) {
          this.#pause(device, worker);
          return;
        }
      }
    } catch (error) {
      const { code } = coded(error);
      log.error({ event: 'dispatch_failed', device, code, error }, 'delivering to this device failed inside the hub');
      this.#note(device, worker, code);
      worker.failures += 1;
      worker.pauses += 1;
      this.#pause(device, worker);
    } finally {
      worker.busy = false;
      if (worker.cancelPause === undefined && !this.hasWork(device)) this.#workers.delete(device);
    }
  }

  /** Undefined where the device can be tried. */
  #linkFault(id: string): LinkFault | undefined {
    const { link: linkOf, registry } = this.#dependencies;
    const device = registry.find(id);
    if (device === undefined) return undefined;
    try {
      const link = linkOf(device);
      return link.isUp() ? undefined : { link, code: link.fault?.()?.code ?? 'link_down' };
    } catch (error) {
      return { link: undefined, code: coded(error).code };
    }
  }

  /** Until its link is up. One that has no link waits for a start of the hub that has. */
  #rest(device: string, worker: Worker, { code, link }: LinkFault): void {
    if (worker.lastError !== code)
      this.#dependencies.log.debug(
        { event: 'device_rests', device, code },
        'what waits for this device waits for its link',
      );
    this.#note(device, worker, code);
    worker.failures = 0;
    worker.pauses = 0;
    worker.restsOn = link;
    if (link !== undefined) this.#resting.add(link, device);
  }

  /** How the last attempt went. Clients that wait are told where the device is full, and where it is not any more. */
  #note(device: string, worker: Worker, code: ErrorCode | undefined): void {
    const { monotonic, queue } = this.#dependencies;
    const wasFull = worker.fullSince !== undefined;
    worker.lastError = code;
    worker.fullSince = code === 'device_full' ? (worker.fullSince ?? monotonic()) : undefined;
    if (wasFull !== (worker.fullSince !== undefined)) queue.tellWaiting(device);
  }

  /** A device that is full has room again when a token expires that it holds: then it is tried, and again soon after that. */
  #pause(device: string, worker: Worker): void {
    if (this.#stopping.signal.aborted) return;
    const { longestPause, random, timers } = this.#dependencies;
    const longest = Math.min(FIRST_PAUSE * 2 ** (worker.pauses - 1), longestPause);
    const backOff = longest * (0.5 + random.fraction() / 2);
    const untilRoom = worker.fullSince === undefined ? Number.POSITIVE_INFINITY : this.#untilRoom(device);
    worker.cancelPause = timers.after(Math.min(backOff, untilRoom), () => {
      worker.cancelPause = undefined;
      if (untilRoom <= backOff) worker.pauses = 0;
      this.wake(device);
    });
  }

  /** Milliseconds until the next token of those that the device holds expires. */
  #untilRoom(device: string): number {
    const { certain, queue } = this.#dependencies;
    const now = certain();
    return ((queue.nextRoom(device, now) ?? Number.POSITIVE_INFINITY) - now) * 1_000;
  }

  /** What is to be tried next for this device; it answers with the code of what went wrong, if anything did. */
  #nextAttempt(device: string): (() => Promise<ErrorCode | undefined>) | undefined {
    const errand = this.#dueErrand(device);
    if (errand !== undefined) return () => this.#run(errand, device);
    const delivery = this.#dependencies.queue.next(device);
    return delivery === undefined ? undefined : () => this.#attempts.attempt(delivery);
  }

  #dueErrand(device: string): Errand | undefined {
    return this.#dependencies.errands?.find((errand) => errand.isDue(device));
  }

  /** Undefined where it is done for now, and where it is to be tried again the code of what went wrong. */
  async #run(errand: Errand, id: string): Promise<ErrorCode | undefined> {
    const { attemptTimeout, log, registry } = this.#dependencies;
    try {
      await errand.run(registry.get(id), { deadline: attemptTimeout, signal: this.#stopping.signal });
      return undefined;
    } catch (error) {
      if (this.#stopping.signal.aborted) return 'shutting_down';
      const { code, detail } = coded(error);
      log.info(
        { event: 'errand_failed', errand: errand.name, device: id, code, detail },
        'what has to precede the tokens of this device could not be done now; the hub tries it again',
      );
      return code;
    }
  }
}
