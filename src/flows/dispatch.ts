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
import { inSlices } from '../core/slices.ts';
import { type Delivery, hasEnded } from '../devices/delivery.ts';
import type { DeliveryQueue, End, Outcome } from '../devices/delivery-queue.ts';
import type { Device } from '../devices/device.ts';
import type { Registry } from '../devices/registry.ts';
import type { Difficulty } from '../ports/admin.ts';
import type { Audit } from '../ports/audit.ts';
import type { DeviceLink } from '../ports/device-link.ts';
import type { Log } from '../ports/log.ts';
import { deliveryEnd } from './delivery-end.ts';
import type { Errand } from './errand.ts';
import { type Judgement, judgeAnswer } from './judge-answer.ts';
import { RestingDevices } from './resting-devices.ts';
import { DeliverySweeps } from './sweep-deliveries.ts';

/** First pause between attempts, milliseconds; each further one is twice as long. */
const FIRST_PAUSE = 1_000;
/** Devices that are woken in one turn of the event loop: each may have to be compared with what it should trust. */
const WOKEN_AT_ONCE = 32;
/** Milliseconds for ends that are being written when the hub stops: what the medium has, the audit should have too. */
const STOP_WAIT = 1_500;

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
  /** Ends that are being written. */
  readonly #ends = new Set<Promise<unknown>>();

  constructor(dependencies: DispatchDependencies) {
    this.#dependencies = dependencies;
    const { certain, log, queue, registry, timers } = dependencies;
    this.#sweeps = new DeliverySweeps({ queue, certain, timers, log, expire: (delivery) => this.#expire(delivery) });
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

  /** Ends attempts under way and begins no more. What waits stays on the medium; what is ending has a moment to end. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#sweeps.stop();
    this.#resting.stop();
    for (const worker of this.#workers.values()) worker.cancelPause?.();
    if (this.#ends.size === 0) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#dependencies.timers.after(STOP_WAIT, resolve);
      void Promise.allSettled(this.#ends).then(() => {
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
    worker.lastError = code;
    worker.failures = 0;
    worker.restsOn = link;
    if (link !== undefined) this.#resting.add(link, device);
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
      const { isFirst } = await this.#end(delivery, this.#fromNowOn(delivery, outcome));
      const fields = { event: `delivery_${outcome.state}`, device_code: codeText(answer.code) };
      if (!isFirst) log.info(fields, 'the device answered, and the delivery had ended by then');
      else if (outcome.state === 'delivered')
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
    const { isFirst } = await this.#end(delivery, { state: 'expired', code: 'delivery_expired' });
    if (!isFirst) return;
    this.#log(delivery).warn(
      { event: 'delivery_expired', code: 'delivery_expired' },
      'the token expired before the device took it',
    );
  }

  #log(delivery: Delivery): Log {
    const { request, id, device, tokenHash } = delivery;
    return this.#dependencies.log.child({ request, delivery: id, device, token_hash: base64url(tokenHash) });
  }

  /** One end, one record: where an answer, the sweep or the removal of the device came first, that one left it. */
  async #end(delivery: Delivery, outcome: Outcome): Promise<End> {
    const { audit, queue } = this.#dependencies;
    const ending = queue.end(delivery.id, outcome, () => audit.record(deliveryEnd(delivery, outcome)));
    this.#ends.add(ending);
    try {
      return await ending;
    } finally {
      this.#ends.delete(ending);
    }
  }
}
