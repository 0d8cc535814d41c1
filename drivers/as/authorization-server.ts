import { LatchkeyError } from '../../src/core/errors.ts';
import type { Secret } from '../../src/core/secret.ts';
import type {
  AuthorizationServer,
  FetchedDocument,
  FetchOptions,
  PostedAnswer,
  PostOptions,
} from '../../src/ports/authorization-server.ts';
import { type ExchangeAnswer, type ExchangeRequest, exchange, Pool } from './exchange.ts';
import { isDeadConnection } from './failures.ts';

export interface AuthorizationServerOptions {
  /** Certificate authorities in PEM that its TLS certificate must lead to, in place of those of the system. */
  readonly ca?: string;
  /** What the hub shows of itself in the TLS handshake (RFC 8705 §2): certificate chain and its key, PEM. */
  readonly clientCertificate?: { readonly certificate: string; readonly key: Secret<string> };
  /**
   * Connections at most. Two by default, since keys and metadata are fetched one after the other; introspection is worth
   * `INTROSPECTION_CONNECTIONS`.
   */
  readonly connections?: number;
  /** Is told the time that the server gives with each answer, NumericDate; cached answers count as moved on by their age. */
  readonly heard?: (date: number) => void;
}

/** Connections for introspection: a server 50 ms away then answers 640 questions a second. */
export const INTROSPECTION_CONNECTIONS = 32;

const CONNECTIONS = 2;
/** Milliseconds that an idle connection is kept; longer than most servers keep theirs gains nothing. */
const KEEP_ALIVE = 30_000;
/** Bytes of response headers: Entra's are 2 KiB. */
const MOST_HEADER_BYTES = 16_384;

/**
 * The network side of one issuer: HTTP over connections of its own, under its own TLS trust. Follows no redirect, asks
 * for no compression and stops reading at the limit, so that what an answer can cost is what the caller allowed.
 * @throws {LatchkeyError} `config_invalid`: certificate and key do not make a pair
 */
export function connectAuthorizationServer(options: AuthorizationServerOptions = {}): AuthorizationServer {
  if (options.clientCertificate !== undefined) demandPair(options.clientCertificate);
  return new HttpAuthorizationServer(options);
}

/** Otherwise it would show with the first connection only, as a server that cannot be reached. */
function demandPair({ certificate, key }: NonNullable<AuthorizationServerOptions['clientCertificate']>): void {
  try {
    // Not loaded before it is needed, as in config/setting-files.ts.
    process.getBuiltinModule('node:tls').createSecureContext({ cert: certificate, key: key.expose() });
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? `${error.code}` : 'unreadable';
    throw new LatchkeyError('config_invalid', `the client certificate does not go with its key (${reason})`);
  }
}

class HttpAuthorizationServer implements AuthorizationServer {
  readonly #options: AuthorizationServerOptions;
  #pool: Promise<Pool> | undefined;
  #isClosed = false;
  /** The last `Date` header. */
  #date: string | undefined;

  constructor(options: AuthorizationServerOptions) {
    this.#options = options;
  }

  async get(url: string, { etag, deadline, maxBytes }: FetchOptions): Promise<FetchedDocument> {
    const headers = { accept: 'application/json', ...(etag === undefined ? {} : { 'if-none-match': etag }) };
    const request = { url, method: 'GET', headers, maxBytes, crowdedOut: 'as_timeout' } as const;
    const start = performance.now();
    try {
      return documentOf(await this.#exchange({ ...request, deadline }));
    } catch (error) {
      // A kept connection that the server has closed meanwhile: a GET may be sent again (RFC 9110 §9.2.2).
      const rest = Math.floor(deadline - (performance.now() - start));
      if (!isDeadConnection(error) || this.#isClosed || rest <= 0) throw error;
      return documentOf(await this.#exchange({ ...request, deadline: rest }));
    }
  }

  async post(url: string, { headers, body, deadline, maxBytes }: PostOptions): Promise<PostedAnswer> {
    const crowdedOut = 'introspection_overloaded';
    const answer = await this.#exchange({ url, method: 'POST', headers, body, deadline, maxBytes, crowdedOut });
    return {
      status: answer.status,
      body: answer.body,
      contentType: single(answer.headers['content-type']),
      retryAfter: single(answer.headers['retry-after']),
      ...cachingOf(answer),
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const pool = await this.#pool;
    await pool?.agent.destroy();
  }

  async #exchange(request: ExchangeRequest): Promise<ExchangeAnswer> {
    if (this.#isClosed) throw new LatchkeyError('as_unreachable', 'the hub is stopping');
    // Imported at the first use: a hub whose issuers are all in files never loads it.
    this.#pool ??= openPool(this.#options);
    const answer = await exchange(await this.#pool, request);
    this.#tellDate(answer);
    return answer;
  }

  #tellDate({ headers }: ExchangeAnswer): void {
    const { heard } = this.#options;
    const written = single(headers.date);
    // Many answers of one second have one date.
    if (heard === undefined || written === undefined || written === this.#date) return;
    this.#date = written;
    const date = Date.parse(written) / 1_000;
    if (!Number.isNaN(date)) heard(date + (ageOf(single(headers.age)) ?? 0));
  }
}

async function openPool({ ca, clientCertificate, connections }: AuthorizationServerOptions): Promise<Pool> {
  const { Agent } = await import('./agent.ts');
  const agent = new Agent({
    connections: connections ?? CONNECTIONS,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE,
    maxHeaderSize: MOST_HEADER_BYTES,
    connect: {
      ...(ca === undefined ? {} : { ca }),
      ...(clientCertificate === undefined
        ? {}
        : { cert: clientCertificate.certificate, key: clientCertificate.key.expose() }),
    },
  });
  return new Pool(agent);
}

function documentOf(answer: ExchangeAnswer): FetchedDocument {
  const { status, headers, body } = answer;
  const common = { etag: single(headers.etag), ...cachingOf(answer) };
  if (status === 304) return { kind: 'unchanged', ...common };
  return { kind: 'document', status, contentType: single(headers['content-type']), body, ...common };
}

function cachingOf({ headers }: ExchangeAnswer) {
  return { cacheControl: joined(headers['cache-control']), age: ageOf(single(headers.age)) };
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
