import type { Clock, Random } from '../../core/clock.ts';
import type { ErrorCode } from '../../core/error-catalogue.ts';
import { LatchkeyError } from '../../core/errors.ts';
import type { Log } from '../../ports/log.ts';

export interface CircuitBreakerOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface CircuitStatus {
  /** `suspended`: nothing is asked. `probing`: the pause is over, and the next question, or the one under way, decides. */
  readonly state: 'ready' | 'suspended' | 'probing';
  /** Tokens in a row about which questions failed, and questions since that were to see whether it is back. */
  readonly failures: number;
  /** Why the last question failed; undefined after a good answer. */
  readonly lastError: ErrorCode | undefined;
  /** Seconds until the next question is let through, while suspended. */
  readonly retryIn: number | undefined;
}

/** Leave to ask; to be handed back with what became of the question. */
export interface Admission {
  readonly isProbe: boolean;
  /** Names the token that is asked about. */
  readonly token: string;
}

/**
 * Tokens in a row that a lossy uplink does not make fail by itself, and few enough to spare devices five deadlines. A token
 * counts once: what the AS makes of a single one must not keep others from being asked about.
 */
const THRESHOLD = 5;
/** Milliseconds by which other tokens go before those that failed, when the pause is over. */
const HEAD_START = 1_000;
/** Tokens that are remembered as having failed. */
const MOST_FAILED = 64;
/** Milliseconds of the first pause, doubled after every probe that fails, and of the longest. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 60_000;
/** Part by which a pause is shortened at random, so that hubs do not come back together. */
const JITTER = 0.1;

/**
 * Keeps the hub from asking an AS that does not answer: after some failures in a row questions are refused at once, and
 * after a pause one of them is let through to see. Pure but for the log, in which it says when it opens and closes.
 */
export class CircuitBreaker {
  readonly #options: CircuitBreakerOptions;
  #failures = 0;
  readonly #failed = new Set<string>();
  #lastError: ErrorCode | undefined;
  /** While suspended: when it began, and when the next question may go through. */
  #open: { readonly since: number; readonly pauses: number; readonly until: number } | undefined;
  #isProbing = false;

  constructor(options: CircuitBreakerOptions) {
    this.#options = options;
  }

  /**
   * @param token names the token that is to be asked about
   * @throws {LatchkeyError} `introspection_suspended`: the detail is the code of what failed
   */
  admit(token: string): Admission {
    if (this.#open === undefined) return { isProbe: false, token };
    const from = this.#open.until + (this.#failed.has(token) ? HEAD_START : 0);
    if (this.#isProbing || this.#options.clock.monotonic() < from) {
      throw new LatchkeyError('introspection_suspended', this.#lastError);
    }
    this.#isProbing = true;
    return { isProbe: true, token };
  }

  /** The AS answered, whatever it said. */
  succeeded({ isProbe }: Admission): void {
    if (isProbe) this.#isProbing = false;
    this.#failures = 0;
    this.#failed.clear();
    this.#lastError = undefined;
    if (this.#open === undefined) return;
    const suspended = Math.round((this.#options.clock.monotonic() - this.#open.since) / 1_000);
    this.#open = undefined;
    this.#options.log.info({ event: 'introspection_resumed', suspended }, 'the authorization server answers again');
  }

  failed({ isProbe, token }: Admission, code: ErrorCode): void {
    if (isProbe) this.#isProbing = false;
    const isKnown = this.#failed.has(token);
    this.#remember(token);
    // A question from before the pause tells nothing new, and neither does a token that failed before.
    if (this.#open === undefined ? isKnown : !isProbe) return;
    this.#failures += 1;
    this.#lastError = code;
    if (this.#open !== undefined || this.#failures >= THRESHOLD) this.#suspend(code);
  }

  /** The question came to nothing through no fault of the AS. */
  abandoned({ isProbe }: Admission): void {
    if (isProbe) this.#isProbing = false;
  }

  status(): CircuitStatus {
    const { clock } = this.#options;
    const common = { failures: this.#failures, lastError: this.#lastError };
    if (this.#open === undefined) return { ...common, state: 'ready', retryIn: undefined };
    const pause = Math.max(0, this.#open.until - clock.monotonic());
    if (pause === 0) return { ...common, state: 'probing', retryIn: undefined };
    return { ...common, state: 'suspended', retryIn: pause / 1_000 };
  }

  #remember(token: string): void {
    this.#failed.add(token);
    const [oldest] = this.#failed;
    if (this.#failed.size > MOST_FAILED && oldest !== undefined) this.#failed.delete(oldest);
  }

  #suspend(code: ErrorCode): void {
    const { clock, random, log } = this.#options;
    const now = clock.monotonic();
    const pauses = (this.#open?.pauses ?? 0) + 1;
    const longest = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(pauses - 1, 16));
    const pause = longest * (1 - JITTER * random.fraction());
    const isNew = this.#open === undefined;
    this.#open = { since: this.#open?.since ?? now, pauses, until: now + pause };
    const fields = { event: 'introspection_suspended', code, failures: this.#failures, retry_in: pause / 1_000 };
    if (isNew) log.warn(fields, 'the authorization server failed for several tokens in a row: it is given a pause');
    else log.debug(fields, 'the authorization server still fails: it is given a longer pause');
  }
}
