import type { Clock } from '../core/clock.ts';

interface Given {
  /** SHA-256 of the request. */
  readonly digest: Uint8Array;
  readonly answer: Promise<Uint8Array>;
  /** Milliseconds of the monotonic clock. */
  readonly until: number;
  /** What it takes of the memory, grows by the answer once that is there. */
  bytes: number;
}

export interface AnswersGivenLimits {
  /** Milliseconds. */
  readonly lifetime: number;
  /** Answers and names together, about. */
  readonly bytes: number;
}

/** What an entry takes beside its answer. */
const ENTRY_BYTES = 512;

/**
 * Answers given of late or being made, by request, for requests that come twice. Bounded in bytes and in age: the oldest
 * go first. A request that failed is not remembered.
 */
export class AnswersGiven {
  readonly #entries = new Map<string, Given>();
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #limits: AnswersGivenLimits;
  #bytes = 0;

  constructor(clock: Pick<Clock, 'monotonic'>, limits: AnswersGivenLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  find(name: string): Pick<Given, 'digest' | 'answer'> | undefined {
    this.#forget();
    return this.#entries.get(name);
  }

  /** Remembers an answer under way. */
  async give(name: string, digest: Uint8Array, answer: Promise<Uint8Array>): Promise<Uint8Array> {
    const entry: Given = {
      digest,
      answer,
      until: this.#clock.monotonic() + this.#limits.lifetime,
      bytes: ENTRY_BYTES,
    };
    this.#entries.set(name, entry);
    this.#bytes += ENTRY_BYTES;
    this.#forget();
    try {
      const bytes = await answer;
      if (this.#entries.get(name) === entry) {
        entry.bytes += bytes.length;
        this.#bytes += bytes.length;
      }
      return bytes;
    } catch (error) {
      this.#remove(name, entry);
      throw error;
    }
  }

  /** Entries are in the order of their ends, since all live equally long. */
  #forget(): void {
    const now = this.#clock.monotonic();
    for (const [name, entry] of this.#entries) {
      if (entry.until > now && this.#bytes <= this.#limits.bytes) return;
      this.#remove(name, entry);
    }
  }

  #remove(name: string, entry: Given): void {
    if (this.#entries.get(name) !== entry) return;
    this.#entries.delete(name);
    this.#bytes -= entry.bytes;
  }
}
