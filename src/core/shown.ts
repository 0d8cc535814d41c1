import type { JsonValue } from './json.ts';
import { printable } from './printable.ts';

/** Characters of a value that one line repeats. */
const MOST_SHOWN = 200;

/** What others wrote, as JSON inside of a line of the hub's own: `"JWT"`, `["a","b"]`, or `missing`. */
export function shown(value: JsonValue | undefined): string {
  if (value === undefined) return 'missing';
  const text = printable(JSON.stringify(value));
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
}
