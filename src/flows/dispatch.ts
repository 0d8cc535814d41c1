/**
 * Brings queued deliveries to their devices: one at a time per device, oldest first, with a back-off that a sighting of
 * the device cuts short. A delivery ends in the device's receipt, in its refusal, or in its own expiry.
 */

import { setMaxListeners } from 'node:events';
import { codeText } from '../codec/coap/codes.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../codec/iana.ts';
import { RECEIPT_NONCE_BYTES, receiptQuery } from '../codec/signed-request.ts';
import { base64url } from '../core/bytes.ts';
import type { Random, Timers } from '../core/clock.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { coded, isCoded, LatchkeyError } from '../core/errors.ts';
import { type Delivery, hasEnded } from '../devices/delivery.ts';
import type { DeliveryQueue, Outcome } from '../devices/delivery-queue.ts';
import type { Device } from '../devices/device.ts';
import type { Registry } from '../devices/registry.ts';
import type { Difficulty } from '../ports/admin.ts';
import type { Audit } from '../ports/audit.ts';
import type { DeviceLink } from '../ports/device-link.ts';
import type { Log } from '../ports/log.ts';
import { deliveryEnd } from './delivery-end.ts';
import type { Errand } from './errand.ts';
import { type Judgement, judgeAnswer } from './judge-answer.ts';

/** First pause between attempts, milliseconds; each further one is twice as long. */
const FIRST_PAUSE = 1_000;
/** How often old records are removed, and expired deliveries looked for whatever their dates say. Milliseconds. */
const SWEEP_EVERY = 30_000;
/** Shortest time from one sweep to the next: a clock that goes back must not make the hub sweep all the time. Milliseconds. */
const SWEEP_PAUSE = 1_000;
/** How often ended tokens are taken off the medium. Each time rewrites the whole queue. Milliseconds. */
const FORGET_EVERY = 3_600_000;
/** Records of ended deliveries outlive their token by this, so that a client can still ask. Seconds. */
const KEEP_ENDED_FOR = 3_600;

export interface DispatchDependencies {
  readonly queue: DeliveryQueue;
  readonly registry: Registry;
  /** @throws {LatchkeyError} `link_unconfigured` */
  readonly link: (device: Device) => DeviceLink;
  /** NumericDate that is surely past (`FloorClock`): a delivery that was ended cannot be brought back. */
  readonly certain: () => number;
  /** NumericDate, the earliest that the present may be: for lives that begin now. What is certain, where it is left out. */
  readonly earliest?: () => number;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  readonly audit: Audit;
  /** What goes before a device's tokens, in this order. */
  readonly errands?: readonly Errand[];
  /** Milliseconds for one attempt. */
  readonly attemptTimeout: number;
  /** Longest pause between attempts, milliseconds. */
  readonly longestPause: number;
}

interface Worker {
  busy: boolean;
  /** Set when the device was sighted, or something queued, while an attempt was under way. */
  again: boolean;
  failures: number;
  /** Code of why the last attempt failed. */
  lastError: ErrorCode | undefined;
  cancelPause: (() => void) | undefined;
}

export class Dispatcher {
  readonly #dependencies: DispatchDependencies;
  readonly #workers = new Map<string, Worker>();
  readonly #stopping = new AbortController();
  #cancelSweep: (() => void) | undefined;
  #unwatch: (() => void) | undefined;
  /** When the next sweep is due; NumericDate. */
  #sweepAt = Number.POSITIVE_INFINITY;
  #cancelForget: (() => void) | undefined;

  constructor(dependencies: DispatchDependencies) {
    this.#dependencies = dependencies;
    // One listener for each attempt under way and each client that waits: as many as there are devices and clients.
    setMaxListeners(0, this.#stopping.signal);
  }

  /** Starts with whatever the run before left waiting. */
  start(): void {
    const { errands = [], queue } = this.#dependencies;
    const devices = new Set([...queue.waitingDevices(), ...errands.flatMap((errand) => [...errand.devices()])]);
    for (const device of devices) this.wake(device);
    this.#scheduleSweep();
    this.#scheduleForgetting(SWEEP_EVERY);
    this.#unwatch = queue.watchers.watchAll((delivery) => {
      if (!hasEnded(delivery) && delivery.expiresAt < this.#sweepAt) this.#scheduleSweep();
    });
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
      lastError: undefined,
      cancelPause: undefined,
    };
    this.#workers.set(device, worker);
    worker.cancelPause?.();
    worker.cancelPause = undefined;
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
      const unwatch = queue.watchers.watch(id, finish);
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

