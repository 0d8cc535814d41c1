/** application/x-www-form-urlencoded, strictly: one text has one reading (RFC 6749 appendix B). */
import { LatchkeyError } from '../core/errors.ts';

const AMPERSAND = '&';
const NOT_ASCII = /[^\x20-\x7e]/;

/**
 * The parameters of a form. One without a value counts as not sent, and none may come twice (RFC 6749 §3.2).
 * @param most parameters that are taken, the empty ones included
 * @throws {LatchkeyError} `request_invalid`
 */
export function readForm(body: Uint8Array, most: number): ReadonlyMap<string, string> {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1');
  if (NOT_ASCII.test(text)) throw invalid('a character that a form does not have');
  const values = new Map<string, string>();
  let start = 0;
  for (let count = 0; start <= text.length; count++) {
    if (count === most) throw invalid(`more than ${most} parameters`);
    const mark = text.indexOf(AMPERSAND, start);
    const end = mark === -1 ? text.length : mark;
    if (end > start) take(text.slice(start, end), values);
    start = end + 1;
  }
  for (const [name, value] of values) if (value === '') values.delete(name);
  return values;
}

/**
 * Decodes one name or value: `+` is a space, `%` starts two hexadecimal digits, and what comes out is UTF-8.
 * @throws {LatchkeyError} `request_invalid`
 */
export function decodeFormText(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    // The engine's message quotes the text, which may be a token.
    throw invalid('percent-encoding');
  }
}

function take(pair: string, values: Map<string, string>): void {
  const at = pair.indexOf('=');
  const name = decodeFormText(at === -1 ? pair : pair.slice(0, at));
  if (values.has(name)) throw invalid('a parameter twice');
  values.set(name, at === -1 ? '' : decodeFormText(pair.slice(at + 1)));
}

function invalid(detail: string): LatchkeyError {
  return new LatchkeyError('request_invalid', detail);
}
