/** What the hub says of a token, and how a token that its own keys verify is told. */
import { base64url } from '../core/bytes.ts';
import { bestGuess, type TimeBounds } from '../core/clock.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import type { IntrospectionEvidence } from '../core/introspected-token.ts';
import type { RelayFreshness } from '../core/introspection.ts';
import type { JsonObject } from '../core/json.ts';
import type { VerifiedToken } from '../core/verified-token.ts';

/** A token that is good for the device, whoever presents it. */
export interface GoodToken {
  readonly issuer: string;
  readonly subject: string | undefined;
  /** NumericDate; undefined where the AS does not tell. */
  readonly expiresAt: number | undefined;
  /** All that it is for, by its own word and by that of the AS, each once. The device is one of them. */
  readonly audience: readonly string[];
  readonly members: JsonObject;
  /** Its `cnf`, a symmetric key included. */
  readonly confirmation: JsonObject | undefined;
  /** The confirmation came from the AS itself, so a symmetric key in it is a secret. */
  readonly confidential: boolean;
  /** The same token as its own signature has it; undefined where only the AS says that it is good. */
  readonly verified: VerifiedToken | undefined;
}

export type TokenVerdict =
  | {
      readonly active: false;
      /** For the audit. */
      readonly code: ErrorCode;
      /** For the log alone. */
      readonly detail?: string | undefined;
      /**
       * The device learns no more than that the token is not active, and cannot tell a token of another device from one
       * that nobody knows: neither by the code nor by how fresh the answer is.
       */
      readonly concealed: boolean;
      readonly issuer: string | undefined;
      readonly freshness: RelayFreshness | undefined;
      readonly evidence: IntrospectionEvidence | undefined;
    }
  | {
      readonly active: true;
      readonly token: GoodToken;
      readonly freshness: RelayFreshness;
      readonly evidence: IntrospectionEvidence | undefined;
    };

/** Of an opaque token that begins like those of no issuer of the device: none is asked. */
export const NOT_OF_ANY: TokenVerdict = {
  active: false,
  code: 'token_inactive',
  concealed: true,
  issuer: undefined,
  freshness: undefined,
  evidence: undefined,
};

/** Whoever holds a JWT can read it. */
export function refused(code: ErrorCode, detail: string | undefined): TokenVerdict {
  return {
    active: false,
    code,
    detail,
    concealed: false,
    issuer: undefined,
    freshness: undefined,
    evidence: undefined,
  };
}

/**
 * A device counts `exi` from when it has the answer (RFC 9200 §5.10.3): what is left until `exp` is all that it may count, or
 * where there is no `exp`, what is left since the AS answered.
 */
export function endingInTime(token: GoodToken, { age, source }: RelayFreshness, time: TimeBounds): GoodToken {
  const { expiresAt, members } = token;
  const { exi } = members;
  if (typeof exi !== 'number') return token;
  const sinceAnswer = source === 'introspection' ? exi - age : exi;
  const left = expiresAt === undefined ? sinceAnswer : Math.min(exi, Math.floor(expiresAt - bestGuess(time)));
  return { ...token, members: { ...members, exi: Math.max(0, left) } };
}

export function byKeys(verified: VerifiedToken): TokenVerdict {
  const { audience, confirmation, expiresAt, issuer, subject } = verified;
  const { keysAge, clock } = verified.freshness;
  return {
    active: true,
    freshness: { source: 'jwt', age: Math.ceil(keysAge), stale: false, clock },
    evidence: undefined,
    token: {
      issuer,
      subject,
      expiresAt,
      audience: [...new Set(audience)],
      members: membersOf(verified),
      confirmation,
      confidential: false,
      verified,
    },
  };
}

/** What RFC 7662 §2.2 has names for, from what the verified JWT says. */
export function membersOf(verified: VerifiedToken): JsonObject {
  const { audience, clientId, cnonce, confirmation, expiresAt, expiresIn, issuedAt } = verified;
  const { issuer, jwtId, notBefore, scope, subject } = verified;
  const members = {
    iss: issuer,
    sub: subject,
    aud: audience.length === 1 ? audience[0] : audience,
    client_id: clientId,
    exp: expiresAt,
    nbf: notBefore,
    iat: issuedAt,
    jti: jwtId,
    scope: scope.length === 0 ? undefined : scope.join(' '),
    cnf: confirmation,
    cnonce: cnonce === undefined ? undefined : base64url(cnonce),
    exi: expiresIn,
  };
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as JsonObject;
}
