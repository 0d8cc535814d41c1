/** What an issuer answered: a document, or "unchanged" to a conditional request. Judging it is the caller's work. */
export type FetchedDocument =
  | {
      readonly kind: 'document';
      readonly status: number;
      readonly contentType: string | undefined;
      readonly body: Uint8Array;
      readonly etag: string | undefined;
      /** Raw Cache-Control header, if any. */
      readonly cacheControl: string | undefined;
      /** Raw Age header in seconds, if any (RFC 9111 §5.1). */
      readonly age: number | undefined;
    }
  | {
      readonly kind: 'unchanged';
      readonly cacheControl: string | undefined;
      readonly age: number | undefined;
      readonly etag: string | undefined;
    };

export interface FetchOptions {
  readonly etag?: string;
  /** Milliseconds for the whole exchange. */
  readonly deadline: number;
  /** Bytes after which the answer is given up. */
  readonly maxBytes: number;
}

/** What an issuer answered to a POST. Judging it is the caller's work. */
export interface PostedAnswer {
  readonly status: number;
  readonly contentType: string | undefined;
  readonly body: Uint8Array;
  /** Raw Cache-Control header, if any. */
  readonly cacheControl: string | undefined;
  /** Raw Age header in seconds, if any (RFC 9111 §5.1). */
  readonly age: number | undefined;
  /** Raw Retry-After header, if any. */
  readonly retryAfter?: string | undefined;
}

export interface PostOptions {
  /** Names in lower case. May hold credentials: they are sent, and nothing else is done with them. */
  readonly headers: Readonly<Record<string, string>>;
  /** May hold a token, likewise. */
  readonly body: string;
  /** Milliseconds for the whole exchange. */
  readonly deadline: number;
  /** Bytes after which the answer is given up. */
  readonly maxBytes: number;
}

/** The network side of one issuer: its own TLS trust, no redirects followed. */
export interface AuthorizationServer {
  /**
   * GET a document of the issuer.
   * @throws {LatchkeyError} `as_unreachable`, `as_tls_untrusted`, `as_timeout`, `as_redirected`, `as_answer_too_large`
   */
  get(url: string, options: FetchOptions): Promise<FetchedDocument>;
  /**
   * POST to the issuer, once: whether it may be sent again is for the caller to know.
   * @throws {LatchkeyError} as `get`; `introspection_overloaded` where others took up all connections until the deadline,
   *   so that it was never sent: that says nothing of the issuer
   */
  post(url: string, options: PostOptions): Promise<PostedAnswer>;
  close(): Promise<void>;
}
