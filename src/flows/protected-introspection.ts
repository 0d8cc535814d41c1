/**
 * protected introspection: a device asks over a medium that protects nothing, CoAP on a line or MQTT (docs/protocol.md,
 * "Connected devices"). Its MAC says who asks, and a nonce of the hub inside it that it asks now; the answer is sealed for
 * it alone. What comes twice is answered twice and judged once.
 *
 * A nonce of the hub lives no longer than a question is remembered. So whoever recorded a question gets the same answer
 * again, or none: within that time it is known, and after it, or after a restart, its nonce is not taken.
 */

import { nonceLength } from '../codec/cose/algorithm.ts';
import type { CoseKey } from '../codec/cose/key.ts';
import { type DeviceRequest, makeDeviceAnswer, readDeviceRequest } from '../codec/device-request.ts';
import { introspectionCbor } from '../codec/introspection-answer.ts';
import { readIntrospectionCbor } from '../codec/introspection-message.ts';
import { base64url, EMPTY, hex, sha256 } from '../core/bytes.ts';
import type { Clock, Random } from '../core/clock.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { Device } from '../devices/device.ts';
import { introspectKey, sessionKey } from '../devices/device-credentials.ts';
import type { Registry } from '../devices/registry.ts';
import { SlicedNonces } from '../pop/sliced-nonces.ts';
import type { RequestContext } from '../ports/northbound.ts';
import type { ProtectedAnswer, Relay } from '../ports/relay.ts';
import { AnswersGiven } from './answers-given.ts';

/** Milliseconds. A nonce is taken for one to two of these: a device that asks every minute never has to ask twice. */
const NONCE_SLICE = 60_000;
/** Nobody can make up a MAC over a nonce that is still to come; 64 bits are more than enough to keep them from guessing. */
const NONCE_BYTES = 8;
/**
 * Milliseconds for which a question is known again: all the time in which its nonce is taken. Long enough for a broker
 * that was restarted to send again.
 */
const REMEMBERED_FOR = 2 * NONCE_SLICE;

export interface ProtectedIntrospectionDependencies {
  readonly registry: Registry;
  readonly relay: Relay;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly random: Random;
}

export class ProtectedIntrospection {
  readonly #dependencies: ProtectedIntrospectionDependencies;
  readonly #nonces: SlicedNonces;
  readonly #given: AnswersGiven;

  constructor(dependencies: ProtectedIntrospectionDependencies) {
    const { clock, random } = dependencies;
    this.#dependencies = dependencies;
    this.#nonces = new SlicedNonces({ random, use: 'latchkey-hub-nonce-1', slice: NONCE_SLICE, bytes: NONCE_BYTES });
    this.#given = new AnswersGiven(clock, {
      lifetime: REMEMBERED_FOR,
      bytes: LIMITS.deviceAnswerBytes,
      questions: LIMITS.deviceQuestions,
      ofOneDevice: LIMITS.deviceQuestionsPerDevice,
    });
  }

  /**
   * The answer to a COSE_Mac0 request.
   * @param isExpected whether this device may speak here: the line that it is on, the topic that is its own
   * @throws {LatchkeyError} `device_unauthenticated`, `device_nonce_reused`, `question_replayed`, `cbor_*`, `cose_*` and
   *   `request_invalid` for what is no request; `hub_busy`; what the relay throws where no verdict is possible
   */
  async answer(
    message: Uint8Array,
    isExpected: (device: Device) => boolean,
    context: RequestContext,
  ): Promise<ProtectedAnswer> {
    const request = readDeviceRequest(message);
    const { device, payload } = this.#authenticate(request, isExpected);
    const name = `${device.id} ${hex(request.nonce)}`;
    // Over what the device asks: what anybody on the way can add beside it makes no other question of it.
    const digest = base64url(sha256(payload));
    const known = this.#given.find(name);
    if (known !== undefined) {
      if (known.digest !== digest) throw new LatchkeyError('device_nonce_reused', device.id);
      if (known.answer === undefined) throw new LatchkeyError('question_replayed', device.id);
      context.log.debug({ event: 'introspection_duplicate', device: device.id }, 'a request came again');
      return { kind: 'sealed', message: await known.answer };
    }
    const now = this.#dependencies.clock.monotonic();
    if (!this.#nonces.accepts(request.hubNonce ?? EMPTY, now)) {
      return { kind: 'nonce_required', nonce: this.#nonces.current(now) };
    }
    // A question without a verdict is not remembered: the device may ask again, with the same nonces too.
    const answer = () => this.#judge(device, request, payload, context);
    return { kind: 'sealed', message: await this.#given.give({ device: device.id, digest, name }, answer) };
  }

  /** One refusal for a device that is not known, not expected here, or whose MAC is wrong. */
  #authenticate(
    request: DeviceRequest,
    isExpected: (device: Device) => boolean,
  ): { readonly device: Device; readonly payload: Uint8Array } {
    const device = this.#dependencies.registry.find(request.device);
    if (device === undefined) throw new LatchkeyError('device_unauthenticated', 'no such device is registered');
    if (!isExpected(device)) throw new LatchkeyError('device_unauthenticated', `${device.id} is not expected here`);
    return { device, payload: opened(request, introspectKey(device)) };
  }

  async #judge(
    device: Device,
    { nonce }: DeviceRequest,
    payload: Uint8Array,
    context: RequestContext,
  ): Promise<Uint8Array> {
    const { clock, random, relay } = this.#dependencies;
    const question = readIntrospectionCbor(payload);
    const answer = await relay.relay({ device: device.id, ...question }, context);
    const key = sessionKey(device);
    return makeDeviceAnswer({
      device: device.id,
      nonce,
      hubNonce: this.#nonces.current(clock.monotonic()),
      key,
      iv: random.bytes(nonceLength(key.algorithm)),
      payload: introspectionCbor(answer, { withProof: question.proof !== undefined }),
    });
  }
}

function opened(request: DeviceRequest, key: CoseKey): Uint8Array {
  try {
    return request.open(key);
  } catch (error) {
    if (!isCoded(error)) throw error;
    throw new LatchkeyError('device_unauthenticated', `${request.device}: ${error.code}`);
  }
}
