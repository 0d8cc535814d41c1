import type { Clock, Random } from '../../core/clock.ts';
import type { ErrorCode } from '../../core/error-catalogue.ts';
import { LatchkeyError } from '../../core/errors.ts';
import type { Log } from '../../ports/log.ts';

export interface CircuitBreakerOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Failures in a row that lead to a pause. */
  readonly threshold?: number;
  /** Failures of one subject that count. */
  readonly perSubject?: number;
}

export interface CircuitStatus {
  /** `suspended`: nothing is asked. `probing`: the pause is over, and the next question, or the one under way, decides. */
  readonly state: 'ready' | 'suspended' | 'probing';
  /** Failures in a row that counted, and questions since that were to see whether it is back. */
  readonly failures: number;
  /** Why the last question failed; undefined after a good answer. */
  readonly lastError: ErrorCode | undefined;
  /** Seconds until the next question is let through, while suspended. */
  readonly retryIn: number | undefined;
}

/** Leave to ask; to be handed back with what became of the question. */
export interface Admission {
  readonly isProbe: boolean;
  /** Names what is asked about, or the device that asks. */
  readonly subject: string;
}

/** Refused, since the one who would be asked has a pause. The detail is the code of what led to it. */
export class Suspension extends LatchkeyError {
  readonly reason: ErrorCode | undefined;
  /** Milliseconds of the monotonic clock: when the pause is over. */
  readonly until: number;

  constructor(reason: ErrorCode | undefined, { until, now }: { readonly until: number; readonly now: number }) {
    const retryAfter = Math.max(1, Math.ceil((until - now) / 1_000));
    super('introspection_suspended', reason, { retryAfter });
    this.reason = reason;
    this.until = until;
  }
}

/**
 * Failures in a row that a lossy uplink does not make by itself, and few enough to spare devices five deadlines. A subject
 * counts so often and no more: what the AS makes of a single token must not keep others from being asked about.
 */
const THRESHOLD = 5;
/** Milliseconds by which other subjects go before those that failed, when the pause is over. */
const HEAD_START = 1_000;
/** Subjects that are remembered as having failed. */
const MOST_FAILED = 64;
/** Milliseconds of the first pause, doubled after every probe that fails, and of the longest. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 60_000;
/** Milliseconds within which one pause is told in the log, and others only at level debug. */
const LOG_INTERVAL = 60_000;
/** Part by which a pause is shortened at random, so that hubs do not come back together. */
const JITTER = 0.1;

interface Open {
  readonly since: number;
  readonly pauses: number;
  /** When the next question may go through. */
  readonly until: number;
  /** The part of it that was asked for: no good answer to others shortens that. */
  readonly heldUntil: number;
}

/** Milliseconds of the pause after so many others, before chance shortens it. */
export function pauseAfter(pauses: number): number {
  return Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(pauses, 16));
}

/**
 * Keeps the hub from asking an AS that does not answer: after some failures in a row questions are refused at once, and
 * after a pause one of them is let through to see. Pure but for the log, in which it says when it opens and closes.
 */
export class CircuitBreaker {
  readonly #options: CircuitBreakerOptions;
  readonly #threshold: number;
  readonly #perSubject: number;
  #failures = 0;
  readonly #failed = new Map<string, number>();
  #lastError: ErrorCode | undefined;
  /** While suspended. */
  #open: Open | undefined;
  #isProbing = false;
  #loggedAt: number | undefined;
  #isLogged = false;

  constructor(options: CircuitBreakerOptions) {
    this.#options = options;
    this.#threshold = options.threshold ?? THRESHOLD;
    this.#perSubject = options.perSubject ?? 1;
  }

