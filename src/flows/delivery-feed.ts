/** How it stands with the deliveries of each device, for whoever watches all of them. */
import { type Delivery, hasEnded } from '../devices/delivery.ts';
import type { DeliveryQueue } from '../devices/delivery-queue.ts';
import type { Registry } from '../devices/registry.ts';
import type { Difficulty } from '../ports/admin.ts';
import type { DeliveryFeed, DeliverySummary } from '../ports/northbound.ts';
import { viewDelivery } from './deliver.ts';

export function deliveryFeed({
  difficulty,
  queue,
  registry,
}: {
  readonly queue: DeliveryQueue;
  readonly registry: Registry;
  readonly difficulty: (device: string) => Difficulty | undefined;
}): DeliveryFeed {
  const summary = (delivery: Delivery): DeliverySummary => ({
    device: delivery.device,
    waiting: queue.waiting(delivery.device),
    ...(registry.find(delivery.device) === undefined
      ? {}
      : { delivery: viewDelivery(delivery, difficulty(delivery.device)) }),
  });
  return {
    now() {
      const latest = new Map<string, Delivery>();
      // In the order of arrival: what waits longest says more than what ended after it.
      for (const delivery of queue.list()) {
        const shown = latest.get(delivery.device);
        if (shown === undefined || hasEnded(shown)) latest.set(delivery.device, delivery);
      }
      return [...latest.values()].map(summary);
    },
    watch: (listener) => queue.watchers.watchAll((delivery) => listener(summary(delivery))),
  };
}
