/** Coded errors as HTTP answers: RFC 9457 problem details, and the challenges of RFC 6750 and RFC 9449. */

import type { LatchkeyError } from '../../src/core/errors.ts';
import { CnonceMissing, type CreationHintsView } from '../../src/ports/northbound.ts';
import type { HttpAnswer } from './http-answer.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** Members beyond RFC 9457's own: our stable `code`, and `id`, which finds the request in the log. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly id: string;
  readonly device_code?: string;
  /** What a token for the device must hold (RFC 9200 §5.3). */
  readonly creation_hints?: CreationHintsView;
  /** The claim that the token lacks, by its registered name. */
  readonly claim?: string;
  /** What RFC 6749 §5.2 calls it, where an OAuth client library looks for that (RFC 7662 §2.3). */
  readonly error?: string;
}

/**
 * Names that `jwt_claim_missing` may say: those that RFC 9068 and RFC 9200 register. What a token lacks its sender knows, or
 * may know.
 */
const CLAIMS: ReadonlySet<string> = new Set(['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti', 'exi', 'cnonce']);

/** `detail` stays here but for the name of a claim: it may say more than the sender of a bad token should learn. */
export function problemOf(error: LatchkeyError, id: string): Problem {
  const { title, status } = error.entry;
  const problem = { type: `urn:latchkey:error:${error.code}`, title, status, code: error.code, id };
  if (error instanceof CnonceMissing && error.hints !== undefined) return { ...problem, creation_hints: error.hints };
  if (error.code === 'jwt_claim_missing' && error.detail !== undefined && CLAIMS.has(error.detail))
    return { ...problem, claim: error.detail };
  return error.code === 'device_unauthenticated' ? { ...problem, error: 'invalid_client' } : problem;
}

/** What a client may present a token with; the proof algorithms are those of the hub (RFC 9449 §7.1). */
const ALGORITHMS = 'algs="ES256 EdDSA"';

/**
 * The WWW-Authenticate header for a refused token, proof or device, or undefined where the error is about something else.
 * Error names: RFC 6750 §3.1, RFC 9449 §5, §7.1 and §9; devices: RFC 7617 §2. A client that said nothing is told no error
 * (RFC 6750 §3); one that came with a Bearer token is answered in that scheme, and told that there is the other one.
 */
export function challengeFor(error: LatchkeyError, authorization = ''): string | undefined {
  if (error.code === 'device_unauthenticated') return 'Basic realm="latchkey", charset="UTF-8"';
  if (error.code === 'token_missing') return `Bearer, DPoP ${ALGORITHMS}`;
  if (error.code === 'proof_nonce_required') return `DPoP error="use_dpop_nonce", ${ALGORITHMS}`;
  if (error.code.startsWith('proof_') && error.entry.status === 401)
    return `DPoP error="invalid_dpop_proof", ${ALGORITHMS}`;
  const name = isScope(error) ? 'insufficient_scope' : 'invalid_token';
  if (error.entry.status !== 401 && !isScope(error)) return undefined;
  return /^bearer /i.test(authorization)
    ? `Bearer error="${name}", DPoP ${ALGORITHMS}`
    : `DPoP error="${name}", ${ALGORITHMS}`;
}

function isScope({ code }: LatchkeyError): boolean {
  return code === 'scope_empty' || code === 'scope_insufficient';
}

/** Seconds until a client may try again, where the error does not say. */
const RETRY_AFTER = 5;

/** RFC 9110 §10.2.3, in whole seconds: for each error that passes by itself. */
export function retryAfterHeader({ entry, retryAfter }: LatchkeyError): Readonly<Record<string, string>> {
  const seconds = retryAfter ?? (entry.status === 503 ? RETRY_AFTER : undefined);
  return seconds === undefined ? {} : { 'retry-after': `${Math.ceil(seconds)}` };
}

/** A whole answer that is a problem. `status` only where a registry other than ours names another one. */
export function problemAnswer(
  error: LatchkeyError,
  id: string,
  more: {
    readonly headers?: Readonly<Record<string, string>>;
    readonly deviceCode?: string | undefined;
    readonly hints?: CreationHintsView | undefined;
    readonly status?: number;
  } = {},
): HttpAnswer {
  const problem = problemOf(error, id);
  const status = more.status ?? problem.status;
  return {
    status,
    headers: { ...more.headers, 'content-type': PROBLEM_TYPE },
    body: {
      ...problem,
      status,
      ...(more.deviceCode === undefined ? {} : { device_code: more.deviceCode }),
      ...(more.hints === undefined ? {} : { creation_hints: more.hints }),
    },
  };
}
