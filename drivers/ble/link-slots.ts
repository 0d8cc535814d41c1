/** What holds a place among the links, or waits for one. */
export interface SlotHolder {
  /** Something waits to be said on the link: it is not only for the device to ask what it likes. */
  readonly isNeeded: boolean;
  /** Others wait: let the link go as soon as nothing is under way on it. */
  giveWay(): void;
}

interface Waiter {
  readonly holder: SlotHolder;
  readonly resolve: (granted: boolean) => void;
}

/**
 * As many links as the adapter has room for, given out in the order in which they were asked for, those that are needed
 * first. Whoever holds a place without need is asked to give way when others wait.
 */
export class LinkSlots {
  #limit: number;
  readonly #holders = new Set<SlotHolder>();
  readonly #waiting: Waiter[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  get limit(): number {
    return this.#limit;
  }

  get held(): number {
    return this.#holders.size;
  }

  get isContended(): boolean {
    return this.#waiting.length > 0;
  }

  /** Resolves to true when `holder` has a place, and to false where `signal` came first. */
  acquire(holder: SlotHolder, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const onAbort = () => {
        const place = this.#waiting.indexOf(waiter);
        if (place < 0) return;
        this.#waiting.splice(place, 1);
        resolve(false);
      };
      const waiter: Waiter = {
        holder,
        resolve: (granted) => {
          signal.removeEventListener('abort', onAbort);
          resolve(granted);
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiter);
      this.#grant();
      if (this.#waiting.length > 0) for (const other of this.#holders) other.giveWay();
    });
  }

  release(holder: SlotHolder): void {
    if (this.#holders.delete(holder)) this.#grant();
  }

  /** The adapter refused one link more: it has room for those that are there. */
  full(open: number): void {
    this.#limit = Math.max(1, Math.min(this.#limit, open));
  }

  /** Another adapter may have more room. */
  restore(limit: number): void {
    this.#limit = limit;
    this.#grant();
  }

  #grant(): void {
    while (this.#holders.size < this.#limit) {
      const needed = this.#waiting.findIndex(({ holder }) => holder.isNeeded);
      const [next] = this.#waiting.splice(Math.max(needed, 0), 1);
      if (next === undefined) return;
      this.#holders.add(next.holder);
      next.resolve(true);
    }
  }
}
