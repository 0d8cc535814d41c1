/** What the hub knows of a token that a connected device is shown: by the keys of its issuer, by the issuer's word, or both. */
import { withKeyIdAsThumbprint } from '../codec/confirmation-method.ts';
import { base64url } from '../core/bytes.ts';
import { bestGuess, type Clock, certainty, type TimeBounds } from '../core/clock.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { coded, isCoded, LatchkeyError } from '../core/errors.ts';
import type { IntrospectedToken, IntrospectionEvidence } from '../core/introspected-token.ts';
import type { RelayFreshness } from '../core/introspection.ts';
import type { JsonObject } from '../core/json.ts';
import type { Secret } from '../core/secret.ts';
import { listed, mismatch } from '../core/shown.ts';
import type { VerifiedToken } from '../core/verified-token.ts';
import type { Device } from '../devices/device.ts';
import type { Introspector } from '../pop/introspection/introspector.ts';
import { type IntrospectionPolicy, isIntrospected, looksLikeJwt } from '../pop/introspection/token-form.ts';
import type { DeviceNames, SharedAudience } from '../trust/addressee.ts';
import { type ActiveAnswer, answerFor } from './answer-for-device.ts';

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
  /** Undefined where the hub is no client of the issuer. */
  readonly introspector: Pick<Introspector, 'introspect'> | undefined;
}

/** A token that is good for the device, whoever presents it. */
export interface GoodToken {
  readonly issuer: string;
  readonly subject: string | undefined;
  /** NumericDate; undefined where the AS does not tell. */
  readonly expiresAt: number | undefined;
  /** All that it is for, by its own word and by that of the AS, each once. The device is one of them. */
  readonly audience: readonly string[];
  readonly members: JsonObject;
  /** Its `cnf`, a symmetric key included. */
  readonly confirmation: JsonObject | undefined;
  /** The confirmation came from the AS itself, so a symmetric key in it is a secret. */
  readonly confidential: boolean;
  /** The same token as its own signature has it; undefined where only the AS says that it is good. */
  readonly verified: VerifiedToken | undefined;
}

export type TokenVerdict =
  | {
      readonly active: false;
      /** For the audit. */
      readonly code: ErrorCode;
      /** For the log alone. */
      readonly detail?: string | undefined;
      /**
       * The device learns no more than that the token is not active, and cannot tell a token of another device from one
       * that nobody knows: neither by the code nor by how fresh the answer is.
       */
      readonly concealed: boolean;
      readonly issuer: string | undefined;
      readonly freshness: RelayFreshness | undefined;
      readonly evidence: IntrospectionEvidence | undefined;
    }
  | {
      readonly active: true;
      readonly token: GoodToken;
      readonly freshness: RelayFreshness;
      readonly evidence: IntrospectionEvidence | undefined;
    };

export interface TokenJudgeDependencies {
  /** In the order in which opaque tokens are asked about. */
  readonly issuers: readonly RelayIssuer[];
  /** Signature, issuer (one of those that the device takes), audience and times of a JWT (trust/verify-jwt.ts). */
  readonly verify: (jwt: string, device: Device) => Promise<VerifiedToken>;
  readonly clock: Pick<Clock, 'now'>;
  /** The devices that a token with a shared audience can name. */
  readonly names: DeviceNames;
}

export class TokenJudge {
  readonly #dependencies: TokenJudgeDependencies;

