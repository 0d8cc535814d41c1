/** One HTTP exchange with the hub, bounded in time and size, with every failure coded. */
import { concat } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { ClientEnvironment } from './environment.ts';

/** The hub answers with a few hundred bytes; a device's answer is 16 KiB at the most. */
const MAX_ANSWER_BYTES = 65_536;

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Milliseconds for the whole exchange. */
  readonly deadline: number;
}

export interface HttpAnswer {
  /** That was asked. */
  readonly url: URL;
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** @throws {LatchkeyError} `client_unreachable`, `client_answer_invalid` for an answer past 64 KiB */
export function exchange(request: HttpRequest, environment: ClientEnvironment): Promise<HttpAnswer> {
  return open(request, environment, (response) => answerOf(request, response));
}

/**
 * Asks for events. `take` gets the data of each, and says whether that was the last one that is wanted.
 * @returns the answer, where it is none with events; else undefined, once `take` has had enough or the events have ended
 * @throws {LatchkeyError} `client_unreachable`, also where they go on past the deadline; `client_answer_invalid` for an
 *   event past 64 KiB
 */
export function exchangeEvents(
  request: HttpRequest,
  environment: ClientEnvironment,
  take: (data: string) => boolean,
): Promise<HttpAnswer | undefined> {
  return open(request, environment, async (response) => {
    if (response.headers.get('content-type')?.startsWith('text/event-stream') !== true)
      return answerOf(request, response);
    for await (const data of eventsOf(response)) if (take(data)) return undefined;
    return undefined;
  });
}

async function open<T>(
  request: HttpRequest,
  environment: ClientEnvironment,
  use: (response: Response) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  const cancel = environment.timers.after(request.deadline, () => abort.abort());
  try {
    const response = await environment.fetch(request.url, {
      method: request.method,
      headers: request.headers,
      // A redirect would carry the token to an address that the caller did not choose.
      redirect: 'manual',
      signal: abort.signal,
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    return await use(response);
  } catch (error) {
    if (error instanceof LatchkeyError) throw error;
    const reason = abort.signal.aborted ? `no answer in ${request.deadline} ms` : networkReason(error);
    throw new LatchkeyError('client_unreachable', `${request.url.origin}: ${reason}`);
  } finally {
    cancel();
  }
}

async function answerOf({ url }: HttpRequest, response: Response): Promise<HttpAnswer> {
  return { url, status: response.status, headers: response.headers, body: await readBody(response) };
}

/** The data of each event (WHATWG HTML, section 9.2.6): what the hub sends, with one data line an event. */
async function* eventsOf(response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let unread = '';
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    unread += decoder.decode(part, { stream: true });
    const events = unread.split('\n\n');
    unread = events.pop() ?? '';
    if (unread.length > MAX_ANSWER_BYTES)
      throw new LatchkeyError('client_answer_invalid', `an event of more than ${MAX_ANSWER_BYTES} bytes`);
    for (const event of events) {
      const data = event.split('\n').find((line) => line.startsWith('data: '));
      if (data !== undefined) yield data.slice('data: '.length);
    }
  }
}

async function readBody(response: Response): Promise<Uint8Array> {
  if (response.body === null) return new Uint8Array(0);
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body as AsyncIterable<Uint8Array>) {
    length += part.length;
    if (length > MAX_ANSWER_BYTES)
      throw new LatchkeyError('client_answer_invalid', `more than ${MAX_ANSWER_BYTES} bytes`);
    parts.push(part);
  }
  return concat(...parts);
}

/** `fetch` hides the reason one or two causes deep. Only its code is taken: a message could quote a header. */
export function networkReason(error: unknown): string {
  for (let cause: unknown = error, depth = 0; depth < 4 && cause instanceof Error; cause = cause.cause, depth += 1) {
    const { code } = cause as { readonly code?: unknown };
    if (typeof code === 'string') return code;
  }
  return error instanceof Error ? error.name : 'unknown reason';
}
