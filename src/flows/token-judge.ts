/** What the hub knows of a token that a connected device is shown: by the keys of its issuer, by the issuer's word, or both. */
import { withKeyIdAsThumbprint } from '../codec/confirmation-method.ts';
import { tokenForm } from '../codec/token-form.ts';
import { base64url } from '../core/bytes.ts';
import { type Clock, certainty } from '../core/clock.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { coded, isCoded, LatchkeyError } from '../core/errors.ts';
import type { IntrospectedToken } from '../core/introspected-token.ts';
import type { JsonObject } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';
import { RecentMap } from '../core/recent-map.ts';
import type { Secret } from '../core/secret.ts';
import { listed, mismatch } from '../core/shown.ts';
import type { VerifiedToken } from '../core/verified-token.ts';
import type { Device } from '../devices/device.ts';
import type { Introspector } from '../pop/introspection/introspector.ts';
import { holdsJwt, type IntrospectionPolicy, isIntrospected, looksLikeJwt } from '../pop/introspection/token-form.ts';
import { refuseOtherKinds } from '../trust/access-token-kind.ts';
import { type DeviceNames, inPlaceOf, type SharedAudience } from '../trust/addressee.ts';
import type { SignedClaims } from '../trust/signed-claims.ts';
import { type ActiveAnswer, answerFor } from './answer-for-device.ts';
import { boundedBy } from './bounded-answer.ts';
import {
  byKeys,
  endingInTime,
  type GoodToken,
  membersOf,
  NOT_OF_ANY,
  refused,
  type TokenVerdict,
} from './token-verdict.ts';

/** A configured issuer, and how it is asked about tokens, where it is. */
export interface RelayIssuer {
  readonly issuer: string;
  readonly policy: IntrospectionPolicy;
  /** Whether `cnf.kid` of its answers is a JWK thumbprint, and so counts as `jkt`. */
  readonly kidIsThumbprint?: boolean;
  /** An audience that stands for many devices, and how its answers name the device. */
  readonly sharedAudience?: SharedAudience | undefined;
  /** The audience of its answers that name none. */
  readonly assumedAudience?: string | undefined;
  /** What its opaque tokens begin with; none where that is not known. */
  readonly opaquePrefixes?: readonly string[] | undefined;
  /** Undefined where the hub is no client of the issuer. */
  readonly introspector: Pick<Introspector, 'introspect'> | undefined;
}

export interface TokenJudgeDependencies {
  /** In the order in which opaque tokens are asked about. */
  readonly issuers: readonly RelayIssuer[];
  /** Signature, issuer (one of those that the device takes), audience and times of a JWT (trust/verify-jwt.ts). */
  readonly verify: (jwt: string, device: Device) => Promise<VerifiedToken>;
  /** A JWT of an unknown form, of an issuer that is asked about each token (trust/signed-claims.ts). */
  readonly readSigned: (jwt: string, device: Device) => Promise<SignedClaims | undefined>;
  readonly clock: Pick<Clock, 'now'>;
  /** The devices that a token with a shared audience can name. */
  readonly names: DeviceNames;
}

/** Refusals for which the AS can still say that the token is good. All others stand: its word is no reason to accept such a token. */
const UNKNOWN_FORM: ReadonlySet<ErrorCode> = new Set(['jwt_type_refused', 'jwt_claim_missing', 'jwt_claim_required']);

/** Refusals of a JWE of which the hub has read nothing, or nothing that is a JWT. */
const UNREAD: ReadonlySet<ErrorCode> = new Set([
  'token_encrypted',
  'jwe_invalid',
  'jwe_decryption_failed',
  'jwt_issuer_unknown',
  'jwt_malformed',
]);

/** An issuer that is asked. */
type AskedIssuer = RelayIssuer & { readonly introspector: NonNullable<RelayIssuer['introspector']> };

interface KnownGood {
  readonly device: Device;
  readonly asker: RelayIssuer;
  readonly token: GoodToken;
}

export class TokenJudge {
  readonly #dependencies: TokenJudgeDependencies;
  /** By which issuer an opaque token was good for a device: `<device> <digest>`. */
  readonly #issuers = new RecentMap<string, string>(LIMITS.tokenIssuers);
  /** What was made of an answer of an AS, by its members: as long as that answer is remembered, each question has the same. */
  readonly #known = new WeakMap<JsonObject, KnownGood>();

