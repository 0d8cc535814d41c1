/**
 * An HTTP server with bounded bodies, one id a request, and coded errors. node:http with a router rather than a
 * framework: fastify alone costs 70 ms of start-up and 15 MB on this path, which is more than the rest of the hub.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import createRouter from 'find-my-way';
import { hex, sha256 } from '../../src/core/bytes.ts';
import type { Random } from '../../src/core/clock.ts';
import { coded, LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import type { Log } from '../../src/ports/log.ts';
import type { HttpAnswer } from './http-answer.ts';
import { challengeFor, PROBLEM_TYPE, problemOf } from './problem.ts';

export interface HttpRequest {
  readonly method: string;
  /** Path and query as sent, for `htu`. */
  readonly url: string;
  /** Decoded path parameters. */
  readonly parameters: Readonly<Record<string, string | undefined>>;
  /** Every value of every header: a header sent twice is seen twice. */
  readonly headers: Readonly<Record<string, readonly string[] | undefined>>;
  readonly query: URLSearchParams;
  readonly body: Uint8Array;
  /**
   * SHA-256 over the DER of the certificate whose key the peer proved in its TLS handshake, where one was asked for and
   * shown. Nobody vouches for it: it counts for whom its thumbprint is registered (RFC 8705 §2.2). 32 bytes.
   */
  readonly peerCertificateThumbprint: Uint8Array | undefined;
  readonly id: string;
  readonly log: Log;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** find-my-way pattern, such as `/devices/:id`. */
  readonly path: string;
  readonly handle: (request: HttpRequest) => Promise<HttpAnswer>;
}

export interface HttpServerOptions {
  readonly routes: readonly Route[];
  readonly log: Log;
  readonly random: Random;
  /** With `askForCertificate` peers may show a certificate of their own, of whatever authority or none. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly askForCertificate?: boolean };
  /** Whether problems carry the error's detail: on the admin socket, where who asks may know. */
  readonly tellDetail?: boolean;
  /** Headers for every answer that refuses a token or proof, such as a fresh DPoP-Nonce. */
  readonly onRefusal?: () => Readonly<Record<string, string>>;
}

/** A client that sends its headers or body more slowly than this is cut off, milliseconds. */
const REQUEST_TIMEOUT = 15_000;

