/**
 * proxy: what client and device say to each other, forwarded (RFC 8075). The hub lets through only requests that name a
 * token which it delivered to that device and which is still alive, so nobody else can make a device work or flatten its
 * battery. What the request may do is the device's decision alone.
 */

import { codeText, isSuccess } from '../codec/coap/codes.ts';
import { readCose } from '../codec/cose/message.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../codec/iana.ts';
import { openAnswer, readSignedRequest } from '../codec/signed-request.ts';
import { EMPTY, hex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import type { CoapRequest, CoapResponse } from '../core/coap-exchange.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { DeliveryQueue } from '../devices/delivery-queue.ts';
import type { Device } from '../devices/device.ts';
import { answerKey } from '../devices/device-trust.ts';
import type { Registry } from '../devices/registry.ts';
import type { DeviceLink } from '../ports/device-link.ts';
import type { ProxyRequest, ProxyResponse, RequestContext } from '../ports/northbound.ts';
import { hintsOf } from './creation-hints.ts';

/** Bytes of a token hash, and of a device's nonce (docs/protocol.md). */
const TOKEN_HASH_BYTES = 8;
const NONCE_BYTES = 16;

/** Paths with their own way in: tokens go through `deliver`, trust through provisioning and bundles. */
const CLOSED_PATHS: ReadonlySet<string> = new Set(['authz-info', 'provision', 'unpair', 'identify', 'trust']);

export interface ProxyDependencies {
  readonly registry: Registry;
  readonly queue: DeliveryQueue;
  readonly link: (device: Device) => DeviceLink;
  readonly clock: Clock;
  /** Issuers that a device takes tokens of. */
  readonly issuersOf: (device: Device) => readonly string[];
  /** Milliseconds for the whole exchange with the device. */
  readonly timeout: number;
}

export class ProxyFlow {
  readonly #dependencies: ProxyDependencies;
  readonly #underWay = new Map<string, number>();

  constructor(dependencies: ProxyDependencies) {
    this.#dependencies = dependencies;
  }

  async proxy(request: ProxyRequest, context: RequestContext): Promise<ProxyResponse> {
    const device = this.#dependencies.registry.get(request.device);
    context.about?.({ device: device.id });
    const [first] = request.path;
    if (first === undefined || CLOSED_PATHS.has(first)) throw new LatchkeyError('proxy_path_refused');
    const isChallenge = request.path.length === 1 && first === 'challenge';
    const answer = isChallenge ? await this.#challenge(device, request) : await this.#signedRequest(device, request);
    context.log.info(
      { event: 'proxied', device: device.id, path: `/${request.path.join('/')}`, device_code: codeText(answer.code) },
      'request forwarded',
    );
    return answer;
  }

  async #challenge(device: Device, request: ProxyRequest): Promise<ProxyResponse> {
    if (request.method !== COAP_METHOD.POST) throw new LatchkeyError('method_not_allowed');
    if (request.payload.length !== TOKEN_HASH_BYTES || request.query.length > 0)
      throw new LatchkeyError('request_invalid', 'challenge');
    this.#requireToken(device, request.payload);
    const answer = await this.#exchange(device, {
      method: COAP_METHOD.POST,
      path: request.path,
      contentFormat: CONTENT_FORMAT.octetStream,
      payload: request.payload,
    });
    if (isSuccess(answer.code) && answer.payload.length !== NONCE_BYTES)
      throw new LatchkeyError('device_answer_invalid', 'nonce');
    return { ...answer, verified: false, ...this.#told(device, answer) };
  }

  async #signedRequest(device: Device, request: ProxyRequest): Promise<ProxyResponse> {
    if (request.contentFormat !== CONTENT_FORMAT.coseSign1 && request.contentFormat !== CONTENT_FORMAT.coseMac0) {
      throw new LatchkeyError('request_invalid', 'the body is not a signed request');
    }
    // The signature covers method and path; a query would reach the device unsigned.
    if (request.query.length > 0) throw new LatchkeyError('request_invalid', 'a signed request has no query');
    const { tokenHash } = readSignedRequest(request.payload);
    this.#requireToken(device, tokenHash);
    const answer = await this.#exchange(device, {
      method: request.method,
      path: request.path,
      contentFormat: request.contentFormat,
      payload: request.payload,
    });
    const context = {
      key: answerKey(device),
      request: request.payload,
      audience: device.audience,
      code: answer.code,
    };
    return this.#vouched(device, () => {
      if (isSuccess(answer.code)) return openedAnswer(answer, context);
      const hints = this.#told(device, answer);
      if (hints.hints !== undefined) return { code: answer.code, payload: EMPTY, verified: false, ...hints };
      return refusal(answer, context);
    });
  }

  /** Tells the link whether this was the device: by radio anybody can answer in its place. */
  #vouched(device: Device, judge: () => ProxyResponse): ProxyResponse {
    const link = this.#dependencies.link(device);
    try {
      const answer = judge();
      if (answer.verified) link.proven?.(true);
      return answer;
    } catch (error) {
      if (isCoded(error, 'device_answer_untrusted')) link.proven?.(false);
      throw error;
    }
  }

  /** A device without a clock tells a client that it does not know how to ask for a token. */
  #told(device: Device, answer: CoapResponse): Pick<ProxyResponse, 'hints'> {
    const { issuersOf } = this.#dependencies;
    const hints = device.profile.clock === 'none' ? hintsOf(answer, issuersOf(device)) : undefined;
    return hints === undefined ? {} : { hints };
  }

  #requireToken(device: Device, tokenHash: Uint8Array): void {
    const { clock, queue } = this.#dependencies;
    if (queue.live(device.id, tokenHash, clock.now().earliest) === undefined)
      throw new LatchkeyError('proxy_token_unknown', hex(tokenHash));
  }

  async #exchange(device: Device, request: CoapRequest): Promise<CoapResponse> {
    const underWay = this.#underWay.get(device.id) ?? 0;
    if (underWay >= LIMITS.requestsPerDevice) throw new LatchkeyError('link_busy');
    this.#underWay.set(device.id, underWay + 1);
    try {
      return await this.#dependencies.link(device).request(request, { deadline: this.#dependencies.timeout });
    } finally {
      const left = (this.#underWay.get(device.id) ?? 1) - 1;
      if (left > 0) this.#underWay.set(device.id, left);
      else this.#underWay.delete(device.id);
    }
  }
}

