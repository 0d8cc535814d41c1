import { base64url } from '../../core/bytes.ts';
import type { Timers } from '../../core/clock.ts';
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
import { Suspension } from './circuit-breaker.ts';
import { FairBreaker, type FairStatus, type Ticket } from './fair-breaker.ts';
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
  readonly timers: Timers;
  readonly log: Log;
}

interface IntrospectionAddresses {
  readonly endpoint: string | undefined;
  readonly certificateEndpoint: string | undefined;
}

export interface IntrospectorStatus extends FairStatus {
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
/** Milliseconds for which "expired" is remembered, so that the AS is not asked about it again and again. */
const EXPIRED_KEPT = 300_000;
/** Milliseconds between two times that verdicts of no use are forgotten, at least and at most. */
const SWEEP = { least: 1_000, most: 60_000 } as const;
/** Milliseconds beyond a pause for which what was found out in it counts. */
const OUTAGE_KEPT = 60_000;
/** Part of the memory for verdicts that negative ones get, so that made-up tokens do not displace good ones. */
const NEGATIVE_SHARE = 0.125;

/** Asks one AS about tokens, remembers what it said for a while, and says how old that is. */
export class Introspector {
  readonly issuer: string;
  readonly #options: IntrospectorOptions;
  readonly #breaker: FairBreaker;
  readonly #positive = new VerdictCache(LIMITS.verdictBytes * (1 - NEGATIVE_SHARE));
  readonly #negative = new VerdictCache(LIMITS.verdictBytes * NEGATIVE_SHARE);
  /** One question per token, however many wait for its answer. */
  readonly #flights = new Map<string, Promise<Verdict>>();
  /** Of devices, in the flights. */
  readonly #shares = new Shares(LIMITS.introspectionsPerDevice);
  /** Whether the AS is away, as seen by a token that it knows: by the end of the pause in which that was asked. */
  readonly #outages = new Map<number, Promise<boolean>>();

  #cancelSweep: (() => void) | undefined;
  #isClosed = false;

  constructor(options: IntrospectorOptions) {
    this.issuer = options.issuer;
    this.#options = options;
    const { clock, random, log } = options;
    this.#breaker = new FairBreaker({ clock, random, log: log.child({ issuer: options.issuer }) });
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
    const held = this.#fresh(name);
    if (held !== undefined) return this.#judge(held, false);
    try {
      return this.#judge(await this.#ask(name, token, device), false);
    } catch (error) {
      if (!this.#mayServeStale(name)) throw error;
      const isAway = error instanceof Suspension ? await this.#isAway(error, name, token) : isExcused(error);
      const fresh = this.#fresh(name);
      if (fresh !== undefined) return this.#judge(fresh, false);
      const stale = this.#positive.get(name);
      if (!isAway || stale === undefined || !this.#mayServeStale(name)) throw error;
      return this.#judge(stale, true);
    }
  }

  #fresh(name: string): Verdict | undefined {
    const held = this.#positive.get(name) ?? this.#negative.get(name);
    return held !== undefined && (this.#age(held) < held.lifetime || this.#isOver(held)) ? held : undefined;
  }

  #mayServeStale(name: string): boolean {
    const verdict = this.#positive.get(name);
    return verdict !== undefined && this.#age(verdict) < verdict.lifetime + this.#options.staleGrace * 1_000;
  }

  /**
   * Whether the AS is away, where questions are paused and an old verdict could serve. A client can bring a pause about
   * with tokens that it makes up, so that a revoked one counts on. It cannot make the AS fail for a token that the AS
   * itself called active: so one such token is asked about in each pause, and decides for all others of it.
   */
  async #isAway({ reason, until }: Suspension, name: string, token: Secret<string>): Promise<boolean> {
    // An AS that asks for a pause is there, and gets it.
    if (reason === undefined || !EXCUSED.has(reason)) return false;
    const now = this.#options.clock.monotonic();
    // Kept beyond the pause, since the question that ends it may be under way for as long again.
    for (const end of this.#outages.keys()) if (end + OUTAGE_KEPT <= now) this.#outages.delete(end);
    const known = this.#outages.get(until);
    if (known !== undefined) return known;
    const outage = this.#failsFor(name, token);
    this.#outages.set(until, outage);
    return outage;
  }

  async #failsFor(name: string, token: Secret<string>): Promise<boolean> {
    try {
      this.#keep(name, await askIssuer(await this.#address(), token.expose(), this.#options));
      return false;
    } catch (error) {
      return isExcused(error);
    }
  }

