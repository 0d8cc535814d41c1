import { setTimeout as pause } from 'node:timers/promises';
import { LatchkeyError } from '../core/errors.ts';
import type { CandidateView, Pairing, PairingView } from '../ports/pairing.ts';

/** How often the hub is asked who is there, milliseconds. */
const LOOK_EVERY = 500;
/** How long others may still show up once one has that could be it, milliseconds: sleepers advertise every other second. */
const SETTLE = 3_000;

export interface PairWatchOptions {
  readonly pairing: Pairing;
  /** Name of the only candidate that counts. */
  readonly wanted: string | undefined;
  /** Somebody wants to stop. */
  readonly signal: AbortSignal;
}

/** Who is there, as it changes. */
export class PairWatch {
  readonly signal: AbortSignal;
  readonly #pairing: Pairing;
  readonly #wanted: string | undefined;
  readonly #told = new Set<string>();

  constructor({ pairing, signal, wanted }: PairWatchOptions) {
    this.#pairing = pairing;
    this.#wanted = wanted;
    this.signal = signal;
  }

  /**
   * Who is there now.
   * @throws {LatchkeyError} `pairing_window_closed`, `request_cancelled`
   */
  async look(): Promise<PairingView> {
    if (this.signal.aborted) throw new LatchkeyError('request_cancelled', 'nothing was paired');
    const view = await this.#pairing.view();
    const candidates = view.candidates.filter(({ name }) => this.#wanted === undefined || name === this.#wanted);
    return { ...view, candidates };
  }

  /** Tells of everybody who shows up, once, until the window closes. */
  async untilClosed(onSeen: (candidate: CandidateView) => void): Promise<void> {
    try {
      await this.#until(onSeen, () => false);
    } catch (error) {
      if (!(error instanceof LatchkeyError) || error.code !== 'pairing_window_closed') throw error;
    }
  }

  /** Resolves when anybody is there. @throws {LatchkeyError} `pairing_candidate_unknown` where nobody shows up in time */
  async anybody(onSeen: (candidate: CandidateView) => void): Promise<PairingView> {
    try {
      return await this.#until(onSeen, ({ candidates }) => candidates.length > 0);
    } catch (error) {
      throw nobody(error);
    }
  }

  /**
   * The one that is meant: by the name that was asked for or that its code says, else the only one that shows up.
   * @throws {LatchkeyError} `pairing_candidate_unknown`, `pairing_candidate_unclear`
   */
  async choose(id: string | undefined, onSeen: (candidate: CandidateView) => void): Promise<CandidateView> {
    const named = ({ candidates }: PairingView) => candidates.find(({ name }) => name === this.#wanted || name === id);
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
        throw new LatchkeyError('pairing_candidate_unclear', view.candidates.map(({ key }) => key).join(', '));
      return chosen;
    } catch (error) {
      throw nobody(error);
    }
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

function nobody(error: unknown): unknown {
  const isOver = error instanceof LatchkeyError && error.code === 'pairing_window_closed';
  return isOver ? new LatchkeyError('pairing_candidate_unknown', 'nobody showed up while the window was open') : error;
}
