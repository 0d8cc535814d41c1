/** Deliveries in the order in which their tokens expire. A binary heap, so that neither a new one nor the next look costs a scan. */
import type { Delivery } from './delivery.ts';

/** Entries that may be left over before the heap is built anew, however few deliveries there are. */
const FEW = 64;

export class ExpiryOrder {
  readonly #isCurrent: (delivery: Delivery) => boolean;
  readonly #all: () => Iterable<Delivery>;
  #heap: Delivery[] = [];

  /**
   * @param source.isCurrent whether a delivery that was put in still counts; it goes when it comes to the front
   * @param source.all those that count, to begin anew with
   */
  constructor(source: { readonly isCurrent: (delivery: Delivery) => boolean; readonly all: () => Iterable<Delivery> }) {
    this.#isCurrent = source.isCurrent;
    this.#all = source.all;
  }

  /** @param count of those that count: what left the order otherwise must not fill the memory */
  add(delivery: Delivery, count: number): void {
    if (this.#heap.length > 2 * count + FEW) this.#build();
    else this.#push(delivery);
  }

  first(): Delivery | undefined {
    for (let [first] = this.#heap; first !== undefined; [first] = this.#heap) {
      if (this.#isCurrent(first)) return first;
      this.#pop();
    }
    return undefined;
  }

  /** Takes out all that expire at `until` or before. */
  take(until: number): readonly Delivery[] {
    const found: Delivery[] = [];
    for (let first = this.first(); first !== undefined && first.expiresAt <= until; first = this.first()) {
      found.push(first);
      this.#pop();
    }
    return found;
  }

  /** The same, and leaves them in the order. */
  until(until: number): readonly Delivery[] {
    const found = this.take(until);
    for (const delivery of found) this.#push(delivery);
    return found;
  }

  #build(): void {
    this.#heap = [];
    for (const delivery of this.#all()) this.#push(delivery);
  }

  #push(delivery: Delivery): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as Delivery;
      if (parent.expiresAt <= delivery.expiresAt) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = delivery;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      let below = left;
      if (right < heap.length && (heap[right] as Delivery).expiresAt < (heap[left] as Delivery).expiresAt)
        below = right;
      if (below >= heap.length || (heap[below] as Delivery).expiresAt >= last.expiresAt) break;
      heap[at] = heap[below] as Delivery;
      at = below;
    }
    heap[at] = last;
  }
}
