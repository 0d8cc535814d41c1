import type { Agent, Dispatcher } from 'undici';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { AuthorizationServer, FetchedDocument, FetchOptions } from '../../src/ports/authorization-server.ts';
import { codeOfFailure, isDeadConnection } from './failures.ts';

export interface AuthorizationServerOptions {
  /** Certificate authorities in PEM that its TLS certificate must lead to, in place of those of the system. */
  readonly ca?: string;
}

/** One issuer hardly needs two connections: keys and metadata are fetched one after the other. */
const CONNECTIONS = 2;
/** Milliseconds that an idle connection is kept; longer than most servers keep theirs gains nothing. */
const KEEP_ALIVE = 30_000;
/** Bytes of response headers: Entra's are 2 KiB. */
const MOST_HEADER_BYTES = 16_384;

/**
 * The network side of one issuer: HTTP over connections of its own, under its own TLS trust. Follows no redirect, asks
 * for no compression and stops reading at the limit, so that what an answer can cost is what the caller allowed.
 */
export function connectAuthorizationServer(options: AuthorizationServerOptions = {}): AuthorizationServer {
  return new HttpAuthorizationServer(options);
}

class HttpAuthorizationServer implements AuthorizationServer {
  readonly #options: AuthorizationServerOptions;
  #agent: Promise<Agent> | undefined;
  /** Ends every exchange under way when the issuer is closed. */
  readonly #closing = new AbortController();

  constructor(options: AuthorizationServerOptions) {
    this.#options = options;
  }

  async get(url: string, options: FetchOptions): Promise<FetchedDocument> {
    const deadline = AbortSignal.timeout(options.deadline);
    const signal = AbortSignal.any([deadline, this.#closing.signal]);
    try {
      return await this.#exchange(url, options, signal);
    } catch (error) {
      if (error instanceof LatchkeyError) throw error;
      throw new LatchkeyError(deadline.aborted ? 'as_timeout' : codeOfFailure(error), describe(url), { cause: error });
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const agent = await this.#agent;
    await agent?.destroy();
  }

  async #exchange(url: string, options: FetchOptions, signal: AbortSignal): Promise<FetchedDocument> {
    // Imported at the first use: a hub whose issuers are all in files never loads it.
    this.#agent ??= openAgent(this.#options);
    const agent = await this.#agent;
    try {
      return await readAnswer(await send(agent, url, options, signal), options.maxBytes);
    } catch (error) {
      // A kept connection that the server has closed meanwhile: a GET may be sent again (RFC 9110 §9.2.2).
      if (!isDeadConnection(error) || signal.aborted) throw error;
      return await readAnswer(await send(agent, url, options, signal), options.maxBytes);
    }
  }
}

async function openAgent({ ca }: AuthorizationServerOptions): Promise<Agent> {
  const { Agent } = await import('./agent.ts');
  return new Agent({
    connections: CONNECTIONS,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE,
    maxHeaderSize: MOST_HEADER_BYTES,
    connect: ca === undefined ? {} : { ca },
  });
}

function send(
  agent: Agent,
  url: string,
  { etag }: FetchOptions,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  const { origin, pathname, search } = new URL(url);
  return agent.request({
    origin,
    path: pathname + search,
    method: 'GET',
    signal,
    headers: { accept: 'application/json', ...(etag === undefined ? {} : { 'if-none-match': etag }) },
  });
}

async function readAnswer({ statusCode, headers, body }: Dispatcher.ResponseData, maxBytes: number) {
  const common = {
    etag: single(headers.etag),
    cacheControl: joined(headers['cache-control']),
    age: ageOf(single(headers.age)),
  };
  if (statusCode === 304) {
    await body.dump();
    return { kind: 'unchanged', ...common } as const;
  }
  if (statusCode >= 300 && statusCode < 400) {
    abandon(body);
    throw new LatchkeyError('as_redirected', `status ${statusCode}`);
  }
  const bytes = await readBody(body, single(headers['content-length']), maxBytes);
  return {
    kind: 'document',
    status: statusCode,
    contentType: single(headers['content-type']),
    body: bytes,
    ...common,
  } as const;
}

async function readBody(
  body: Dispatcher.ResponseData['body'],
  announced: string | undefined,
  maxBytes: number,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = Number(announced ?? 0);
  if (length <= maxBytes) {
    length = 0;
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      length += chunk.length;
      if (length > maxBytes) break;
      chunks.push(chunk);
    }
  }
  if (length > maxBytes) {
    abandon(body);
    throw new LatchkeyError('as_answer_too_large', `more than ${maxBytes} bytes`);
  }
  return Buffer.concat(chunks, length);
}

/** Reads no further. The body reports that as an error of its own, which would end the process if nobody listened. */
function abandon(body: Dispatcher.ResponseData['body']): void {
  body.on('error', () => undefined);
  body.destroy();
}

type HeaderValue = string | string[] | undefined;

function single(value: HeaderValue): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

function joined(value: HeaderValue): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}

/** RFC 9111 §5.1: a number of seconds; anything else counts for nothing. */
function ageOf(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,10}$/.test(value) ? Number(value) : undefined;
}

/** The address without its query, which is for the server and not for the log. */
function describe(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}
