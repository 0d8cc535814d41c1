/** Retry-After (RFC 9110 §10.2.3). */

/**
 * Seconds that a server asks to wait; undefined where it does not say, or says it in no form that the RFC has.
 * @param value the header as it came: a number of seconds or an HTTP date
 * @param now NumericDate, where it is known: without it a date says nothing
 */
export function retryAfterOf(value: string | undefined, now: number | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value);
  // IMF-fixdate, the form that RFC 9110 §5.6.7 has servers write. `Date.parse` alone would take anything.
  if (now === undefined || !/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(value))
    return undefined;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date / 1_000 - now);
}
