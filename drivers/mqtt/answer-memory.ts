import type { Clock } from '../../src/core/clock.ts';
import type { SentMessage } from '../../src/ports/message-broker.ts';
import type { Settlements } from './settlements.ts';

/** An answer as it goes to a device. */
export interface RememberedAnswer {
  readonly payload: Uint8Array;
  readonly contentType: string;
  /** Where it was sent to last, what became of it, and copies of the request that wait for the broker to have it. */
  sent?: { readonly topic: string; readonly message: SentMessage; copies?: Settlements };
}

interface Entry {
  readonly answer: RememberedAnswer;
  /** Monotonic milliseconds. */
  readonly until: number;
}

export interface AnswerMemoryLimits {
  /** Milliseconds. */
  readonly lifetime: number;
  /** Payloads and keys together, about. */
  readonly bytes: number;
}

/** What an entry takes beside its payload. */
const ENTRY_BYTES = 256;

/** Answers given of late, for requests that come twice. Bounded in bytes and in age; the oldest go first. */
export class AnswerMemory {
  readonly #entries = new Map<string, Entry>();
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #limits: AnswerMemoryLimits;
  #bytes = 0;

  constructor(clock: Pick<Clock, 'monotonic'>, limits: AnswerMemoryLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): RememberedAnswer | undefined {
    this.#forget();
    return this.#entries.get(key)?.answer;
  }

  set(key: string, answer: RememberedAnswer): void {
    this.#remove(key);
    this.#entries.set(key, { answer, until: this.#clock.monotonic() + this.#limits.lifetime });
    this.#bytes += sizeOf(answer);
    this.#forget();
  }

  /** Entries are in the order of their ends, since all live equally long. */
  #forget(): void {
    const now = this.#clock.monotonic();
    for (const [key, { until }] of this.#entries) {
      if (until > now && this.#bytes <= this.#limits.bytes) break;
      this.#remove(key);
    }
  }

  #remove(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= sizeOf(entry.answer);
  }
}

function sizeOf({ payload }: RememberedAnswer): number {
  return payload.length + ENTRY_BYTES;
}
