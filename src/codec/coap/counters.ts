/** What an endpoint counts. Only ever grows within one endpoint. */
export interface CoapCounters {
  received: number;
  sent: number;
  /** Confirmable messages sent again for want of an acknowledgement. */
  retransmitted: number;
  /** Messages of the peer that came again: answered from the cache, without a second effect. */
  duplicates: number;
  /** Answers, acknowledgements and resets that belong to nothing: late, doubled, or of a foreign exchange. */
  unmatched: number;
  /** Message format errors. */
  malformed: number;
  /** Requests refused before they reached the handler: critical options, blocks, too many at once. */
  refused: number;
  /** Exchanges that ended without an answer of the peer. */
  unanswered: number;
}

export function newCounters(): CoapCounters {
  return {
    received: 0,
    sent: 0,
    retransmitted: 0,
    duplicates: 0,
    unmatched: 0,
    malformed: 0,
    refused: 0,
    unanswered: 0,
  };
}
