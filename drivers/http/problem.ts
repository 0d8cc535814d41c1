/** Coded errors as HTTP answers: RFC 9457 problem details, and the challenges of RFC 6750 and RFC 9449. */

import type { ErrorCode } from '../../src/core/error-catalogue.ts';
import type { LatchkeyError } from '../../src/core/errors.ts';
import { CnonceMissing, type CreationHintsView } from '../../src/ports/northbound.ts';
import type { HttpAnswer } from './http-answer.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** Members beyond RFC 9457's own: our stable `code`, `fix`, and `id`, which finds the request in the log. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** What the token or the proof says, and what is expected: for the holder of a token that its issuer signed. */
  readonly detail?: string;
  /** What to do. */
  readonly fix?: string;
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

/** What a problem says of the request that it answers. */
export interface ProblemContext {
  /** Of the request. */
  readonly id: string;
  /**
   * Below what address each code has a page, which says more: `https://hub.example/errors`, or a path from the root, which RFC 9457
   * §3.1.1 prefers to other relative references. Undefined where nothing has these pages, as on a device: there the problem is short.
   */
  readonly errorPages?: string | undefined;
}

/**
 * The problem as a peer sees it. The detail of an error is left out unless the error allows it: it may say more than the sender of a
 * bad token should learn. Title and fix are the same for every request that is refused with the code.
 */
export function problemOf(error: LatchkeyError, { errorPages, id }: ProblemContext): Problem {
  const { code, detail, peerDetail } = error;
  const { fix, status, title } = error.entry;
  const problem: Problem = {
    type: typeOf(code, errorPages),
    title,
    status,
    ...(errorPages === undefined ? {} : { ...(peerDetail === undefined ? {} : { detail: peerDetail }), fix }),
    code,
    id,
  };
  if (error instanceof CnonceMissing && error.hints !== undefined) return { ...problem, creation_hints: error.hints };
  if (code === 'jwt_claim_missing' && detail !== undefined && CLAIMS.has(detail)) return { ...problem, claim: detail };
  return code === 'device_unauthenticated' ? { ...problem, error: 'invalid_client' } : problem;
}

/** Resolves where there are pages. A URN does not, and names the problem all the same. */
function typeOf(code: ErrorCode, errorPages: string | undefined): string {
  return errorPages === undefined ? `urn:latchkey:error:${code}` : `${errorPages}/${code}`;
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
  context: ProblemContext,
  more: {
    readonly headers?: Readonly<Record<string, string>>;
    readonly deviceCode?: string | undefined;
    readonly hints?: CreationHintsView | undefined;
    readonly status?: number;
  } = {},
): HttpAnswer {
  const problem = problemOf(error, context);
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