export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #server: Server;
  readonly #router = createRouter();
  #underWay = 0;
  #stopping = false;
  #idle: (() => void) | undefined;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    for (const route of options.routes) this.#router.on(route.method, route.path, noHandler, route);
    const settings = {
      maxHeaderSize: LIMITS.httpHeaderBytes,
      requestTimeout: REQUEST_TIMEOUT,
      headersTimeout: REQUEST_TIMEOUT,
    };
    const listener = (request: IncomingMessage, response: ServerResponse) => void this.#serve(request, response);
    this.#server =
      options.tls === undefined
        ? createServer(settings, listener)
        : createTlsServer({ ...settings, ...tlsSettings(options.tls) }, listener);
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

  /** Takes no more connections, and resolves when the requests under way are answered or `grace` milliseconds are over. */
  async close(grace: number): Promise<void> {
    this.#stopping = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    if (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, grace);
        this.#idle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const id = hex(this.#options.random.bytes(8));
    const log = this.#options.log.child({ request: id });
    const started = performance.now();
    this.#underWay += 1;
    let answer: HttpAnswer;
    let path = '';
    try {
      if (this.#stopping) throw new LatchkeyError('shutting_down');
      const { route, request } = await this.#read(incoming, id, log);
      path = route.path;
      answer = await route.handle(request);
    } catch (error) {
      answer = this.#refuse(coded(error), id, log);
    }
    send(response, answer, id);
    log.info(
      {
        event: 'http',
        method: incoming.method,
        path,
        status: answer.status,
        ms: Math.round(performance.now() - started),
      },
      'answered',
    );
    this.#underWay -= 1;
    if (this.#underWay === 0) this.#idle?.();
  }

  async #read(incoming: IncomingMessage, id: string, log: Log): Promise<{ route: Route; request: HttpRequest }> {
    const url = incoming.url ?? '/';
    const method = incoming.method ?? 'GET';
    const [path = '/', search = ''] = splitOnce(url, '?');
    const found = this.#router.find(method as Route['method'], path);
    if (found === null) {
      const other = (['GET', 'POST', 'PUT', 'DELETE'] as const).some(
        (known) => this.#router.find(known, path) !== null,
      );
      throw new LatchkeyError(other ? 'method_not_allowed' : 'not_found');
    }
    const request: HttpRequest = {
      method,
      url,
      parameters: found.params,
      headers: incoming.headersDistinct,
      query: new URLSearchParams(search),
      body: await readBody(incoming),
      peerCertificateThumbprint: peerCertificateThumbprint(incoming.socket),
      id,
      log,
    };
    return { route: found.store as Route, request };
  }

  #refuse(error: LatchkeyError, id: string, log: Log): HttpAnswer {
    const status = error.entry.status;
    const fields = { event: 'refused', code: error.code, detail: error.detail };
    if (status >= 500) log.warn({ ...fields, error }, error.entry.title);
    else log.info(fields, error.entry.title);
    const challenge = challengeFor(error);
    return {
      status,
      headers: {
        'content-type': PROBLEM_TYPE,
        ...(challenge === undefined ? {} : { 'www-authenticate': challenge }),
        ...(status === 401 ? this.#options.onRefusal?.() : {}),
        ...(status === 503 ? { 'retry-after': '5' } : {}),
        // What is left of the body is not worth reading.
        ...(status === 413 ? { connection: 'close' } : {}),
      },
      body:
        this.#options.tellDetail === true && error.detail !== undefined
          ? { ...problemOf(error, id), detail: error.detail }
          : problemOf(error, id),
    };
  }
}

function tlsSettings({ cert, key, askForCertificate = false }: NonNullable<HttpServerOptions['tls']>) {
  return { cert, key, requestCert: askForCertificate, rejectUnauthorized: false };
}

/** One look at a socket's certificate serves all of its requests. */
const thumbprints = new WeakMap<Socket, Uint8Array | undefined>();

function peerCertificateThumbprint(socket: Socket): Uint8Array | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  if (!thumbprints.has(socket)) {
    // An empty object where the peer showed none.
    const { raw } = socket.getPeerCertificate() as { raw?: Uint8Array };
    thumbprints.set(socket, raw === undefined ? undefined : sha256(raw));
  }
  return thumbprints.get(socket);
}

function noHandler(): void {
  // The router only finds: the route that it stores is what handles.
}

function splitOnce(text: string, mark: string): readonly [string, string] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

/**
 * The whole body, within the limit. Listens instead of iterating: leaving a `for await` early destroys the socket, and
 * the sender would see a reset in place of its 413.
 */
function readBody(incoming: IncomingMessage): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    incoming.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= LIMITS.httpBodyBytes) chunks.push(chunk);
      else reject(new LatchkeyError('request_too_large'));
    });
    incoming.once('end', () => resolve(Buffer.concat(chunks)));
    incoming.once('close', () => reject(new LatchkeyError('request_invalid', 'the sender went away')));
    incoming.once('error', (error) =>
      reject(new LatchkeyError('request_invalid', 'the sender went away', { cause: error })),
    );
  });
}

function send(response: ServerResponse, answer: HttpAnswer, id: string): void {
  const isBytes = answer.body instanceof Uint8Array;
  const body =
    answer.body === undefined ? undefined : isBytes ? (answer.body as Uint8Array) : JSON.stringify(answer.body);
  response.writeHead(answer.status, {
    'cache-control': 'no-store',
    'x-request-id': id,
    ...(isBytes || body === undefined ? {} : { 'content-type': 'application/json' }),
    ...answer.headers,
  });
  response.end(body);
}
