import { LIMITS } from '../../src/core/limits.ts';

/** How a connection to a broker behaves. Milliseconds, unless said otherwise. */
export interface BrokerSettings {
  /** From the first byte to the broker's CONNACK. */
  readonly connectDeadline: number;
  /** First pause before a new attempt; it doubles up to the cap, and a half of each pause is left to chance. */
  readonly reconnectAfter: number;
  readonly reconnectCap: number;
  /** A connection that lived this long was a good one: the next pause is the first one again. */
  readonly settledAfter: number;
  /** Silence after which the broker is asked whether it is there (MQTT 5.0 §3.1.2.10). Seconds. */
  readonly keepAlive: number;
  /** How long the broker keeps requests for a hub that is away (MQTT 5.0 §3.1.2.11.2). Seconds. */
  readonly sessionExpiry: number;
  /** Requests of QoS 1 that the broker may leave with the hub unsettled (MQTT 5.0 §3.1.2.11.3). */
  readonly receiveMaximum: number;
  /** Messages of QoS 1 that may be with the broker unconfirmed, where it allows as many. */
  readonly unconfirmed: number;
  /** How long taking leave may take. */
  readonly closeDeadline: number;
}

export const DEFAULT_BROKER_SETTINGS: BrokerSettings = {
  connectDeadline: 10_000,
  reconnectAfter: 500,
  reconnectCap: 30_000,
  settledAfter: 10_000,
  keepAlive: 30,
  // What a request holds is stale by then: proofs live for a minute or two.
  sessionExpiry: 600,
  // As many as are worked on at once: with fewer, the shares of a few devices would be all there is.
  receiveMaximum: LIMITS.brokerRequests,
  unconfirmed: 1_024,
  closeDeadline: 1_000,
};
