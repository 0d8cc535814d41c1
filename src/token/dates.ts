/** Dates of a JWT as whole seconds. CWT allows fractions (RFC 8392 §3), small devices compare integers. */
import { LatchkeyError } from '../core/errors.ts';
import type { TokenFacts } from '../core/verified-token.ts';

/** NumericDate, whole seconds. */
export interface WholeDates {
  readonly expiresAt: number;
  readonly notBefore: number | undefined;
  readonly issuedAt: number | undefined;
}

/**
 * Rounds every date so that the token is good for less time than its issuer meant, never for more: `exp` down, `nbf` and
 * `iat` up. `iat` goes up because devices read it as "the time is at least this": a device whose clock it raises ends
 * tokens up to a second early, where rounding down would end them late.
 * @throws {LatchkeyError} `lifetime_empty` if nothing is left; `claim_not_translatable` for a date that no integer of
 * CBOR in our limits can hold
 */
export function wholeDates(token: Pick<TokenFacts, 'expiresAt' | 'notBefore' | 'issuedAt'>): WholeDates {
  const expiresAt = inRange('exp', Math.floor(token.expiresAt));
  const notBefore = token.notBefore === undefined ? undefined : inRange('nbf', Math.ceil(token.notBefore));
  const issuedAt = token.issuedAt === undefined ? undefined : inRange('iat', Math.ceil(token.issuedAt));
  if ((notBefore !== undefined && expiresAt <= notBefore) || (issuedAt !== undefined && expiresAt <= issuedAt)) {
    throw new LatchkeyError('lifetime_empty');
  }
  return { expiresAt, notBefore, issuedAt };
}

/** A date before 1970 has no meaning here, and `Math.ceil(-0.5)` would be a negative zero. */
function inRange(claim: string, seconds: number): number {
  if (!Number.isSafeInteger(seconds) || seconds < 0 || Object.is(seconds, -0)) {
    throw new LatchkeyError('claim_not_translatable', `${claim} is not a date after 1970`);
  }
  return seconds;
}
