import type { EventSource } from './event-streams.ts';

/** What a route answers with. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes as they are, or anything else as JSON. */
  readonly body?: unknown;
  /** In place of a body: events, for as long as there are any. */
  readonly events?: EventSource;
  /** What the events tell of, such as one delivery: each such thing has a share of the streams. */
  readonly about?: string;
  /** In place of a body: text of any length, made as it is read. Where it fails the connection is cut. */
  readonly text?: AsyncIterable<string>;
}
