import type { Agent, Dispatcher } from 'undici';
import { LatchkeyError } from '../../src/core/errors.ts';
import { codeOfFailure } from './failures.ts';

export interface ExchangeRequest {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Milliseconds for the whole exchange, waiting for a free connection included. */
  readonly deadline: number;
  /** Bytes after which the answer is given up. */
  readonly maxBytes: number;
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

export interface ExchangeAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Empty for 304. */
  readonly body: Uint8Array;
}

/**
 * One request and its answer, by way of undici's dispatcher: `request` with its stream and signals takes as long again
 * as all the rest that a relayed question costs.
 * @throws {LatchkeyError} `as_unreachable`, `as_tls_untrusted`, `as_timeout`, `as_redirected`, `as_answer_too_large`
 */
export function exchange(agent: Agent, request: ExchangeRequest): Promise<ExchangeAnswer> {
  return new Promise((resolve, reject) => {
    const { origin, pathname, search } = new URL(request.url);
    const receiver = new Receiver(request, resolve, reject);
    const { method, headers, body = null } = request;
    try {
      agent.dispatch(
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
    request: ExchangeRequest,
    resolve: (answer: ExchangeAnswer) => void,
    reject: (error: LatchkeyError) => void,
  ) {
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#timer = setTimeout(() => this.#fail(new LatchkeyError('as_timeout', this.#where())), request.deadline);
    this.#timer.unref();
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    // Its time ran out while it waited for a connection.
    if (this.#failure !== undefined) controller.abort(this.#failure);
  }

  onResponseStart(_controller: Controller, status: number, headers: Headers): void {
    // 100 and 103 come before the answer proper (RFC 9110 §15.2).
    if (status < 200) return;
    this.#status = status;
    this.#headers = headers;
    if (status >= 300 && status < 400 && status !== 304) {
      this.#fail(new LatchkeyError('as_redirected', `status ${status}`));
    } else if (Number(headers['content-length'] ?? 0) > this.#request.maxBytes) {
      this.#failAsTooLarge();
    }
  }

  onResponseData(_controller: Controller, chunk: Uint8Array): void {
    this.#length += chunk.length;
    if (this.#length > this.#request.maxBytes) this.#failAsTooLarge();
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
    this.#reject(this.#failure ?? new LatchkeyError(codeOfFailure(error), this.#where(), { cause: error }));
  }

  #failAsTooLarge(): void {
    this.#fail(new LatchkeyError('as_answer_too_large', `more than ${this.#request.maxBytes} bytes`));
  }

  /** The first reason counts. Whoever waits learns it now, even if the request has no connection yet. */
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
