import type { IncomingMessage } from '../../src/ports/message-broker.ts';

/**
 * Copies of one request that the broker may wait with at once: a device that asks again, and each connection that was lost
 * meanwhile, make one.
 */
const MOST = 8;

/**
 * Copies of one request that are settled together. Of more than some the oldest is settled at once: the broker goes on
 * keeping the others, and those of a connection that is gone are not settled.
 */
export class Settlements {
  readonly #waiting: IncomingMessage[] = [];

  constructor(message: IncomingMessage) {
    this.add(message);
  }

  add(message: IncomingMessage): void {
    // A broker keeps nothing of QoS 0.
    if (message.qos === 0) return;
    this.#waiting.push(message);
    if (this.#waiting.length > MOST) this.#waiting.shift()?.settle();
  }

  settle(): void {
    for (const message of this.#waiting.splice(0)) message.settle();
  }
}
