import type { ClockCertainty } from './clock.ts';
import type { JsonObject } from './json.ts';

declare const verified: unique symbol;

/** How fresh the hub's knowledge was when it decided. Stated in every verdict. */
export interface Freshness {
  /** Seconds since the issuer's keys were last confirmed by the issuer; 0 for keys from a static file. */
  readonly keysAge: number;
  readonly clock: ClockCertainty;
}

/** An encrypted token as it was presented. */
interface Envelope {
  /** SHA-256 over the compact JWE. 32 bytes. */
  readonly digest: Uint8Array;
  readonly bytes: number;
}

/**
 * What becomes of a token that its issuer bound to no key: it stays a bearer token, or the hub binds it to the key of the client that
 * presents it first.
 */
export const BIND_MODES = ['token', 'first-presenter'] as const;
export type BindMode = (typeof BIND_MODES)[number];

/** What a JWT access token says, once verified. Times are NumericDate seconds, fractions kept as the issuer wrote them. */
export interface TokenFacts {
  readonly issuer: string;
  readonly subject: string | undefined;
  /** With the audience of the device in place of one that stands for many devices. */
  readonly audience: readonly string[];
  /** As its issuer wrote it. */
  readonly statedAudience: readonly string[];
  /** Of a token without `exp`, where that is taken: `iat` and `exi` together. */
  readonly expiresAt: number;
  readonly notBefore: number | undefined;
  readonly issuedAt: number | undefined;
  readonly jwtId: string | undefined;
  readonly clientId: string | undefined;
  /** Scope tokens of RFC 6749 §3.3, in the issuer's order. */
  readonly scope: readonly string[];
  /** As its issuer wrote it: where the token names one of many devices, `scope` is what is for that device. */
  readonly statedScope: readonly string[];
  /** The `cnf` claim as it stood (RFC 7800), or undefined. */
  readonly confirmation: JsonObject | undefined;
  /** Seconds that it lives from when a device first receives it (`exi`, RFC 9200 §5.10.3). */
  readonly expiresIn: number | undefined;
  /** The nonce of the device that it was asked for with (`cnonce`, RFC 9200 §5.3.1). */
  readonly cnonce: Uint8Array | undefined;
  /**
   * SHA-256 over the compact signed JWT. 32 bytes. Caches and logs name a token by this, never by value. Of an encrypted
   * token this is the JWT inside: any party that has it can encrypt it anew, and only the issuer can sign it.
   */
  readonly digest: Uint8Array;
  /**
   * SHA-256 over what the issuer signed: header and payload as they are spelled. 32 bytes. One token has one, however its signature
   * is written: the holder of an ES256 signature can make a second good one out of it, and so another `digest`.
   */
  readonly identity: Uint8Array;
  /** What the policy of the issuer makes of a token without `cnf`. */
  readonly bind: BindMode;
  /** Seconds by which the clock of the issuer, and so `iat`, may run ahead. */
  readonly leeway: number;
  /** Length of the compact JWT. */
  readonly bytes: number;
  /** The JWE that it came in, as presented; undefined for a token that is not encrypted. */
  readonly envelope?: Envelope | undefined;
  readonly freshness: Freshness;
}

/**
 * A token whose signature, issuer, audience and times were verified. Only `trust/verify-jwt.ts` makes one, so an
 * unverified claim cannot reach the translator: it does not compile.
 */
export type VerifiedToken = TokenFacts & { readonly [verified]: true };

/** SHA-256 over what the client presented: `ath` of a DPoP proof is this. */
export function presentedDigest({ digest, envelope }: TokenFacts): Uint8Array {
  return envelope?.digest ?? digest;
}