  constructor(dependencies: TokenJudgeDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * @param digest SHA-256 over the token, 32 bytes
   * @throws {LatchkeyError} where there is no verdict: `as_*`, `introspection_*`, `keys_*`, `clock_unsure`,
   *   `request_invalid`, `request_too_large`
   */
  async judge(token: Secret<string>, digest: Uint8Array, device: Device): Promise<TokenVerdict> {
    const verdict = await this.#judgeForm(token, digest, device);
    // Hardly any token has it, and this is done for each question.
    if (!verdict.active || verdict.token.members.exi === undefined) return verdict;
    return { ...verdict, token: endingInTime(verdict.token, verdict.freshness, this.#dependencies.clock.now()) };
  }

  async #judgeForm(token: Secret<string>, digest: Uint8Array, device: Device): Promise<TokenVerdict> {
    const text = token.expose();
    if (looksLikeJwt(text)) return this.#judgeJwt(token, digest, device);
    if (holdsJwt(text)) return refused('jwt_malformed', 'a JWT with something around it');
    if (tokenForm(text) === 'encrypted') return this.#judgeEncrypted(token, digest, device);
    return this.#judgeOpaque(token, digest, device);
  }

  /**
   * A JWE is a JWT for the hub, or opaque to all but the AS. So one that does not verify here is asked about. A device cannot
   * read it, and so must not learn whether it is good for another one.
   *
   * What the hub read inside stands: an answer can lack the audience that the token has. The AS is asked all the same, since the time
   * that it takes would tell such a token from an unknown one.
   */
  async #judgeEncrypted(token: Secret<string>, digest: Uint8Array, device: Device): Promise<TokenVerdict> {
    const verdict = await this.#judgeJwt(token, digest, device);
    if (verdict.active || verdict.freshness !== undefined) return verdict;
    const concealed = { ...verdict, concealed: true };
    try {
      const said = await this.#judgeOpaque(token, digest, device);
      return said.active && !UNREAD.has(verdict.code) ? concealed : said;
    } catch (error) {
      if (!isCoded(error, 'introspection_unavailable')) throw error;
      return concealed;
    }
  }

  /** A JWT that does not verify is hardly worth a question. One that does may be revoked all the same: only the AS knows. */
  async #judgeJwt(token: Secret<string>, digest: Uint8Array, device: Device): Promise<TokenVerdict> {
    let verified: VerifiedToken;
    try {
      verified = await this.#dependencies.verify(token.expose(), device);
    } catch (error) {
      const code = refusalOf(error);
      return (await this.#judgeUnknownForm(code, token, digest, device)) ?? refused(code, coded(error).detail);
    }
    const asked = this.#dependencies.issuers.find(({ issuer }) => issuer === verified.issuer);
    const introspector = asked === undefined ? undefined : introspectorOf(asked, true);
    if (asked === undefined || introspector === undefined) return byKeys(verified);
    const said = await introspector.introspect(token, digest, device.id);
    return this.#judgeAnswer(said, asked, device, verified);
  }

  /**
   * A JWT that the settings of its issuer do not recognise as an access token, where that issuer is asked about each: the AS says
   * whether it is one, and its own signature bounds what it says (flows/bounded-answer.ts). Undefined where it is not asked.
   */
  async #judgeUnknownForm(
    code: ErrorCode,
    token: Secret<string>,
    digest: Uint8Array,
    device: Device,
  ): Promise<TokenVerdict | undefined> {
    const { issuers, readSigned } = this.#dependencies;
    if (!UNKNOWN_FORM.has(code) || !looksLikeJwt(token.expose())) return undefined;
    let signed: SignedClaims | undefined;
    try {
      signed = await readSigned(token.expose(), device);
    } catch (error) {
      return refused(refusalOf(error), coded(error).detail);
    }
    const asked = issuers.find(({ issuer }) => issuer === signed?.issuer);
    const introspector = asked === undefined ? undefined : introspectorOf(asked, true);
    if (signed === undefined || asked === undefined || introspector === undefined) return undefined;
    const said = await introspector.introspect(token, digest, device.id);
    const verdict = this.#judgeBounded(said, asked, device, signed);
    // What the token does not say of its audience, only the AS knows.
    return verdict.active ? verdict : { ...verdict, concealed: signed.audience === undefined };
  }

