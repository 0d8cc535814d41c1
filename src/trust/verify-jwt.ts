import { withKeyIdAsThumbprint } from '../codec/confirmation-method.ts';
import {
  type CompactParts,
  type JoseHeader,
  parseHeader,
  payloadOf,
  signatureOf,
  signingInputOf,
  splitCompact,
} from '../codec/jws.ts';
import { parseStrictJsonObject } from '../codec/strict-json.ts';
import { tokenForm } from '../codec/token-form.ts';
import { sha256 } from '../core/bytes.ts';
import { certainty, type TimeBounds } from '../core/clock.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { IGNORABLE_HEADERS } from '../core/ignorable-headers.ts';
import type { JsonObject } from '../core/json.ts';
import { algorithmsNamed, type JwtAlgorithm } from '../core/jwt-algorithms.ts';
import { meetsDemand, readMemberDemand } from '../core/member-demand.ts';
import { demandReplicated } from '../core/replicated-claims.ts';
import { listed, mismatch, shown } from '../core/shown.ts';
import { judgeTimes, type WhenUnsure, witnessedMoment } from '../core/token-times.ts';
import { toldToHolder } from '../core/told-to-holder.ts';
import type { TokenFacts, VerifiedToken } from '../core/verified-token.ts';
import { refuseOtherKinds } from './access-token-kind.ts';
import { type AskedDevice, addressedTo } from './addressee.ts';
import { type DecryptedJwt, decryptJwt, type TokenDecryption } from './encrypted-jwt.ts';
import { HeaderMemory } from './header-memory.ts';
import { type IssuerPolicy, plainType } from './issuer-policy.ts';
import type { Issuers } from './issuers.ts';
import { audienceClaimOf, demandAccessToken, demandRfc9068, endOf, type JwtClaims, readClaims } from './jwt-claims.ts';
import type { KeyRing } from './key-ring.ts';
import { areReadPlainly, readPlainClaims } from './plain-claims.ts';

/** One audience, or what decides about each that the token names. One that fits is enough. */
type ExpectedAudience = string | ((audience: string) => boolean);

interface JudgingOptions {
  readonly audience: ExpectedAudience;
  /** The device of that audience, for issuers that have one audience for many devices. */
  readonly device?: AskedDevice;
  readonly time: TimeBounds;
  readonly whenUnsure: WhenUnsure;
  /** Whether the token is for a device that has no clock: one that cannot judge `exp` (RFC 9200 §5.10.3). */
  readonly withoutClock?: boolean;
  /** Told of the `iat` of tokens that only the time is still to be judged of: it raises the time floor. */
  readonly witness?: (issuedAt: number) => void;
}

export interface VerifyJwtOptions extends JudgingOptions {
  readonly issuers: Pick<Issuers, 'find'> & {
    /** For the log: what `iss` may be. */
    readonly names?: () => readonly string[];
  };
  /** Without it the hub accepts no encrypted token. */
  readonly decryption?: TokenDecryption | undefined;
}

export interface VerifyJwtWithKeysOptions extends JudgingOptions {
  readonly policy: IssuerPolicy;
  readonly keys: KeyRing;
  /** Seconds since the issuer confirmed these keys. */
  readonly keysAge: number;
  /** The JWE that the token came in, already decrypted. */
  readonly decrypted?: DecryptedJwt | undefined;
}

/** What a JWT says of itself, before anything of it is believed. */
export interface UnverifiedJwt {
  readonly header: JoseHeader;
  /** The header as it is spelled, where this spelling was not seen before. */
  readonly newHeader: string | undefined;
  /** All of them, or those alone that are read plainly. */
  readonly claims: JsonObject;
  readonly isPlain: boolean;
  readonly payload: Uint8Array;
  readonly signingInput: Uint8Array;
  readonly signature: Uint8Array;
  readonly digest: Uint8Array;
  readonly bytes: number;
}

/**
 * Verifies a JWT access token of any configured issuer (RFC 7519 §7.2, RFC 8725, RFC 9068 §4). May ask the issuer for
 * its keys once, when it holds none or none of this `kid`.
 * @throws {LatchkeyError} `jwt_*`, `key_unknown`, `keys_unavailable`, `keys_too_old`, `clock_unsure`; `jwe_*` and
 * `token_encrypted` for an encrypted one, `token_opaque` for what is no JWT; `as_*`, `metadata_invalid` and `jwks_invalid` where the key is not held and the issuer could not be asked for it
 */
