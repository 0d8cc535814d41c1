/** A token of an issuer that is not configured, or that the device does not take: which one it is, and what to do. */
import { CATALOGUE, type ErrorCode } from '../../core/error-catalogue.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { shown } from '../../core/shown.ts';
import { isAcceptableAddress } from '../../trust/issuer-policy.ts';
import { dialectOfToken, whyNoAccessToken } from '../../trust/recognise-dialect.ts';
import { type Explanation, stoppedAt } from './explain-token.ts';

interface Known {
  /** Of all `[[issuers]]`. */
  readonly configured: readonly string[];
  readonly device: { readonly id: string; readonly issuers: readonly string[] | 'any' };
}

/** Issuers that one line names. */
const MOST_NAMED = 8;

export function unknownIssuer(
  token: { readonly header: JsonObject; readonly claims: JsonObject },
  known: Known,
): Explanation {
  const { iss } = token.claims;
  const code = codeFor(iss);
  const isConfigured = typeof iss === 'string' && known.configured.includes(iss);
  const expected = isConfigured
    ? `the device ${known.device.id} takes tokens of ${listed(known.device.issuers === 'any' ? [] : known.device.issuers)}`
    : `configured: ${listed(known.configured)}`;
  return {
    accepted: false,
    code,
    title: CATALOGUE[code].title,
    steps: stoppedAt('issuer', { form: 'a signed JWT', issuer: `iss is ${shown(iss)}, ${expected}` }),
    remedy: undefined,
    reason: reasonFor(token, known, isConfigured),
  };
}

/** As the hub has it. */
function codeFor(iss: JsonValue | undefined): ErrorCode {
  if (iss === undefined) return 'jwt_claim_missing';
  return typeof iss === 'string' ? 'jwt_issuer_unknown' : 'jwt_claim_invalid';
}

function reasonFor(
  { claims, header }: { readonly header: JsonObject; readonly claims: JsonObject },
  { configured, device }: Known,
  isConfigured: boolean,
): string {
  const { iss } = claims;
  const kind = whyNoAccessToken(header, claims);
  if (kind !== undefined) return `This is no access token: ${kind}. Send the access token.`;
  if (typeof iss !== 'string') return 'An access token says who issued it, as text in iss: have the server write it.';
  if (isConfigured) {
    return `The device ${device.id} was registered for other issuers. Register it again with --issuer ${quoted(iss)}, or use a token of one that it takes.`;
  }
  const near = configured.find((one) => alike(one) === alike(iss));
  if (near !== undefined) {
    return `The configuration has ${shown(near)}, and the token ${shown(iss)}: issuers are compared letter by letter, a slash at the end and a port included. Write issuer = ${shown(iss)}.`;
  }
  const dialect = dialectOfToken(header, claims);
  if (dialect === 'okta' && isOrgServer(iss)) {
    return `The org authorization server of Okta issued it: such tokens are for Okta alone. Ask a custom authorization server, such as ${quoted(`${iss.replace(/\/$/, '')}/oauth2/default`)}.`;
  }
  if (configured.some((one) => one !== iss && checkable(one) === iss)) {
    return `ADFS writes this issuer into ID tokens. Its access tokens have the one that is configured: send the access token.`;
  }
  const seems = dialect === undefined ? '' : ` It looks like one with dialect "${dialect}".`;
  return `No [[issuers]] has this name. If tokens of this server are to be accepted, \`latchkey issuers check ${quoted(checkable(iss))}\` prints the section for it.${seems}`;
}

/** It has no path; a custom authorization server has one (/oauth2/default). */
export function isOrgServer(issuer: string): boolean {
  return URL.canParse(issuer) && new URL(issuer).pathname === '/';
}

function listed(issuers: readonly string[]): string {
  if (issuers.length === 0) return 'none';
  const more = issuers.length > MOST_NAMED ? ` and ${issuers.length - MOST_NAMED} more` : '';
  return `${issuers.slice(0, MOST_NAMED).join(', ')}${more}`;
}

/** The same for issuers that differ in what people take for the same: a slash at the end, case of the host, a default port. */
function alike(issuer: string): string {
  if (!URL.canParse(issuer)) return issuer;
  const { host, pathname, protocol, search } = new URL(issuer);
  return `${protocol}//${host}${pathname.replace(/\/$/, '')}${search}`;
}

/** What to ask: ADFS calls itself something else in its access tokens. */
function checkable(iss: string): string {
  return iss.replace(/^http(:\/\/[^/]+\/adfs)\/services\/trust$/, 'https$1');
}

/** A line that people copy into a shell has nothing in it that a stranger wrote and a shell obeys. */
function quoted(address: string): string {
  return /^https?:\/\/[A-Za-z0-9:/._~%@-]+$/.test(address) && isAcceptableAddress(address) ? address : 'URL';
}
