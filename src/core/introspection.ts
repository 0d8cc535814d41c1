/** What a connected device asks the hub about a token, and what it learns: shared by the wire forms and the Relay port. */
import type { ClockCertainty } from './clock.ts';
import type { ErrorCode } from './error-catalogue.ts';
import type { JsonObject } from './json.ts';
import type { Secret } from './secret.ts';

/** The proof that a client gave the device, as the device hands it on. */
export type PresentedProof =
  | {
      readonly kind: 'dpop';
      /** Value of the DPoP header that the client sent to the device (RFC 9449 §4). */
      readonly proof: Secret<string>;
      /** The request that the client made: `htm` and `htu` are held against these. */
      readonly method: string;
      readonly uri: string;
      /** The nonce that the device had given the client, where it gives nonces (RFC 9449 §9). */
      readonly nonce: string | undefined;
    }
  | {
      readonly kind: 'cose';
      /** COSE_Sign1 or COSE_Mac0 under the token's `cnf` key (docs/protocol.md, "Relayed proofs"). */
      readonly message: Uint8Array;
      /** The device's own nonce, 8 to 64 bytes. */
      readonly nonce: Uint8Array;
    }
  | {
      readonly kind: 'certificate';
      /** SHA-256 over the DER of the client's TLS certificate, as the device saw it (RFC 8705 §3.1). 32 bytes. */
      readonly thumbprint: Uint8Array;
    };

/** The question, whatever wire it came over. */
export interface IntrospectionQuestion {
  readonly token: Secret<string>;
  readonly proof: PresentedProof | undefined;
  /** Whether device and client want a fresh key between them; only with a proof. */
  readonly wantsSessionKey: boolean;
  /** How the client's copy is sealed: JWE for JOSE clients, COSE for CBOR ones. */
  readonly clientFormat: 'jose' | 'cose';
}

/** How fresh the knowledge behind an answer is. */
export interface RelayFreshness {
  /** `introspection`: the AS said so; `jwt`: verified here with its keys. */
  readonly source: 'introspection' | 'jwt';
  /** Whole seconds since the AS said so, or since it confirmed its keys. */
  readonly age: number;
  /** The AS cannot be reached and the answer is past its lifetime, inside the operator's grace. */
  readonly stale: boolean;
  readonly clock: ClockCertainty;
}

/**
 * One new key for device and client. The hub keeps neither it nor the copies; but `forDevice` opens with what is in its
 * state folder, so with a recorded answer the key is had again: there is no forward secrecy (docs/security.md, "Attackers").
 */
export interface SessionKeyCopies {
  /** Names the key in both copies. */
  readonly keyId: string;
  /** NumericDate, whole seconds: never later than the token's own end. */
  readonly expiresAt: number;
  /** COSE_Encrypt0 under the device's session key (docs/protocol.md, "Session keys"). */
  readonly forDevice: Uint8Array;
  /**
   * Compact JWE, or COSE, for the client's `cnf` key: the device hands it on. Undefined where that key is a secret which
   * client and AS share: the client derives the session key from it, as the hub does.
   */
  readonly forClient: string | Uint8Array | undefined;
}

export type RelayAnswer =
  | {
      readonly active: false;
      /** Why; for the audit, and for a device that sent a proof. */
      readonly code: ErrorCode;
      readonly freshness: RelayFreshness | undefined;
    }
  | {
      readonly active: true;
      /** Members of RFC 7662 §2.2 as the AS or the JWT has them, `cnf` with public keys only. */
      readonly members: JsonObject;
      readonly proof: PresentedProof['kind'] | 'none';
      readonly freshness: RelayFreshness;
      readonly sessionKey: SessionKeyCopies | undefined;
    };
