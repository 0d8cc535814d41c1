import { base64url } from '../../core/bytes.ts';
import type { ErrorCode } from '../../core/error-catalogue.ts';
import { coded, isCoded, LatchkeyError } from '../../core/errors.ts';
import type {
  IntrospectedToken,
  IntrospectionEvidence,
  IntrospectionFreshness,
} from '../../core/introspected-token.ts';
import type { JsonObject } from '../../core/json.ts';
import { LIMITS } from '../../core/limits.ts';
import { Secret } from '../../core/secret.ts';
import { Shares } from '../../core/shares.ts';
import { judgeTimes, type WhenUnsure } from '../../core/token-times.ts';
import type { AuthorizationServer } from '../../ports/authorization-server.ts';
import type { Log } from '../../ports/log.ts';
import { type IntrospectionAnswer, isPublicConfirmation, readAnswer } from './answer-members.ts';
import { type Asking, askIssuer, type TrustedAnswer } from './ask.ts';
import { CircuitBreaker, type CircuitStatus } from './circuit-breaker.ts';
import { demandTokenForm } from './token-form.ts';
import { type Verdict, VerdictCache } from './verdict-cache.ts';

export interface IntrospectorOptions extends Omit<Asking, 'as'> {
  /** A connection of its own; closed with the introspector. */
  readonly as: Pick<AuthorizationServer, 'post' | 'close'>;
  /** Where to ask, for each way of client authentication; found out with the first token. */
  readonly addresses: () => Promise<IntrospectionAddresses>;
  /** The same without asking anybody; undefined as long as it is to be found out. */
  readonly known: () => IntrospectionAddresses | undefined;
  /** Seconds for which a positive answer is given out without asking again, at most. */
  readonly lifetime: number;
  /** Seconds beyond its lifetime for which a positive answer is given out, as stale, while the AS cannot be asked. */
  readonly staleGrace: number;
  readonly whenUnsure: WhenUnsure;
  readonly log: Log;
}

interface IntrospectionAddresses {
  readonly endpoint: string | undefined;
  readonly certificateEndpoint: string | undefined;
}

export interface IntrospectorStatus extends CircuitStatus {
  readonly issuer: string;
  /** Whether it is known where to ask; `none`: there is nowhere, for the hub's way of authentication. */
  readonly endpoint: 'known' | 'unknown' | 'none';
  /** Verdicts in memory. */
  readonly verdicts: number;
  /** Questions under way. */
  readonly asking: number;
}

/** Milliseconds for which "not active" holds: a token just issued may need a moment to be known everywhere at the AS. */
const NEGATIVE_LIFETIME = 5_000;
/** Part of the memory for verdicts that negative ones get, so that made-up tokens do not displace good ones. */
const NEGATIVE_SHARE = 0.125;

/** Asks one AS about tokens, remembers what it said for a while, and says how old that is. */
export class Introspector {
  readonly issuer: string;
  readonly #options: IntrospectorOptions;
  readonly #breaker: CircuitBreaker;
  readonly #positive = new VerdictCache(LIMITS.verdictBytes * (1 - NEGATIVE_SHARE));
  readonly #negative = new VerdictCache(LIMITS.verdictBytes * NEGATIVE_SHARE);
  /** One question per token, however many wait for its answer. */
  readonly #flights = new Map<string, Promise<Verdict>>();
  /** Of devices, in the flights. */
  readonly #shares = new Shares(LIMITS.introspectionsPerDevice);

  constructor(options: IntrospectorOptions) {
    this.issuer = options.issuer;
    this.#options = options;
    const { clock, random, log } = options;
    this.#breaker = new CircuitBreaker({ clock, random, log: log.child({ issuer: options.issuer }) });
  }