  status(): IntrospectorStatus {
    const verdicts = this.#positive.size + this.#negative.size;
    const known = this.#options.known();
    const endpoint = known === undefined ? 'unknown' : this.#urlIn(known) === undefined ? 'none' : 'known';
    return { issuer: this.issuer, ...this.#breaker.status(), endpoint, verdicts, asking: this.#flights.size };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelSweep?.();
    await this.#options.as.close();
    await Promise.allSettled(this.#flights.values());
  }

  /** Whoever wants to know what is being asked already takes no room. */
  #ask(name: string, token: Secret<string>, device: string): Promise<Verdict> {
    const flight = this.#flights.get(name);
    if (flight !== undefined) return flight;
    if (this.#flights.size >= LIMITS.introspectionsAtOnce) throw new LatchkeyError('introspection_overloaded');
    // Before the address is looked for: that may take as long again, and a pause is one in all things. And before the
    // flight: no other device is to be refused for a pause of this one.
    const ticket = this.#breaker.admit(device, name);
    if (!this.#shares.take(device)) {
      this.#breaker.abandoned(ticket);
      throw new LatchkeyError('introspection_overloaded', `by ${device} alone`);
    }
    const started = this.#fetch(name, token, ticket).finally(() => {
      this.#flights.delete(name);
      this.#shares.release(device);
    });
    this.#flights.set(name, started);
    return started;
  }

  async #fetch(name: string, token: Secret<string>, ticket: Ticket): Promise<Verdict> {
    return this.#keep(name, await this.#askThrough(ticket, token));
  }

  #keep(name: string, trusted: TrustedAnswer): Verdict {
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
    this.#sweepLater();
    return verdict;
  }

  /** Verdicts that no device asks for again would stay until others need their memory. */
  #sweepLater(): void {
    if (this.#cancelSweep !== undefined || this.#isClosed) return;
    const { lifetime, staleGrace, timers } = this.#options;
    const pause = Math.min(SWEEP.most, Math.max(SWEEP.least, (lifetime + staleGrace) * 1_000));
    this.#cancelSweep = timers.after(pause, () => {
      this.#cancelSweep = undefined;
      for (const verdicts of [this.#positive, this.#negative]) verdicts.sweep((verdict) => this.#isUseful(verdict));
      if (this.#positive.size + this.#negative.size > 0) this.#sweepLater();
    });
  }

  #isUseful(verdict: Verdict): boolean {
    const grace = verdict.answer.active ? this.#options.staleGrace * 1_000 : 0;
    const age = this.#age(verdict);
    return age < verdict.lifetime + grace || (age < EXPIRED_KEPT && this.#isOver(verdict));
  }

  async #askThrough(ticket: Ticket, token: Secret<string>): Promise<TrustedAnswer> {
    let url: string;
    try {
      url = await this.#address();
    } catch (error) {
      // Whoever looks for the address spares the AS by himself, and knows the moment that it is back.
      this.#breaker.abandoned(ticket);
      throw error;
    }
    try {
      const answer = await askIssuer(url, token.expose(), this.#options);
      this.#breaker.succeeded(ticket);
      return answer;
    } catch (error) {
      const { code, retryAfter } = coded(error);
      if (ANSWERS.has(code)) this.#breaker.succeeded(ticket);
      else if (FAILURES.has(code)) this.#breaker.failed(ticket, code, retryAfter);
      else this.#breaker.abandoned(ticket);
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
  'as_busy',
  'introspection_answer_invalid',
  'introspection_answer_untrusted',
  'introspection_client_refused',
]);

/**
 * Failures that mean that the AS cannot be asked. An answer that is forged, or a refusal, is something else; and so is an
 * AS that asks for a pause, which a single device that asks too much can bring about. `descriptors_exhausted` is none of them: a
 * client that opens connections can bring it about, and would keep a revoked token alive for as long as it holds them.
 */
const EXCUSED: ReadonlySet<string> = new Set<ErrorCode>([
  'as_unreachable',
  'as_timeout',
  'as_tls_untrusted',
  'as_redirected',
  'as_answer_refused',
]);

/** Whether an old verdict may stand in, if the operator allows it. */
function isExcused(error: unknown): boolean {
  return isCoded(error) && EXCUSED.has(error.code);
}

/** Of an answer that may hold a secret key its hash alone is kept: the audit is written to disk, and exported. */
function evidenceOf(signed: TrustedAnswer['signed'], members: JsonObject): IntrospectionEvidence | undefined {
  if (signed === undefined) return undefined;
  return { digest: signed.digest, jws: isPublicConfirmation(members.cnf) ? new Secret(signed.jws) : undefined };
}
