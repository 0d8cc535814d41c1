import { claimReaders } from '../codec/claim-values.ts';
import { fromBase64url } from '../core/bytes.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';

/** Registered claims of an access token, each of the type that its RFC gives it. Not judged against anything yet. */
export interface JwtClaims {
  readonly issuer: string;
  readonly subject: string | undefined;
  readonly audience: readonly string[];
  readonly expiresAt: number | undefined;
  readonly notBefore: number | undefined;
  readonly issuedAt: number | undefined;
  readonly jwtId: string | undefined;
  readonly clientId: string | undefined;
  readonly scope: readonly string[];
  readonly confirmation: JsonObject | undefined;
  /** Seconds, fractions kept. */
  readonly expiresIn: number | undefined;
  readonly cnonce: Uint8Array | undefined;
}

const { text, date, audience, scope: scopeNames, scopeOrList, object } = claimReaders('jwt_claim_invalid');

/**
 * Reads the claims that Latchkey knows (RFC 7519 §4.1, RFC 7800 §3.1, RFC 8693 §4.2, RFC 9068 §2.2, RFC 9200 §5.10). Some
 * servers call the scope `scp`, as drafts of RFC 8693 did: Entra with a text, Okta with a list. It is looked at where there is
 * no `scope`.
 * @throws {LatchkeyError} `jwt_claim_missing`, `jwt_claim_invalid`; the detail names the claim, never its value
 */
export function readClaims(claims: JsonObject): JwtClaims {
  const { iss, sub, aud, exp, nbf, iat, jti, client_id, scope, scp, cnf, exi, cnonce } = claims;
  return {
    issuer: required(text(iss, 'iss'), 'iss'),
    expiresAt: date(exp, 'exp'),
    audience: required(audience(aud, 'aud'), 'aud'),
    subject: text(sub, 'sub'),
    notBefore: date(nbf, 'nbf'),
    issuedAt: date(iat, 'iat'),
    jwtId: text(jti, 'jti'),
    clientId: text(client_id, 'client_id'),
    scope: scope === undefined ? scopeOrList(scp, 'scp') : scopeNames(scope, 'scope'),
    confirmation: object(cnf, 'cnf'),
    expiresIn: date(exi, 'exi'),
    cnonce: nonce(text(cnonce, 'cnonce')),
  };
}

/** In JSON a byte string is base64url without padding (RFC 9200 §5.8.4.4). */
function nonce(written: string | undefined): Uint8Array | undefined {
  if (written === undefined) return undefined;
  try {
    const bytes = fromBase64url(written);
    if (bytes.length > 0 && bytes.length <= LIMITS.clientNonceBytes) return bytes;
  } catch (error) {
    if (!isCoded(error, 'base64url_invalid')) throw error;
  }
  throw new LatchkeyError('jwt_claim_invalid', 'cnonce');
}

/** RFC 9068 §2.2: what every token that claims this profile carries, beside iss and aud. */
export function demandRfc9068({ subject, clientId, expiresAt, issuedAt, jwtId }: JwtClaims): void {
  required(expiresAt, 'exp');
  required(subject, 'sub');
  required(clientId, 'client_id');
  required(issuedAt, 'iat');
  required(jwtId, 'jti');
}

/**
 * When the hub takes the token for ended. One without `exp` counts from its `iat`, so that nobody can hold it back for
 * longer than it is to live (RFC 9200 §6.6).
 * @param mayLackExpiry whether `exi` alone will do, as for a device without a clock where the operator allows it
 */
export function endOf(
  { expiresAt, expiresIn, issuedAt }: JwtClaims,
  { mayLackExpiry }: { readonly mayLackExpiry: boolean },
): number {
  if (expiresAt !== undefined || !mayLackExpiry || expiresIn === undefined) return required(expiresAt, 'exp');
  return required(issuedAt, 'iat') + expiresIn;
}

function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new LatchkeyError('jwt_claim_missing', name);
  return value;
}
