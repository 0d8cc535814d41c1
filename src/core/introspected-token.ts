import type { ErrorCode } from './error-catalogue.ts';
import type { JsonObject } from './json.ts';
import type { Secret } from './secret.ts';

/** How old the word of the AS is, as every verdict states it. */
export interface IntrospectionFreshness {
  readonly source: 'introspection';
  /** Whole seconds since the AS answered. */
  readonly age: number;
  /** The AS cannot be asked, and its answer is past its lifetime but inside the operator's grace. */
  readonly stale: boolean;
}

/** A signed answer (RFC 9701), for the audit: it proves later what the AS said. Kept no longer than its verdict. */
export interface IntrospectionEvidence {
  /** SHA-256 over the signed answer as it came. 32 bytes. */
  readonly digest: Uint8Array;
  /** The compact JWS; undefined where its `cnf` may hold a secret key, which nothing may write down. */
  readonly jws: Secret<string> | undefined;
}

/** What the AS says of a token (RFC 7662 §2.2), checked against the present. */
export type IntrospectedToken =
  | {
      readonly active: false;
      /** `token_inactive`: the AS says so; `jwt_*`: its own times say so. */
      readonly code: ErrorCode;
      readonly freshness: IntrospectionFreshness;
      readonly evidence: IntrospectionEvidence | undefined;
    }
  | (IntrospectedFacts & {
      readonly active: true;
      readonly freshness: IntrospectionFreshness;
      readonly evidence: IntrospectionEvidence | undefined;
    });

export interface IntrospectedFacts {
  /** Every member as the AS has it, but for `cnf`, which is as in `confirmation`. */
  readonly members: JsonObject;
  /** NumericDate; undefined where the AS does not tell. */
  readonly expiresAt: number | undefined;
  readonly audience: readonly string[];
  readonly scope: readonly string[];
  readonly subject: string | undefined;
  readonly clientId: string | undefined;
  /**
   * `cnf` (RFC 7800) with the members that a relay can check a proof by (`jwk`, `jkt`, `x5t#S256`, `kid`), free of
   * secrets. Empty, but not undefined, where the token is bound in other ways only: it is then no bearer token.
   */
  readonly confirmation: JsonObject | undefined;
  /** The key in `cnf.jwk` if it is symmetric (RFC 9200 §5.9.2), as a whole JWK of kty `oct`. */
  readonly confirmationKey: Secret<JsonObject> | undefined;
}
