import type { LatchkeyError } from '../../src/core/errors.ts';
import { Repeats } from '../../src/core/repeats.ts';
import type { Log, LogFields } from '../../src/ports/log.ts';

/** A second of a flood is 16 lines of requests and their sums; a person at a terminal sees every request. */
const REQUESTS = { window: 1_000, ofOneKind: 4, overall: 16 };
const CONNECTIONS = { window: 60_000, ofOneKind: 1, overall: 1 };

export interface Answered {
  readonly method: string;
  /** The pattern of the route, not what was sent: that may hold anything. Empty where there is no such path. */
  readonly path: string;
  readonly status: number;
  /** Milliseconds. */
  readonly ms: number;
  readonly error: LatchkeyError | undefined;
}

/** One line for each answer, and a sum in place of lines where many requests end alike in a second. */
export class RequestLog {
  readonly #log: Log;
  readonly #requests: Repeats<LogFields>;
  readonly #connections: Repeats<undefined>;

  constructor(log: Log) {
    this.#log = log;
    this.#requests = new Repeats(REQUESTS, (kind, count) => {
      log.info({ event: 'http_repeated', ...kind, count }, 'as many more were answered alike within a second');
    });
    this.#connections = new Repeats(CONNECTIONS, (_, count) => {
      log.warn({ event: 'connections_refused', count }, 'as many more connections were refused within a minute');
    });
  }

  /** `log` carries the id of the request. */
  answered({ method, path, status, ms, error }: Answered, log: Log): void {
    const kind = { method, path, status, ...(error === undefined ? {} : { code: error.code }) };
    if (!this.#requests.tells(`${method} ${path} ${status} ${error?.code}`, kind)) return;
    if (error === undefined) log.info({ event: 'http', ...kind, ms }, 'answered');
    else if (status >= 500) log.warn({ event: 'refused', ...kind, ms, detail: error.detail, error }, error.entry.title);
    else log.info({ event: 'refused', ...kind, ms, detail: error.detail }, error.entry.title);
  }

  connectionRefused(): void {
    if (!this.#connections.tells('connection', undefined)) return;
    this.#log.warn({ event: 'connections_refused', count: 1 }, 'a connection was refused: there are too many');
  }

  /** Sums up what was not told yet. */
  close(): void {
    this.#requests.end();
    this.#connections.end();
  }
}
