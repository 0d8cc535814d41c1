/** Comparison of `htu` with the address of a request (RFC 9449 §4.3, RFC 3986 §6.2). */

import { RecentMap } from '../core/recent-map.ts';

/** Forms that are remembered: clients name a few addresses again and again, and to take one apart costs as much as two hashes. */
const REMEMBERED = 512;
/** Longer ones, in characters, are taken apart each time, so that what is remembered stays small. */
const REMEMBERED_LENGTH = 256;
const recent = new RecentMap<string, string>(REMEMBERED);
/** Stands for what has no such form. */
const NONE = '';

/** Characters that RFC 3986 §2 has. The URL class would take others and change them in silence. */
const URI_TEXT = /^https?:\/\/[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]*$/i;
const BROKEN_ESCAPE = /%(?![0-9A-Fa-f]{2})/;

/**
 * The form in which two addresses of the same resource are equal: no query and no fragment (RFC 9449 §4.3), scheme and host
 * in lower case, no default port, dot segments removed, unreserved characters bare, other escapes in upper case.
 * Undefined for anything that is not an http or https URI, or that names a user.
 */
function normalizeTargetUri(text: string): string | undefined {
  const known = recent.get(text);
  if (known !== undefined) return known === NONE ? undefined : known;
  const normalized = normalize(text);
  if (text.length <= REMEMBERED_LENGTH) recent.set(text, normalized ?? NONE);
  return normalized;
}

function normalize(text: string): string | undefined {
  if (!URI_TEXT.test(text) || BROKEN_ESCAPE.test(text)) return undefined;
  // Escapes first: "%2e%2e" is a dot segment once it is "..".
  const bare = withoutQuery(text).replace(/%[0-9A-Fa-f]{2}/g, normalizeEscape);
  if (!URL.canParse(bare)) return undefined;
  const url = new URL(bare);
  if (url.username !== '' || url.password !== '') return undefined;
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** Whether a proof for `htu` is a proof for a request that arrived at any of these addresses. */
export function matchesTargetUri(htu: string, uris: readonly string[]): boolean {
  // What clients send is nearly always the very text; it is only taken for granted where it is a URI at all.
  const normalized = normalizeTargetUri(htu);
  return normalized !== undefined && uris.some((uri) => uri === normalized || normalizeTargetUri(uri) === normalized);
}

export function withoutQuery(text: string): string {
  const end = text.search(/[?#]/);
  return end === -1 ? text : text.slice(0, end);
}

function normalizeEscape(triplet: string): string {
  const character = String.fromCharCode(Number.parseInt(triplet.slice(1), 16));
  return /[A-Za-z0-9\-._~]/.test(character) ? character : triplet.toUpperCase();
}
