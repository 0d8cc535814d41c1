import type { JsonValue } from './json.ts';
import { printable } from './printable.ts';

/** Characters of a value that one line repeats. */
const MOST_SHOWN = 200;

/** What others wrote, as JSON inside of a line of the hub's own: `"JWT"`, `["a","b"]`, or `missing`. */
export function shown(value: JsonValue | undefined): string {
  if (value === undefined) return 'missing';
  return cut(printable(JSON.stringify(value)));
}

/**
 * What there is beside what is wanted: `aud is "a", expected "b" or "c"`.
 * @param name of a claim, a header member or the like: one of the hub's own words, or of its configuration
 */
export function mismatch(
  name: string,
  value: JsonValue | undefined,
  expected: JsonValue | undefined | readonly string[],
): string {
  const wanted = Array.isArray(expected) ? cut(expected.map(shown).join(' or ')) : shown(expected);
  return `${name} is ${shown(value)}, expected ${wanted === '' ? 'none' : wanted}`;
}

/** One text, or a list where there are several or none: as servers write an audience. */
export function listed(values: readonly string[]): JsonValue {
  const [only, ...others] = values;
  return only !== undefined && others.length === 0 ? only : [...values];
}

/** NumericDate seconds as a date, such as `2027-01-15T08:00:00.000Z`; a number past every date as it is. */
export function shownDate(seconds: number): string {
  const date = new Date(seconds * 1_000);
  return Number.isNaN(date.getTime()) ? shown(seconds) : date.toISOString();
}

function cut(text: string): string {
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
}
