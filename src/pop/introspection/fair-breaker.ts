import type { Clock, Random } from '../../core/clock.ts';
import type { ErrorCode } from '../../core/error-catalogue.ts';
import { LatchkeyError } from '../../core/errors.ts';
import type { Log } from '../../ports/log.ts';
import { type Admission, CircuitBreaker, type CircuitStatus, pauseAfter } from './circuit-breaker.ts';

/** Leave for one question of a device. */
export interface Ticket {
  readonly device: string;
  readonly token: string;
  /** Of the device's own breaker, where it had one. */
  readonly own: Admission | undefined;
  readonly shared: Admission;
}

export interface FairStatus extends CircuitStatus {
  /** Devices whose own questions are paused. */
  readonly slowed: number;
}

interface FairBreakerOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

interface Suspect {
  readonly breaker: CircuitBreaker;
  /** When the first and the last of its failures in a row were, in milliseconds of the monotonic clock. */
  readonly since: number;
  readonly failedAt: number;
}

const NO_PROBE = { isProbe: false };

/** Failures of one device that count against the AS. With a threshold of five, at least three devices must have failed. */
const PER_DEVICE = 2;
/** Devices that must be told "later" before all are paused: what the AS tells one device may be about its tokens alone. */
const DEVICES_TOLD_LATER = 2;
/** Seconds of a pause that an AS asks for, at most: it may ask for a day by mistake, and is mended in the meantime. */
const LONGEST_RETRY_AFTER = 300;
/** Questions of a device under way for so long after one of them failed: slow answers must not take all connections. */
const SUSPECT_QUESTIONS = 8;
const SUSPECT_FOR = 60_000;
/** Questions from which on a device may be the one that an AS became too busy by. */
const LEAST_FLOOD = 8;
/** Devices that are remembered by their failures. Each has one breaker. */
const DEVICES_KEPT = 4_096;

/**
 * Pauses questions to an AS so that one device cannot bring a pause over the others. Failures count against the device
 * that asked first: it has a breaker of its own, by tokens. They count against the AS when several devices meet them.
 * While the AS has a pause, the question that decides goes to a device whose own did not fail.
 *
 * An AS that asks for a pause (429, or 503 with Retry-After) gets it from the device that it told, and from all as soon as
 * it told a second one: never for longer than it says. Where one device asked most of the questions that led there, its
 * own pause is longer, and longer each time.
 */
export class FairBreaker {
  readonly #options: FairBreakerOptions;
  readonly #shared: CircuitBreaker;
  /** Devices of which a question failed of late. */
  readonly #devices = new Map<string, Suspect>();
  readonly #underWay = new Map<string, number>();
  /** Devices that the AS told to wait, and until when. */
  readonly #toldLater = new Map<string, number>();
  /** Questions since the AS last had all of them wait, by device. */
  #asked = new Map<string, number>();
  #answeredAt: number | undefined;
  #loudest: { readonly device: string; readonly times: number } | undefined;

  constructor(options: FairBreakerOptions) {
    this.#options = options;
    this.#shared = new CircuitBreaker({ ...options, perSubject: PER_DEVICE });
  }

