import { setTimeout as pause } from 'node:timers/promises';
import { isCoded, isErrorCode, LatchkeyError } from '../core/errors.ts';
import { printable } from '../core/printable.ts';
import type { CandidateView, ObstacleView, Pairing, PairingView } from '../ports/pairing.ts';

/** How often the hub is asked who is there, milliseconds. */
const LOOK_EVERY = 500;
/** How long others may still show up once one has that could be it, milliseconds: sleepers advertise every other second. */
const SETTLE = 3_000;

export interface PairWatchOptions {
  readonly pairing: Pairing;
  /** The window is for that one alone. */
  readonly medium: CandidateView['medium'] | undefined;
  /** The operator wants to stop. */
  readonly signal: AbortSignal;
  readonly onObstacle: (obstacle: ObstacleView) => void;
}

/** Who is there, as it changes, and why others are not. */
export class PairWatch {
  readonly signal: AbortSignal;
  readonly #pairing: Pairing;
  readonly #medium: PairWatchOptions['medium'];
  readonly #onObstacle: PairWatchOptions['onObstacle'];
  readonly #told = new Set<string>();
  readonly #toldObstacles = new Set<string>();
  /** As they were when the operator last looked. */
  #obstacles: readonly ObstacleView[] = [];

  constructor({ medium, onObstacle, pairing, signal }: PairWatchOptions) {
    this.#pairing = pairing;
    this.#medium = medium;
    this.#onObstacle = onObstacle;
    this.signal = signal;
  }

  /**
   * Who is there now.
   * @throws {LatchkeyError} `pairing_window_closed`, `request_cancelled`
   */
  async look(): Promise<PairingView> {
    if (this.signal.aborted) throw new LatchkeyError('request_cancelled', 'it was interrupted; nothing was paired');
    const view = await this.#pairing.view();
    this.#obstacles = view.obstacles;
    // Who shows up without one that is down or taken is most likely the one that is meant.
    for (const obstacle of view.obstacles)
      if (!obstacle.lasting || view.candidates.length === 0) this.#tellObstacle(obstacle);
    return view;
  }

  /** Tells of everything that is in the way: the operator misses a device that should be there. */
  tellAllObstacles(): void {
    for (const obstacle of this.#obstacles) this.#tellObstacle(obstacle);
  }

  /** Tells of each device that shows up, once, until the window closes. */
  async untilClosed(onSeen: (candidate: CandidateView) => void): Promise<void> {
    try {
      await this.#until(onSeen, () => false);
    } catch (error) {
      if (!isCoded(error, 'pairing_window_closed')) throw error;
    }
  }

  /**
   * Resolves when a device is there.
   * @throws {LatchkeyError} where no device shows up in time: what kept them from it (`link_down`, `radio_*`), else
   *   `pairing_candidate_unknown`
   */
  async anybody(onSeen: (candidate: CandidateView) => void): Promise<PairingView> {
    try {
      return await this.#until(onSeen, ({ candidates }) => candidates.length > 0);
    } catch (error) {
      throw this.#nobody(error);
    }
  }

  /**
   * The one that is meant: by the name that was asked for or that its code says, else the only one that shows up.
   * @throws {LatchkeyError} as `anybody`, `pairing_candidate_unclear`
   */
  async choose(id: string | undefined, onSeen: (candidate: CandidateView) => void): Promise<CandidateView> {
    const named = ({ candidates }: PairingView) => candidates.find(({ name }) => name === id);
    const settled = Date.now() + SETTLE;
    try {
      const view = await this.#until(
        onSeen,
        (seen) =>
          named(seen) !== undefined ||
          (seen.candidates.length > 0 &&
            (seen.candidates.every(({ medium }) => medium === 'line') || Date.now() >= settled)),
      );
      const [first, ...others] = view.candidates;
      const chosen = named(view) ?? first;
      if (chosen === undefined) throw new LatchkeyError('pairing_candidate_unknown');
      if (named(view) === undefined && others.length > 0)
        throw new LatchkeyError(
          'pairing_candidate_unclear',
          view.candidates.map(({ key }) => printable(key)).join(', '),
        );
      return chosen;
    } catch (error) {
      throw this.#nobody(error);
    }
  }

  #tellObstacle(obstacle: ObstacleView): void {
    const key = `${obstacle.place} ${obstacle.code}`;
    if (!this.#toldObstacles.has(key)) this.#onObstacle(obstacle);
    this.#toldObstacles.add(key);
  }

  /** Where the window closed and no device was ever there: why. */
  #nobody(error: unknown): unknown {
    if (!isCoded(error, 'pairing_window_closed') || this.#told.size > 0) return error;
    const waited = 'no device showed up while the window was open';
    const passing = this.#obstacles.filter(({ lasting }) => !lasting);
    const [obstacle] = [...passing, ...this.#obstacles];
    const isListening = this.#medium !== 'line' && !this.#obstacles.some(({ place }) => place === 'ble');
    if (obstacle === undefined || isListening || !isErrorCode(obstacle.code)) {
      const others = passing.map(({ code, place }) => `; ${place}: ${code}`).join('');
      return new LatchkeyError('pairing_candidate_unknown', waited + others);
    }
    const { code, detail, place } = obstacle;
    return new LatchkeyError(code, printable(`${place}${detail === undefined ? '' : `, ${detail}`}; ${waited}`));
  }

  async #until(
    onSeen: (candidate: CandidateView) => void,
    isEnough: (view: PairingView) => boolean,
  ): Promise<PairingView> {
    for (;;) {
      const view = await this.look();
      for (const candidate of view.candidates) {
        if (!this.#told.has(candidate.key)) onSeen(candidate);
        this.#told.add(candidate.key);
      }
      if (isEnough(view)) return view;
      await pause(LOOK_EVERY, undefined, { signal: this.signal }).catch(() => undefined);
    }
  }
}
