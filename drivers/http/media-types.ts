/** Content negotiation (RFC 9110 §12.5.1), as far as a resource with two representations needs it. */

/** More ranges than any client sends; what comes after them is not looked at. */
const MAX_RANGES = 32;

/**
 * The offered type that an Accept header likes best; the first one where it has no preference or is not there.
 * @param accept every value of the header
 * @returns undefined where none is acceptable
 */
export function preferredType(accept: readonly string[] | undefined, offered: readonly string[]): string | undefined {
  if (accept === undefined) return offered[0];
  const [only, ...others] = accept;
  if (others.length === 0 && only !== undefined && offered.includes(only)) return only;
  const ranges = accept.join(',').toLowerCase().split(',', MAX_RANGES).map(rangeOf);
  let best: { readonly type: string; readonly weight: number } | undefined;
  for (const type of offered) {
    const weight = weightOf(type, ranges);
    if (weight > (best?.weight ?? 0)) best = { type, weight };
  }
  return best?.type;
}

interface Range {
  readonly type: string;
  readonly weight: number;
}

function rangeOf(text: string): Range {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim());
  const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
  if (weight === undefined) return { type, weight: 1 };
  return { type, weight: /^[01](\.[0-9]{0,3})?$/.test(weight) ? Number(weight) : 0 };
}

/** The most specific range that matches decides (RFC 9110 §12.5.1). */
function weightOf(type: string, ranges: readonly Range[]): number {
  const [family = ''] = type.split('/');
  for (const wanted of [type, `${family}/*`, '*/*']) {
    const range = ranges.find((candidate) => candidate.type === wanted);
    if (range !== undefined) return range.weight;
  }
  return 0;
}
