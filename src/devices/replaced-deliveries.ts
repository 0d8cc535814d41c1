import type { FloorClock } from '../core/clock.ts';
import { LIMITS } from '../core/limits.ts';
import type { Delivery } from './delivery.ts';

/**
 * Deliveries that another one of the same token took the place of. They are off the medium, and a client that was told their
 * id can ask for a while what became of them.
 */
export class ReplacedDeliveries {
  readonly #clock: Pick<FloorClock, 'monotonic'>;
  readonly #byId = new Map<string, { readonly delivery: Delivery; readonly at: number }>();

  constructor(clock: Pick<FloorClock, 'monotonic'>) {
    this.#clock = clock;
  }

  find(id: string): Delivery | undefined {
    this.#forget();
    return this.#byId.get(id)?.delivery;
  }

  remember(deliveries: readonly Delivery[]): void {
    this.#forget();
    const at = this.#clock.monotonic();
    for (const delivery of deliveries) this.#byId.set(delivery.id, { delivery, at });
  }

  /** In the order of their ends, since all are kept equally long. */
  #forget(): void {
    const now = this.#clock.monotonic();
    for (const [id, { at }] of this.#byId) {
      if (now - at < LIMITS.endedKeptFor && this.#byId.size <= LIMITS.deliveriesReplaced) return;
      this.#byId.delete(id);
    }
  }
}
