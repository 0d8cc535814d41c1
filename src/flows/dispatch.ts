/**
 * Brings queued deliveries to their devices: one at a time per device, oldest first, with a back-off that a sighting of
 * the device cuts short. A delivery ends in the device's receipt, in its refusal, or in its own expiry.
 */

import { codeText, isSuccess } from '../codec/coap/codes.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../codec/iana.ts';
import { openReceipt, RECEIPT_NONCE_BYTES, receiptQuery } from '../codec/signed-request.ts';
import { base64url } from '../core/bytes.ts';
import type { Random, Timers } from '../core/clock.ts';
import type { CoapResponse } from '../core/coap-exchange.ts';
import { coded, isCoded, LatchkeyError } from '../core/errors.ts';
import { type Delivery, hasEnded } from '../devices/delivery.ts';
import type { DeliveryQueue, Outcome } from '../devices/delivery-queue.ts';
import type { Device } from '../devices/device.ts';
import { answerKey } from '../devices/device-trust.ts';
import type { Registry } from '../devices/registry.ts';
import type { Audit } from '../ports/audit.ts';
import type { DeviceLink } from '../ports/device-link.ts';
import type { Log } from '../ports/log.ts';
import { deliveryEnd } from './delivery-end.ts';
import type { Errand } from './errand.ts';

/** First pause between attempts, milliseconds; each further one is twice as long. */
const FIRST_PAUSE = 1_000;
/** How often expired deliveries are ended and old records removed, milliseconds. */
const SWEEP_EVERY = 30_000;
/** Sweeps from one time that ended tokens are taken off the medium to the next: an hour. Each rewrites the whole queue. */
const FORGET_EVERY = 120;
/** Records of ended deliveries outlive their token by this, so that a client can still ask. Seconds. */
const KEEP_ENDED_FOR = 3_600;

export interface DispatchDependencies {
  readonly queue: DeliveryQueue;
  readonly registry: Registry;
  /** @throws {LatchkeyError} `link_unconfigured` */
  readonly link: (device: Device) => DeviceLink;
  /** NumericDate that is surely past (`FloorClock`): a delivery that was ended cannot be brought back. */
  readonly certain: () => number;
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

/** What an answer comes to, and whether the key of the device vouched for it. */
interface Judgement {
  readonly outcome: Outcome;
  readonly isProven: boolean;
}

interface Worker {
  busy: boolean;
  /** Set when the device was sighted, or something queued, while an attempt was under way. */
  again: boolean;
  failures: number;
  cancelPause: (() => void) | undefined;
}

export class Dispatcher {
  readonly #dependencies: DispatchDependencies;
  readonly #workers = new Map<string, Worker>();
  readonly #waiters = new Map<string, Set<() => void>>();
  readonly #stopping = new AbortController();
  #cancelSweep: (() => void) | undefined;
  #sweeps = 0;

  constructor(dependencies: DispatchDependencies) {
    this.#dependencies = dependencies;
  }

  /** Starts with whatever the run before left waiting. */
  start(): void {
    const { errands = [], queue } = this.#dependencies;
    const devices = new Set([...queue.waitingDevices(), ...errands.flatMap((errand) => [...errand.devices()])]);
    for (const device of devices) this.wake(device);
    this.#scheduleSweep();
  }

  /** Whether anything waits for this device: a token, or what goes before tokens. */
  hasWork(device: string): boolean {
    return this.#dueErrand(device) !== undefined || this.#dependencies.queue.next(device) !== undefined;
  }

  /** Attempts at once what waits for this device: something was queued, or the device was sighted. */
  wake(device: string): void {
    if (this.#stopping.signal.aborted) return;
    const worker = this.#workers.get(device) ?? { busy: false, again: false, failures: 0, cancelPause: undefined };
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
    const delivery = queue.get(id);
    if (delivery.state !== 'queued' || this.#stopping.signal.aborted) return delivery;
    await new Promise<void>((resolve) => {
      const waiters = this.#waiters.get(id) ?? new Set();
      this.#waiters.set(id, waiters);
      const finish = () => {
        cancel();
        waiters.delete(finish);
        if (waiters.size === 0) this.#waiters.delete(id);
        resolve();
      };
      const cancel = timers.after(milliseconds, finish);
      waiters.add(finish);
    });
    return queue.get(id);
  }

  /** Ends attempts under way and begins no more. What waits stays on the medium. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#cancelSweep?.();
    for (const worker of this.#workers.values()) worker.cancelPause?.();
    for (const id of [...this.#waiters.keys()]) this.#notify(id);
  }

  async #work(device: string, worker: Worker): Promise<void> {
    const { log } = this.#dependencies;
    try {
      for (;;) {
        worker.again = false;
        const attempt = this.#nextAttempt(device);
        if (attempt === undefined || this.#stopping.signal.aborted) return;
        if (await attempt()) {
          worker.failures = 0;
        } else if (!worker.again) {
          worker.failures += 1;
          this.#pause(device, worker);
          return;
        }
      }
    } catch (error) {
      const { code } = coded(error);
      log.error({ event: 'dispatch_failed', device, code, error }, 'delivering to this device failed inside the hub');
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

  /** What is to be tried next for this device; the answer says whether that is done, or to be tried again. */
  #nextAttempt(device: string): (() => Promise<boolean>) | undefined {
    const errand = this.#dueErrand(device);
    if (errand !== undefined) return () => this.#run(errand, device);
    const delivery = this.#dependencies.queue.next(device);
    return delivery === undefined ? undefined : () => this.#attempt(delivery);
  }

  #dueErrand(device: string): Errand | undefined {
    return this.#dependencies.errands?.find((errand) => errand.isDue(device));
  }

