import type { CoseKey } from '../codec/cose/key.ts';
import { COAP_METHOD } from '../codec/iana.ts';
import { CHALLENGE_NONCE_BYTES, CLIENT_NONCE_BYTES, makeSignedRequest } from '../codec/signed-request.ts';
import { EMPTY } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { argumentError, demandBytes, demandObject, demandText } from './arguments.ts';
import type { ClientEnvironment } from './environment.ts';
import { exchange, type HttpAnswer } from './http.ts';
import { isSuccess, readRefusal } from './hub-answer.ts';

const REQUEST_DEADLINE = 30_000;

export type DeviceMethod = keyof typeof COAP_METHOD;

export interface DeviceRequest {
  readonly method: DeviceMethod;
  /** Segments, without slashes. */
  readonly path: readonly string[];
  readonly payload?: Uint8Array;
  /** CoAP content format of the payload (`CONTENT_FORMAT`). */
  readonly contentFormat?: number;
}

export interface DeviceAnswer {
  /** HTTP status that the hub made of the device's code (RFC 8075 §7). */
  readonly status: number;
  /** The device's own code, such as "2.05", where the hub says it. */
  readonly deviceCode: string | undefined;
  readonly contentType: string | undefined;
  /** What the device answered. */
  readonly payload: Uint8Array;
  /** The hub checked, with the device's key, that this is the device's answer to this very request. */
  readonly verified: boolean;
}

/**
 * Requests to one device under one delivered token (docs/protocol.md, "Signed requests"). The signature shows the device
 * who asks; it hides nothing from the hub, nor from an attacker who reads the line.
 */
export class DeviceSession {
  readonly #base: URL;
  readonly #audience: string;
  readonly #tokenHash: Uint8Array;
  readonly #key: CoseKey;
  readonly #environment: ClientEnvironment;

  constructor(options: {
    readonly base: URL;
    readonly audience: string;
    readonly tokenHash: Uint8Array;
    readonly key: CoseKey;
    readonly environment: ClientEnvironment;
  }) {
    this.#base = options.base;
    this.#audience = options.audience;
    this.#tokenHash = options.tokenHash;
    this.#key = options.key;
    this.#environment = options.environment;
  }

  /**
   * A fresh challenge of the device: 16 bytes, for one request within 30 s. `request` asks for its own.
   * @throws {HubRefusal} `client_request_failed`
   */
  async challenge(): Promise<Uint8Array> {
    const answer = await this.#post(['challenge'], this.#tokenHash, { 'content-type': 'application/octet-stream' });
    if (!isSuccess(answer)) throw readRefusal('client_request_failed', answer);
    if (answer.body.length !== CHALLENGE_NONCE_BYTES) throw new LatchkeyError('client_answer_invalid', 'challenge');
    return answer.body;
  }

  /**
   * Asks for a challenge, then for the resource.
   * @throws {HubRefusal} `client_request_failed` where hub or device refuse
   * @throws {LatchkeyError} `client_argument_invalid`, `client_unreachable`, `client_answer_invalid`
   */
  async request(request: DeviceRequest): Promise<DeviceAnswer> {
    demandRequest(request);
    return this.send(request, this.sign(request, await this.challenge()));
  }

  /**
   * The signed form of a request for a nonce, for callers that send it themselves.
   * @throws {LatchkeyError} `client_argument_invalid`
   */
  sign(request: DeviceRequest, nonce: Uint8Array): Uint8Array {
    demandRequest(request);
    demandBytes('nonce', nonce);
    return makeSignedRequest({
      payload: request.payload ?? EMPTY,
      key: this.#key,
      nonce,
      clientNonce: this.#environment.random.bytes(CLIENT_NONCE_BYTES),
      tokenHash: this.#tokenHash,
      audience: this.#audience,
      method: COAP_METHOD[request.method],
      path: request.path,
      ...(request.contentFormat === undefined ? {} : { contentFormat: request.contentFormat }),
    });
  }

  /** Sends what `sign` made. A device takes each once. */
  async send(request: DeviceRequest, signed: Uint8Array): Promise<DeviceAnswer> {
    demandRequest(request);
    demandBytes('signed', signed);
    const kind = this.#key.key.type === 'secret' ? 'cose-mac0' : 'cose-sign1';
    const answer = await this.#post(request.path, signed, {
      'coap-method': request.method,
      'content-type': `application/cose; cose-type="${kind}"`,
    });
    if (!isSuccess(answer)) throw readRefusal('client_request_failed', answer);
    return {
      status: answer.status,
      deviceCode: answer.headers.get('coap-code') ?? undefined,
      contentType: answer.headers.get('content-type') ?? undefined,
      payload: answer.body,
      verified: answer.headers.get('device-verified') === 'true',
    };
  }

  #post(path: readonly string[], body: Uint8Array, headers: Readonly<Record<string, string>>): Promise<HttpAnswer> {
    const url = new URL(`${this.#base.href}/${path.map(encodeURIComponent).join('/')}`);
    return exchange({ method: 'POST', url, headers, body, deadline: REQUEST_DEADLINE }, this.#environment);
  }
}

/** @throws {LatchkeyError} `client_argument_invalid` */
function demandRequest(request: DeviceRequest): void {
  demandObject('request', request);
  const { method, path, payload } = request;
  if (!Object.hasOwn(COAP_METHOD, method))
    throw argumentError(`method: none of ${Object.keys(COAP_METHOD).join(', ')}`);
  if (!Array.isArray(path)) throw argumentError("path: not a list of segments, such as ['temperature']");
  for (const segment of path) demandText('path', segment);
  if (payload !== undefined) demandBytes('payload', payload);
}
