/** How much of something that all share each owner has at present, so that one cannot take the room of the others. */
export class Shares {
  readonly #taken = new Map<string, number>();
  readonly #most: number;

  /** @param most of one owner */
  constructor(most: number) {
    this.#most = most;
  }

  /** Takes more for the owner, unless that would be beyond its share: then the answer is false. */
  take(owner: string, amount = 1): boolean {
    const taken = this.#taken.get(owner) ?? 0;
    if (taken + amount > this.#most) return false;
    this.#taken.set(owner, taken + amount);
    return true;
  }

  /** Gives back what `take` took. */
  release(owner: string, amount = 1): void {
    const left = (this.#taken.get(owner) ?? amount) - amount;
    if (left > 0) this.#taken.set(owner, left);
    else this.#taken.delete(owner);
  }
}
