/** A page for each error code: what `type` of a problem resolves to (RFC 9457 §3.1.1). */
import { utf8 } from '../../src/core/bytes.ts';
import { CATALOGUE, type ErrorEntry } from '../../src/core/error-catalogue.ts';
import { isErrorCode, LatchkeyError } from '../../src/core/errors.ts';
import type { HttpAnswer } from './http-answer.ts';

/** Where the pages are on the server that has them. */
export const ERROR_PAGES = '/errors';

/** The same for each peer, and the same until another version of the hub runs. */
const HEADERS = {
  'content-type': 'text/plain; charset=utf-8',
  'x-content-type-options': 'nosniff',
  'cache-control': 'public, max-age=3600',
} as const;

/**
 * Plain text: nothing in it can be taken for markup, and `curl` shows it as well as a browser.
 * @throws {LatchkeyError} `not_found`
 */
export function errorPage(code = ''): HttpAnswer {
  if (!isErrorCode(code)) throw new LatchkeyError('not_found');
  return { status: 200, headers: HEADERS, body: utf8(pageOf(code, CATALOGUE[code])) };
}

function pageOf(code: string, { cause, coap, fix, status, title }: ErrorEntry): string {
  return `${title}.\n\nLikely cause: ${cause}\nWhat to do: ${fix}\n\n${code}, HTTP ${status}, CoAP ${coap}\n`;
}
