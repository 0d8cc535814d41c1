/** application/x-www-form-urlencoded, strictly: one text has one reading (RFC 6749 appendix B). */
import { LatchkeyError } from '../core/errors.ts';

const AMPERSAND = '&';
const PLUS = 0x2b;
const SPACE = 0x20;
const NOT_ASCII = /[^\x20-\x7e]/;

/**
 * The parameters of a form. One without a value counts as not sent, and none may come twice (RFC 6749 §3.2).
 * @param most parameters that are taken, the empty ones included
 * @throws {LatchkeyError} `request_invalid`
 */
export function readForm(body: Uint8Array, most: number): ReadonlyMap<string, string> {
  const text = textOf(body);
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
  return decodePercent(text.includes('+') ? text.replaceAll('+', ' ') : text);
}

function decodePercent(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    // The engine's message quotes the text, which may be a token.
    throw invalid('percent-encoding');
  }
}

/** The body as text with each `+` as the space that it stands for: byte by byte, since there may be thousands. */
function textOf(body: Uint8Array): string {
  const bytes = Buffer.from(body);
  for (let at = bytes.indexOf(PLUS); at !== -1 && at < bytes.length; at++) if (bytes[at] === PLUS) bytes[at] = SPACE;
  return bytes.toString('latin1');
}

function take(pair: string, values: Map<string, string>): void {
  const at = pair.indexOf('=');
  const name = decodePercent(at === -1 ? pair : pair.slice(0, at));
  if (values.has(name)) throw invalid('a parameter twice');
  values.set(name, at === -1 ? '' : decodePercent(pair.slice(at + 1)));
}

function invalid(detail: string): LatchkeyError {
  return new LatchkeyError('request_invalid', detail);
}
