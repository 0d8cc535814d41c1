import { claimReaders } from '../codec/claim-values.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';

/** Registered claims of an access token, each of the type that its RFC gives it. Not judged against anything yet. */
export interface JwtClaims {
  readonly issuer: string;
  readonly subject: string | undefined;
  readonly audience: readonly string[];
  readonly expiresAt: number;
  readonly notBefore: number | undefined;
  readonly issuedAt: number | undefined;
  readonly jwtId: string | undefined;
  readonly clientId: string | undefined;
  readonly scope: readonly string[];
  readonly confirmation: JsonObject | undefined;
}

const { text, date, audience, scope: scopeNames, scopeOrList, object } = claimReaders('jwt_claim_invalid');

/**
 * Reads the claims that Latchkey knows (RFC 7519 §4.1, RFC 7800 §3.1, RFC 8693 §4.2, RFC 9068 §2.2). Some servers call the
 * scope `scp`, as drafts of RFC 8693 did: Entra with a text, Okta with a list. It is looked at where there is no `scope`.
 * @throws {LatchkeyError} `jwt_claim_missing`, `jwt_claim_invalid`; the detail names the claim, never its value
 */
export function readClaims({ iss, sub, aud, exp, nbf, iat, jti, client_id, scope, scp, cnf }: JsonObject): JwtClaims {
  return {
    issuer: required(text(iss, 'iss'), 'iss'),
    expiresAt: required(date(exp, 'exp'), 'exp'),
    audience: required(audience(aud, 'aud'), 'aud'),
    subject: text(sub, 'sub'),
    notBefore: date(nbf, 'nbf'),
    issuedAt: date(iat, 'iat'),
    jwtId: text(jti, 'jti'),
    clientId: text(client_id, 'client_id'),
    scope: scope === undefined ? scopeOrList(scp, 'scp') : scopeNames(scope, 'scope'),
    confirmation: object(cnf, 'cnf'),
  };
}

/** RFC 9068 §2.2: what every token that claims this profile carries, beside iss, exp and aud. */
export function demandRfc9068({ subject, clientId, issuedAt, jwtId }: JwtClaims): void {
  required(subject, 'sub');
  required(clientId, 'client_id');
  required(issuedAt, 'iat');
  required(jwtId, 'jti');
}

function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new LatchkeyError('jwt_claim_missing', name);
  return value;
}
