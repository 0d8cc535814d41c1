/** What the hub offers to clients, whatever the front (HTTP now; MQTT and CoAP ask the same). Implemented by flows/. */
import type { CoapResponse } from '../core/coap-exchange.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { Secret } from '../core/secret.ts';
import type { Freshness } from '../core/verified-token.ts';
import type { Log, LogFields } from './log.ts';

/** One request's way through the hub: its id is in every log line, in the answer and in the delivery record. */
export interface RequestContext {
  readonly id: string;
  readonly log: Log;
  /** The network that the request came from, where it came over one. */
  readonly peer?: string | undefined;
  /** Takes what the line about the answer is to have besides: what the request turned out to be about. */
  readonly about?: (fields: LogFields) => void;
}

export interface PresentedToken {
  /** Authentication scheme of the Authorization header (RFC 6750 §2.1, RFC 9449 §7.1). */
  readonly scheme: 'Bearer' | 'DPoP';
  readonly token: Secret<string>;
  /** Value of the DPoP header, or undefined where there was none. */
  readonly proof: Secret<string> | undefined;
  readonly method: string;
  /** Addresses of the request as the hub knows them: what `htu` may be. */
  readonly uris: readonly string[];
}

/** AS Request Creation Hints in their JSON form (RFC 9200 §5.3), as the device gave them: nobody vouches for them. */
export interface CreationHintsView {
  readonly AS?: string;
  readonly audience?: string;
  /** base64url. */
  readonly cnonce?: string;
}

/** The token needs a nonce of the device; `hints` has one where the device was there to ask. */
export class CnonceMissing extends LatchkeyError {
  readonly hints: CreationHintsView | undefined;

  constructor(hints: CreationHintsView | undefined) {
    super('cnonce_missing');
    this.hints = hints;
  }
}

type DeliveryState = 'queued' | 'delivered' | 'refused' | 'expired' | 'cancelled';

/** A delivery as clients and operators see it. Holds no token. */
export interface DeliveryView {
  readonly delivery: string;
  readonly state: DeliveryState;
  readonly device: string;
  readonly audience: string;
  /** First 8 bytes of SHA-256 over the CWT, base64url: names the token in challenges and signed requests. */
  readonly token_hash: string;
  /** Hexadecimal. */
  readonly cti: string;
  /** NumericDate, whole seconds. */
  readonly expires_at: number;
  readonly scope: string;
  /** CoAP code of the device's answer, such as "2.01". */
  readonly device_code?: string;
  /** Why it ended without success, or `device_full` where it waits for room on the device: a code of the catalogue. */
  readonly code?: string;
  /** True where the device's receipt was checked with its own key. */
  readonly receipt?: boolean;
  /** Of a device without a clock that refused the token: its nonce was missing or too old. */
  readonly creation_hints?: CreationHintsView | undefined;
  readonly bytes: { readonly jwt: number; readonly cwt: number };
  readonly freshness: { readonly keys_age: Freshness['keysAge']; readonly clock: Freshness['clock'] };
}

/** How it stands with the deliveries of one device. */
export interface DeliverySummary {
  readonly device: string;
  /** Tokens that wait for it. */
  readonly waiting: number;
  /** The one that changed last; undefined where the device is not registered any more. */
  readonly delivery?: DeliveryView;
}

export interface DeliveryFeed {
  /** Of each device that has deliveries. */
  now(): readonly DeliverySummary[];
  /** Calls back with each change, once it is on the medium. The answer ends it. */
  watch(listener: (summary: DeliverySummary) => void): () => void;
}

export interface ProxyRequest {
  readonly device: string;
  readonly method: number;
  readonly path: readonly string[];
  readonly query: readonly string[];
  readonly contentFormat: number | undefined;
  readonly payload: Uint8Array;
}

/** `verified`: the answer carried the device's MAC and this is what was inside. */
export interface ProxyResponse extends CoapResponse {
  readonly verified: boolean;
  /** What a device without a clock said beside its refusal. */
  readonly hints?: CreationHintsView | undefined;
}

export interface Northbound {
  /**
   * Judges a token and its proof, translates it and queues it durably. Resolves when the delivery has ended, well or
   * not, or after the configured wait with the state still `queued`.
   * @throws {LatchkeyError} any refusal by the hub
   */
  deliver(device: string, presented: PresentedToken, context: RequestContext): Promise<DeliveryView>;
  /** @throws {LatchkeyError} `delivery_unknown` */
  delivery(id: string): DeliveryView;
  /** Calls back with each change of a delivery, the last time when it has ended. The answer ends it. */
  watchDelivery(id: string, listener: (view: DeliveryView) => void): () => void;
  /** Forwards one CoAP request of a client whose token was delivered. */
  proxy(request: ProxyRequest, context: RequestContext): Promise<ProxyResponse>;
  /** A fresh nonce for DPoP proofs (RFC 9449 §9). */
  dpopNonce(): string;
  /**
   * JWK Set of the key that an issuer encrypts `cnf.jwe` to.
   * @param issuer may be left out where one issuer is configured
   * @throws {LatchkeyError} `jwks_issuer_unknown`
   */
  publicKeys(issuer: string | undefined): JsonObject;
}
