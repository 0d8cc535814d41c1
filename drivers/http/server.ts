/**
 * An HTTP server with bounded bodies, one id a request, and coded errors. node:http rather than a
 * framework: fastify alone costs 70 ms of start-up and 15 MB on this path, which is more than the rest of the hub.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket, Server as TlsServer } from 'node:tls';
import { hex, sha256 } from '../../src/core/bytes.ts';
import type { Random } from '../../src/core/clock.ts';
import { coded, LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import type { Log, LogFields } from '../../src/ports/log.ts';
import { announcedBody, hasMuchLeft, isInChunks, readBody } from './body.ts';
import { BodyRoom } from './body-room.ts';
import { type ConnectionLimits, Connections } from './connections.ts';
import { ERROR_PAGES, errorPage } from './error-pages.ts';
import { EventStreams, type ReservedStream } from './event-streams.ts';
import type { HttpAnswer } from './http-answer.ts';
import type { OwnLinks } from './own-links.ts';
import { PeerConnections } from './peer-connection.ts';
import { challengeFor, PROBLEM_TYPE, problemOf, retryAfterHeader } from './problem.ts';
import { logAnswer } from './request-log.ts';
import { type Parameters, RouteTable } from './route-table.ts';
import { sendText } from './send-text.ts';

export interface HttpRequest {
  readonly method: string;
  /** Path and query as sent, for `htu`. */
  readonly url: string;
  /** Decoded path parameters. */
  readonly parameters: Parameters;
  /** Every value of every header: a header sent twice is seen twice. */
  readonly headers: Readonly<Record<string, readonly string[] | undefined>>;
  readonly query: URLSearchParams;
  readonly body: Uint8Array;
  /**
   * SHA-256 over the DER of the certificate whose key the peer proved in its TLS handshake, where one was asked for and
   * shown. No authority confirms it: it counts for the client with whom its thumbprint is registered (RFC 8705 §2.2). 32 bytes.
   */
  readonly peerCertificateThumbprint: Uint8Array | undefined;
  readonly id: string;
  readonly log: Log;
  /** The network of the peer; undefined on a unix socket. */
  readonly peer?: string | undefined;
  /** Takes what the line about the answer is to have besides. */
  readonly about?: (fields: LogFields) => void;
  /** Where a problem finds the pages about errors. */
  readonly errorPages?: string | undefined;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** As `RouteTable` takes it, such as `/devices/:id`. */
  readonly path: string;
  /** Largest body; none is taken where this is left out. */
  readonly bodyBytes?: number;
  /** Headers for an answer that refuses a token or proof (401), such as a fresh DPoP-Nonce. */
  readonly onRefusal?: () => Readonly<Record<string, string>>;
  readonly handle: (request: HttpRequest) => Promise<HttpAnswer>;
}

export interface HttpServerOptions {
  readonly routes: readonly Route[];
  readonly log: Log;
  readonly random: Random;
  /** With `askForCertificate` peers may show a certificate of their own, of whatever authority or none. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly askForCertificate?: boolean };
  readonly connections: ConnectionLimits;
  /** Of this machine, unless told otherwise. */
  readonly links?: OwnLinks;
  /** Whether problems carry the error's detail: on the admin socket, where who asks may know. */
  readonly tellDetail?: boolean;
  /**
   * Under what address clients reach this server, without a slash at its end; empty where that is for them to know. With it the server
   * has a page for each error code (error-pages.ts), and problems point there.
   */
  readonly errorPagesAt?: string;
}

const ERROR_PAGE_ROUTE: Route = {
  method: 'GET',
  path: `${ERROR_PAGES}/:code`,
  handle: async ({ parameters }) => errorPage(parameters.code),
};

/** Of most requests. It is never written to. */
const NO_QUERY = new URLSearchParams();