  /**
   * @param token names the token that is to be asked about
   * @throws {Suspension} for the questions of this device, or for all
   * @throws {LatchkeyError} `introspection_overloaded`: questions of this device failed, and it has enough under way
   */
  admit(device: string, token: string): Ticket {
    const suspect = this.#suspect(device);
    const underWay = this.#underWay.get(device) ?? 0;
    const own = suspect?.breaker.admit(token);
    let shared: Admission;
    try {
      if (suspect !== undefined && underWay >= SUSPECT_QUESTIONS) {
        throw new LatchkeyError('introspection_overloaded', `by ${device} alone, whose questions fail`);
      }
      shared = this.#shared.admit(device);
    } catch (error) {
      if (own !== undefined) suspect?.breaker.abandoned(own);
      throw error;
    }
    this.#underWay.set(device, underWay + 1);
    if (this.#asked.size >= DEVICES_KEPT) this.#asked = new Map();
    this.#asked.set(device, (this.#asked.get(device) ?? 0) + 1);
    return { device, token, own, shared };
  }

  /** The AS answered, whatever it said. */
  succeeded({ device, own, shared }: Ticket): void {
    this.#end(device);
    this.#answeredAt = this.#options.clock.monotonic();
    this.#devices.get(device)?.breaker.succeeded(own ?? NO_PROBE);
    if (!this.#shared.succeeded(shared)) return;
    // The AS is back. Each device that is paused may see for itself; where its questions still fail its pause grows on.
    for (const { breaker } of this.#devices.values()) breaker.retryNow();
  }

  /** @param retryAfter seconds for which the AS asks not to be asked */
  failed({ device, token, own, shared }: Ticket, code: ErrorCode, retryAfter?: number): void {
    this.#end(device);
    const { breaker } = this.#suspectOf(device);
    const isNews = breaker.failed(own ?? { isProbe: false, subject: token }, code);
    const hold = Math.min(retryAfter ?? 0, LONGEST_RETRY_AFTER) * 1_000;
    if (hold > 0) breaker.hold(code, hold);
    if (hold > 0) {
      this.#shared.abandoned(shared);
      this.#tellLater(device, hold);
    } else if (shared.isProbe || (isNews && own?.isProbe !== true)) {
      // Where a device was paused already, its failures are its own matter until a question of it is answered. But a
      // probe of all always decides: else a device could ask about one bad token again and again, and keep it.
      this.#shared.failed(shared, code);
    } else {
      this.#shared.abandoned(shared);
    }
  }

  /** The question came to nothing through no fault of the AS. */
  abandoned({ device, own, shared }: Ticket): void {
    this.#end(device);
    if (own !== undefined) this.#devices.get(device)?.breaker.abandoned(own);
    this.#shared.abandoned(shared);
  }

  status(): FairStatus {
    const shared = this.#shared.status();
    const paused = [...this.#devices.values()].filter(({ breaker }) => breaker.status().state !== 'ready');
    const slowed = paused.length;
    // Without a good answer for any device since, what the paused ones met is all that is known of the AS.
    const [soonest] = paused
      .filter(({ since }) => this.#answeredAt === undefined || since > this.#answeredAt)
      .map(({ breaker }) => breaker.status())
      .toSorted((a, b) => (a.retryIn ?? 0) - (b.retryIn ?? 0));
    return { ...(shared.state === 'ready' && soonest !== undefined ? soonest : shared), slowed };
  }

  #tellLater(device: string, hold: number): void {
    const { clock } = this.#options;
    const now = clock.monotonic();
    for (const [other, until] of this.#toldLater) if (until <= now) this.#toldLater.delete(other);
    this.#toldLater.set(device, now + hold);
    if (this.#toldLater.size < DEVICES_TOLD_LATER) return;
    this.#shared.hold('as_busy', hold);
    this.#quieten(hold);
  }

  /** The device that asked more than all others together waits for longer than they do. */
  #quieten(hold: number): void {
    let [loudest, most, all] = ['', 0, 0];
    for (const [device, count] of this.#asked) {
      all += count;
      if (count > most) [loudest, most] = [device, count];
    }
    const isAlone = this.#asked.size < 2 || most < LEAST_FLOOD || most <= all / 2;
    this.#asked = new Map();
    if (isAlone) return;
    const times = this.#loudest?.device === loudest ? this.#loudest.times + 1 : 0;
    this.#loudest = { device: loudest, times };
    this.#suspectOf(loudest).breaker.hold('as_busy', hold + pauseAfter(times));
  }

  #end(device: string): void {
    const left = (this.#underWay.get(device) ?? 1) - 1;
    if (left > 0) this.#underWay.set(device, left);
    else this.#underWay.delete(device);
  }

  /** The device, where a question of it failed a moment ago or its questions are paused. */
  #suspect(device: string): Suspect | undefined {
    const suspect = this.#devices.get(device);
    if (suspect === undefined) return undefined;
    if (!isQuiet(suspect) || this.#options.clock.monotonic() - suspect.failedAt < SUSPECT_FOR) return suspect;
    this.#devices.delete(device);
    return undefined;
  }

  #suspectOf(device: string): Suspect {
    const { clock, random, log } = this.#options;
    const failedAt = clock.monotonic();
    const known = this.#devices.get(device);
    const breaker = known?.breaker ?? new CircuitBreaker({ clock, random, log: log.child({ device }) });
    const since = known === undefined || isQuiet(known) ? failedAt : known.since;
    const suspect = { breaker, since, failedAt };
    this.#devices.set(device, suspect);
    const [oldest] = this.#devices.keys();
    if (this.#devices.size > DEVICES_KEPT && oldest !== undefined) this.#devices.delete(oldest);
    return suspect;
  }
}

function isQuiet({ breaker }: Suspect): boolean {
  const { failures, state } = breaker.status();
  return failures === 0 && state === 'ready';
}
