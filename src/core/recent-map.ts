/**
 * A map that keeps what was used of late and forgets the rest, so that what peers send can never make it grow. It holds
 * two generations: a hit in the older one moves to the younger, and once the younger is full it becomes the older one
 * and the older is gone. A hit in the younger generation, the usual case, changes nothing and costs one look-up.
 */
export class RecentMap<K, V> {
  #younger = new Map<K, V>();
  #older = new Map<K, V>();
  readonly #generation: number;

  /** @param limit entries kept at most; at least half as many of the most recently used are kept. At least 2. */
  constructor(limit: number) {
    this.#generation = Math.floor(limit / 2);
  }

  get size(): number {
    return this.#younger.size + this.#older.size;
  }

  get(key: K): V | undefined {
    const recent = this.#younger.get(key);
    if (recent !== undefined) return recent;
    const value = this.#older.get(key);
    if (value !== undefined) this.set(key, value);
    return value;
  }

  set(key: K, value: V): void {
    this.#older.delete(key);
    if (this.#younger.size >= this.#generation && !this.#younger.has(key)) {
      this.#older = this.#younger;
      this.#younger = new Map();
    }
    this.#younger.set(key, value);
  }
}