  /**
   * What the AS says of the token. Whoever cannot wait any longer may go: the question goes on for the others.
   * @param digest SHA-256 over the token, 32 bytes
   * @param device id of the device that wants to know: each has a share of the questions under way
   * @throws {LatchkeyError} where there is no verdict: `as_*`, `introspection_*`, `keys_*`,
   * `clock_unsure`, `request_invalid`, `request_too_large`
   */
  async introspect(token: Secret<string>, digest: Uint8Array, device: string): Promise<IntrospectedToken> {
    demandTokenForm(token.expose());
    const name = base64url(digest);
    const held = this.#positive.get(name) ?? this.#negative.get(name);
    if (held !== undefined && (this.#age(held) < held.lifetime || this.#isOver(held))) return this.#judge(held, false);
    try {
      return this.#judge(await this.#ask(name, token, device), false);
    } catch (error) {
      const stale = isExcused(error) ? this.#positive.get(name) : undefined;
      const grace = this.#options.staleGrace * 1_000;
      if (stale === undefined || this.#age(stale) >= stale.lifetime + grace) throw error;
      return this.#judge(stale, true);
    }
  }

  status(): IntrospectorStatus {
    const verdicts = this.#positive.size + this.#negative.size;
    const known = this.#options.known();
    const endpoint = known === undefined ? 'unknown' : this.#urlIn(known) === undefined ? 'none' : 'known';
    return { issuer: this.issuer, ...this.#breaker.status(), endpoint, verdicts, asking: this.#flights.size };
  }

  async close(): Promise<void> {
    await this.#options.as.close();
    await Promise.allSettled(this.#flights.values());
  }

  /** Whoever wants to know what is being asked already takes no room. */
  #ask(name: string, token: Secret<string>, device: string): Promise<Verdict> {
    const flight = this.#flights.get(name);
    if (flight !== undefined) return flight;
    if (this.#flights.size >= LIMITS.introspectionsAtOnce) throw new LatchkeyError('introspection_overloaded');
    if (!this.#shares.take(device)) throw new LatchkeyError('introspection_overloaded', `by ${device} alone`);
    const started = this.#fetch(name, token).finally(() => {
      this.#flights.delete(name);
      this.#shares.release(device);
    });
    this.#flights.set(name, started);
    return started;
  }

  async #fetch(name: string, token: Secret<string>): Promise<Verdict> {
    const trusted = await this.#askThrough(name, token);
    const { members } = trusted;
    // Beyond the breaker: what one token makes the AS say must not keep others from being asked about.
    if (members instanceof LatchkeyError) throw members;
    const answer = readAnswer(members, this.issuer);
    const lifetime = answer.active ? this.#lifetimeOf(trusted) : NEGATIVE_LIFETIME;
    const { bytes } = trusted;
    const answeredAt = this.#options.clock.monotonic();
    const evidence = evidenceOf(trusted.signed, members);
    const verdict: Verdict = { answer, evidence, answeredAt, lifetime, bytes };
    // A token that was good and is not any more must not come back as a stale verdict.
    this.#positive.delete(name);
    (answer.active ? this.#positive : this.#negative).set(name, verdict);
    return verdict;
  }

  async #askThrough(name: string, token: Secret<string>): Promise<TrustedAnswer> {
    // Before the address is looked for: that may take as long again, and the AS is given a pause in all things.
    const admission = this.#breaker.admit(name);
    let url: string;
    try {
      url = await this.#address();
    } catch (error) {
      // Whoever looks for the address spares the AS by himself, and knows the moment that it is back.
      this.#breaker.abandoned(admission);
      throw error;
    }
    try {
      const answer = await askIssuer(url, token.expose(), this.#options);
      this.#breaker.succeeded(admission);
      return answer;
    } catch (error) {
      const { code } = coded(error);
      if (ANSWERS.has(code)) this.#breaker.succeeded(admission);
      else if (FAILURES.has(code)) this.#breaker.failed(admission, code);
      else this.#breaker.abandoned(admission);
      throw error;
    }
  }

  async #address(): Promise<string> {
    const url = this.#urlIn(await this.#options.addresses());
    if (url === undefined)
      throw new LatchkeyError('introspection_unavailable', 'no endpoint for this way of authentication');
    return url;
  }

  #urlIn({ certificateEndpoint, endpoint }: IntrospectionAddresses): string | undefined {
    return this.#options.authentication.method.endsWith('tls_client_auth') ? certificateEndpoint : endpoint;
  }

  /** Milliseconds: the shorter of what operator and AS allow. The token's own end is judged each time. */
  #lifetimeOf({ lifetime }: TrustedAnswer): number {
    return Math.min(this.#options.lifetime, lifetime ?? Number.POSITIVE_INFINITY) * 1_000;
  }

  #age({ answeredAt }: Verdict): number {
    return this.#options.clock.monotonic() - answeredAt;
  }

  /** Expired for good: the AS could say nothing else. */
  #isOver({ answer }: Verdict): boolean {
    return answer.active && answer.expiresAt !== undefined && answer.expiresAt <= this.#options.clock.now().earliest;
  }

