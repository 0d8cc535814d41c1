/**
 * JWTs of an unknown form: the signature is good, and the settings of the issuer do not accept the `typ`, or demand a claim that is not
 * there. The hub accepts none of them by itself. An issuer that is asked about each token (`introspection = "always"`) can say that one
 * is good; then it cannot say more than its own signature does.
 */
import { claimReaders } from '../codec/claim-values.ts';
import type { TimeBounds } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject } from '../core/json.ts';
import { meetsDemand, ownMember, readMemberDemand } from '../core/member-demand.ts';
import { judgeTimes, type WhenUnsure } from '../core/token-times.ts';
import { demandAccessTokenKind } from './access-token-kind.ts';
import { type AskedDevice, addressedTo, type SharedAudience } from './addressee.ts';
import { type IssuerPolicy, plainType } from './issuer-policy.ts';
import type { Issuers } from './issuers.ts';
import { demandAccessToken } from './jwt-claims.ts';
import { demandSignature, judgeAlgorithm, strictClaims, takeApart, unverifiedIssuer } from './verify-jwt.ts';

/** What the issuer signed. Undefined: the token does not say. */
export interface SignedClaims {
  readonly issuer: string;
  readonly audience: readonly string[] | undefined;
  readonly scope: readonly string[] | undefined;
  readonly clientId: string | undefined;
  readonly confirmation: JsonObject | undefined;
  readonly expiresAt: number | undefined;
  readonly subject: string | undefined;
  /** All, as they stand. */
  readonly claims: JsonObject;
  /** `required_claims` that the token does not meet. The answer of the AS has to. */
  readonly demands: readonly string[];
}

export interface SignedClaimsOptions {
  /** Those that the device takes, and that are asked about each token. */
  readonly issuers: Pick<Issuers, 'find'>;
  readonly device: AskedDevice;
  readonly time: TimeBounds;
  readonly whenUnsure: WhenUnsure;
}

/**
 * Reads what is needed to ask the AS that the token names, and no other: a token of a stranger, an ID token, and one that says itself
 * that it is not for the device, are worth no question. Undefined for another issuer than these, and for one of which the operator
 * wants nothing but whole tokens of RFC 9068.
 * @throws {LatchkeyError} as `verifyJwt`
 */
export async function readSignedClaims(jwt: string, options: SignedClaimsOptions): Promise<SignedClaims | undefined> {
  const unverified = takeApart(jwt);
  const issuer = options.issuers.find(unverifiedIssuer(unverified));
  if (issuer === undefined || issuer.policy.requireRfc9068) return undefined;
  const { keys, policy } = issuer;
  const { header, payload } = unverified;
  const algorithms = judgeAlgorithm(header, policy);
  demandSignature(unverified, algorithms, (await keys.forKeyId(header.keyId)).ring);
  const claims = strictClaims(payload);
  const demands = judgeKind(claims, header.type, policy);
  const signed = readClaims(claims, policy);
  judgeTimes(signed, { time: options.time, whenUnsure: options.whenUnsure, leeway: policy.leeway });
  demandAudience(signed, claims, policy.sharedAudience, options.device);
  return { ...signed, issuer: policy.issuer, claims, demands };
}

/** @returns the demands of the settings that are left for the AS */
function judgeKind(claims: JsonObject, type: string | undefined, policy: IssuerPolicy): readonly string[] {
  const plain = type === undefined ? undefined : plainType(type);
  // Any other type says what the token is, and that is no access token (RFC 8725 §3.11).
  if (plain !== undefined && plain !== 'jwt' && plain !== 'at+jwt' && !policy.tokenTypes.includes(plain))
    throw new LatchkeyError('jwt_type_refused', 'a typ of something else');
  demandAccessTokenKind(claims);
  const met: string[] = [];
  const left: string[] = [];
  for (const text of policy.requiredClaims) {
    const demand = readMemberDemand(text);
    if (demand !== undefined && meetsDemand(claims, demand)) met.push(text);
    // A value that the server writes into other tokens.
    else if (demand?.values !== undefined && demand.names.some((name) => ownMember(claims, name) !== undefined))
      throw new LatchkeyError('jwt_claim_required', text);
    else left.push(text);
  }
  demandAccessToken(claims, { requiredClaims: met }, plain === 'at+jwt');
  demandOtherAudience(claims, policy);
  return left;
}

/** Claims that name the client in some dialect. */
const CLIENTS = ['client_id', 'azp', 'cid', 'appid'] as const;

/** The audience of an ID token is the client that it is for (OpenID Connect Core §2). */
function demandOtherAudience(claims: JsonObject, { clientClaims }: IssuerPolicy): void {
  const { aud } = claims;
  const named = Array.isArray(aud) ? aud : [aud];
  const clients = [...clientClaims, ...CLIENTS].map((name) => ownMember(claims, name));
  if (named.length > 0 && named.every((each) => each !== undefined && clients.includes(each)))
    throw new LatchkeyError('jwt_type_refused', 'an ID token: its audience is its client');
}

const { text, date, audience, scopeOrList, object } = claimReaders('jwt_claim_invalid');

function readClaims(claims: JsonObject, policy: IssuerPolicy) {
  const first = (names: readonly string[]) => names.find((name) => ownMember(claims, name) !== undefined);
  const aud = first(policy.audienceClaims);
  const scope = first(policy.scopeClaims);
  const client = first(policy.clientClaims);
  const confirmation = object(claims.cnf, 'cnf');
  // A secret that everybody who sees the token can read.
  if (isJsonObject(confirmation?.jwk) && confirmation.jwk.kty === 'oct')
    throw new LatchkeyError('confirmation_invalid', 'a symmetric jwk in a JWT');
  const isEmpty = aud !== undefined && Array.isArray(claims[aud]) && (claims[aud] as readonly unknown[]).length === 0;
  return {
    audience: aud === undefined || isEmpty ? undefined : audience(claims[aud], aud),
    scope: scope === undefined ? undefined : scopeOrList(claims[scope], scope),
    clientId: client === undefined ? undefined : text(claims[client], client),
    confirmation,
    expiresAt: date(claims.exp, 'exp'),
    notBefore: date(claims.nbf, 'nbf'),
    issuedAt: date(claims.iat, 'iat'),
    subject: text(claims.sub, 'sub'),
  };
}

/** What the token says itself has to fit the device. What it does not say is for the AS. */
function demandAudience(
  { audience: named, confirmation, scope }: Pick<SignedClaims, 'audience' | 'confirmation' | 'scope'>,
  claims: JsonObject,
  shared: SharedAudience | undefined,
  device: AskedDevice,
): void {
  if (named === undefined || named.includes(device.audience)) return;
  if (shared === undefined || !named.includes(shared.audience)) throw new LatchkeyError('jwt_audience_mismatch');
  const { naming } = shared;
  const says =
    naming.by === 'scope'
      ? scope !== undefined
      : ownMember(claims, naming.by === 'claim' ? naming.claim : 'authorization_details') !== undefined;
  if (says) addressedTo({ audience: named, scope: scope ?? [], confirmation }, claims, shared, device);
}
