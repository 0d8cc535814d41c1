import type { Clock } from '../../core/clock.ts';
import type { CoapRequest, CoapResponse } from '../../core/coap-exchange.ts';
import { coded, LatchkeyError } from '../../core/errors.ts';
import { LIMITS } from '../../core/limits.ts';
import { COAP_CODE, COAP_METHOD, COAP_OPTION, COAP_TYPE } from '../iana.ts';
import { type Block, readBlock } from './block.ts';
import { codeNumber } from './codes.ts';
import { type CoapMessage, emptyMessage, encodeMessage, isResponseCode } from './message.ts';
import { bareResponse, isRefused, type KnownOptions, requestFrom, requestOptions } from './options.ts';
import type { RecentMessage } from './recent-messages.ts';
import { blockKey, type ResponseParts, ServedBlocks } from './served-blocks.ts';
import { type Channel, Transmission } from './transmission.ts';

/** Answers a request. What it throws becomes the CoAP code of the error's catalogue entry, and nothing more is said. */
export type CoapHandler = (request: CoapRequest) => Promise<CoapResponse>;

export interface ResponderOptions {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly handler: CoapHandler;
  /** Told why the handler failed; the peer is told a code only. */
  readonly onFailure: (error: LatchkeyError) => void;
}

/** A request being worked on, until its response is on its way for good. */
interface Serving {
  readonly message: CoapMessage;
  readonly recent: RecentMessage;
  readonly key: string;
  readonly asked: Block | undefined;
  readonly received: Block | undefined;
  acknowledged: boolean;
  answered: boolean;
  cancelTimers: () => void;
}

/** The server role: critical options, blocks, slow handlers (RFC 7252 §5.2, §5.4.1; RFC 7959). */
export class Responder {
  readonly #channel: Channel;
  readonly #handler: CoapHandler;
  readonly #onFailure: (error: LatchkeyError) => void;
  readonly #blocks: ServedBlocks;
  readonly #serving = new Set<Serving>();
  readonly #separate = new Map<number, { readonly transmission: Transmission; readonly serving: Serving }>();

  constructor(channel: Channel, { clock, handler, onFailure }: ResponderOptions) {
    this.#channel = channel;
    this.#handler = handler;
    this.#onFailure = onFailure;
    this.#blocks = new ServedBlocks(clock, channel.settings.exchangeLifetime);
  }

  /** Takes a request that is not a duplicate. */
  receive(message: CoapMessage, recent: RecentMessage): void {
    const options = requestOptions(message);
    if (isRefused(options)) {
      // RFC 7252 §5.4.1: only a Confirmable request is told so; a Non-confirmable one is dropped.
      if (message.type === COAP_TYPE.CON) this.#refuse(message, recent, options.code);
      else this.#channel.counters.refused += 1;
      return;
    }
    try {
      this.#dispatch(message, recent, options);
    } catch (error) {
      this.#refuse(message, recent, codeNumber(coded(error).entry.coap));
    }
  }

  /** Peer's acknowledgement of a separate response. @returns whether there was such a response */
  acknowledge(messageId: number): boolean {
    const separate = this.#separate.get(messageId);
    if (separate === undefined) return false;
    separate.transmission.stop();
    this.#separate.delete(messageId);
    this.#serving.delete(separate.serving);
    return true;
  }

