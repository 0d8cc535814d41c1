/** tell time: a device without a battery clock asks the hub, over its link, what time it is (docs/protocol.md, "Time"). */
import { COAP_CODE, COAP_METHOD, CONTENT_FORMAT } from '../codec/iana.ts';
import { makeTimeAnswer, readTimeQuery } from '../codec/time-answer.ts';
import { type Clock, unsureCode } from '../core/clock.ts';
import type { CoapRequest, CoapResponse } from '../core/coap-exchange.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { Device } from '../devices/device.ts';
import { timeKey } from '../devices/device-trust.ts';
import type { Registry } from '../devices/registry.ts';
import type { Log } from '../ports/log.ts';

export interface TellTimeDependencies {
  readonly registry: Registry;
  readonly clock: Pick<Clock, 'now'>;
}

export class TellTime {
  readonly #dependencies: TellTimeDependencies;

  constructor(dependencies: TellTimeDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Whoever asks gets an answer that is of use to the device alone, so the question carries no proof. The latest that the
   * present can be is told: a device that is a second ahead ends tokens early, one that is behind would end them late.
   * @param isExpected whether this device may speak over the link that the question came by
   * @throws {LatchkeyError} `device_unauthenticated` for a device that is not known, or not there; `clock_unsure` while the
   *   hub does not know the time itself; `request_invalid`, `method_not_allowed`
   */
  answer(request: CoapRequest, isExpected: (device: Device) => boolean, log: Log): CoapResponse {
    if (request.method !== COAP_METHOD.GET) throw new LatchkeyError('method_not_allowed');
    if (request.accept !== undefined && request.accept !== CONTENT_FORMAT.coseMac0)
      throw new LatchkeyError('media_type_not_offered');
    const question = readTimeQuery(request.query ?? []);
    const device = this.#dependencies.registry.find(question.device);
    if (device === undefined || !isExpected(device))
      throw new LatchkeyError('device_unauthenticated', 'the device is not known or not expected here');
    const now = this.#dependencies.clock.now();
    if (now.latest === undefined) throw new LatchkeyError(unsureCode(now), device.id);
    log.info({ event: 'time_told', device: device.id }, 'a device asked for the time');
    const payload = makeTimeAnswer({ ...question, key: timeKey(device), time: now.latest });
    return { code: COAP_CODE.content, contentFormat: CONTENT_FORMAT.coseMac0, payload };
  }
}
