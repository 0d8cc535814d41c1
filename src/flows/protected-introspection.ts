/**
 * protected introspection: a device asks over a medium that protects nothing, CoAP on a line or MQTT (docs/protocol.md,
 * "Connected devices"). Its MAC says who asks; the answer is sealed for it alone. What comes twice is answered twice and
 * judged once.
 *
 * The nonce is the device's. An attacker who sends a recorded request again, after its answer was forgotten, makes the
 * hub judge it again: the answer is sealed for the device, and a proof inside is refused by the durable replay window.
 */

import { nonceLength } from '../codec/cose/algorithm.ts';
import type { CoseKey } from '../codec/cose/key.ts';
import { type DeviceRequest, makeDeviceAnswer, readDeviceRequest } from '../codec/device-request.ts';
import { introspectionCbor } from '../codec/introspection-answer.ts';
import { readIntrospectionCbor } from '../codec/introspection-message.ts';
import { equal, hex, sha256 } from '../core/bytes.ts';
import type { Clock, Random } from '../core/clock.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { Device } from '../devices/device.ts';
import { introspectKey, sessionKey } from '../devices/device-credentials.ts';
import type { Registry } from '../devices/registry.ts';
import type { RequestContext } from '../ports/northbound.ts';
import type { Relay } from '../ports/relay.ts';
import { AnswersGiven } from './answers-given.ts';

/** Milliseconds for which a request that comes again gets the same answer: a broker that was restarted sends again. */
const KEEP_ANSWERS_FOR = 120_000;

export interface ProtectedIntrospectionDependencies {
  readonly registry: Registry;
  readonly relay: Relay;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly random: Random;
}

export class ProtectedIntrospection {
  readonly #dependencies: ProtectedIntrospectionDependencies;
  readonly #given: AnswersGiven;

  constructor(dependencies: ProtectedIntrospectionDependencies) {
    this.#dependencies = dependencies;
    this.#given = new AnswersGiven(dependencies.clock, { lifetime: KEEP_ANSWERS_FOR, bytes: LIMITS.deviceAnswerBytes });
  }

  /**
   * The COSE_Encrypt0 answer to a COSE_Mac0 request.
   * @param isExpected whether this device may speak here: the line that it is on, the topic that is its own
   * @throws {LatchkeyError} `device_unauthenticated`, `device_nonce_reused`, `cbor_*`, `cose_*` and `request_invalid` for
   *   what is no request; what the relay throws where no verdict is possible
   */
  async answer(
    message: Uint8Array,
    isExpected: (device: Device) => boolean,
    context: RequestContext,
  ): Promise<Uint8Array> {
    const request = readDeviceRequest(message);
    const { device, payload } = this.#authenticate(request, isExpected);
    const name = `${device.id} ${hex(request.nonce)}`;
    // Over what the MAC covers: what anybody on the way can add beside it makes no other request of it.
    const digest = sha256(payload);
    const known = this.#given.find(name);
    if (known !== undefined) {
      if (!equal(known.digest, digest)) throw new LatchkeyError('device_nonce_reused', device.id);
      context.log.debug({ event: 'introspection_duplicate', device: device.id }, 'a request came again');
      return known.answer;
    }
    // A request without a verdict is not remembered: the device may ask again, with the same nonce too.
    return this.#given.give(name, digest, this.#judge(device, request, payload, context));
  }

  /** One refusal for a device that is not known, not expected here, or whose MAC is wrong. */
  #authenticate(
    request: DeviceRequest,
    isExpected: (device: Device) => boolean,
  ): { readonly device: Device; readonly payload: Uint8Array } {
    const device = this.#dependencies.registry.find(request.device);
    if (device === undefined || !isExpected(device)) {
      throw new LatchkeyError('device_unauthenticated', 'the device is not known or not expected here');
    }
    return { device, payload: opened(request, introspectKey(device)) };
  }

  async #judge(
    device: Device,
    { nonce }: DeviceRequest,
    payload: Uint8Array,
    context: RequestContext,
  ): Promise<Uint8Array> {
    const question = readIntrospectionCbor(payload);
    const answer = await this.#dependencies.relay.relay({ device: device.id, ...question }, context);
    const key = sessionKey(device);
    return makeDeviceAnswer({
      device: device.id,
      nonce,
      key,
      iv: this.#dependencies.random.bytes(nonceLength(key.algorithm)),
      payload: introspectionCbor(answer, { withProof: question.proof !== undefined }),
    });
  }
}

function opened(request: DeviceRequest, key: CoseKey): Uint8Array {
  try {
    return request.open(key);
  } catch (error) {
    if (!isCoded(error)) throw error;
    throw new LatchkeyError('device_unauthenticated', error.code);
  }
}
