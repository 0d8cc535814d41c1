/** A window in which devices are paired: for so long, and for so many wrong codes. */
import type { Clock, Timers } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { CandidateView, PairCandidate, PairingView, PairObstacle, PairTargets } from '../ports/pairing.ts';
import { lastingObstacle, viewObstacle } from './pair-obstacles.ts';

/** Where devices are looked for. */
export interface WindowPlaces {
  readonly targets: readonly PairTargets[];
  readonly medium: CandidateView['medium'] | undefined;
  /** The only line, or advertised name, that counts. */
  readonly name: string | undefined;
  /** Id of the device that is expected, where it is known: it usually advertises it. It is in every list that is cut short. */
  readonly expected?: string | undefined;
}

export interface WindowOptions extends WindowPlaces {
  readonly milliseconds: number;
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
    this.#stopWatching = options.targets.map((target) => target.watch(options.name ?? options.expected));
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
    const now = candidatesAt({ ...this.#options, expected: candidate.name }).find(
      (other) => keyOf(other) === keyOf(candidate),
    );
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
      candidates: candidatesAt(this.#options).map(viewCandidate),
      obstacles: obstaclesAt(this.#options).map(viewObstacle),
    };
  }

  /** @throws {LatchkeyError} `pairing_candidate_unknown`, or what keeps it from being seen: `pairing_place_taken`, `link_*`, `radio_*` */
  candidate(key: string): PairCandidate {
    const expected = key.slice(key.indexOf('/') + 1);
    const found = candidatesAt({ ...this.#options, expected }).find((candidate) => keyOf(candidate) === key);
    if (found !== undefined) return found;
    const [medium] = key.split('/', 1);
    const obstacle = obstaclesAt(this.#options).find(({ place }) => place === key || place === medium);
    throw new LatchkeyError(obstacle?.code ?? 'pairing_candidate_unknown', obstacle?.detail ?? key);
  }

  /**
   * The one that is meant where nobody said which: that by the name of the device, or the only one.
   * @throws {LatchkeyError} `pairing_candidate_unknown`, `pairing_candidate_unclear`
   */
  likelyCandidate(id: string | undefined): PairCandidate {
    const candidates = candidatesAt({ ...this.#options, expected: id ?? this.#options.expected });
    const named = id === undefined ? [] : candidates.filter(({ name }) => name === id);
    const [found, ...others] = named.length > 0 ? named : candidates;
    if (found === undefined) throw new LatchkeyError('pairing_candidate_unknown', 'nothing is there');
    if (others.length > 0)
      throw new LatchkeyError('pairing_candidate_unclear', [found, ...others].map(keyOf).join(', '));
    return found;
  }
}

/**
 * Whether anybody can show up at all, now or once something is plugged in, comes back or wakes up.
 * @throws {LatchkeyError} `link_unconfigured`, `pairing_place_taken` where that takes an operator
 */
export function checkPlaces(places: WindowPlaces): void {
  const { medium, name } = places;
  const candidates = candidatesAt(places).length;
  const obstacle = lastingObstacle({ candidates, obstacles: obstaclesAt(places), medium, name });
  if (obstacle !== undefined) throw new LatchkeyError(obstacle.code, obstacle.detail);
}

/** The expected one first, then the strongest ones; what is on a line has no strength and cannot be confused. */
function candidatesAt({ expected, medium, name, targets }: WindowPlaces): readonly PairCandidate[] {
  const rank = (candidate: PairCandidate) => (candidate.name === expected ? 1 : (candidate.signal ?? 0));
  return targets
    .flatMap((target) => target.list())
    .filter((candidate) => medium === undefined || mediumOf(candidate) === medium)
    .filter((candidate) => name === undefined || candidate.name === name)
    .sort((a, b) => rank(b) - rank(a))
    .slice(0, LIMITS.pairingCandidates);
}

function obstaclesAt({ medium, name, targets }: WindowPlaces): readonly PairObstacle[] {
  return targets
    .flatMap((target) => target.obstacles(name))
    .filter(({ place }) => medium === undefined || place.split('/', 1)[0] === medium);
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
