/** Times are milliseconds, sizes bytes. Names as in RFC 7252 §4.8 where it has one. */
export interface CoapSettings {
  /** First wait for an acknowledgement, before jitter. The peer needs time to take a frame in, verify, and answer. */
  readonly ackTimeout: number;
  /** The first wait is drawn between `ackTimeout` and this multiple of it. */
  readonly ackRandomFactor: number;
  /** Repetitions of a message after it was first sent; the wait doubles with each. */
  readonly maxRetransmit: number;
  /** A handler slower than this is covered by an empty acknowledgement, and its response goes out separately. */
  readonly separateAfter: number;
  /** A handler slower than this is given up: the peer gets 5.04. */
  readonly handlerDeadline: number;
  /** How long a message may come again and must be taken for the same one (EXCHANGE_LIFETIME). */
  readonly exchangeLifetime: number;
  /** Length of the tokens made for requests, 0 to 8. */
  readonly tokenBytes: number;
  /** Largest message that is sent, header included; what is larger goes in blocks. */
  readonly maxMessageBytes: number;
}

/**
 * RFC 7252 §4.8.2 assumes a latency of 100 s, which no serial line has. ackTimeout stays at its 2 s: a small device takes
 * about that long for an ES256 verification, and many answer only after it. With 3 repetitions a silent device is given
 * up after 30 to 45 s. exchangeLifetime covers a peer with the RFC's own times (MAX_TRANSMIT_SPAN of 45 s) plus a line's
 * latency. 4 bytes of token make a stale answer match by chance once in 4 billion. 1152 bytes is RFC 7252 §4.6.
 */
export const DEFAULT_COAP_SETTINGS: CoapSettings = {
  ackTimeout: 2_000,
  ackRandomFactor: 1.5,
  maxRetransmit: 3,
  separateAfter: 500,
  handlerDeadline: 30_000,
  exchangeLifetime: 60_000,
  tokenBytes: 4,
  maxMessageBytes: 1_152,
};