  /** True where it is done for now, false where it is to be tried again. */
  async #run(errand: Errand, id: string): Promise<boolean> {
    const { attemptTimeout, log, registry } = this.#dependencies;
    try {
      await errand.run(registry.get(id), { deadline: attemptTimeout, signal: this.#stopping.signal });
      return true;
    } catch (error) {
      if (this.#stopping.signal.aborted) return false;
      const { code, detail } = coded(error);
      log.info(
        { event: 'errand_failed', errand: errand.name, device: id, code, detail },
        'what goes before the tokens of this device could not be done now; it is tried again',
      );
      return false;
    }
  }

  /** True where the delivery has ended, false where it is to be tried again. */
  async #attempt(delivery: Delivery): Promise<boolean> {
    const { certain, registry } = this.#dependencies;
    const log = this.#log(delivery);
    if (delivery.expiresAt <= certain()) {
      await this.#expire(delivery);
      return true;
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
      await this.#end(delivery, outcome);
      const fields = { event: `delivery_${outcome.state}`, device_code: codeText(answer.code) };
      if (outcome.state === 'delivered')
        log.info({ ...fields, receipt: outcome.receipt }, 'the device accepted the token');
      else
        log.warn(
          { ...fields, code: outcome.state === 'refused' ? outcome.code : undefined },
          'the device refused the token',
        );
      return true;
    } catch (error) {
      if (this.#stopping.signal.aborted) return false;
      const { code, detail } = coded(error);
      log.info(
        { event: 'delivery_attempt_failed', code, detail },
        'the token could not be delivered now; it stays queued',
      );
      return false;
    }
  }

  /** On an open medium somebody else may have answered: then another one is sought, and it goes on record. */
  #judge(link: DeviceLink, delivery: Delivery, judge: () => Judgement): Outcome {
    try {
      const { isProven, outcome } = judge();
      if (isProven) link.proven?.(true);
      return outcome;
    } catch (error) {
      if (isCoded(error, 'device_answer_untrusted') && link.limits.isOpen === true) {
        const { device, id, request } = delivery;
        const code = 'device_impostor';
        this.#dependencies.audit.record({ kind: 'answer', verdict: 'refused', device, request, delivery: id, code });
        link.proven?.(false);
      }
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
    this.#notify(delivery.id);
  }

  #notify(id: string): void {
    for (const waiter of [...(this.#waiters.get(id) ?? [])]) waiter();
  }

  #scheduleSweep(): void {
    const { log, timers } = this.#dependencies;
    this.#cancelSweep = timers.after(SWEEP_EVERY, () => {
      this.#sweep()
        .catch((error: unknown) => {
          log.error({ event: 'sweep_failed', code: coded(error).code, error }, 'cleaning up old deliveries failed');
        })
        .finally(() => {
          if (!this.#stopping.signal.aborted) this.#scheduleSweep();
        });
    });
  }

  async #sweep(): Promise<void> {
    const { certain, queue } = this.#dependencies;
    const past = certain();
    for (const delivery of queue.expired(past)) await this.#expire(delivery);
    await queue.clean(past, KEEP_ENDED_FOR);
    if (this.#sweeps % FORGET_EVERY === 0) await queue.forgetEnded();
    this.#sweeps += 1;
  }
}

/**
 * What a device's answer means for the delivery. An answer that says nothing about the token (a device that is busy, a
 * block that got lost) throws, and the delivery is tried again.
 * @throws {LatchkeyError} `device_answer_untrusted`, `device_answer_invalid`
 */
function judgeAnswer(
  device: Device,
  attempt: { readonly tokenHash: Uint8Array; readonly nonce: Uint8Array; readonly isOpen: boolean },
  answer: CoapResponse,
): Judgement {
  const deviceCode = codeText(answer.code);
  const givesReceipts = device.profile.receipt !== 'none';
  const { isOpen, ...context } = attempt;
  const verify = (refusal?: number) => {
    try {
      openReceipt(answer.payload, { key: answerKey(device), audience: device.audience, ...context, refusal });
    } catch (error) {
      throw new LatchkeyError('device_answer_untrusted', 'receipt', { cause: error });
    }
  };
  if (isSuccess(answer.code)) {
    if (givesReceipts) verify();
    return { isProven: givesReceipts, outcome: { state: 'delivered', deviceCode, receipt: givesReceipts } };
  }
  // 4.00, 4.01, 4.03, 4.13 and 4.15 judge the token (RFC 9200 §5.10.1); any other code judges the moment.
  if (!['4.00', '4.01', '4.03', '4.13', '4.15'].includes(deviceCode))
    throw new LatchkeyError('device_answer_invalid', deviceCode);
  // On a line it is the device's word, since nobody else is there. By radio anybody could end a delivery with it.
  const isProven = givesReceipts && isOpen;
  if (isProven) verify(answer.code);
  return { isProven, outcome: { state: 'refused', deviceCode, code: 'device_refused_token' } };
}