/** A client that sends its headers or body more slowly than this is cut off, milliseconds. */
const REQUEST_TIMEOUT = 15_000;
/** What the answers that say that the hub ends get to reach their clients, milliseconds. */
const LAST_ANSWERS = 250;
/** How often that is looked at, milliseconds. Node's own half a minute would keep idle connections for as long. */
const TIMEOUT_CHECK = 5_000;

export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #server: Server;
  readonly #routes: RouteTable<Route>;
  readonly #errorPages: string | undefined;
  readonly #connections: Connections;
  readonly #peers: PeerConnections;
  readonly #streams: EventStreams;
  readonly #bodies: BodyRoom;
  readonly #unanswered = new Set<Unanswered>();
  #underWay = 0;
  #stopping = false;
  #idle: (() => void) | undefined;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    const { errorPagesAt, routes } = options;
    this.#errorPages = errorPagesAt === undefined ? undefined : `${errorPagesAt}${ERROR_PAGES}`;
    this.#routes = new RouteTable(errorPagesAt === undefined ? routes : [...routes, ERROR_PAGE_ROUTE]);
    this.#peers = new PeerConnections(TIMEOUT_CHECK, options.links);
    const settings = {
      maxHeaderSize: LIMITS.httpHeaderBytes,
      requestTimeout: REQUEST_TIMEOUT,
      headersTimeout: REQUEST_TIMEOUT,
      connectionsCheckingInterval: TIMEOUT_CHECK,
      // Node would answer without counting the request; `#find` refuses it.
      requireHostHeader: false,
    };
    const listener = (request: IncomingMessage, response: ServerResponse) => void this.#serve(request, response);
    this.#server =
      options.tls === undefined
        ? createServer(settings, listener)
        : // Not loaded for hubs that leave TLS to a proxy, as in config/setting-files.ts.
          process
            .getBuiltinModule('node:https')
            .createServer({ ...settings, ...tlsSettings(options.tls), handshakeTimeout: REQUEST_TIMEOUT }, listener);
    // As above: without this, node answers 417 by itself. RFC 9110 §10.1.1 lets a server pass over what it does not know.
    this.#server.on('checkExpectation', listener);
    const { overall, perNetwork } = options.connections;
    /** A network has the same part of everything as of the connections. */
    const shared = (most: number) => ({ overall: most, perNetwork: Math.ceil((most * perNetwork) / overall) });
    this.#streams = new EventStreams(shared(LIMITS.eventStreams));
    this.#bodies = new BodyRoom(shared(LIMITS.httpBodyBytes));
    // Behind node's own listener, which gives the socket its parser.
    this.#server.on(options.tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      this.#peers.of(socket);
    });
    const onRefused = () =>
      options.log.warn({ event: 'connections_refused' }, 'a connection was refused: there are too many');
    this.#connections = new Connections(this.#server, options.connections, onRefused, options.links);
  }

  /** Listens on host and port (0 for a free one) or on a unix socket; answers with the port. */
  async listen(where: { readonly host: string; readonly port: number } | { readonly socket: string }): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      const ready = () => {
        this.#server.off('error', reject);
        resolve();
      };
      if ('socket' in where) this.#server.listen(where.socket, ready);
      else this.#server.listen(where.port, where.host, ready);
    });
    const address: AddressInfo | string | null = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** For connections from now on. Only for a server that was made with a certificate. */
  useCertificate(certificate: { readonly cert: string; readonly key: string }): void {
    if (isTlsServer(this.#server)) this.#server.setSecureContext(certificate);
  }

  /** Takes no more connections, and resolves when the requests under way are answered or `grace` milliseconds are over. */
  async close(grace: number): Promise<void> {
    this.#stopping = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    this.#streams.endAll();
    if (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, grace);
        this.#idle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      await this.#answerOverdue();
    }
    this.#connections.destroyAll();
    this.#peers.close();
    await closed;
  }

  /** The hub ends before these are done: they are told so, and not cut off. */
  async #answerOverdue(): Promise<void> {
    const error = new LatchkeyError('shutting_down');
    const sent = [...this.#unanswered].map(({ id, incoming, response }) => {
      const finished = new Promise<void>((resolve) => response.once('close', resolve).once('finish', resolve));
      this.#send(response, this.#refuse(error, id, incoming, undefined), id, true);
      return finished;
    });
    if (sent.length === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LAST_ANSWERS);
    });
    await Promise.race([Promise.all(sent), late]);
    clearTimeout(timer);
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', socket } = incoming;
    const connection = this.#peers.of(socket);
    if (connection.isOver) return;
    const isWithinShare = connection.begin(response);
    // Whatever the answer is, and before anything of the body is parsed.
    if (isInChunks(incoming)) connection.shut();
    const id = hex(this.#options.random.bytes(8));
    const log = this.#options.log.child({ request: id });
    const started = performance.now();
    this.#underWay += 1;
    const unanswered = { id, incoming, response };
    this.#unanswered.add(unanswered);
    let answer: HttpAnswer;
    let error: LatchkeyError | undefined;
    let route: Route | undefined;
    let room: ReservedStream | undefined;
    let bytes = 0;
    let about: LogFields = {};
    try {
      if (this.#stopping) throw new LatchkeyError('shutting_down');
      if (!isWithinShare) throw new LatchkeyError('hub_busy', 'on one connection');
      const { route: chosen, ...found } = this.#find(method, incoming);
      route = chosen;
      const announced = announcedBody(incoming, route.bodyBytes ?? 0);
      if (announced > 0) this.#bodies.take(connection.network, announced);
      bytes = announced;
      const body = await readBody(incoming, announced);
      answer = await route.handle({
        method,
        ...found,
        headers: incoming.headersDistinct,
        body,
        peerCertificateThumbprint: peerCertificateThumbprint(socket),
        id,
        log,
        peer: connection.network?.name,
        about: (fields) => {
          about = { ...about, ...fields };
        },
        errorPages: this.#errorPages,
      });
      if (answer.events !== undefined) room = this.#streams.reserve(connection.network, answer.about);
    } catch (thrown) {
      error = coded(thrown);
      answer = this.#refuse(error, id, incoming, route);
    }
    if (bytes > 0) this.#bodies.release(connection.network, bytes);
    this.#unanswered.delete(unanswered);
    // Overdue at the end of the hub, it was answered already.
    if (!response.headersSent) {
      // A body whose reading was given up is not read to its end.
      const isLast = !isWithinShare || hasMuchLeft(incoming) || (bytes > 0 && !incoming.complete);
      this.#send(response, answer, id, isLast);
      if (isLast) connection.shut();
      if (answer.events !== undefined && room !== undefined)
        this.#streams.serve(response, answer.events, room, connection);
    }
    const ms = Math.round(performance.now() - started);
    const path = route?.path ?? this.#at(incoming.url)[0]?.path ?? '';
    logAnswer({ method, path, status: answer.status, ms, error, about }, log);
    this.#underWay -= 1;
    if (this.#underWay === 0) this.#idle?.();
  }

  /** @throws {LatchkeyError} `not_found`, `method_not_allowed`, `request_invalid` */
  #find(
    method: string,
    incoming: IncomingMessage,
  ): { route: Route } & Pick<HttpRequest, 'url' | 'parameters' | 'query'> {
    const { url = '' } = incoming;
    if (!namesOneHost(incoming)) throw new LatchkeyError('request_invalid', 'not one Host header');
    // The absolute form is for proxies. Here it would be a second opinion, beside Host, on what the hub is called.
    if (!url.startsWith('/')) throw new LatchkeyError('request_invalid', 'the request target is not a path');
    const [path = '/', search = ''] = splitOnce(url, '?');
    const found = this.#routes.find(method, path);
    if (found === undefined) {
      throw new LatchkeyError(this.#routes.at(path).length > 0 ? 'method_not_allowed' : 'not_found');
    }
    const { route, parameters } = found;
    return { route, parameters, url, query: search === '' ? NO_QUERY : new URLSearchParams(search) };
  }

  #send(response: ServerResponse, answer: HttpAnswer, id: string, isLast: boolean): void {
    const { events } = answer;
    const isBytes = answer.body instanceof Uint8Array;
    const body =
      answer.body === undefined ? undefined : isBytes ? (answer.body as Uint8Array) : JSON.stringify(answer.body);
    // One object that grows: spreads of parts that are mostly empty cost more than all else here.
    const headers: Record<string, string | number> = { 'cache-control': 'no-store', 'x-request-id': id };
    if (isLast) headers.connection = 'close';
    if (!isBytes && body !== undefined) headers['content-type'] = 'application/json';
    // Without it node sends a body in chunks, since it writes the headers before it knows the body.
    if (body !== undefined) headers['content-length'] = Buffer.byteLength(body);
    if (events !== undefined) {
      headers['content-type'] = 'text/event-stream';
      headers['x-accel-buffering'] = 'no';
    }
    response.writeHead(answer.status, Object.assign(headers, answer.headers));
    if (answer.text !== undefined) sendText(response, answer.text, this.#options.log);
    else if (events === undefined) response.end(body);
  }

  /** Routes of the path that was asked for, whatever their method. */
  #at(url = ''): readonly Route[] {
    return this.#routes.at(splitOnce(url, '?')[0]);
  }

  #refuse(error: LatchkeyError, id: string, { headers, url }: IncomingMessage, route: Route | undefined): HttpAnswer {
    const status = error.entry.status;
    const problem = problemOf(error, { id, errorPages: this.#errorPages });
    const challenge = challengeFor(error, headers.authorization);
    return {
      status,
      headers: {
        'content-type': PROBLEM_TYPE,
        ...(challenge === undefined ? {} : { 'www-authenticate': challenge }),
        ...(status === 405
          ? {
              allow: this.#at(url)
                .map(({ method }) => method)
                .join(', '),
            }
          : {}),
        ...(status === 401 ? route?.onRefusal?.() : {}),
        ...retryAfterHeader(error),
      },
      body:
        this.#options.tellDetail === true && error.detail !== undefined
          ? { ...problem, detail: error.detail }
          : problem,
    };
  }
}

function tlsSettings({ cert, key, askForCertificate = false }: NonNullable<HttpServerOptions['tls']>) {
  return { cert, key, requestCert: askForCertificate, rejectUnauthorized: false };
}

/** RFC 9112 §3.2. Versions before 1.1 need none. */
function namesOneHost({ headersDistinct, httpVersionMajor, httpVersionMinor }: IncomingMessage): boolean {
  const hosts = headersDistinct.host?.length ?? 0;
  return hosts === 1 || (hosts === 0 && httpVersionMajor === 1 && httpVersionMinor === 0);
}

interface Unanswered {
  readonly id: string;
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
}

function isTlsServer(server: Server): server is Server & Pick<TlsServer, 'setSecureContext'> {
  return 'setSecureContext' in server;
}

function isTls(socket: Socket): socket is TLSSocket {
  return 'getPeerCertificate' in socket;
}

/** One look at a socket's certificate serves all of its requests. */
const thumbprints = new WeakMap<Socket, Uint8Array | undefined>();

function peerCertificateThumbprint(socket: Socket): Uint8Array | undefined {
  if (!isTls(socket)) return undefined;
  if (!thumbprints.has(socket)) {
    // An empty object where the peer showed none.
    const { raw } = socket.getPeerCertificate() as { raw?: Uint8Array };
    thumbprints.set(socket, raw === undefined ? undefined : sha256(raw));
  }
  return thumbprints.get(socket);
}

function splitOnce(text: string, mark: string): readonly [string, string] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
