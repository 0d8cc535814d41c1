export interface CacheControl {
  /** Seconds of `max-age`. */
  readonly maxAge: number | undefined;
  /** `no-store` or `no-cache`. */
  readonly isNotKept: boolean;
}

/** A header of 16 KiB could hold thousands of directives; what comes after the first ones is not looked at. */
const MOST_DIRECTIVES = 32;

/** What a Cache-Control header says of a response (RFC 9111 §5.2.2), as far as it matters here. */
export function readCacheControl(header: string | undefined): CacheControl {
  let maxAge: number | undefined;
  let isNotKept = false;
  for (const directive of (header ?? '').toLowerCase().split(',', MOST_DIRECTIVES)) {
    const [name = '', value = ''] = directive.trim().split('=', 2);
    if (name === 'no-store' || name === 'no-cache') isNotKept = true;
    const seconds = value.replace(/^"|"$/g, '');
    if (name === 'max-age' && /^\d{1,10}$/.test(seconds)) maxAge = Number(seconds);
  }
  return { maxAge, isNotKept };
}
