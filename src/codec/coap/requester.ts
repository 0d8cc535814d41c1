import { equal } from '../../core/bytes.ts';
import type { CoapRequest, CoapResponse } from '../../core/coap-exchange.ts';
import { coded, isCoded, LatchkeyError } from '../../core/errors.ts';
import { LIMITS } from '../../core/limits.ts';
import { COAP_TYPE } from '../iana.ts';
import { type CoapMessage, encodeMessage } from './message.ts';
import { type RequestPart, transfer } from './transfer.ts';
import { type Channel, Transmission } from './transmission.ts';

export interface RequestOptions {
  /** Milliseconds from now, the wait for other requests included. */
  readonly deadline: number;
  readonly signal?: AbortSignal;
}

/** One call of `request`, waiting or running. */
interface Job {
  readonly request: CoapRequest;
  readonly settle: (outcome: CoapResponse | LatchkeyError) => void;
  failure: LatchkeyError | undefined;
  /** Whether the peer may have acted on it: it was sent whole, or its last block was. */
  mayBeDone: boolean;
}

/** The one message that waits for its answer now. */
interface Outstanding {
  readonly messageId: number;
  readonly token: Uint8Array;
  readonly bytes: Uint8Array;
  readonly isRepeatable: boolean;
  transmission: Transmission | undefined;
  readonly resolve: (answer: CoapMessage) => void;
  readonly reject: (error: LatchkeyError) => void;
}

/**
 * The client role. One request at a time (NSTART 1, RFC 7252 §4.7), and in one piece: a small device that puts a body
 * together from blocks does not get another request in between. Others wait, up to `LIMITS.requestsPerDevice` of them.
 */
