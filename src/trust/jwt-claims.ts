import { claimReaders } from '../codec/claim-values.ts';
import { fromBase64url } from '../core/bytes.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';
import { type MemberDemand, meetsDemand, ownMember, readMemberDemand } from '../core/member-demand.ts';
import { mismatch } from '../core/shown.ts';
import type { IssuerPolicy } from './issuer-policy.ts';

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

const { text, date, audience, scopeOrList, object } = claimReaders('jwt_claim_invalid');

type ClaimNames = Pick<IssuerPolicy, 'scopeClaims' | 'audienceClaims' | 'clientClaims'>;

/**
 * Reads the claims that Latchkey knows (RFC 7519 §4.1, RFC 7800 §3.1, RFC 8693 §4.2, RFC 9068 §2.2, RFC 9200 §5.10). Scope,
 * audience and client are where the settings of the issuer say.
 * @throws {LatchkeyError} `jwt_claim_missing`, `jwt_claim_invalid`; the detail names the claim, never its value
 */
export function readClaims(claims: JsonObject, names: ClaimNames): JwtClaims {
  const { iss, sub, exp, nbf, iat, jti, cnf, exi, cnonce } = claims;
  const aud = firstOf(claims, names.audienceClaims, true);
  const client = firstOf(claims, names.clientClaims);
  const scope = firstOf(claims, names.scopeClaims);
  return {
    issuer: required(text(iss, 'iss'), 'iss'),
    expiresAt: date(exp, 'exp'),
    audience: required(
      aud === undefined ? undefined : audience(claims[aud], aud),
      aud ?? names.audienceClaims.join(' or '),
    ),
    subject: text(sub, 'sub'),
    notBefore: date(nbf, 'nbf'),
    issuedAt: date(iat, 'iat'),
    jwtId: text(jti, 'jti'),
    clientId: client === undefined ? undefined : text(claims[client], client),
    scope: scope === undefined ? [] : scopeOrList(claims[scope], scope),
    confirmation: object(cnf, 'cnf'),
    expiresIn: date(exi, 'exi'),
    cnonce: nonce(text(cnonce, 'cnonce')),
  };
}

/** The claim that names the audience. */
export function audienceClaimOf(claims: JsonObject, { audienceClaims }: Pick<ClaimNames, 'audienceClaims'>): string {
  return firstOf(claims, audienceClaims, true) ?? 'aud';
}

/**
 * Which of these claims is there first.
 * @param notEmpty an empty list is not there: Hydra writes one for a client that asked for no audience
 */
function firstOf(claims: JsonObject, names: readonly string[], notEmpty = false): string | undefined {
  for (const name of names) {
    const value = ownMember(claims, name);
    if (value === undefined || (notEmpty && Array.isArray(value) && value.length === 0)) continue;
    return name;
  }
  return undefined;
}

/** Claims that OpenID Connect Core §3.1.3.6 and §3.3.2.11 put into ID tokens; no server writes them into access tokens. */
const ID_TOKEN_HASHES = ['at_hash', 'c_hash'] as const;

/**
 * Keeps ID tokens out, and whatever else lacks the claims that access tokens of this issuer have. `nonce` is of an ID token
 * too (OpenID Connect Core §2), but some servers copy it into access tokens: it counts where nothing in the token says "access token".
 * @param isTyped whether the type of the token says that it is an access token
 * @throws {LatchkeyError} `jwt_type_refused`, `jwt_claim_required`
 */
export function demandAccessToken(
  claims: JsonObject,
  { requiredClaims }: Pick<IssuerPolicy, 'requiredClaims'>,
  isTyped: boolean,
): void {
  for (const name of ID_TOKEN_HASHES) if (claims[name] !== undefined) throw idToken(name);
  let isNamed = isTyped;
  for (const text of requiredClaims) {
    const demand = readMemberDemand(text);
    if (demand === undefined || !meetsDemand(claims, demand)) throw lacking(claims, text, demand);
    isNamed ||= demand.values !== undefined;
  }
  if (!isNamed && claims.nonce !== undefined) throw idToken('nonce');
}

function lacking(claims: JsonObject, text: string, demand: MemberDemand | undefined): LatchkeyError {
  const { names, values } = demand ?? { names: [text], values: undefined };
  const [name = text] = names;
  const detail =
    values === undefined ? `${names.join(' or ')} is missing` : mismatch(name, ownMember(claims, name), values);
  return new LatchkeyError('jwt_claim_required', detail);
}

function idToken(mark: string): LatchkeyError {
  return new LatchkeyError('jwt_type_refused', `an ID token: it has ${mark}`);
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
