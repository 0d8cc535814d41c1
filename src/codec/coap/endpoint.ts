import type { Clock, Random, Timers } from '../../core/clock.ts';
import type { CoapRequest, CoapResponse } from '../../core/coap-exchange.ts';
import { isCoded, type LatchkeyError } from '../../core/errors.ts';
import { LIMITS } from '../../core/limits.ts';
import { COAP_CODE, COAP_TYPE } from '../iana.ts';
import { type CoapCounters, newCounters } from './counters.ts';
import { type CoapMessage, decodeMessage, emptyMessage, encodeMessage, isResponseCode } from './message.ts';
import { bareResponse } from './options.ts';
import { RecentMessages } from './recent-messages.ts';
import { Requester, type RequestOptions } from './requester.ts';
import { type CoapHandler, Responder } from './responder.ts';
import { type CoapSettings, DEFAULT_COAP_SETTINGS } from './settings.ts';
import type { Channel } from './transmission.ts';

export interface CoapEndpointOptions {
  /** Puts one encoded message on the medium. Must not throw; a medium that is down drops it. */
  readonly send: (bytes: Uint8Array) => void;
  readonly timers: Timers;
  readonly random: Random;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Without one, every request of the peer is answered with 4.04. */
  readonly handler?: CoapHandler | undefined;
  /** Told why the handler failed, for the log; the peer is told a code only. */
  readonly onHandlerFailure?: ((error: LatchkeyError) => void) | undefined;
  readonly settings?: Partial<CoapSettings> | undefined;
}

function boundedSettings(settings: Partial<CoapSettings> | undefined): CoapSettings {
  const merged = { ...DEFAULT_COAP_SETTINGS, ...settings };
  return { ...merged, maxMessageBytes: Math.min(merged.maxMessageBytes, LIMITS.coapMessageBytes) };
}

const nothingHere: CoapHandler = () => Promise.resolve(bareResponse(COAP_CODE.notFound));

/**
 * One side of a CoAP conversation with one peer, client and server in one, over any medium that carries whole messages
 * (RFC 7252 §4). Nothing that `receive` is given makes it throw.
 */
export class CoapEndpoint {
  readonly #channel: Channel;
  readonly #requester: Requester;
  readonly #responder: Responder;
  readonly #recent: RecentMessages;
  readonly #counters: CoapCounters = newCounters();
  #messageId: number;
  #closed = false;

  constructor({ send, timers, random, clock, handler, onHandlerFailure, settings }: CoapEndpointOptions) {
    const [high = 0, low = 0] = random.bytes(2);
    this.#messageId = (high << 8) | low;
    this.#channel = {
      send: (bytes) => {
        if (this.#closed) return;
        this.#counters.sent += 1;
        send(bytes);
      },
      timers,
      random,
      settings: boundedSettings(settings),
      counters: this.#counters,
      nextMessageId: () => {
        this.#messageId = (this.#messageId + 1) & 0xffff;
        return this.#messageId;
      },
    };
    this.#requester = new Requester(this.#channel);
    this.#responder = new Responder(this.#channel, {
      clock,
      handler: handler ?? nothingHere,
      onFailure: onHandlerFailure ?? (() => undefined),
    });
    this.#recent = new RecentMessages(clock, this.#channel.settings.exchangeLifetime);
  }

  /**
   * Asks the peer. Resolves with whatever response it gives, 4.xx and 5.xx too.
   * @throws {LatchkeyError} `device_no_answer`, `device_reset`, `device_answer_invalid`, `coap_option_refused`,
   *   `coap_block_invalid`, `link_busy`, `link_down`, `device_answer_lost`, `request_too_large`, `request_cancelled`
   */
  request(request: CoapRequest, options: RequestOptions): Promise<CoapResponse> {
    return this.#requester.request(request, options);
  }

  /** Takes one message as it came from the medium. */
  receive(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#counters.received += 1;
    const message = this.#decode(bytes);
    if (message === undefined) return;
    if (message.type === COAP_TYPE.ACK) {
      this.#count(this.#requester.acknowledge(message) || this.#acknowledgesSeparate(message));
    } else if (message.type === COAP_TYPE.RST) {
      this.#count(this.#requester.reset(message.messageId) || this.#responder.acknowledge(message.messageId));
    } else if (message.code === 0) {
      // A ping (RFC 7252 §4.3): an Empty Confirmable message only provokes a Reset.
      this.#reset(message.messageId);
    } else {
      this.#receiveExchange(message, bytes);
    }
  }

  /**
   * The medium was lost under both sides. Requests wait for `resume`, inside their deadlines, but for one that was sent and
   * may not be sent again: it ends with `error`. Blocks that were taken in are kept, so that both sides can go on.
   */
  interrupt(error: LatchkeyError): void {
    this.#requester.interrupt(error);
    this.#responder.close();
    this.#recent.clear();
  }

  /** The medium is there again. */
  resume(): void {
    this.#requester.resume();
  }

  /** Ends every request with `error`. The endpoint stays open. */
  abandon(error: LatchkeyError): void {
    this.#requester.abandon(error);
  }

  /** Whether no request is under way or waits. */
  get isIdle(): boolean {
    return this.#requester.isIdle;
  }

  counters(): Readonly<CoapCounters> {
    return { ...this.#counters };
  }

  /** Ends every request with `link_down`, one that the peer may have acted on with `device_answer_lost`, and everything else in silence. No timer is left. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#requester.close();
    this.#responder.close();
    this.#recent.clear();
  }

  #receiveExchange(message: CoapMessage, bytes: Uint8Array): void {
    const known = this.#recent.find(message.messageId, bytes);
    if (known !== undefined) {
      this.#counters.duplicates += 1;
      if (known.answer !== undefined) this.#channel.send(known.answer);
      return;
    }
    const recent = this.#recent.remember(message.messageId, bytes);
    if (!isResponseCode(message.code)) {
      this.#responder.receive(message, recent);
      return;
    }
    const matches = this.#requester.respond(message);
    this.#count(matches);
    if (message.type !== COAP_TYPE.CON) return;
    // A Reset tells the peer to stop repeating a response that nobody waits for any more.
    recent.answer = encodeMessage(emptyMessage(matches ? COAP_TYPE.ACK : COAP_TYPE.RST, message.messageId));
    this.#channel.send(recent.answer);
  }

  #acknowledgesSeparate(message: CoapMessage): boolean {
    return message.code === 0 && this.#responder.acknowledge(message.messageId);
  }

  #decode(bytes: Uint8Array): CoapMessage | undefined {
    try {
      return decodeMessage(bytes);
    } catch (error) {
      if (!isCoded(error, 'coap_message_invalid')) throw error;
      this.#counters.malformed += 1;
      this.#requester.noteMalformed();
      this.#rejectMalformed(bytes);
      return undefined;
    }
  }

  /** A malformed Confirmable message is rejected by a Reset, any other in silence (RFC 7252 §4.2, §4.3). */
  #rejectMalformed(bytes: Uint8Array): void {
    const [first = 0, , high = 0, low = 0] = bytes;
    const isConfirmable = bytes.length >= 4 && first >>> 4 === ((1 << 2) | COAP_TYPE.CON);
    if (isConfirmable) this.#reset((high << 8) | low);
  }

  #reset(messageId: number): void {
    this.#channel.send(encodeMessage(emptyMessage(COAP_TYPE.RST, messageId)));
  }

  #count(matched: boolean): void {
    if (!matched) this.#counters.unmatched += 1;
  }
}
