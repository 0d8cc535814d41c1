/** What a route answers with. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes as they are, or anything else as JSON. */
  readonly body?: unknown;
}