type AnswerContext = Parameters<typeof openAnswer>[1];

/** @throws {LatchkeyError} `device_answer_untrusted`; `device_answer_invalid` for odd content under a good MAC */
function openedAnswer(answer: CoapResponse, context: AnswerContext): ProxyResponse {
  try {
    const { contentFormat, payload } = openAnswer(answer.payload, context);
    return { code: answer.code, ...(contentFormat === undefined ? {} : { contentFormat }), payload, verified: true };
  } catch (error) {
    if (isCoded(error, 'device_answer_invalid')) throw error;
    throw new LatchkeyError('device_answer_untrusted', 'answer', { cause: error });
  }
}

/**
 * A device that does not know who asks has no nonce to bind its refusal to, so one without a MAC is passed on as what it is.
 * A firmware that fails answers 5.00 with a text for people (RFC 7252 §5.5.2). What it says besides its code is not passed on.
 */
function refusal(answer: CoapResponse, context: AnswerContext): ProxyResponse {
  const bare = { code: answer.code, payload: EMPTY, verified: false };
  if (answer.payload.length === 0) return bare;
  try {
    return { ...openedAnswer(answer, context), payload: EMPTY };
  } catch (error) {
    // A Mac0 that does not verify is another matter: it says that it is the device.
    if (!isCoded(error, 'device_answer_untrusted') || isMac0(answer.payload)) throw error;
    return bare;
  }
}

function isMac0(payload: Uint8Array): boolean {
  try {
    return readCose(payload).kind === 'mac0';
  } catch (error) {
    if (isCoded(error)) return false;
    throw error;
  }
}