export async function verifyJwt(token: string, options: VerifyJwtOptions): Promise<VerifiedToken> {
  const { decryption } = options;
  const isEncrypted = decryption !== undefined && tokenForm(token) === 'encrypted';
  const decrypted = isEncrypted ? await decryptJwt(token, decryption) : undefined;
  const unverified = takeApart(decrypted?.jwt ?? token);
  const named = unverifiedIssuer(unverified);
  demandOwnKey(named, decrypted);
  const issuer = options.issuers.find(named);
  if (issuer === undefined) throw unknownIssuer(named, options.issuers.names?.() ?? []);
  const algorithms = judgeHeader(unverified, issuer.policy, issuer.keys.ring());
  const held = await issuer.keys.forKeyId(unverified.header.keyId);
  return judge(unverified, algorithms, {
    ...options,
    policy: issuer.policy,
    keys: held.ring,
    keysAge: held.age,
    decrypted,
  });
}

/** The same with keys at hand, synchronously: for one issuer, no network. @throws {LatchkeyError} as `verifyJwt` */
export function verifyJwtWithKeys(jwt: string, options: VerifyJwtWithKeysOptions): VerifiedToken {
  const unverified = takeApart(jwt);
  const named = unverifiedIssuer(unverified);
  demandOwnKey(named, options.decrypted);
  const { keys, policy } = options;
  if (named !== policy.issuer) throw unknownIssuer(named, [policy.issuer]);
  return judge(unverified, judgeHeader(unverified, policy, keys), options);
}

/** The steps in order: until the signature is known to be good, a sender learns nothing of what the claims lack. */
function judge(
  unverified: UnverifiedJwt,
  algorithms: readonly JwtAlgorithm[],
  options: VerifyJwtWithKeysOptions,
): VerifiedToken {
  demandSignature(unverified, algorithms, options.keys);
  if (unverified.newHeader !== undefined) headers.keep(unverified.newHeader, unverified.header);
  try {
    return judgeClaims(unverified, options);
  } catch (error) {
    throw toldToHolder(error);
  }
}

function judgeClaims(unverified: UnverifiedJwt, options: VerifyJwtWithKeysOptions): VerifiedToken {
  const { policy, time, whenUnsure } = options;
  const isNamed = isTyped(unverified.header);
  // Without a type it is the claims that tell an ID token, also those that the fast reader leaves out.
  const written = isNamed ? claimsFor(policy, unverified) : strictClaims(unverified.payload);
  demandAccessToken(written, policy, isNamed);
  if (!isNamed) refuseOtherKinds(written);
  const read = readClaims(written, policy);
  if (options.decrypted !== undefined) {
    demandReplicated(options.decrypted.header, { ...read, statedAudience: read.audience });
  }
  if (policy.requireRfc9068) demandRfc9068(read);
  const claims = forDevice(read, { written, payload: unverified.payload }, options);
  const expiresAt = endOf(claims, { mayLackExpiry: policy.exiWithoutExp && options.withoutClock === true });
  const times = { ...claims, expiresAt };
  const moment = witnessedMoment(times);
  if (moment !== undefined) options.witness?.(moment);
  judgeTimes(times, { time, whenUnsure, leeway: policy.leeway });
  return verified(unverified, { ...times, statedAudience: read.audience, statedScope: read.scope }, options);
}

const headers = new HeaderMemory();

export function takeApart(jwt: string): UnverifiedJwt {
  const parts = partsOf(jwt);
  const spelling = jwt.slice(0, parts.headerEnd);
  const known = headers.find(spelling);
  const header = known ?? parseHeader(parts, { ignorable: true });
  const signature = signatureOf(parts);
  const payload = payloadOf(parts);
  const plain = readPlainClaims(payload);
  const newHeader = known === undefined ? spelling : undefined;
  return {
    header,
    newHeader,
    claims: plain ?? strictClaims(payload),
    isPlain: plain !== undefined,
    payload,
    signingInput: signingInputOf(parts),
    signature,
    digest: sha256(parts.bytes),
    bytes: parts.bytes.length,
  };
}

/** What is no JWT is told apart only once it is refused: good tokens do not pay for it. */
function partsOf(jwt: string): CompactParts {
  try {
    return splitCompact(jwt);
  } catch (error) {
    const form = isCoded(error, 'jwt_malformed') ? tokenForm(jwt) : 'signed';
    if (form === 'signed') throw error;
    const [code, detail] =
      form === 'encrypted'
        ? (['token_encrypted', 'a JWE, and here is no key for it'] as const)
        : (['token_opaque', 'not three parts of ASCII'] as const);
    throw new LatchkeyError(code, detail, { cause: error });
  }
}

