import type { Random, Timers } from '../../core/clock.ts';
import type { CoapCounters } from './counters.ts';
import type { CoapSettings } from './settings.ts';

/** What both roles of an endpoint share: the way out, time, chance, and the next message id. */
export interface Channel {
  readonly send: (bytes: Uint8Array) => void;
  readonly timers: Timers;
  readonly random: Random;
  readonly settings: CoapSettings;
  readonly counters: CoapCounters;
  readonly nextMessageId: () => number;
}

/** One confirmable message, sent again with doubled waits until it is stopped or given up (RFC 7252 §4.2). */
export class Transmission {
  readonly #channel: Channel;
  readonly #bytes: Uint8Array;
  readonly #onGivenUp: () => void;
  #wait: number;
  #repetitions = 0;
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(channel: Channel, bytes: Uint8Array, onGivenUp: () => void) {
    const { ackTimeout, ackRandomFactor } = channel.settings;
    this.#channel = channel;
    this.#bytes = bytes;
    this.#onGivenUp = onGivenUp;
    this.#wait = ackTimeout * (1 + channel.random.fraction() * (ackRandomFactor - 1));
  }

  start(): void {
    this.#sendAndWait();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  #sendAndWait(): void {
    this.#cancel = this.#channel.timers.after(this.#wait, () => this.#onWaited());
    this.#channel.send(this.#bytes);
  }

  #onWaited(): void {
    if (this.#stopped) return;
    if (this.#repetitions === this.#channel.settings.maxRetransmit) {
      this.#stopped = true;
      this.#onGivenUp();
      return;
    }
    this.#repetitions += 1;
    this.#wait *= 2;
    this.#channel.counters.retransmitted += 1;
    this.#sendAndWait();
  }
}
