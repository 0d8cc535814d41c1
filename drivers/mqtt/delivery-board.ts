/**
 * How it stands with the deliveries of each device, retained at the broker. Of each device the newest state alone, one
 * message at a time: while the broker is away nothing piles up.
 */
import { EMPTY, utf8 } from '../../src/core/bytes.ts';
import type { MessageBroker } from '../../src/ports/message-broker.ts';
import type { DeliverySummary } from '../../src/ports/northbound.ts';
import type { Topics } from './topics.ts';

export class DeliveryBoard {
  readonly #publish: MessageBroker['publish'];
  readonly #topics: Topics;
  readonly #unsaid = new Map<string, DeliverySummary>();
  #isSaying = false;

  constructor(options: { readonly publish: MessageBroker['publish']; readonly topics: Topics }) {
    this.#publish = options.publish;
    this.#topics = options.topics;
  }

  post(summary: DeliverySummary): void {
    this.#unsaid.set(summary.device, summary);
    if (!this.#isSaying) void this.#sayAll();
  }

  async #sayAll(): Promise<void> {
    this.#isSaying = true;
    for (const [device, summary] of this.#unsaid) {
      // A state that comes meanwhile is appended, and so said after this one.
      this.#unsaid.delete(device);
      const sent = await this.#publish({
        topic: this.#topics.deliveriesOf(device),
        // Of a device that is gone nothing is kept: an empty message takes the retained one away (MQTT 5.0 §3.3.1.3).
        payload: summary.delivery === undefined ? EMPTY : utf8(JSON.stringify(summary)),
        qos: 1,
        retain: true,
        contentType: 'application/json',
        correlationData: undefined,
      });
      await sent.confirmed;
    }
    this.#isSaying = false;
  }
}