/** An issuer cannot have a token decrypted that another one had encrypted for the hub. */
function demandOwnKey(issuer: string, decrypted: DecryptedJwt | undefined): void {
  if (decrypted !== undefined && decrypted.issuer !== issuer) throw new LatchkeyError('jwe_foreign', 'iss');
}

export function strictClaims(payload: Uint8Array): JsonObject {
  return parseStrictJsonObject(payload, { code: 'jwt_malformed' });
}

/** The claims with all that the settings of the issuer name: read again where the fast reader left some of them out. */
function claimsFor(policy: IssuerPolicy, { claims, isPlain, payload }: UnverifiedJwt): JsonObject {
  return !isPlain || namesPlainClaims(policy) ? claims : strictClaims(payload);
}

/** Asked for each token, so the answer is kept with the policy. */
const plainPolicies = new WeakMap<IssuerPolicy, boolean>();

function namesPlainClaims(policy: IssuerPolicy): boolean {
  const known = plainPolicies.get(policy);
  if (known !== undefined) return known;
  const { scopeClaims, audienceClaims, clientClaims, requiredClaims } = policy;
  const isPlain = requiredClaims.length === 0 && areReadPlainly([...scopeClaims, ...audienceClaims, ...clientClaims]);
  plainPolicies.set(policy, isPlain);
  return isPlain;
}

/** Read only to know whose keys to use; the signature by those keys is what makes it true. */
export function unverifiedIssuer({ claims }: UnverifiedJwt): string {
  const { iss } = claims;
  if (iss === undefined) throw new LatchkeyError('jwt_claim_missing', 'iss');
  if (typeof iss !== 'string') throw new LatchkeyError('jwt_claim_invalid', 'iss');
  return iss;
}

function unknownIssuer(named: string, known: readonly string[]): LatchkeyError {
  return new LatchkeyError('jwt_issuer_unknown', mismatch('iss', named, known));
}

/**
 * RFC 8725 §3.1 (algorithm) and §3.11 (explicit type).
 * @param ring the keys that are held. With one of them a token that is refused may show that its issuer signed it, and its holder is
 *   told more; no key is asked for
 */
function judgeHeader(
  unverified: UnverifiedJwt,
  policy: IssuerPolicy,
  ring: KeyRing | undefined,
): readonly JwtAlgorithm[] {
  const { algorithm, members, type } = unverified.header;
  const algorithms = allowedOf(algorithm, policy);
  const fault =
    memberFault(members, policy) ??
    (algorithms.length === 0 ? algorithmFault(algorithm, policy) : typeFault(type, policy));
  if (fault === undefined) return algorithms;
  throw ring !== undefined && isSigned(unverified, algorithms, ring) ? toldToHolder(fault) : fault;
}

function isSigned(unverified: UnverifiedJwt, algorithms: readonly JwtAlgorithm[], ring: KeyRing): boolean {
  try {
    demandSignature(unverified, algorithms, ring);
    return true;
  } catch (error) {
    if (isCoded(error)) return false;
    throw error;
  }
}

/** All of the header but its type. */
export function judgeAlgorithm({ algorithm, members }: JoseHeader, policy: IssuerPolicy): readonly JwtAlgorithm[] {
  const algorithms = allowedOf(algorithm, policy);
  const fault =
    memberFault(members, policy) ?? (algorithms.length === 0 ? algorithmFault(algorithm, policy) : undefined);
  if (fault !== undefined) throw fault;
  return algorithms;
}

function allowedOf(name: string, policy: IssuerPolicy): readonly JwtAlgorithm[] {
  const known = algorithmsNamed(name);
  const [only] = known;
  if (known.length === 1 && only !== undefined && policy.algorithms.includes(only)) return known;
  return known.filter((algorithm) => policy.algorithms.includes(algorithm));
}

/** The detail tells an algorithm that the operator may allow from one that no setting can. */
function algorithmFault(name: string, { algorithms }: IssuerPolicy): LatchkeyError {
  const hint = algorithmsNamed(name).length > 0 ? 'algorithms of the issuer may have it' : 'no issuer may use it';
  return new LatchkeyError('jwt_algorithm_refused', `${mismatch('alg', name, algorithms)}: ${hint}`);
}