  /** Ends attempts under way and begins no more. What waits stays on the medium. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#cancelSweep?.();
    this.#cancelForget?.();
    this.#unwatch?.();
    for (const worker of this.#workers.values()) worker.cancelPause?.();
  }

  async #work(device: string, worker: Worker): Promise<void> {
    const { log } = this.#dependencies;
    try {
      for (;;) {
        worker.again = false;
        const attempt = this.#nextAttempt(device);
        if (attempt === undefined || this.#stopping.signal.aborted) return;
        worker.lastError = await attempt();
        if (worker.lastError === undefined) {
          worker.failures = 0;
          continue;
        }
        worker.failures += 1;
        if (!worker.again) {
          this.#pause(device, worker);
          return;
        }
      }
    } catch (error) {
      const { code } = coded(error);
      log.error({ event: 'dispatch_failed', device, code, error }, 'delivering to this device failed inside the hub');
      worker.lastError = code;
      worker.failures += 1;
      this.#pause(device, worker);
    } finally {
      worker.busy = false;
      if (worker.cancelPause === undefined && !this.hasWork(device)) this.#workers.delete(device);
    }
  }

  #pause(device: string, worker: Worker): void {
    if (this.#stopping.signal.aborted) return;
    const { longestPause, random, timers } = this.#dependencies;
    const longest = Math.min(FIRST_PAUSE * 2 ** (worker.failures - 1), longestPause);
    worker.cancelPause = timers.after(longest * (0.5 + random.fraction() / 2), () => {
      worker.cancelPause = undefined;
      this.wake(device);
    });
  }

  /** What is to be tried next for this device; it answers with the code of what went wrong, if anything did. */
  #nextAttempt(device: string): (() => Promise<ErrorCode | undefined>) | undefined {
    const errand = this.#dueErrand(device);
    if (errand !== undefined) return () => this.#run(errand, device);
    const delivery = this.#dependencies.queue.next(device);
    return delivery === undefined ? undefined : () => this.#attempt(delivery);
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
        'what goes before the tokens of this device could not be done now; it is tried again',
      );
      return code;
    }
  }

  /** Undefined where the delivery has ended, and where it is to be tried again the code of what went wrong. */
  async #attempt(delivery: Delivery): Promise<ErrorCode | undefined> {
    const { certain, registry } = this.#dependencies;
    const log = this.#log(delivery);
    if (delivery.expiresAt <= certain()) {
      await this.#expire(delivery);
      return undefined;
    }
    if (delivery.cwt === undefined) throw new LatchkeyError('internal', 'a queued delivery without its token');
    try {
      const device = registry.get(delivery.device);
      const nonce = this.#dependencies.random.bytes(RECEIPT_NONCE_BYTES);
      const link = this.#dependencies.link(device);
      const answer = await link.request(
        {
          method: COAP_METHOD.POST,
          path: ['authz-info'],
          // A device without receipts may not know the query.
          ...(device.profile.receipt === 'none' ? {} : { query: [receiptQuery(nonce)] }),
          contentFormat: CONTENT_FORMAT.cwt,
          payload: delivery.cwt.expose(),
        },
        { deadline: this.#dependencies.attemptTimeout, signal: this.#stopping.signal },
      );
      const attempt = { tokenHash: delivery.tokenHash, nonce, isOpen: link.limits.isOpen === true };
      const outcome = this.#judge(link, delivery, () => judgeAnswer(device, attempt, answer));
      await this.#end(delivery, this.#fromNowOn(delivery, outcome));
      const fields = { event: `delivery_${outcome.state}`, device_code: codeText(answer.code) };
      if (outcome.state === 'delivered')
        log.info({ ...fields, receipt: outcome.receipt }, 'the device accepted the token');
      else
        log.warn(
          { ...fields, code: outcome.state === 'refused' ? outcome.code : undefined },
          'the device refused the token',
        );
      return undefined;
    } catch (error) {
      if (this.#stopping.signal.aborted) return 'shutting_down';
      const { code, detail } = coded(error);
      log.info(
        { event: 'delivery_attempt_failed', code, detail },
        'the token could not be delivered now; it stays queued',
      );
      return code;
    }
  }

  /** A token with `exi` ends so long after the device has it (RFC 9200 §5.10.3), and not after its `exp`. */
  #fromNowOn({ expiresAt, expiresIn }: Delivery, outcome: Outcome): Outcome {
    if (outcome.state !== 'delivered' || expiresIn === undefined) return outcome;
    const { certain, earliest = certain } = this.#dependencies;
    return { ...outcome, expiresAt: Math.min(expiresAt, earliest() + expiresIn) };
  }

  /** On an open medium somebody else may have answered: then another one is sought, and it goes on record. */
  #judge(link: DeviceLink, delivery: Delivery, judge: () => Judgement): Outcome {
    try {
      const { isProven, outcome } = judge();
      if (isProven !== false) link.proven?.(isProven);
      return outcome;
    } catch (error) {
      if (isCoded(error, 'device_answer_untrusted') && link.limits.isOpen === true) {
        const { device, id, request } = delivery;
        const code = 'device_impostor';
        this.#dependencies.audit.record({ kind: 'answer', verdict: 'refused', device, request, delivery: id, code });
        link.proven?.(false);
      }
      // Busy, or so somebody says.
      if (isCoded(error, 'device_answer_invalid')) link.doubted?.();
      throw error;
    }
  }

  async #expire(delivery: Delivery): Promise<void> {
    await this.#end(delivery, { state: 'expired', code: 'delivery_expired' });
    this.#log(delivery).warn(
      { event: 'delivery_expired', code: 'delivery_expired' },
      'the token expired before the device took it',
    );
  }

  #log(delivery: Delivery): Log {
    const { request, id, device, tokenHash } = delivery;
    return this.#dependencies.log.child({ request, delivery: id, device, token_hash: base64url(tokenHash) });
  }

  async #end(delivery: Delivery, outcome: Outcome): Promise<void> {
    const { audit, queue } = this.#dependencies;
    // Another attempt, or the sweep, may have ended it meanwhile; that one was recorded.
    const isFirst = !hasEnded(queue.get(delivery.id));
    await queue.end(delivery.id, outcome);
    if (isFirst) audit.record(deliveryEnd(delivery, outcome));
  }

  /** The next sweep: when the first of what waits expires, so that its end is told the moment that it is certain. */
  #scheduleSweep(pause = 0): void {
    const { certain, log, queue, timers } = this.#dependencies;
    if (this.#stopping.signal.aborted) return;
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
    const { certain, queue } = this.#dependencies;
    const past = certain();
    for (const delivery of queue.expired(past)) await this.#expire(delivery);
    await queue.clean(past, KEEP_ENDED_FOR);
  }

  #scheduleForgetting(wait: number): void {
    const { log, queue, timers } = this.#dependencies;
    if (this.#stopping.signal.aborted) return;
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
