/** What the holder of a token may learn of why it is refused. */
import type { ErrorCode } from './error-catalogue.ts';
import { isCoded, LatchkeyError } from './errors.ts';

/**
 * Codes whose detail has nothing but what the token or its proof says, what the device that was asked for is registered with, and
 * what the settings of the issuer demand.
 */
export const TOLD_TO_HOLDER: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'jwt_type_refused',
  'jwt_header_refused',
  'jwt_claim_required',
  'jwt_claim_missing',
  'jwt_claim_invalid',
  'jwt_audience_mismatch',
  'jwt_expired',
  'jwt_not_yet_valid',
  'jwt_issued_in_future',
  'device_unnamed',
  'device_ambiguous',
  'audience_ambiguous',
  'claim_not_translatable',
  'lifetime_empty',
  'scope_empty',
  'confirmation_missing',
  'confirmation_invalid',
  'confirmation_unsupported',
  'token_too_large_for_device',
  'proof_missing',
  'proof_malformed',
  'proof_algorithm_refused',
  'proof_key_mismatch',
  'proof_method_mismatch',
  'proof_uri_mismatch',
  'proof_token_mismatch',
  'proof_stale',
]);

/**
 * For errors about a token whose signature was verified with a key of a trusted issuer: its holder may read the detail. Before that the
 * peer is a stranger, who could find out with invented tokens what devices and issuers there are.
 */
export function toldToHolder(error: unknown): unknown {
  if (!isCoded(error) || !TOLD_TO_HOLDER.has(error.code)) return error;
  return copyOf(error, true);
}

/** For a token that its holder cannot read, such as an encrypted one: what it says is not repeated to them. */
export function withheld(error: unknown): unknown {
  return isCoded(error) && error.peerDetail !== undefined ? copyOf(error, false) : error;
}

/** A copy, since several requests may wait for one error. */
function copyOf(error: LatchkeyError, isForPeer: boolean): LatchkeyError {
  const { cause, code, detail, retryAfter, stack } = error;
  const copy = new LatchkeyError(code, detail, {
    isForPeer,
    ...(cause === undefined ? {} : { cause }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });
  if (stack !== undefined) copy.stack = stack;
  return copy;
}
