import { type TimeBounds, unsureCode } from './clock.ts';
import { LatchkeyError } from './errors.ts';
import { shownDate } from './shown.ts';

/** What to do with a token that may be expired, since the time is not known: deny, unless the operator chose otherwise. */
export type WhenUnsure = 'deny' | 'allow';

/** NumericDate seconds. A JWT always ends; what an AS says in an introspection answer may leave it out (RFC 7662 §2.2). */
export interface TokenTimes {
  readonly expiresAt: number | undefined;
  readonly notBefore: number | undefined;
  readonly issuedAt: number | undefined;
}

/** Longest life, in seconds, of a token whose date of issue is taken for a witness of the time. */
const WITNESS_LIFE = 86_400;

export interface TimeRules {
  readonly time: TimeBounds;
  readonly whenUnsure: WhenUnsure;
  /** Seconds by which the issuer's clock may run ahead. Never lengthens a token's life. */
  readonly leeway: number;
}

/**
 * Checks exp, nbf and iat (RFC 7519 §4.1.4 to §4.1.6) against what is known of the present. A token expired at the
 * floor is denied whatever the policy. While `latest` is unknown every other token with an end may be past it: that is
 * for `whenUnsure` to decide.
 * @throws {LatchkeyError} `jwt_expired`, `clock_unsure`, `clock_behind_floor`, `jwt_not_yet_valid`, `jwt_issued_in_future`
 */
export function judgeTimes(
  { expiresAt, notBefore, issuedAt }: TokenTimes,
  { time, whenUnsure, leeway }: TimeRules,
): void {
  if (expiresAt !== undefined && expiresAt <= time.earliest)
    throw new LatchkeyError('jwt_expired', ended(expiresAt, time));
  if (time.latest === undefined) {
    if (expiresAt !== undefined && whenUnsure === 'deny') throw new LatchkeyError(unsureCode(time));
    return;
  }
  // A life that may have ended, or may not have begun, within the bounds counts against the token.
  if (expiresAt !== undefined && expiresAt <= time.latest)
    throw new LatchkeyError('jwt_expired', ended(expiresAt, time));
  const horizon = time.earliest + leeway;
  const ahead = (name: string, date: number) =>
    `${name} is ${shownDate(date)}, ${presentOf(time)}, and ${leeway} s are allowed`;
  if (notBefore !== undefined && notBefore > horizon)
    throw new LatchkeyError('jwt_not_yet_valid', ahead('nbf', notBefore));
  if (issuedAt !== undefined && issuedAt > horizon)
    throw new LatchkeyError('jwt_issued_in_future', ahead('iat', issuedAt));
}

function ended(expiresAt: number, time: TimeBounds): string {
  return `exp is ${shownDate(expiresAt)}, ${presentOf(time)}`;
}

/** The present, as far as it is known. */
function presentOf({ earliest, latest }: TimeBounds): string {
  return latest === undefined ? `now is after ${shownDate(earliest)}` : `now is ${shownDate(latest)}`;
}

/**
 * The moment of which a token is a witness: that it was issued then, so then is past. Undefined where its dates do not
 * fit together, or where it lives for more than a day: such tokens are also made for later, with dates to match, while
 * what lives for a day was made for the moment in which it was asked for.
 */
export function witnessedMoment({
  expiresAt,
  issuedAt,
}: Pick<TokenTimes, 'expiresAt' | 'issuedAt'>): number | undefined {
  if (issuedAt === undefined || expiresAt === undefined || issuedAt >= expiresAt || expiresAt - issuedAt > WITNESS_LIFE)
    return undefined;
  return issuedAt;
}
