/** A NumericDate as tables show it: RFC 3339 in UTC, to the second. */
export function instantText(seconds: number): string {
  return new Date(seconds * 1_000).toISOString().replace('.000', '');
}
