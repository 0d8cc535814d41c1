/**
 * relay: judge the token, judge who shows it, make a key for device and client where they want one, record the verdict.
 * Reads top to bottom; each step is a function of its own layer that refuses with a code.
 */
import { base64url, sha256 } from '../core/bytes.ts';
import { bestGuess, type Clock, type Random } from '../core/clock.ts';
import { UNREGISTERED } from '../core/device-id.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import type { RelayAnswer, SessionKeyCopies } from '../core/introspection.ts';
import { isJsonObject, type JsonObject } from '../core/json.ts';
import { Repeats } from '../core/repeats.ts';
import { shown } from '../core/shown.ts';
import type { VerifiedToken } from '../core/verified-token.ts';
import type { Device } from '../devices/device.ts';
import { sessionKey } from '../devices/device-credentials.ts';
import type { Registry } from '../devices/registry.ts';
import type { DurableReplayWindow } from '../pop/durable-replay-window.ts';
import { judgeProof, type ProvenHolder } from '../pop/judge-proof.ts';
import type { ProofKeys } from '../pop/proof-keys.ts';
import { mintSessionKey } from '../pop/session-key.ts';
import type { TokenBindings } from '../pop/token-bindings.ts';
import type { Audit, AuditEntry } from '../ports/audit.ts';
import type { Log, LogFields } from '../ports/log.ts';
import type { RequestContext } from '../ports/northbound.ts';
import type { Relay, RelayRequest } from '../ports/relay.ts';
import { bindingOf, bindsToPresenter } from './first-presenter.ts';
import { refusalOf, type TokenJudge } from './token-judge.ts';
import type { GoodToken, TokenVerdict } from './token-verdict.ts';

export interface RelayDependencies {
  readonly registry: Registry;
  readonly tokens: Pick<TokenJudge, 'judge'>;
  readonly replay: DurableReplayWindow;
  /** Tokens that are bound to the key of their first presenter. */
  readonly bindings: Pick<TokenBindings, 'bind' | 'ownerOf'>;
  readonly keys: ProofKeys;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  readonly log: Log;
  /** Seconds by which `iat` of a proof may differ from the present, either way. The same as the replay window's. */
  readonly window: number;
}

/** Seconds that a session key lives at most: a visit, not a shift. A new one costs the client one more proof. */
const SESSION_KEY_LIFETIME = 3_600;

/** All that a device learns of an opaque token that is not good for it, whatever the reason. */
const UNKNOWN: RelayAnswer = { active: false, code: 'token_inactive', freshness: undefined };

/** A second of a flood is 16 lines and their sums; the audit has a record of each verdict, up to the quota of the device. */
const VERDICTS_TOLD = { window: 1_000, ofOneKind: 4, overall: 16 };

/** What is known by the time that there is a verdict, or an error in place of one. */
interface Judgement {
  readonly digest: Uint8Array;
  verdict: TokenVerdict | undefined;
  /** The device verifies the proof: the hub was shown none. */
  isLeftToDevice: boolean;
  /** Why the token or its proof is refused, for the log alone: what it says, and what is expected. */
  detail: string | undefined;
}

export class RelayFlow implements Relay {
  readonly #dependencies: RelayDependencies;
  readonly #told: Repeats<LogFields>;