export class Requester {
  readonly #channel: Channel;
  readonly #waiting: Job[] = [];
  #running: Job | undefined;
  #outstanding: Outstanding | undefined;
  #heardMalformed = false;
  #interrupted = false;
  #closed = false;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  request(request: CoapRequest, { deadline, signal }: RequestOptions): Promise<CoapResponse> {
    if (this.#closed) return Promise.reject(new LatchkeyError('link_down'));
    if (signal?.aborted === true) return Promise.reject(abortError(signal));
    if (this.#waiting.length + (this.#running === undefined ? 0 : 1) >= LIMITS.requestsPerDevice) {
      return Promise.reject(new LatchkeyError('link_busy'));
    }
    return new Promise((resolve, reject) => {
      const onAbort = () => signal !== undefined && this.#fail(job, abortError(signal));
      const cancelDeadline = this.#channel.timers.after(deadline, () => this.#fail(job, this.#whyLate(job)));
      const job: Job = {
        request,
        failure: undefined,
        mayBeDone: false,
        settle: (outcome) => {
          cancelDeadline();
          signal?.removeEventListener('abort', onAbort);
          if (outcome instanceof LatchkeyError) reject(outcome);
          else resolve(outcome);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(job);
      this.#startNext();
    });
  }

  /** An acknowledgement, empty or with the response in it. @returns whether it belongs to what is outstanding */
  acknowledge(message: CoapMessage): boolean {
    const outstanding = this.#outstanding;
    if (outstanding === undefined || outstanding.messageId !== message.messageId) return false;
    if (message.code === 0) {
      outstanding.transmission?.stop();
      return true;
    }
    if (!equal(outstanding.token, message.token)) return false;
    this.#answered(outstanding, message);
    return true;
  }

  /** A separate response. It stands for a lost acknowledgement too (RFC 7252 §5.2.2). */
  respond(message: CoapMessage): boolean {
    const outstanding = this.#outstanding;
    if (outstanding === undefined || !equal(outstanding.token, message.token)) return false;
    this.#answered(outstanding, message);
    return true;
  }

  reset(messageId: number): boolean {
    const outstanding = this.#outstanding;
    if (outstanding === undefined || outstanding.messageId !== messageId) return false;
    this.#release(outstanding);
    outstanding.reject(new LatchkeyError('device_reset'));
    return true;
  }

  /** Tells a device that sends rubbish from a silent one, once the request has failed. */
  noteMalformed(): void {
    this.#heardMalformed = true;
  }

  /** Nothing is sent until `resume`. What was sent and may not be sent again fails. */
  interrupt(error: LatchkeyError): void {
    this.#interrupted = true;
    const outstanding = this.#outstanding;
    if (outstanding?.transmission === undefined) return;
    outstanding.transmission.stop();
    outstanding.transmission = undefined;
    if (!outstanding.isRepeatable && this.#running !== undefined) this.#fail(this.#running, error);
  }

  /** Sends what waits, and what was interrupted once more. */
  resume(): void {
    this.#interrupted = false;
    if (this.#outstanding !== undefined) this.#transmit(this.#outstanding);
  }

  /** Ends every request. Later ones are taken. */
  abandon(error: LatchkeyError): void {
    const running = this.#running === undefined ? [] : [this.#running];
    for (const job of [...running, ...this.#waiting.splice(0)]) this.#fail(job, error);
  }

  get isIdle(): boolean {
    return this.#running === undefined && this.#waiting.length === 0;
  }

  close(): void {
    this.#closed = true;
    const running = this.#running === undefined ? [] : [this.#running];
    for (const job of [...running, ...this.#waiting]) this.#fail(job, new LatchkeyError('link_down'));
  }

  #startNext(): void {
    if (this.#running !== undefined || this.#closed) return;
    const job = this.#waiting.shift();
    if (job === undefined) return;
    this.#running = job;
    this.#heardMalformed = false;
    void this.#run(job);
  }

  async #run(job: Job): Promise<void> {
    try {
      const response = await transfer(job.request, this.#channel.settings, (part) => this.#roundTrip(job, part));
      this.#finish(job, response);
    } catch (error) {
      this.#finish(job, coded(error));
    }
  }

  #roundTrip(job: Job, { options, payload, isRepeatable }: RequestPart): Promise<CoapMessage> {
    return new Promise((resolve, reject) => {
      if (job.failure !== undefined) throw job.failure;
      const { random, settings } = this.#channel;
      const messageId = this.#channel.nextMessageId();
      const token = random.bytes(settings.tokenBytes);
      const bytes = encodeMessage({
        type: COAP_TYPE.CON,
        code: job.request.method,
        messageId,
        token,
        options,
        payload,
      });
      if (bytes.length > settings.maxMessageBytes) throw new LatchkeyError('request_too_large', 'path or query');
      const outstanding = { messageId, token, bytes, isRepeatable, transmission: undefined, resolve, reject };
      this.#outstanding = outstanding;
      if (!this.#interrupted) this.#transmit(outstanding);
    });
  }

  #transmit(outstanding: Outstanding): void {
    if (this.#running !== undefined && !outstanding.isRepeatable) this.#running.mayBeDone = true;
    outstanding.transmission?.stop();
    outstanding.transmission = new Transmission(this.#channel, outstanding.bytes, () => {
      if (this.#running !== undefined) this.#fail(this.#running, this.#whyLate(this.#running));
    });
    outstanding.transmission.start();
  }

  #answered(outstanding: Outstanding, message: CoapMessage): void {
    this.#release(outstanding);
    outstanding.resolve(message);
  }

  #release(outstanding: Outstanding): void {
    outstanding.transmission?.stop();
    this.#outstanding = undefined;
  }

  #whyLate(job: Job): LatchkeyError {
    if (job !== this.#running) return new LatchkeyError('link_busy', 'the deadline passed in the queue');
    this.#channel.counters.unanswered += 1;
    if (this.#heardMalformed) return new LatchkeyError('device_answer_invalid', 'only malformed messages were heard');
    return new LatchkeyError('device_no_answer');
  }

  #fail(job: Job, reason: LatchkeyError): void {
    const isLost = job.mayBeDone && reason.code === 'link_down';
    const error = isLost ? new LatchkeyError('device_answer_lost', reason.detail, { cause: reason }) : reason;
    const outstanding = job === this.#running ? this.#outstanding : undefined;
    if (outstanding !== undefined) {
      this.#release(outstanding);
      outstanding.reject(error);
    }
    this.#finish(job, error);
  }

  #finish(job: Job, outcome: CoapResponse | LatchkeyError): void {
    if (job.failure !== undefined) return;
    if (outcome instanceof LatchkeyError) job.failure = outcome;
    job.settle(outcome);
    if (job === this.#running) this.#running = undefined;
    const place = this.#waiting.indexOf(job);
    if (place >= 0) this.#waiting.splice(place, 1);
    this.#startNext();
  }
}

/** A coded reason is passed on as it is, so that a caller can say why it gave up. */
function abortError(signal: AbortSignal): LatchkeyError {
  return isCoded(signal.reason) ? signal.reason : new LatchkeyError('request_cancelled');
}