function memberFault(members: JsonObject, { ignoredHeaders }: IssuerPolicy): LatchkeyError | undefined {
  for (const name of IGNORABLE_HEADERS) {
    const value = members[name];
    if (value === undefined) continue;
    const isIgnored = ignoredHeaders.some((text) => {
      const demand = readMemberDemand(text);
      return demand?.names.includes(name) === true && meetsDemand(members, demand);
    });
    // A certificate chain would fill the line.
    const what = typeof value === 'string' ? ` is ${shown(value)}` : '';
    if (!isIgnored)
      return new LatchkeyError(
        'jwt_header_refused',
        `header member ${name}${what}, and ignored_headers does not name it`,
      );
  }
  return undefined;
}

/** A type `none` is a type like others: what the setting calls none is no type at all. */
function typeFault(written: string | undefined, { tokenTypes }: IssuerPolicy): LatchkeyError | undefined {
  const type = written === undefined ? undefined : plainType(written);
  if (type === undefined ? tokenTypes.includes('none') : type !== 'none' && tokenTypes.includes(type)) return undefined;
  const setting = type === undefined ? 'none' : type === 'jwt' ? 'JWT' : undefined;
  const hint = setting === undefined ? '' : `: token_types may have "${setting}"`;
  return new LatchkeyError('jwt_type_refused', `${mismatch('typ', written, tokenTypes)}${hint}`);
}

/** Whether the type says "access token": an ID token has no type, or JWT. */
function isTyped({ type }: JoseHeader): boolean {
  return type !== undefined && plainType(type) !== 'jwt';
}

export function demandSignature(unverified: UnverifiedJwt, algorithms: readonly JwtAlgorithm[], keys: KeyRing): void {
  const { header, signingInput, signature } = unverified;
  for (const verifier of keys.candidates(header.keyId, algorithms))
    if (verifier.verify(signingInput, signature)) return;
  throw new LatchkeyError('jwt_signature_invalid', `kid is ${shown(header.keyId)}, alg is ${shown(header.algorithm)}`);
}

/** With audience and scope as they are for the device that it is presented for. */
function forDevice(
  read: JwtClaims,
  { written, payload }: { readonly written: JsonObject; readonly payload: Uint8Array },
  { audience, device, policy }: VerifyJwtWithKeysOptions,
): JwtClaims {
  const { sharedAudience: shared } = policy;
  if (shared !== undefined && device !== undefined && read.audience.includes(shared.audience)) {
    return addressedTo(read, parseStrictJsonObject(payload, { code: 'jwt_malformed' }), shared, device);
  }
  if (!fits(read.audience, audience)) {
    const wanted = [
      ...(typeof audience === 'string' ? [audience] : []),
      ...(shared === undefined ? [] : [shared.audience]),
    ];
    const named = mismatch(audienceClaimOf(written, policy), listed(read.audience), wanted);
    throw new LatchkeyError('jwt_audience_mismatch', named);
  }
  return read;
}

function fits(named: readonly string[], expected: ExpectedAudience): boolean {
  return typeof expected === 'string' ? named.includes(expected) : named.some(expected);
}

/** The one place that makes a `VerifiedToken` (a test searches for others). */
function verified(
  unverified: UnverifiedJwt,
  claims: JwtClaims & Pick<TokenFacts, 'expiresAt' | 'statedAudience' | 'statedScope'>,
  { policy, time, keysAge, decrypted }: VerifyJwtWithKeysOptions,
): VerifiedToken {
  const facts: TokenFacts = {
    issuer: claims.issuer,
    subject: claims.subject,
    audience: claims.audience,
    statedAudience: claims.statedAudience,
    statedScope: claims.statedScope,
    expiresAt: claims.expiresAt,
    notBefore: claims.notBefore,
    issuedAt: claims.issuedAt,
    jwtId: claims.jwtId,
    clientId: claims.clientId,
    scope: claims.scope,
    confirmation: confirmationOf(claims, policy),
    expiresIn: claims.expiresIn,
    cnonce: claims.cnonce,
    digest: unverified.digest,
    identity: sha256(unverified.signingInput),
    bind: policy.bind,
    leeway: policy.leeway,
    bytes: unverified.bytes,
    envelope: decrypted?.envelope,
    freshness: { keysAge, clock: certainty(time) },
  };
  return facts as VerifiedToken;
}

function confirmationOf({ confirmation }: JwtClaims, { confirmationKid }: IssuerPolicy): JsonObject | undefined {
  if (confirmation === undefined || confirmationKid !== 'thumbprint') return confirmation;
  return withKeyIdAsThumbprint(confirmation);
}