  #judge(verdict: Verdict, stale: boolean): IntrospectedToken {
    const { answer, evidence } = verdict;
    const freshness: IntrospectionFreshness = {
      source: 'introspection',
      age: Math.floor(this.#age(verdict) / 1_000),
      stale,
    };
    if (!answer.active) return { active: false, code: 'token_inactive', freshness, evidence };
    const code = this.#timesOf(answer);
    if (code !== undefined) return { active: false, code, freshness, evidence };
    // Member by member: a copy of "the others" takes longer than all the rest of this.
    const { active, audience, clientId, confirmation, confirmationKey, expiresAt, members, scope, subject } = answer;
    const facts = { audience, clientId, confirmation, confirmationKey, expiresAt, members, scope, subject };
    return { active, ...facts, freshness, evidence };
  }

  /** As for a JWT. @throws {LatchkeyError} `clock_unsure`, `clock_behind_floor` */
  #timesOf(answer: Extract<IntrospectionAnswer, { active: true }>): ErrorCode | undefined {
    const { clock, whenUnsure, leeway } = this.#options;
    try {
      judgeTimes(answer, { time: clock.now(), whenUnsure, leeway });
      return undefined;
    } catch (error) {
      if (!isCoded(error) || error.code === 'clock_unsure' || error.code === 'clock_behind_floor') throw error;
      return error.code;
    }
  }
}

/** Answers to one token that are of no use, and show that the AS is there. */
const ANSWERS: ReadonlySet<ErrorCode> = new Set(['introspection_refused', 'as_answer_too_large']);

/** What counts against the AS. That it was not asked, for want of a connection, does not. */
const FAILURES: ReadonlySet<ErrorCode> = new Set([
  'as_unreachable',
  'as_timeout',
  'as_tls_untrusted',
  'as_redirected',
  'as_answer_refused',
  'introspection_answer_invalid',
  'introspection_answer_untrusted',
  'introspection_client_refused',
]);

/** Failures that mean that the AS cannot be asked. An answer that is forged, or a refusal, is something else. */
const EXCUSED: ReadonlySet<string> = new Set<ErrorCode>([
  'as_unreachable',
  'as_timeout',
  'as_tls_untrusted',
  'as_redirected',
  'as_answer_refused',
]);

/** Whether an old verdict may stand in, if the operator allows it. A suspension is excused by what led to it. */
function isExcused(error: unknown): boolean {
  if (!isCoded(error)) return false;
  return EXCUSED.has(error.code) || (error.code === 'introspection_suspended' && EXCUSED.has(error.detail ?? ''));
}

/** Of an answer that may hold a secret key its hash alone is kept: the audit is written to disk, and exported. */
function evidenceOf(signed: TrustedAnswer['signed'], members: JsonObject): IntrospectionEvidence | undefined {
  if (signed === undefined) return undefined;
  return { digest: signed.digest, jws: isPublicConfirmation(members.cnf) ? new Secret(signed.jws) : undefined };
}