  constructor(dependencies: TokenJudgeDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * @param digest SHA-256 over the token, 32 bytes
   * @throws {LatchkeyError} where there is no verdict: `as_*`, `introspection_*`, `keys_*`, `clock_unsure`,
   *   `request_invalid`, `request_too_large`
   */
  async judge(token: Secret<string>, digest: Uint8Array, device: Device): Promise<TokenVerdict> {
    const verdict = looksLikeJwt(token.expose())
      ? await this.#judgeJwt(token, digest, device)
      : await this.#judgeOpaque(token, digest, device);
    // Hardly any token has it, and this is done for each question.
    if (!verdict.active || verdict.token.members.exi === undefined) return verdict;
    return { ...verdict, token: endingInTime(verdict.token, verdict.freshness, this.#dependencies.clock.now()) };
  }

  /** A JWT that does not verify is not worth a question. One that does may be revoked all the same: only the AS knows. */
  async #judgeJwt(token: Secret<string>, digest: Uint8Array, device: Device): Promise<TokenVerdict> {
    let verified: VerifiedToken;
    try {
      verified = await this.#dependencies.verify(token.expose(), device);
    } catch (error) {
      // Whoever holds a JWT can read it.
      return {
        active: false,
        code: refusalOf(error),
        detail: coded(error).detail,
        concealed: false,
        issuer: undefined,
        freshness: undefined,
        evidence: undefined,
      };
    }
    const asked = this.#dependencies.issuers.find(({ issuer }) => issuer === verified.issuer);
    const introspector = asked === undefined ? undefined : introspectorOf(asked, true);
    if (asked === undefined || introspector === undefined) return byKeys(verified);
    const said = await introspector.introspect(token, digest, device.id);
    return this.#judgeAnswer(said, asked, device, verified);
  }

  /**
   * Nobody can see whose an opaque token is, so the issuers of the device are asked in turn, and the first who knows it
   * is its issuer. Where one could not be asked, nobody else's "no" is a verdict.
   *
   * All are asked about a token of another device as well: else the way to the answer would tell it from one that nobody
   * knows.
   */
  async #judgeOpaque(token: Secret<string>, digest: Uint8Array, device: Device): Promise<TokenVerdict> {
    let refusal: TokenVerdict | undefined;
    let isKnown = false;
    let failure: unknown;
    for (const asked of this.#dependencies.issuers) {
      const introspector = introspectorOf(asked, false);
      if (introspector === undefined || device.issuers?.includes(asked.issuer) === false) continue;
      try {
        const said = await introspector.introspect(token, digest, device.id);
        const verdict = this.#judgeAnswer(said, asked, device, undefined);
        if (verdict.active) return verdict;
        if (!isKnown) refusal = said.active ? verdict : (refusal ?? verdict);
        isKnown ||= said.active;
      } catch (error) {
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
    if (refusal === undefined) throw new LatchkeyError('introspection_unavailable', device.id);
    return refusal;
  }

  /** @param verified the same token as its own signature has it, for what the AS left out */
  #judgeAnswer(
    answer: IntrospectedToken,
    { issuer, kidIsThumbprint = false, sharedAudience, assumedAudience }: RelayIssuer,
    device: Device,
    verified: VerifiedToken | undefined,
  ): TokenVerdict {
    const freshness = { ...answer.freshness, clock: certainty(this.#dependencies.clock.now()) };
    const concealed = verified === undefined;
    const about = { freshness, evidence: answer.evidence, issuer, concealed };
    if (!answer.active) return { ...about, active: false, code: answer.code };
    // The audience that a JWT has itself counts more than one that is assumed.
    const named = verified === undefined ? withAudience(answer, assumedAudience) : answer;
    let said: ActiveAnswer;
    try {
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
    return {
      freshness,
      evidence: said.evidence,
      active: true,
      token: {
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
      },
    };
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

function introspectorOf({ introspector, policy }: RelayIssuer, isJwt: boolean): RelayIssuer['introspector'] {
  return isIntrospected(policy, { isJwt }) ? introspector : undefined;
}

/**
 * A device counts `exi` from when it has the answer (RFC 9200 §5.10.3): what is left until `exp` is all that it may count, or
 * where there is no `exp`, what is left since the AS answered.
 */
function endingInTime(token: GoodToken, { age, source }: RelayFreshness, time: TimeBounds): GoodToken {
  const { expiresAt, members } = token;
  const { exi } = members;
  if (typeof exi !== 'number') return token;
  const sinceAnswer = source === 'introspection' ? exi - age : exi;
  const left = expiresAt === undefined ? sinceAnswer : Math.min(exi, Math.floor(expiresAt - bestGuess(time)));
  return { ...token, members: { ...members, exi: Math.max(0, left) } };
}

function byKeys(verified: VerifiedToken): TokenVerdict {
  const { audience, confirmation, expiresAt, issuer, subject } = verified;
  const { keysAge, clock } = verified.freshness;
  return {
    active: true,
    freshness: { source: 'jwt', age: Math.ceil(keysAge), stale: false, clock },
    evidence: undefined,
    token: {
      issuer,
      subject,
      expiresAt,
      audience: [...new Set(audience)],
      members: membersOf(verified),
      confirmation,
      confidential: false,
      verified,
    },
  };
}

/** What RFC 7662 §2.2 has names for, from what the verified JWT says. */
function membersOf(verified: VerifiedToken): JsonObject {
  const { audience, clientId, cnonce, confirmation, expiresAt, expiresIn, issuedAt } = verified;
  const { issuer, jwtId, notBefore, scope, subject } = verified;
  const members = {
    iss: issuer,
    sub: subject,
    aud: audience.length === 1 ? audience[0] : audience,
    client_id: clientId,
    exp: expiresAt,
    nbf: notBefore,
    iat: issuedAt,
    jti: jwtId,
    scope: scope.length === 0 ? undefined : scope.join(' '),
    cnf: confirmation,
    cnonce: cnonce === undefined ? undefined : base64url(cnonce),
    exi: expiresIn,
  };
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as JsonObject;
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
