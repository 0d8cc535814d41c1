import type { Agent, Dispatcher } from 'undici';
import { EMPTY } from '../../src/core/bytes.ts';
import type { ErrorCode } from '../../src/core/error-catalogue.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { shown } from '../../src/core/shown.ts';
import { codeOfFailure, whyUntrusted } from './failures.ts';

export interface ExchangeRequest {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Milliseconds for the whole exchange, waiting for a free connection included. */
  readonly deadline: number;
  /** Bytes after which the answer is given up. */
  readonly maxBytes: number;
  /** What it is called when the time was spent waiting behind others more than on the server. */
  readonly crowdedOut: ErrorCode;
}

/** The connections of one agent, as all its exchanges see them. */
export class Pool {
  readonly agent: Agent;
  /** Exchanges that got a connection so far. */
  begun = 0;

  constructor(agent: Agent) {
    this.agent = agent;
  }
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

export interface ExchangeAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Empty for 304, and for an error with more to say than was allowed. */
  readonly body: Uint8Array;
}

/**
 * One request and its answer, by way of undici's dispatcher: `request` with its stream and signals takes as long again
 * as all the rest that a relayed question costs.
 * @throws {LatchkeyError} `as_unreachable`, `as_tls_untrusted`, `as_timeout`, `as_redirected`, `as_answer_too_large`;
 *   `request.crowdedOut`
 */
export function exchange(pool: Pool, request: ExchangeRequest): Promise<ExchangeAnswer> {
  return new Promise((resolve, reject) => {
    const { origin, pathname, search } = new URL(request.url);
    const receiver = new Receiver(pool, request, resolve, reject);
    const { method, headers, body = null } = request;
    try {
      pool.agent.dispatch(
        // The deadline of the whole exchange makes those of its parts unnecessary.
        { origin, path: pathname + search, method, headers, body, headersTimeout: 0, bodyTimeout: 0 },
        receiver,
      );
    } catch (error) {
      receiver.onResponseError(undefined, error);
    }
  });
}

type Controller = Pick<Dispatcher.DispatchController, 'abort'>;

/** Takes one answer in, and stops reading where its limits are passed. */
class Receiver implements Dispatcher.DispatchHandler {
  readonly #pool: Pool;
  /** Milliseconds, and the exchanges that had begun by then. */
  readonly #askedAt = performance.now();
  readonly #begunBefore: number;
  /** Once it has a connection: whether it had to wait for it behind others until half of its time was over. */
  #wasCrowded: boolean | undefined;
  readonly #request: ExchangeRequest;
  readonly #resolve: (answer: ExchangeAnswer) => void;
  readonly #reject: (error: LatchkeyError) => void;
  readonly #timer: NodeJS.Timeout;
  #controller: Controller | undefined;
  #failure: LatchkeyError | undefined;
  #status = 0;
  #headers: Headers = {};
  #chunks: Uint8Array[] = [];
  #length = 0;

  constructor(
    pool: Pool,
    request: ExchangeRequest,
    resolve: (answer: ExchangeAnswer) => void,
    reject: (error: LatchkeyError) => void,
  ) {
    this.#pool = pool;
    this.#begunBefore = pool.begun;
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#timer = setTimeout(() => this.#fail(new LatchkeyError(this.#whyLate(), this.#where())), request.deadline);
    this.#timer.unref();
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    // Its time ran out while it waited for a connection.
    if (this.#failure !== undefined) {
      controller.abort(this.#failure);
      return;
    }
    this.#wasCrowded = this.#isCrowded();
    this.#pool.begun += 1;
  }

  onResponseStart(_controller: Controller, status: number, headers: Headers): void {
    // 100 and 103 come before the answer proper (RFC 9110 §15.2).
    if (status < 200) return;
    this.#status = status;
    this.#headers = headers;
    if (status >= 300 && status < 400 && status !== 304) {
      this.#fail(new LatchkeyError('as_redirected', `status ${status}${whereTo(headers.location)}`));
    } else if (Number(headers['content-length'] ?? 0) > this.#request.maxBytes) {
      this.#endAsTooLarge();
    }
  }

  onResponseData(_controller: Controller, chunk: Uint8Array): void {
    this.#length += chunk.length;
    if (this.#length > this.#request.maxBytes) this.#endAsTooLarge();
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    clearTimeout(this.#timer);
    const [only] = this.#chunks;
    const body = this.#chunks.length === 1 && only !== undefined ? only : Buffer.concat(this.#chunks, this.#length);
    this.#resolve({ status: this.#status, headers: this.#headers, body });
  }

  onResponseError(_controller: unknown, error: unknown): void {
    clearTimeout(this.#timer);
    const untrusted = whyUntrusted(error);
    const detail = untrusted === undefined ? this.#where() : `${this.#where()} (${untrusted})`;
    this.#reject(this.#failure ?? new LatchkeyError(codeOfFailure(error), detail, { cause: error }));
  }

  /** An error is one by its status, whatever page stands below it. */
  #endAsTooLarge(): void {
    if (this.#status >= 400) this.#resolve({ status: this.#status, headers: this.#headers, body: EMPTY });
    this.#fail(new LatchkeyError('as_answer_too_large', `more than ${this.#request.maxBytes} bytes`));
  }

  /**
   * What waited behind others says nothing of the server, which had little time for it or none. Where nothing else left
   * meanwhile, the server took no connection, or answered on none.
   */
  #whyLate(): ErrorCode {
    return (this.#wasCrowded ?? this.#isCrowded()) ? this.#request.crowdedOut : 'as_timeout';
  }

  #isCrowded(): boolean {
    const waited = performance.now() - this.#askedAt;
    return this.#pool.begun > this.#begunBefore && waited > this.#request.deadline / 2;
  }

  /** The first reason counts. The caller learns it now, even if the request has no connection yet. */
  #fail(failure: LatchkeyError): void {
    if (this.#failure !== undefined) return;
    this.#failure = failure;
    this.#chunks = [];
    clearTimeout(this.#timer);
    this.#reject(failure);
    this.#controller?.abort(failure);
  }

  /** The address without its query, which is for the server and not for the log. */
  #where(): string {
    const { origin, pathname } = new URL(this.#request.url);
    return origin + pathname;
  }
}

/** Without its query, which may be a copy of what the request had. */
function whereTo(location: Headers[string]): string {
  if (typeof location !== 'string') return '';
  return ` to ${shown(location.replace(/[?#].*$/s, ''))}`;
}