  /** @throws {Suspension} */
  admit(subject: string): Admission {
    if (this.#open === undefined) return { isProbe: false, subject };
    const now = this.#options.clock.monotonic();
    const from = this.#open.until + (this.#failed.has(subject) ? HEAD_START : 0);
    if (this.#isProbing || now < from) throw new Suspension(this.#lastError, { until: from, now });
    this.#isProbing = true;
    return { isProbe: true, subject };
  }

  /** The AS answered, whatever it said. Answers whether this ended a pause. */
  succeeded({ isProbe }: Pick<Admission, 'isProbe'>): boolean {
    if (isProbe) this.#isProbing = false;
    this.#failures = 0;
    this.#failed.clear();
    const now = this.#options.clock.monotonic();
    // An answer to a question from before the AS asked for a pause does not take it back.
    if (this.#open !== undefined && now < this.#open.heldUntil) return false;
    this.#lastError = undefined;
    if (this.#open === undefined) return false;
    const suspended = Math.round((now - this.#open.since) / 1_000);
    this.#open = undefined;
    const level = this.#isLogged ? 'info' : 'debug';
    this.#options.log[level]({ event: 'introspection_resumed', suspended }, 'the authorization server answers again');
    return true;
  }

  /** Answers whether it counted. */
  failed({ isProbe, subject }: Admission, code: ErrorCode): boolean {
    if (isProbe) this.#isProbing = false;
    const times = this.#failed.get(subject) ?? 0;
    this.#remember(subject, times + 1);
    // A question from before the pause tells nothing new, and neither does a subject that failed often enough.
    if (this.#open === undefined ? times >= this.#perSubject : !isProbe) return false;
    this.#failures += 1;
    this.#lastError = code;
    if (this.#open !== undefined || this.#failures >= this.#threshold) this.#suspend(code);
    return true;
  }

  /** The question came to nothing through no fault of the AS. */
  abandoned({ isProbe }: Pick<Admission, 'isProbe'>): void {
    if (isProbe) this.#isProbing = false;
  }

  /** The AS itself asks for a pause. A longer one that is under way goes on. */
  hold(code: ErrorCode, milliseconds: number): void {
    const now = this.#options.clock.monotonic();
    this.#lastError = code;
    const { since = now, pauses = 0, until = 0, heldUntil = 0 } = this.#open ?? {};
    const end = now + milliseconds;
    this.#begin({ since, pauses, until: Math.max(until, end), heldUntil: Math.max(heldUntil, end) }, code);
  }

  /** Lets the next question through, unless the AS asked for the pause. */
  retryNow(): void {
    const now = this.#options.clock.monotonic();
    if (this.#open !== undefined) this.#open = { ...this.#open, until: Math.max(now, this.#open.heldUntil) };
  }

  status(): CircuitStatus {
    const { clock } = this.#options;
    const common = { failures: this.#failures, lastError: this.#lastError };
    if (this.#open === undefined) return { ...common, state: 'ready', retryIn: undefined };
    const pause = Math.max(0, this.#open.until - clock.monotonic());
    if (pause === 0) return { ...common, state: 'probing', retryIn: undefined };
    return { ...common, state: 'suspended', retryIn: pause / 1_000 };
  }

  #remember(subject: string, times: number): void {
    this.#failed.set(subject, times);
    const [oldest] = this.#failed.keys();
    if (this.#failed.size > MOST_FAILED && oldest !== undefined) this.#failed.delete(oldest);
  }

  #suspend(code: ErrorCode): void {
    const { clock, random } = this.#options;
    const now = clock.monotonic();
    const pauses = (this.#open?.pauses ?? 0) + 1;
    const pause = pauseAfter(pauses - 1) * (1 - JITTER * random.fraction());
    const { since = now, heldUntil = 0 } = this.#open ?? {};
    this.#begin({ since, pauses, until: Math.max(heldUntil, now + pause), heldUntil }, code);
  }

  #begin(open: Open, code: ErrorCode): void {
    const { clock, log } = this.#options;
    const isNew = this.#open === undefined;
    const now = clock.monotonic();
    this.#open = open;
    const fields = {
      event: 'introspection_suspended',
      code,
      failures: this.#failures,
      retry_in: (open.until - now) / 1_000,
    };
    if (isNew) this.#isLogged = this.#loggedAt === undefined || now - this.#loggedAt >= LOG_INTERVAL;
    if (isNew && this.#isLogged) {
      this.#loggedAt = now;
      log.warn(fields, 'questions to the authorization server are paused');
    } else log.debug(fields, 'questions to the authorization server stay paused');
  }
}
