/** Signed introspection answers (RFC 9701 §5). Pure: keys and time are handed in. */
import { type CompactJws, parseCompact } from '../../codec/jws.ts';
import type { SignatureVerifier } from '../../codec/jws-signature.ts';
import { parseStrictJsonObject } from '../../codec/strict-json.ts';
import type { TimeBounds } from '../../core/clock.ts';
import { coded, LatchkeyError } from '../../core/errors.ts';
import { isJsonObject, type JsonObject } from '../../core/json.ts';
import { type JwtAlgorithm, jwtAlgorithm } from '../../core/jwt-algorithms.ts';
import { LIMITS } from '../../core/limits.ts';

/** A signed answer taken apart; nothing in it is believed yet. */
export interface UnverifiedAnswer {
  readonly jws: CompactJws;
  readonly algorithm: JwtAlgorithm;
  readonly keyId: string | undefined;
}

export interface SignedAnswerRules {
  /** Keys of the issuer for the `kid` and algorithm of the answer. */
  readonly verifiers: readonly SignatureVerifier[];
  readonly issuer: string;
  /** The hub's client id: whom the answer is for. */
  readonly clientId: string;
  readonly time: TimeBounds;
  /** Seconds by which the answer's `iat` may differ from the present. */
  readonly leeway: number;
  /** Told of `iat` under a good signature: it raises the time floor. */
  readonly witness?: ((issuedAt: number) => void) | undefined;
}

/** @throws {LatchkeyError} `introspection_answer_untrusted`: no JWT of type token-introspection+jwt that we could verify */
export function takeAnswerApart(text: string): UnverifiedAnswer {
  const jws = parse(text);
  const algorithm = jwtAlgorithm(jws.header.algorithm);
  if (algorithm === undefined) throw untrusted('its algorithm is not allowed');
  // RFC 8725 §3.11: the type keeps an access token or ID token of the same AS from passing for an answer.
  const type = jws.header.type?.toLowerCase().replace(/^application\//, '');
  if (type !== 'token-introspection+jwt') throw untrusted('typ is not token-introspection+jwt');
  return { jws, algorithm, keyId: jws.header.keyId };
}

/**
 * Verifies a signed answer and gives the members of RFC 7662 §2.2 that it vouches for.
 * @throws {LatchkeyError} `introspection_answer_untrusted`; `introspection_answer_invalid` for what the issuer signed and
 *   nobody can read
 */
export function judgeSignedAnswer({ jws }: UnverifiedAnswer, rules: SignedAnswerRules): JsonObject {
  if (!rules.verifiers.some((verifier) => verifier.verify(jws.signingInput, jws.signature))) {
    throw untrusted('the signature does not verify');
  }
  const { iss, aud, iat, token_introspection: members } = claimsOf(jws);
  if (iss !== rules.issuer) throw untrusted('iss is another issuer');
  if (aud !== rules.clientId && !(Array.isArray(aud) && aud.includes(rules.clientId))) {
    throw untrusted('aud is another client');
  }
  if (typeof iat !== 'number') throw untrusted('no iat');
  rules.witness?.(iat);
  judgeAge(iat, rules);
  if (!isJsonObject(members)) throw untrusted('no token_introspection');
  return members;
}

/** It is an answer to a question asked a moment ago: one that was recorded earlier is not. */
function judgeAge(issuedAt: number, { time, leeway }: SignedAnswerRules): void {
  if (issuedAt < time.earliest - leeway) throw untrusted('iat is too old');
  if (time.latest !== undefined && issuedAt > time.latest + leeway) throw untrusted('iat is in the future');
}

function parse(text: string): CompactJws {
  try {
    return parseCompact(text, { maxBytes: LIMITS.introspectionAnswerBytes });
  } catch (error) {
    // Codes `jwt_*` speak of access tokens.
    throw new LatchkeyError('introspection_answer_untrusted', coded(error).detail ?? coded(error).code, {
      cause: error,
    });
  }
}

function claimsOf(jws: CompactJws): JsonObject {
  return parseStrictJsonObject(jws.payload, { code: 'introspection_answer_invalid' });
}

function untrusted(reason: string): LatchkeyError {
  return new LatchkeyError('introspection_answer_untrusted', reason);
}
