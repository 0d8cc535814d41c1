import type { Clock, Random, Timers } from '../core/clock.ts';
import type { CoapRequest, CoapResponse } from '../core/coap-exchange.ts';
import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { CoapCounters } from './coap/counters.ts';
import { CoapEndpoint } from './coap/endpoint.ts';
import { isResponseCode } from './coap/message.ts';
import type { RequestOptions } from './coap/requester.ts';
import type { CoapHandler } from './coap/responder.ts';
import { coapOfContent, contentOfCoap, GATT_SAVES_BYTES, type GattContent } from './gatt-message.ts';
import { type GattCounters, GattSubLayer, newGattCounters } from './gatt-sub-layer.ts';
import { COAP_TYPE } from './iana.ts';

/** Milliseconds and bytes. */
export interface GattSettings {
  /** How long an acknowledgement waits for a message to go along with; a device's answer mostly comes within it. */
  readonly acknowledgeAfter: number;
  /** How long the peer has to acknowledge: a value in 32 pieces over a slow connection, and a device that verifies first. */
  readonly acknowledgementDeadline: number;
  /** A handler slower than this is given up: the peer gets 5.04. */
  readonly handlerDeadline: number;
  /** How long a body that came in part is kept, over lost links too. */
  readonly exchangeLifetime: number;
  /** Largest value that is sent; larger messages go in blocks. Blocks have 256 bytes at most in 512 of value. */
  readonly maxValueBytes: number;
}

export const DEFAULT_GATT_SETTINGS: GattSettings = {
  acknowledgeAfter: 50,
  acknowledgementDeadline: 10_000,
  handlerDeadline: 30_000,
  exchangeLifetime: 60_000,
  maxValueBytes: LIMITS.gattValueBytes,
};

export interface GattEndpointOptions {
  readonly timers: Timers;
  readonly random: Random;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Without one, every request of the peer is answered with 4.04. */
  readonly handler?: CoapHandler | undefined;
  readonly onHandlerFailure?: ((error: LatchkeyError) => void) | undefined;
  readonly settings?: Partial<GattSettings> | undefined;
}

/** A connection whose characteristics are found and whose indications are on. */
export interface GattConnection {
  /** Puts one value on the radio, reliably and in order. Must not throw. */
  readonly send: (value: Uint8Array) => void;
  /** The peer acknowledges nothing any more: end the connection. `disconnected` was called already. */
  readonly onStalled: () => void;
}

/** Longer than any exchange: GATT repeats by itself, and the sub-layer finds out about a peer that is silent. */
const NEVER = 86_400_000;

/**
 * CoAP with one peer over GATT, client and server in one, over as many connections as it takes, one at a time. The messages
 * of the sub-layer have no message id and no type: a CoAP endpoint works above it as if they had, without repetitions.
 */
export class GattEndpoint {
  readonly #endpoint: CoapEndpoint;
  readonly #timers: Timers;
  readonly #settings: GattSettings;
  readonly #counters = newGattCounters();
  #subLayer: GattSubLayer | undefined;
  /** For messages that come in: the endpoint tells messages apart by it. */
  #messageId = 0;

  constructor({ settings, timers, ...options }: GattEndpointOptions) {
    this.#timers = timers;
    this.#settings = { ...DEFAULT_GATT_SETTINGS, ...settings };
    const { exchangeLifetime, handlerDeadline, maxValueBytes } = this.#settings;
    this.#endpoint = new CoapEndpoint({
      ...options,
      timers,
      send: (datagram) => this.#send(datagram),
      settings: {
        ackTimeout: NEVER,
        maxRetransmit: 0,
        // The sub-layer acknowledges, so no answer needs to be separate from its acknowledgement.
        separateAfter: NEVER,
        handlerDeadline,
        exchangeLifetime,
        maxMessageBytes: Math.min(maxValueBytes, LIMITS.gattValueBytes) + GATT_SAVES_BYTES,
      },
    });
    this.#endpoint.interrupt(new LatchkeyError('link_down'));
  }

  /**
   * Asks the peer, now or when there is a connection. A body in blocks goes on after a lost connection, with the block that
   * was not answered.
   * @throws {LatchkeyError} as `CoapEndpoint.request`; `device_answer_lost` where the connection was lost under a request
   *   that the peer may have acted on
   */
  request(request: CoapRequest, options: RequestOptions): Promise<CoapResponse> {
    return this.#endpoint.request(request, options);
  }

  /** A connection is there, with both message ids as they are at its start. */
  connected({ send, onStalled }: GattConnection): void {
    this.#subLayer?.close();
    const { acknowledgeAfter, acknowledgementDeadline } = this.#settings;
    this.#subLayer = new GattSubLayer(
      {
        send,
        onContent: (content, confirm) => this.#receive(content, confirm),
        onStalled: () => {
          this.disconnected(new LatchkeyError('device_no_answer', 'no acknowledgement'));
          onStalled();
        },
        timers: this.#timers,
        acknowledgeAfter,
        acknowledgementDeadline,
      },
      this.#counters,
    );
    this.#endpoint.resume();
  }

  /** Takes one value of the peer. Nothing that it is given makes it throw. */
  receive(value: Uint8Array): void {
    this.#subLayer?.receive(value);
  }

  /** Acknowledges at once what still waits to be, as before a connection is let go. */
  flush(): void {
    this.#subLayer?.flush();
  }

  /** The connection is gone. `error` is the end of a request that cannot go on over another one. */
  disconnected(error: LatchkeyError): void {
    if (this.#subLayer === undefined) return;
    this.#subLayer.close();
    this.#subLayer = undefined;
    this.#endpoint.interrupt(error);
  }

  /** Ends every request with `error`: no connection comes about. */
  abandon(error: LatchkeyError): void {
    this.#endpoint.abandon(error);
  }

  /** Whether no request of ours is under way or waits. */
  get isIdle(): boolean {
    return this.#endpoint.isIdle;
  }

  counters(): { readonly coap: Readonly<CoapCounters>; readonly gatt: Readonly<GattCounters> } {
    return { coap: this.#endpoint.counters(), gatt: { ...this.#counters } };
  }

  /** Ends every request with `link_down`. No timer is left. */
  close(): void {
    this.#subLayer?.close();
    this.#subLayer = undefined;
    this.#endpoint.close();
  }

  #send(datagram: Uint8Array): void {
    const content = contentOfCoap(datagram);
    // Empty messages acknowledge and reset: the sub-layer does the one, and GATT has not the other.
    if (content !== undefined) this.#subLayer?.send(content);
  }

  #receive(content: GattContent, confirm: boolean): void {
    this.#messageId = (this.#messageId + 1) & 0xffff;
    // A response stands for itself: the token alone says what it answers.
    const type = confirm && !isResponseCode(content.bytes[0] ?? 0) ? COAP_TYPE.CON : COAP_TYPE.NON;
    this.#endpoint.receive(coapOfContent(content, type, this.#messageId));
  }
}