  /** Answers under way are given up; a body that grows from blocks is kept. */
  close(): void {
    for (const serving of this.#serving) {
      serving.answered = true;
      serving.cancelTimers();
    }
    for (const { transmission } of this.#separate.values()) transmission.stop();
    this.#serving.clear();
    this.#separate.clear();
  }

  #dispatch(message: CoapMessage, recent: RecentMessage, options: KnownOptions): void {
    const received = readBlock(options, COAP_OPTION.block1);
    const asked = readBlock(options, COAP_OPTION.block2);
    const key = blockKey(message.code, options);
    if (received === undefined && asked !== undefined && asked.number > 0) {
      const held = this.#blocks.held(key);
      if (held !== undefined) {
        const { maxMessageBytes } = this.#channel.settings;
        const parts = this.#blocks.cut({ key, response: held, token: message.token, asked, received, maxMessageBytes });
        this.#answerAtOnce(message, recent, parts);
        return;
      }
      // Only a request without an effect may be made again to get at the rest of its response.
      if (message.code !== COAP_METHOD.GET && message.code !== COAP_METHOD.FETCH) {
        this.#refuse(message, recent, COAP_CODE.requestEntityIncomplete);
        return;
      }
    }
    const accepted =
      received === undefined ? { body: message.payload } : this.#blocks.accept(key, received, message.payload);
    if ('reply' in accepted) {
      if (accepted.reply.code !== COAP_CODE.continue) this.#channel.counters.refused += 1;
      this.#answerAtOnce(message, recent, accepted.reply);
      return;
    }
    if (this.#serving.size >= LIMITS.coapHandlers) {
      this.#refuse(message, recent, COAP_CODE.serviceUnavailable);
      return;
    }
    const request = requestFrom(message.code, options, accepted.body);
    this.#serve(request, {
      message,
      recent,
      key,
      asked,
      received,
      acknowledged: false,
      answered: false,
      cancelTimers: () => undefined,
    });
  }

  #serve(request: CoapRequest, serving: Serving): void {
    const { timers, settings } = this.#channel;
    const cancelAcknowledgement =
      serving.message.type === COAP_TYPE.CON
        ? timers.after(settings.separateAfter, () => this.#acknowledgeEmpty(serving))
        : () => undefined;
    const cancelDeadline = timers.after(settings.handlerDeadline, () =>
      this.#answer(serving, bareResponse(COAP_CODE.gatewayTimeout)),
    );
    serving.cancelTimers = () => {
      cancelAcknowledgement();
      cancelDeadline();
    };
    this.#serving.add(serving);
    void this.#handle(request).then((response) => this.#answer(serving, response));
  }

  async #handle(request: CoapRequest): Promise<CoapResponse> {
    try {
      const response = await this.#handler(request);
      if (isResponseCode(response.code)) return response;
      throw new LatchkeyError('internal', `a handler answered with code ${response.code}`);
    } catch (error) {
      const failure = coded(error);
      this.#onFailure(failure);
      return bareResponse(codeNumber(failure.entry.coap));
    }
  }

  #acknowledgeEmpty(serving: Serving): void {
    serving.acknowledged = true;
    serving.recent.answer = encodeMessage(emptyMessage(COAP_TYPE.ACK, serving.message.messageId));
    this.#channel.send(serving.recent.answer);
  }

  #answer(serving: Serving, response: CoapResponse): void {
    if (serving.answered) return;
    serving.answered = true;
    serving.cancelTimers();
    const { message, recent, key, asked, received } = serving;
    const { maxMessageBytes } = this.#channel.settings;
    const parts = this.#blocks.cut({ key, response, token: message.token, asked, received, maxMessageBytes });
    if (!serving.acknowledged) {
      this.#serving.delete(serving);
      this.#answerAtOnce(message, recent, parts);
      return;
    }
    const messageId = this.#channel.nextMessageId();
    const bytes = encodeMessage({ type: COAP_TYPE.CON, messageId, token: message.token, ...parts });
    const transmission = new Transmission(this.#channel, bytes, () => {
      this.#channel.counters.unanswered += 1;
      this.acknowledge(messageId);
    });
    this.#separate.set(messageId, { transmission, serving });
    transmission.start();
  }

  #refuse(message: CoapMessage, recent: RecentMessage, code: number): void {
    this.#channel.counters.refused += 1;
    this.#answerAtOnce(message, recent, { code, options: [], payload: new Uint8Array(0) });
  }

  /** Piggybacked on the acknowledgement, or Non-confirmable to a Non-confirmable request (RFC 7252 §5.2). */
  #answerAtOnce(message: CoapMessage, recent: RecentMessage, parts: ResponseParts): void {
    const confirmable = message.type === COAP_TYPE.CON;
    const bytes = encodeMessage({
      type: confirmable ? COAP_TYPE.ACK : COAP_TYPE.NON,
      messageId: confirmable ? message.messageId : this.#channel.nextMessageId(),
      token: message.token,
      ...parts,
    });
    if (confirmable) recent.answer = bytes;
    this.#channel.send(bytes);
  }
}
