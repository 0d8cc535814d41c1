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
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** @throws {LatchkeyError} `client_unreachable`, `client_answer_invalid` for an answer past 64 KiB */
export async function exchange(request: HttpRequest, environment: ClientEnvironment): Promise<HttpAnswer> {
  const abort = new AbortController();
  const cancel = environment.timers.after(request.deadline, () => abort.abort());
  try {
    const response = await environment.fetch(request.url, {
      method: request.method,
      headers: request.headers,
      // A redirect would carry the token to an address that nobody chose.
      redirect: 'manual',
      signal: abort.signal,
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    return { status: response.status, headers: response.headers, body: await readBody(response) };
  } catch (error) {
    if (error instanceof LatchkeyError) throw error;
    const reason = abort.signal.aborted ? `no answer in ${request.deadline} ms` : networkReason(error);
    throw new LatchkeyError('client_unreachable', `${request.url.origin}: ${reason}`);
  } finally {
    cancel();
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
