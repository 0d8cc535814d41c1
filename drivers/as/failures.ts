import type { ErrorCode } from '../../src/core/error-catalogue.ts';

/** What node:tls says of certificates that do not convince (OpenSSL's verification results, and Node's own). */
const UNTRUSTED = new Set([
  'CERT_CHAIN_TOO_LONG',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

const TIMEOUTS = new Set(['ETIMEDOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT']);

/** The hub's own want: no server is to blame. */
const NO_DESCRIPTOR = new Set(['EMFILE', 'ENFILE']);

const TOO_LARGE = new Set(['HPE_HEADER_OVERFLOW', 'UND_ERR_HEADERS_OVERFLOW', 'UND_ERR_RES_EXCEEDED_MAX_SIZE']);

/** The coded form of what undici, node:tls or node:net threw. Everything unknown means that the server is not usable. */
export function codeOfFailure(error: unknown): ErrorCode {
  for (const code of codesOf(error)) {
    if (UNTRUSTED.has(code)) return 'as_tls_untrusted';
    if (NO_DESCRIPTOR.has(code)) return 'descriptors_exhausted';
    if (TIMEOUTS.has(code)) return 'as_timeout';
    if (TOO_LARGE.has(code)) return 'as_answer_too_large';
  }
  return 'as_unreachable';
}

/** What is wrong with the certificate of the server, as node:tls names it; undefined where that was not the failure. */
export function whyUntrusted(error: unknown): string | undefined {
  return codesOf(error).find((code) => UNTRUSTED.has(code));
}

/** Whether the other side ended a connection that was kept open. */
export function isDeadConnection(error: unknown): boolean {
  const codes = codesOf(error);
  return codes.includes('UND_ERR_SOCKET') || codes.includes('ECONNRESET');
}

const MOST_LOOKED_AT = 32;

/** Codes of the error, its causes, and the attempts that it sums up (one for each address of a host). */
function codesOf(error: unknown): readonly string[] {
  const codes: string[] = [];
  const open: unknown[] = [error];
  for (let looked = 0; open.length > 0 && looked < MOST_LOOKED_AT; looked++) {
    const next = open.pop();
    if (!(next instanceof Error)) continue;
    if ('code' in next && typeof next.code === 'string') codes.push(next.code);
    open.push(next.cause);
    if (next instanceof AggregateError) open.push(...next.errors);
  }
  return codes;
}
