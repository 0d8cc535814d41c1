/** Server-sent events (WHATWG HTML, section 9.2): one response that goes on while something is waited for. */
import type { ServerResponse } from 'node:http';
import { LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { Shares } from '../../src/core/shares.ts';
import type { PeerConnection } from './peer-connection.ts';
import { type NetworkLimits, NetworkShares, type PeerNetwork } from './peer-network.ts';

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

/** Room for one stream, taken before its response is begun. */
export interface ReservedStream {
  release(): void;
}

export class EventStreams {
  readonly #limit: number;
  readonly #ofNetwork: NetworkShares;
  readonly #ofSubject = new Shares(LIMITS.eventStreamsPerDelivery);
  readonly #open = new Set<() => void>();
  #reserved = 0;

  constructor(limits: NetworkLimits) {
    this.#limit = limits.overall;
    this.#ofNetwork = new NetworkShares(limits);
  }

  /**
   * @param network of the client, undefined on a unix socket
   * @param about what the events tell of, such as one delivery; undefined where there is no share for each
   * @throws {LatchkeyError} `hub_busy`
   */
  reserve(network: PeerNetwork | undefined, about: string | undefined): ReservedStream {
    if (this.#reserved >= this.#limit) throw new LatchkeyError('hub_busy', `${this.#limit} event streams are open`);
    if (network !== undefined && !this.#ofNetwork.take(network))
      throw new LatchkeyError('hub_busy', 'too many event streams of one network');
    if (about !== undefined && !this.#ofSubject.take(about)) {
      if (network !== undefined) this.#ofNetwork.release(network);
      throw new LatchkeyError('hub_busy', 'too many event streams about the same');
    }
    this.#reserved += 1;
    return {
      release: () => {
        this.#reserved -= 1;
        if (network !== undefined) this.#ofNetwork.release(network);
        if (about !== undefined) this.#ofSubject.release(about);
      },
    };
  }

  /** Takes over a response whose head is written. It ends with its connection at the latest, and gives its room back. */
  serve(response: ServerResponse, source: EventSource, room: ReservedStream, connection: PeerConnection): void {
    let stop: () => void = () => undefined;
    let isOver = false;
    const close = () => {
      if (isOver) return;
      isOver = true;
      clearInterval(heartbeat);
      unsubscribe();
      this.#open.delete(close);
      room.release();
      stop();
      response.end();
    };
    const write = (text: string) => {
      if (isOver) return;
      response.write(text);
      if (response.writableLength <= UNREAD_BYTES) return;
      response.destroy();
      // One that waits behind another response has no socket yet, and says nothing.
      close();
    };
    const heartbeat = setInterval(() => write(':\n\n'), HEARTBEAT);
    this.#open.add(close);
    const unsubscribe = connection.onEnd(close);
    response.once('close', close);
    stop = source({ send: (event, data) => write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`), end: close });
    // The source may have ended before it told how to stop it.
    if (isOver) stop();
    else if (connection.isOver) close();
  }

  endAll(): void {
    for (const close of [...this.#open]) close();
  }
}
