/** When to ask an issuer again. Pure: headers, counts and a fraction for jitter in, seconds out. */
import { readCacheControl } from '../codec/cache-control.ts';

/** For issuers that say nothing about caching: often enough to follow a rotation within the hour. */
const UNSTATED_LIFETIME = 3_600;
/** Part of the lifetime after which the keys are fetched anew, so that an outage finds them fresh. */
const AHEAD = 0.75;
/** Hubs that were switched on together must not ask together: up to this part earlier. */
const JITTER = 0.1;
const FIRST_RETRY = 15;
const LAST_RETRY = 3_600;

export interface LifetimeBounds {
  readonly least: number;
  readonly most: number;
}

/**
 * How long an answer may be used without asking again, in seconds: max-age less the time it spent in caches (RFC 9111
 * §4.2), inside bounds. `no-store` and `no-cache` mean "as short as the bounds allow": a hub that kept nothing would be
 * of no use in an outage.
 */
export function lifetimeOf(
  { cacheControl, age }: { readonly cacheControl: string | undefined; readonly age: number | undefined },
  { least, most }: LifetimeBounds,
): number {
  const { maxAge, isNotKept } = readCacheControl(cacheControl);
  const stated = isNotKept ? 0 : (maxAge ?? UNSTATED_LIFETIME);
  return Math.min(most, Math.max(least, stated - Math.max(0, age ?? 0)));
}

/** Seconds until the refresh ahead of time. `fraction`: uniform in [0, 1). */
export function refreshDelay(lifetime: number, fraction: number): number {
  return lifetime * (AHEAD - JITTER * fraction);
}

/** Seconds until the next try after `failures` failed ones in a row, doubling, up to an hour. */
export function retryDelay(failures: number, fraction: number): number {
  const doubled = FIRST_RETRY * 2 ** Math.min(failures - 1, 16);
  return Math.min(LAST_RETRY, doubled) * (1 - JITTER * fraction);
}
