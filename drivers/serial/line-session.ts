import type { CoapCounters } from '../../src/codec/coap/counters.ts';
import { CoapEndpoint } from '../../src/codec/coap/endpoint.ts';
import type { RequestOptions } from '../../src/codec/coap/requester.ts';
import type { CoapHandler } from '../../src/codec/coap/responder.ts';
import { type CoapSettings, DEFAULT_COAP_SETTINGS } from '../../src/codec/coap/settings.ts';
import { encodeDiagnostic, encodeSlipmux, SlipmuxDecoder, type SlipmuxSink } from '../../src/codec/slipmux.ts';
import { utf8 } from '../../src/core/bytes.ts';
import type { Clock, Random, Timers } from '../../src/core/clock.ts';
import type { CoapRequest, CoapResponse } from '../../src/core/coap-exchange.ts';
import type { LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { Intake } from './intake.ts';
import { type LineCounters, NOISE_COUNTER } from './line-counters.ts';
import type { LinePort } from './line-port.ts';
import { ackTimeoutAt, type LineSettings, timeOnLine } from './line-settings.ts';

/** What sessions of either side need from their surroundings. */
export interface LineSurroundings {
  readonly timers: Timers;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly random: Random;
  readonly handler?: CoapHandler | undefined;
  readonly coap?: Partial<CoapSettings> | undefined;
  readonly baudRate: number;
  readonly settings: LineSettings;
  readonly counters: LineCounters;
}

export interface LineSessionEvents {
  /** A frame that holds came in. */
  onHeard(): void;
  onDiagnostic(text: string): void;
  /** A frame was dropped. */
  onNoise?(): void;
  /** The line brought in more than it may, and is made to wait. */
  onSlowed?(): void;
  onHandlerFailure(error: LatchkeyError): void;
  /** A write did not leave before its deadline. */
  onHung(): void;
}

/** Slipmux and CoAP over one opening of a line. */
export class LineSession implements SlipmuxSink {
  readonly #port: LinePort;
  readonly #surroundings: LineSurroundings;
  readonly #events: LineSessionEvents;
  readonly #decoder = new SlipmuxDecoder();
  readonly #intake: Intake;
  readonly #endpoint: CoapEndpoint;
  #unsent = 0;
  #cancelWriteDeadline: (() => void) | undefined;
  #ended = false;

  constructor(port: LinePort, surroundings: LineSurroundings, events: LineSessionEvents) {
    const { timers, random, clock, handler, coap, baudRate } = surroundings;
    const ackTimeout = ackTimeoutAt(baudRate, coap?.ackTimeout ?? DEFAULT_COAP_SETTINGS.ackTimeout);
    this.#port = port;
    this.#surroundings = surroundings;
    this.#events = events;
    this.#intake = new Intake({ timers, clock }, (flowing) => this.#setFlowing(flowing));
    this.#endpoint = new CoapEndpoint({
      send: (message) => this.#sendFrame(encodeSlipmux(message)),
      timers,
      random,
      clock,
      handler,
      onHandlerFailure: (error) => events.onHandlerFailure(error),
      settings: { ...coap, ackTimeout },
    });
  }

  take(chunk: Uint8Array): void {
    this.#surroundings.counters.bytesReceived += chunk.length;
    if (!this.#ended) this.#intake.count(chunk.length);
    this.#decoder.push(chunk, this);
  }

  request(request: CoapRequest, options: RequestOptions): Promise<CoapResponse> {
    return this.#endpoint.request(request, options);
  }

  sendDiagnostic(text: string): void {
    this.#sendFrame(encodeDiagnostic(utf8(text)));
  }

  coapCounters(): Readonly<CoapCounters> {
    return this.#endpoint.counters();
  }

  /** Ends all exchanges with `link_down` and lets go of the port; resolves when the system has. */
  end(): Promise<void> {
    this.#ended = true;
    this.#cancelWriteDeadline?.();
    this.#intake.end();
    this.#endpoint.close();
    return this.#port.destroy();
  }

  onCoap(message: Uint8Array): void {
    if (this.#ended) return;
    this.#surroundings.counters.framesReceived += 1;
    this.#events.onHeard();
    this.#endpoint.receive(message);
  }

  onDiagnostic(text: string): void {
    if (this.#ended) return;
    this.#surroundings.counters.diagnostics += 1;
    this.#events.onHeard();
    this.#events.onDiagnostic(text);
  }

  onNoise(reason: keyof typeof NOISE_COUNTER): void {
    this.#surroundings.counters[NOISE_COUNTER[reason]] += 1;
    this.#events.onNoise?.();
  }

  #setFlowing(flowing: boolean): void {
    if (!flowing) {
      this.#surroundings.counters.slowedDown += 1;
      this.#events.onSlowed?.();
    }
    this.#port.setFlowing(flowing);
  }

  #sendFrame(frame: Uint8Array): void {
    if (this.#ended) return;
    const { counters } = this.#surroundings;
    if (this.#unsent + frame.length > LIMITS.lineWriteBytes) {
      counters.framesNotSent += 1;
      return;
    }
    this.#unsent += frame.length;
    counters.framesSent += 1;
    counters.bytesSent += frame.length;
    if (this.#cancelWriteDeadline === undefined) this.#watchWrites();
    this.#port.write(frame, () => this.#onWritten(frame.length));
  }

  /** Every write that leaves gives those behind it a deadline of their own. */
  #onWritten(bytes: number): void {
    this.#unsent -= bytes;
    this.#cancelWriteDeadline?.();
    this.#cancelWriteDeadline = undefined;
    if (this.#unsent > 0 && !this.#ended) this.#watchWrites();
  }

  #watchWrites(): void {
    const { timers, settings, baudRate, counters } = this.#surroundings;
    const wait = settings.writeDeadline + timeOnLine(this.#unsent, baudRate);
    this.#cancelWriteDeadline = timers.after(wait, () => {
      counters.hung += 1;
      this.#events.onHung();
    });
  }
}
