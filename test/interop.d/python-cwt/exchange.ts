/** What the two sides hand each other, as JSON files in one folder. */
import type { JsonObject } from '../../../src/core/json.ts';

/** One message, and what the other side should make of it. Bytes are hexadecimal. */
export type InteropCase =
  | {
      readonly kind: 'cwt';
      readonly name: string;
      readonly cwt: string;
      /** What it is opened with, as JWKs; where it comes from a trust file, exactly as the file has them. */
      readonly keys: readonly JsonObject[];
      readonly expect: 'open' | 'refuse';
      /** The claims map in deterministic CBOR. */
      readonly claims: string;
      readonly wrap: string;
    }
  | {
      readonly kind: 'signed-request';
      readonly name: string;
      readonly message: string;
      readonly keys: readonly JsonObject[];
      readonly expect: 'open' | 'refuse';
      readonly payload: string;
      readonly nonce: string;
      readonly tokenHash: string;
      readonly audience: string;
      readonly method: number;
      readonly path: readonly string[];
    }
  | {
      /** COSE_Encrypt with direct ECDH: a CBOR client's copy of a session key. */
      readonly kind: 'encrypted-to';
      readonly name: string;
      readonly message: string;
      /** The recipient's private key. */
      readonly keys: readonly JsonObject[];
      readonly externalAad: string;
      readonly expect: 'open' | 'refuse';
      readonly payload: string;
    };

/** What python-cwt makes its messages with. */
export interface InteropKeys {
  /** Private keys and secrets by algorithm. */
  readonly making: Readonly<Record<string, JsonObject>>;
  /** What their messages open with. */
  readonly opening: Readonly<Record<string, JsonObject>>;
  /** Others, with the same `kid`s. */
  readonly strangers: Readonly<Record<string, JsonObject>>;
}
