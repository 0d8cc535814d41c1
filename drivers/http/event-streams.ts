/** Server-sent events (WHATWG HTML, section 9.2): one response that goes on while something is waited for. */
import type { ServerResponse } from 'node:http';
import { LatchkeyError } from '../../src/core/errors.ts';

/** A line that says nothing keeps proxies from closing a connection that is silent: most wait for 60 s. Milliseconds. */
const HEARTBEAT = 15_000;
/** What may wait for a client that does not read: an event has 600 bytes, a delivery two of them. */
const UNREAD_BYTES = 16_384;

export interface EventSink {
  send(event: string, data: unknown): void;
  /** Nothing comes after this. */
  end(): void;
}

/** Starts what sends the events, and answers with what ends it. It may send at once. */
export type EventSource = (sink: EventSink) => () => void;

export class EventStreams {
  readonly #open = new Set<() => void>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @throws {LatchkeyError} `hub_busy` */
  reserve(): void {
    if (this.#open.size >= this.#limit) throw new LatchkeyError('hub_busy', `${this.#limit} event streams are open`);
  }

  /** Takes over a response whose head is written. */
  serve(response: ServerResponse, source: EventSource): void {
    let stop: () => void = () => undefined;
    let isOver = false;
    const close = () => {
      if (isOver) return;
      isOver = true;
      clearInterval(heartbeat);
      this.#open.delete(close);
      stop();
      response.end();
    };
    const write = (text: string) => {
      if (isOver) return;
      response.write(text);
      if (response.writableLength > UNREAD_BYTES) response.destroy();
    };
    const heartbeat = setInterval(() => write(':\n\n'), HEARTBEAT);
    this.#open.add(close);
    response.once('close', close);
    stop = source({ send: (event, data) => write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`), end: close });
    // The source may have ended before it told how to stop it.
    if (isOver) stop();
  }

  endAll(): void {
    for (const close of [...this.#open]) close();
  }
}