  constructor(dependencies: RelayDependencies) {
    this.#dependencies = dependencies;
    this.#told = new Repeats(VERDICTS_TOLD, (kind, count) => {
      const { log } = dependencies;
      log.info({ event: 'relay_repeated', ...kind, count }, 'as many more verdicts were alike within a second');
    });
  }

  /** Sums up in the log what was not told yet. */
  close(): void {
    this.#told.end();
  }

  async relay(request: RelayRequest, context: RequestContext): Promise<RelayAnswer> {
    const judgement: Judgement = {
      digest: sha256(request.token.expose()),
      verdict: undefined,
      isLeftToDevice: false,
      detail: undefined,
    };
    let answer: RelayAnswer;
    try {
      answer = await this.#judge(request, judgement);
    } catch (error) {
      this.#record(request, context, judgement, { verdict: 'refused', code: coded(error).code });
      throw error;
    }
    this.#record(request, context, judgement, {
      verdict: answer.active ? 'active' : 'inactive',
      code: answer.active ? undefined : whyInactive(answer, judgement),
    });
    return answer;
  }

  async #judge(request: RelayRequest, judgement: Judgement): Promise<RelayAnswer> {
    const { registry, tokens } = this.#dependencies;
    const device = registry.get(request.device);
    const verdict = await tokens.judge(request.token, judgement.digest, device);
    judgement.verdict = verdict;
    judgement.detail = verdict.active ? undefined : verdict.detail;
    const { freshness } = verdict;
    if (!verdict.active) return verdict.concealed ? UNKNOWN : { active: false, code: verdict.code, freshness };
    const toBeBound = boundToPresenter(device, verdict.token);
    let holder: ProvenHolder;
    try {
      holder = await this.#judgeHolder(request, verdict.token, judgement.digest, device, toBeBound);
    } catch (error) {
      const code = refusalOf(error);
      judgement.detail = coded(error).detail;
      return { active: false, code, freshness };
    }
    // While the AS was asked the device may have been removed, or registered anew under another key.
    if (registry.find(device.id)?.rootKey !== device.rootKey) throw new LatchkeyError('device_unknown', device.id);
    const { members } = verdict.token;
    judgement.isLeftToDevice = holder.kind === 'none' && holder.thumbprint !== undefined;
    const told = toBeBound === undefined ? members : { ...members, ...confirmedBy(holder) };
    return {
      active: true,
      members: judgement.isLeftToDevice ? toBeProven(told, holder) : told,
      proof: holder.kind,
      freshness: verdict.freshness,
      sessionKey: request.wantsSessionKey
        ? this.#mint(request, verdict.token, judgement.digest, device, holder)
        : undefined,
    };
  }

  /** @throws {LatchkeyError} a code `proof_*` or `confirmation_*`; `clock_unsure`; errors of the store */
  #judgeHolder(
    request: RelayRequest,
    token: GoodToken,
    tokenDigest: Uint8Array,
    device: Device,
    toBeBound: VerifiedToken | undefined,
  ) {
    const { bindings, clock, keys, replay, window } = this.#dependencies;
    const { audience, confidential, confirmation } = token;
    // Each of them could show it to the others.
    if (confirmation === undefined && audience.length > 1) {
      throw new LatchkeyError('audience_ambiguous', `aud is ${shown([...audience])}, and cnf is missing`);
    }
    // The AS binds it in a way that was left out because nobody here can check it: that is no bearer token.
    if (confidential && confirmation !== undefined && Object.keys(confirmation).length === 0) {
      throw new LatchkeyError('confirmation_unsupported', 'no known member');
    }
    return judgeProof(request.proof, {
      confirmation,
      confidential,
      tokenDigest,
      device: device.id,
      audience: device.audience,
      time: clock.now(),
      monotonic: clock.monotonic(),
      window,
      replay,
      keys,
      bearer: device.profile.bearer,
      checksProofs: device.profile.checksProofs,
      firstPresenter: toBeBound && {
        identity: toBeBound.identity,
        owner: () => bindings.ownerOf(toBeBound.identity),
        bind: (thumbprint) => bindings.bind(bindingOf(toBeBound, thumbprint)),
      },
    });
  }

  /** @throws {LatchkeyError} `session_key_unsupported`: better no answer than one that lacks what was asked for */
  #mint(
    { clientFormat }: RelayRequest,
    { expiresAt = Number.POSITIVE_INFINITY }: GoodToken,
    tokenDigest: Uint8Array,
    device: Device,
    holder: ProvenHolder,
  ): SessionKeyCopies {
    const { clock, random } = this.#dependencies;
    return mintSessionKey({
      holder,
      tokenDigest,
      device: device.id,
      audience: device.audience,
      expiresAt: Math.floor(Math.min(expiresAt, bestGuess(clock.now()) + SESSION_KEY_LIFETIME)),
      deviceKey: sessionKey(device),
      clientFormat,
      random,
    });
  }

  /** Of a token that nobody has vouched for its hash alone. */
  #record(
    { device: claimed, proof }: RelayRequest,
    { id, log }: RequestContext,
    { detail, digest, isLeftToDevice, verdict }: Judgement,
    outcome: Pick<AuditEntry, 'verdict' | 'code'>,
  ): void {
    const { issuer, subject } = ownerOf(verdict);
    const device = this.#dependencies.registry.find(claimed)?.id ?? UNREGISTERED;
    const shown = isLeftToDevice ? 'device' : (proof?.kind ?? 'none');
    this.#dependencies.audit.record({
      kind: 'relay',
      device,
      request: id,
      token: digest,
      issuer,
      subject,
      proof: shown,
      freshness: verdict?.freshness,
      evidence: verdict?.evidence,
      ...outcome,
    });
    const { age, stale = false } = verdict?.freshness ?? {};
    const kind = { ...outcome, ...(stale ? { stale } : {}) };
    if (!this.#told.tells(`${outcome.verdict} ${outcome.code} ${stale}`, kind)) return;
    const name = base64url(digest.subarray(0, 8));
    log.info(
      {
        event: 'relay_verdict',
        device,
        digest: name,
        issuer,
        proof_kind: shown,
        ...(stale ? { stale, age } : {}),
        ...outcome,
        ...(detail === undefined ? {} : { detail }),
      },
      'a token was verified',
    );
  }
}

/** The true reason, which the device may not have been told. */
function whyInactive({ code }: Extract<RelayAnswer, { active: false }>, { verdict }: Judgement): ErrorCode {
  return verdict === undefined || verdict.active ? code : verdict.code;
}

function ownerOf(verdict: TokenVerdict | undefined): Pick<AuditEntry, 'issuer' | 'subject'> {
  if (verdict === undefined) return { issuer: undefined, subject: undefined };
  return verdict.active ? verdict.token : { issuer: verdict.issuer, subject: undefined };
}

/**
 * The token, where it is to be bound to the key of its presenter. An opaque token is never: its end may move, and an AS may know it by
 * more spellings than one, so it could be presented by a second key.
 */
function boundToPresenter(device: Device, { confirmation, verified }: GoodToken): VerifiedToken | undefined {
  if (verified === undefined || confirmation !== undefined) return undefined;
  return bindsToPresenter(device, verified) ? verified : undefined;
}

/** The key that the hub bound the token to, as the answer has it (RFC 9449 §6.2). */
function confirmedBy({ thumbprint }: ProvenHolder): JsonObject {
  return thumbprint === undefined ? {} : { cnf: { jkt: thumbprint } };
}

/** What a device needs that verifies the proof itself (RFC 9449 §6.2): the key, and that the token is no bearer token. */
function toBeProven(members: JsonObject, { thumbprint }: ProvenHolder): JsonObject {
  if (thumbprint === undefined) return members;
  const cnf = isJsonObject(members.cnf) ? members.cnf : {};
  return { ...members, token_type: 'DPoP', cnf: { ...cnf, jkt: thumbprint } };
}
