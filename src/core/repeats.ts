/** Different things that are told apart in one window; what comes on top is counted as one. */
const MOST_KINDS = 64;

export interface RepeatLimits {
  /** Milliseconds of one window. */
  readonly window: number;
  /** How often one kind is told in a window, and all kinds together. */
  readonly ofOneKind: number;
  readonly overall: number;
}

/**
 * Decides what of many like things is told one by one. Whatever is not is counted, and summed up when its window ends, so
 * that who sends requests has no hand in how much is written.
 */
export class Repeats<T> {
  readonly #limits: RepeatLimits;
  readonly #sumUp: (kind: T | undefined, count: number) => void;
  readonly #kinds = new Map<string, { told: number; untold: number; readonly kind: T }>();
  #told = 0;
  /** Of kinds that found no room. */
  #others = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param sumUp is told how many of a kind were not told; `undefined` stands for kinds beyond count */
  constructor(limits: RepeatLimits, sumUp: (kind: T | undefined, count: number) => void) {
    this.#limits = limits;
    this.#sumUp = sumUp;
  }

  /** Whether to report this one. `name` says what is of one kind. */
  tells(name: string, kind: T): boolean {
    this.#timer ??= setTimeout(() => this.end(), this.#limits.window).unref();
    const known = this.#kinds.get(name);
    if (known === undefined && this.#kinds.size >= MOST_KINDS) {
      this.#others += 1;
      return false;
    }
    const counted = known ?? { told: 0, untold: 0, kind };
    this.#kinds.set(name, counted);
    if (counted.told >= this.#limits.ofOneKind || this.#told >= this.#limits.overall) {
      counted.untold += 1;
      return false;
    }
    counted.told += 1;
    this.#told += 1;
    return true;
  }

  /** Ends the window and sums it up. */
  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const kinds = [...this.#kinds.values()];
    const others = this.#others;
    this.#kinds.clear();
    this.#told = 0;
    this.#others = 0;
    for (const { kind, untold } of kinds) if (untold > 0) this.#sumUp(kind, untold);
    if (others > 0) this.#sumUp(undefined, others);
  }
}
