/** Who wants to know what becomes of deliveries. They are told of what is on the medium, and of nothing else. */
import type { Delivery } from './delivery.ts';

/** Must not throw. What waited for a device that was removed is told as refused, with the code `device_unknown`; what had ended, as it is. */
export type DeliveryListener = (delivery: Delivery) => void;

export class DeliveryWatchers {
  readonly #ofAll = new Set<DeliveryListener>();
  readonly #byId = new Map<string, Set<DeliveryListener>>();

  /** Every change of every delivery. The answer ends it. */
  watchAll(listener: DeliveryListener): () => void {
    this.#ofAll.add(listener);
    return () => this.#ofAll.delete(listener);
  }

  /** Every change of one delivery. The answer ends it. */
  watch(id: string, listener: DeliveryListener): () => void {
    const listeners = this.#byId.get(id) ?? new Set();
    this.#byId.set(id, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#byId.delete(id);
    };
  }

  tell(delivery: Delivery): void {
    for (const listener of [...(this.#byId.get(delivery.id) ?? []), ...this.#ofAll]) listener(delivery);
  }
}