  #judgeBounded(said: IntrospectedToken, asked: RelayIssuer, device: Device, signed: SignedClaims): TokenVerdict {
    if (!said.active) return this.#judgeAnswer(said, asked, device, undefined);
    let bounded: ActiveAnswer;
    try {
      bounded = boundedBy(signed, said, asked.sharedAudience);
    } catch (error) {
      const { evidence, freshness } = said;
      const code = refusalOf(error);
      return this.#judgeAnswer({ active: false, code, evidence, freshness }, asked, device, undefined);
    }
    const verdict = this.#judgeAnswer(bounded, asked, device, undefined);
    if (!verdict.active) return verdict;
    // A bearer token is for one alone, by either word.
    const all = [...said.audience, ...(signed.audience ?? [])];
    const named =
      asked.sharedAudience === undefined ? all : inPlaceOf(asked.sharedAudience.audience, device.audience, all);
    const audience = [...new Set([...verdict.token.audience, ...named])];
    return { ...verdict, token: { ...verdict.token, audience } };
  }

  /**
   * An opaque token does not say whose it is. So the issuers that could know it are asked in turn, and the first one by which it is
   * good for the device is its issuer. It is inactive where each of them says so (RFC 7662 §2.2). Where one of them could not be
   * asked there is no verdict: the token may be of that issuer, and its client would throw a good token away.
   *
   * An issuer that fails counts for the tokens that it could know, and for no others. It knows no token that begins like those of
   * another issuer (`opaque_prefixes`), and none that was good for this device by another issuer before.
   *
   * A token of another device is asked about everywhere as well: else the way to the answer would tell it from an unknown one. For
   * the same reason the hub remembers an issuer only for the device that a token was good for.
   */
  async #judgeOpaque(token: Secret<string>, digest: Uint8Array, device: Device): Promise<TokenVerdict> {
    const candidates = this.#candidates(token.expose(), device);
    const name = candidates.length > 1 ? `${device.id} ${base64url(digest)}` : undefined;
    const known = name === undefined ? undefined : this.#issuers.get(name);
    const owner = candidates.find(({ issuer }) => issuer === known);
    const inTurn = owner === undefined ? candidates : [owner, ...candidates.filter((each) => each !== owner)];
    let refusal: TokenVerdict | undefined;
    let isKnown = false;
    let failure: LatchkeyError | undefined;
    for (const asked of inTurn) {
      try {
        const said = await asked.introspector.introspect(token, digest, device.id);
        const verdict = this.#judgeAnswer(said, asked, device, undefined);
        if (verdict.active) {
          if (name !== undefined && asked !== owner) this.#issuers.set(name, asked.issuer);
          return verdict;
        }
        if (!isKnown) refusal = said.active ? verdict : (refusal ?? verdict);
        isKnown ||= said.active;
      } catch (error) {
        if (!isCoded(error)) throw error;
        if (owner === undefined || asked === owner) failure ??= ofIssuer(error, asked.issuer);
      }
    }
    if (failure !== undefined) throw failure;
    return refusal ?? NOT_OF_ANY;
  }

  /**
   * The issuers of the device that could know the token. A prefix belongs to the issuers that name it, and an issuer that names
   * prefixes has no other tokens.
   * @throws {LatchkeyError} `introspection_unavailable` where none of them introspects
   */
  #candidates(token: string, device: Device): readonly AskedIssuer[] {
    const { issuers } = this.#dependencies;
    const asked = issuers.filter(
      (each): each is AskedIssuer =>
        introspectorOf(each, false) !== undefined && device.issuers?.includes(each.issuer) !== false,
    );
    if (asked.length === 0) throw new LatchkeyError('introspection_unavailable', device.id);
    const hasPrefix = ({ opaquePrefixes = [] }: RelayIssuer) =>
      opaquePrefixes.some((prefix) => token.startsWith(prefix));
    if (issuers.some(hasPrefix)) return asked.filter(hasPrefix);
    return asked.filter(({ opaquePrefixes = [] }) => opaquePrefixes.length === 0);
  }

  /** @param verified the same token as its own signature has it, for what the AS left out */
  #judgeAnswer(
    answer: IntrospectedToken,
    asker: RelayIssuer,
    device: Device,
    verified: VerifiedToken | undefined,
  ): TokenVerdict {
    const { issuer, kidIsThumbprint = false, sharedAudience, assumedAudience } = asker;
    const freshness = { ...answer.freshness, clock: certainty(this.#dependencies.clock.now()) };
    const concealed = verified === undefined;
    const about = { freshness, evidence: answer.evidence, issuer, concealed };
    if (!answer.active) return { ...about, active: false, code: answer.code };
    const known = verified === undefined ? this.#known.get(answer.members) : undefined;
    if (known?.device === device && known.asker === asker) {
      return { freshness, evidence: answer.evidence, active: true, token: known.token };
    }
    // The audience that a JWT has itself counts more than one that is assumed.
    const named = verified === undefined ? withAudience(answer, assumedAudience) : answer;
    let said: ActiveAnswer;
    try {
      refuseOtherKinds(answer.members);
      const { id, audience } = device;
      const asked = { id, audience, names: this.#dependencies.names };
      said = sharedAudience === undefined ? named : answerFor(asked, named, sharedAudience, verified);
    } catch (error) {
      return { ...about, active: false, code: refusalOf(error), detail: coded(error).detail };
    }
    // A token without audience is good everywhere, and so for nobody in particular.
    const audience = said.audience.length > 0 ? said.audience : (verified?.audience ?? []);
    if (!audience.includes(device.audience)) {
      const detail = mismatch('aud', audience.length === 0 ? undefined : listed(audience), device.audience);
      return { ...about, active: false, code: 'jwt_audience_mismatch', detail };
    }
    const confirmation = confirmationOf(said, kidIsThumbprint);
    const expiresAt = earlier(said.expiresAt, verified?.expiresAt);
    // An AS may round up, or keep its word longer than its signature: no device is told so.
    const isSaid = expiresAt === undefined || expiresAt === said.members.exp;
    const members = isSaid ? said.members : { ...said.members, exp: expiresAt };
    const token: GoodToken = {
      issuer,
      audience: [...new Set([...audience, ...(verified?.audience ?? [])])],
      subject: said.subject ?? verified?.subject,
      expiresAt,
      // With two issuers a subject alone could be of either.
      members: { ...(verified === undefined ? { iss: issuer } : membersOf(verified)), ...members },
      // An AS that does not repeat `cnf` does not take it back: the token would be a bearer token all at once.
      confirmation: confirmation ?? verified?.confirmation,
      confidential: confirmation !== undefined,
      verified,
    };
    // Which devices there are may change, and with it whom a shared audience names. A secret key is kept nowhere else.
    if (verified === undefined && sharedAudience === undefined && said.confirmationKey === undefined) {
      this.#known.set(answer.members, { device, asker, token });
    }
    return { freshness, evidence: said.evidence, active: true, token };
  }
}

/**
 * The code of an error that speaks against token or proof, which makes an answer. An error that says that there is no
 * verdict is thrown on.
 */
export function refusalOf(error: unknown): ErrorCode {
  if (isCoded(error) && (error.entry.status === 401 || error.entry.status === 403)) return error.code;
  throw error;
}

/** The same error, with what the log has to name. */
function ofIssuer(error: LatchkeyError, issuer: string): LatchkeyError {
  const { code, detail, retryAfter } = error;
  return new LatchkeyError(code, detail === undefined ? issuer : `${issuer}: ${detail}`, {
    cause: error,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });
}

function introspectorOf({ introspector, policy }: RelayIssuer, isJwt: boolean): RelayIssuer['introspector'] {
  return isIntrospected(policy, { isJwt }) ? introspector : undefined;
}

function withAudience(answer: ActiveAnswer, assumed: string | undefined): ActiveAnswer {
  if (assumed === undefined || answer.audience.length > 0) return answer;
  return { ...answer, audience: [assumed], members: { ...answer.members, aud: assumed } };
}

/** With the key that the AS shares with the client back in its place: that is what the proof is checked with. */
function confirmationOf(
  { confirmation, confirmationKey }: ActiveAnswer,
  kidIsThumbprint: boolean,
): JsonObject | undefined {
  if (confirmationKey !== undefined) return { ...confirmation, jwk: confirmationKey.expose() };
  return confirmation !== undefined && kidIsThumbprint ? withKeyIdAsThumbprint(confirmation) : confirmation;
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
}
