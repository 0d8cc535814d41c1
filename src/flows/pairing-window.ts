/** A window in which devices are paired: for so long, and for so many wrong codes. */
import type { Clock, Timers } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { CandidateView, PairCandidate, PairingView, PairTargets } from '../ports/pairing.ts';

export interface WindowOptions {
  readonly targets: readonly PairTargets[];
  readonly milliseconds: number;
  readonly medium: CandidateView['medium'] | undefined;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly timers: Timers;
  readonly onClosed: (why: 'time' | 'attempts' | 'operator') => void;
}

export class PairingWindow {
  readonly #options: WindowOptions;
  readonly #closesAt: number;
  readonly #cancel: () => void;
  readonly #stopWatching: readonly (() => void)[];
  #attemptsLeft = LIMITS.pairingAttempts;
  #isOpen = true;

  constructor(options: WindowOptions) {
    this.#options = options;
    this.#closesAt = options.clock.monotonic() + options.milliseconds;
    this.#stopWatching = options.targets.map((target) => target.watch());
    this.#cancel = options.timers.after(options.milliseconds, () => this.close('time'));
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  close(why: 'time' | 'attempts' | 'operator'): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#cancel();
    for (const stop of this.#stopWatching) stop();
    this.#options.onClosed(why);
  }

  /** How many others have answered to its name since it was chosen, or do now. */
  rivalsOf(candidate: PairCandidate): number {
    const now = this.#candidates().find((other) => keyOf(other) === keyOf(candidate));
    return Math.max(candidate.rivals ?? 0, now?.rivals ?? 0);
  }

  /** A device did not take the code, and nobody else answers to its name. True where it was the last one that is taken, and the window is closed. */
  countWrongCode(): boolean {
    this.#attemptsLeft -= 1;
    if (this.#attemptsLeft > 0) return false;
    this.close('attempts');
    return true;
  }

  view(): PairingView {
    return {
      closes_in: Math.max(0, Math.ceil((this.#closesAt - this.#options.clock.monotonic()) / 1_000)),
      attempts_left: this.#attemptsLeft,
      candidates: this.#candidates().map(viewCandidate),
    };
  }

  /** @throws {LatchkeyError} `pairing_candidate_unknown` */
  candidate(key: string): PairCandidate {
    const found = this.#candidates().find((candidate) => keyOf(candidate) === key);
    if (found === undefined) throw new LatchkeyError('pairing_candidate_unknown', key);
    return found;
  }

  /**
   * The one that is meant where nobody said which: that by the name of the device, or the only one.
   * @throws {LatchkeyError} `pairing_candidate_unknown`, `pairing_candidate_unclear`
   */
  likelyCandidate(id: string | undefined): PairCandidate {
    const candidates = this.#candidates();
    const named = id === undefined ? [] : candidates.filter(({ name }) => name === id);
    const [found, ...others] = named.length > 0 ? named : candidates;
    if (found === undefined) throw new LatchkeyError('pairing_candidate_unknown', 'nothing is there');
    if (others.length > 0)
      throw new LatchkeyError('pairing_candidate_unclear', [found, ...others].map(keyOf).join(', '));
    return found;
  }

  /** The strongest ones first; what is on a line has no strength and cannot be confused. */
  #candidates(): readonly PairCandidate[] {
    const { medium, targets } = this.#options;
    return targets
      .flatMap((target) => target.list())
      .filter((candidate) => medium === undefined || mediumOf(candidate) === medium)
      .sort((a, b) => (b.signal ?? 0) - (a.signal ?? 0))
      .slice(0, LIMITS.pairingCandidates);
  }
}

function viewCandidate(candidate: PairCandidate): CandidateView {
  const { name, rivals = 0, signal } = candidate;
  return {
    key: keyOf(candidate),
    name,
    medium: mediumOf(candidate),
    ...(signal === undefined ? {} : { signal }),
    ...(rivals === 0 ? {} : { rivals }),
  };
}

function keyOf(candidate: PairCandidate): string {
  return `${mediumOf(candidate)}/${candidate.name}`;
}

function mediumOf({ place }: PairCandidate): CandidateView['medium'] {
  return place.line === undefined ? 'ble' : 'line';
}
