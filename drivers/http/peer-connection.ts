/** One connection: what it has under way, and how it ends when its peer asks for more than it may. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { LIMITS } from '../../src/core/limits.ts';
import type { OwnLinks } from './own-links.ts';
import { networkOf, type PeerNetwork } from './peer-network.ts';

/** The part of node's HTTP parser that is used here. It is not documented: see `stopWhenOver`. */
interface RequestParser {
  onIncoming?: ((this: RequestParser, ...request: unknown[]) => unknown) | null;
}

/** A peer that takes none of its answers for this long is cut off, milliseconds. */
const UNREAD_TIMEOUT = 30_000;

/** What node's parser is answered when the bytes after a request are another protocol's. It then leaves them alone. */
const NOT_HTTP = 2;

export class PeerConnection {
  /** What it counts for where peers have shares; undefined on a unix socket. */
  readonly network: PeerNetwork | undefined;
  readonly #socket: Socket;
  /** Called when the connection is over, to end what would keep it open. */
  readonly #endings = new Set<() => void>();
  #underWay = 0;
  #isOver = false;
  #taken = 0;
  #takenAt = 0;

  constructor(socket: Socket, links?: OwnLinks) {
    this.#socket = socket;
    this.network = networkOf(socket, links);
    this.#stopWhenOver();
    // Responses that wait behind others hear nothing when the connection is gone, so event streams listen here.
    socket.once('close', () => this.#end());
  }

  /** Whether the last request of the connection has come: later ones get no answer (RFC 9112 §9.6). */
  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * Counts a request until its answer has left, or its event stream has ended.
   * @returns whether it is within the share of one connection; if not, no other request is read
   */
  begin(response: ServerResponse): boolean {
    this.#underWay += 1;
    response.on('close', this.#answered);
    if (this.#underWay <= LIMITS.requestsPerConnection) return true;
    this.shut();
    return false;
  }

  /** Has `end` called when the connection is closed, or has to be. The answer unsubscribes. */
  onEnd(end: () => void): () => void {
    this.#endings.add(end);
    return () => this.#endings.delete(end);
  }

  /** Cuts the peer off if it has taken nothing of what waits for it for too long. `now`: monotonic, milliseconds. */
  cutIfUnread(now: number): void {
    const waiting = this.#socket.writableLength;
    const taken = this.#socket.bytesWritten - waiting;
    if (waiting === 0 || taken !== this.#taken) {
      this.#taken = taken;
      this.#takenAt = now;
    } else if (now - this.#takenAt >= UNREAD_TIMEOUT) {
      this.#socket.destroy();
    }
  }

  readonly #answered = () => {
    this.#underWay -= 1;
  };

  /**
   * Reads nothing more: neither later requests nor, before the handler of a request first waits, the body of that one.
   * Node resumes a socket whenever a request was read whole, so one pause is not enough.
   */
  shut(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#socket.pause();
    this.#socket.on('resume', () => this.#socket.pause());
    this.#end();
  }

  /**
   * Node reads 64 KiB at once and parses all of it in one turn: 1,800 short requests, or a body in 11,000 chunks, each an
   * event with a buffer. It has no documented way to stop in between: `pause()` and `destroy()` take effect after what was
   * read. A parser that is answered "not HTTP from here on" skips the body and leaves the rest alone (node 20 to 24). If a
   * later node has another parser, the rest is parsed and ignored; test/drivers/http/pipelining.test.ts then fails.
   */
  #stopWhenOver(): void {
    const { parser } = this.#socket as Socket & { readonly parser?: RequestParser | null };
    const take = parser?.onIncoming;
    if (parser === undefined || parser === null || typeof take !== 'function') return;
    parser.onIncoming = (...request) => {
      if (this.#isOver) return NOT_HTTP;
      const taken = take.apply(parser, request);
      return this.#isOver ? NOT_HTTP : taken;
    };
  }

  #end(): void {
    for (const end of [...this.#endings]) end();
  }
}

/** The connections of a server. Each is made known before its first request, so that the body of that can be left unread. */
export class PeerConnections {
  readonly #known = new WeakMap<Socket, PeerConnection>();
  readonly #open = new Set<PeerConnection>();
  readonly #timer: NodeJS.Timeout;
  readonly #links: OwnLinks | undefined;

  /** @param interval milliseconds between looks at peers that do not read their answers */
  constructor(interval: number, links?: OwnLinks) {
    this.#links = links;
    this.#timer = setInterval(() => this.cutUnread(performance.now()), interval).unref();
  }

  of(socket: Socket): PeerConnection {
    const known = this.#known.get(socket);
    if (known !== undefined) return known;
    const connection = new PeerConnection(socket, this.#links);
    this.#known.set(socket, connection);
    this.#open.add(connection);
    socket.once('close', () => this.#open.delete(connection));
    return connection;
  }

  /** `now`: monotonic, milliseconds. */
  cutUnread(now: number): void {
    for (const connection of this.#open) connection.cutIfUnread(now);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
