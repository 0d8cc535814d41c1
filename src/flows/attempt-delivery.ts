/** One attempt to bring a token to its device, and what ends a delivery: its answer, its expiry, an operator. */
import { codeText } from '../codec/coap/codes.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../codec/iana.ts';
import { RECEIPT_NONCE_BYTES, receiptQuery } from '../codec/signed-request.ts';
import { base64url } from '../core/bytes.ts';
import type { Random } from '../core/clock.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { coded, isCoded, LatchkeyError } from '../core/errors.ts';
import { type Delivery, hasEnded } from '../devices/delivery.ts';
import type { DeliveryQueue, End, Outcome } from '../devices/delivery-queue.ts';
import type { Device } from '../devices/device.ts';
import type { Registry } from '../devices/registry.ts';
import type { Audit } from '../ports/audit.ts';
import type { DeviceLink } from '../ports/device-link.ts';
import type { Log } from '../ports/log.ts';
import { deliveryEnd } from './delivery-end.ts';
import { type Judgement, judgeAnswer } from './judge-answer.ts';

export interface AttemptDependencies {
  readonly queue: DeliveryQueue;
  readonly registry: Registry;
  /** @throws {LatchkeyError} `link_unconfigured` */
  readonly link: (device: Device) => DeviceLink;
  /** NumericDate that is surely past (`FloorClock`): a delivery that was ended cannot be brought back. */
  readonly certain: () => number;
  /** NumericDate, the earliest that the present may be: for lives that begin now. What is certain, where it is left out. */
  readonly earliest?: () => number;
  readonly random: Random;
  readonly log: Log;
  readonly audit: Audit;
  /** Milliseconds for one attempt. */
  readonly attemptTimeout: number;
}

export class DeliveryAttempts {
  readonly #dependencies: AttemptDependencies;
  readonly #stopping: AbortSignal;
  /** Attempts under way, by delivery. */
  readonly #underWay = new Map<string, AbortController>();
  /** Ends that are being written. */
  readonly #ends = new Set<Promise<unknown>>();

  /** @param stopping ends attempts under way: the hub stops */
  constructor(dependencies: AttemptDependencies, stopping: AbortSignal) {
    this.#dependencies = dependencies;
    this.#stopping = stopping;
    stopping.addEventListener('abort', () => {
      for (const attempt of this.#underWay.values()) attempt.abort();
    });
  }

  /** Ends that are being written. */
  ending(): readonly Promise<unknown>[] {
    return [...this.#ends];
  }

  /**
   * Ends a delivery that waits. An attempt under way is given up; the device may have the token all the same.
   * @throws {LatchkeyError} `delivery_unknown`
   */
  async cancel(id: string): Promise<End> {
    const { queue } = this.#dependencies;
    const delivery = queue.get(id);
    if (hasEnded(delivery)) return { delivery, isFirst: false };
    const end = await this.#end(delivery, { state: 'cancelled', code: 'delivery_cancelled' });
    if (!end.isFirst) return end;
    this.#underWay.get(id)?.abort();
    this.#log(delivery).warn(
      { event: 'delivery_cancelled', code: 'delivery_cancelled' },
      'an operator cancelled the delivery',
    );
    return end;
  }

  /** Undefined where the delivery has ended, and where it is to be tried again the code of what went wrong. */
  async attempt(delivery: Delivery): Promise<ErrorCode | undefined> {
    const { certain, registry } = this.#dependencies;
    const log = this.#log(delivery);
    if (delivery.expiresAt <= certain()) {
      await this.expire(delivery);
      return undefined;
    }
    if (delivery.cwt === undefined) throw new LatchkeyError('internal', 'a queued delivery without its token');
    const underWay = new AbortController();
    this.#underWay.set(delivery.id, underWay);
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
        { deadline: this.#dependencies.attemptTimeout, signal: underWay.signal },
      );
      const attempt = { tokenHash: delivery.tokenHash, nonce, isOpen: link.limits.isOpen === true };
      const outcome = this.#judge(link, delivery, () => judgeAnswer(device, attempt, answer));
      if (outcome === 'full') throw new LatchkeyError('device_full');
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
      if (this.#stopping.aborted) return 'shutting_down';
      // Cancelled meanwhile: that is said already, and nothing is to be tried again.
      if (underWay.signal.aborted) return undefined;
      const { code, detail } = coded(error);
      log.info(
        { event: 'delivery_attempt_failed', code, detail },
        'the token could not be delivered now; it stays queued',
      );
      return code;
    } finally {
      this.#underWay.delete(delivery.id);
    }
  }

  /** A token with `exi` ends so long after the device has it (RFC 9200 §5.10.3), and not after its `exp`. */
  #fromNowOn({ expiresAt, expiresIn }: Delivery, outcome: Outcome): Outcome {
    if (outcome.state !== 'delivered' || expiresIn === undefined) return outcome;
    const { certain, earliest = certain } = this.#dependencies;
    return { ...outcome, expiresAt: Math.min(expiresAt, earliest() + expiresIn) };
  }

  /** On an open medium somebody else may have answered: then another one is sought, and it goes on record. */
  #judge(link: DeviceLink, delivery: Delivery, judge: () => Judgement): Judgement['outcome'] {
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
      // Busy, or an attacker says so.
      if (isCoded(error, 'device_answer_invalid')) link.doubted?.();
      throw error;
    }
  }

  async expire(delivery: Delivery): Promise<void> {
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
