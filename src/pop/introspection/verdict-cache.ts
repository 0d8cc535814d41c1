import type { IntrospectionEvidence } from '../../core/introspected-token.ts';
import type { IntrospectionAnswer } from './answer-members.ts';

/** What the AS said of one token, and when. */
export interface Verdict {
  readonly answer: IntrospectionAnswer;
  readonly evidence: IntrospectionEvidence | undefined;
  /** Milliseconds of the monotonic clock. */
  readonly answeredAt: number;
  /** Milliseconds for which it is given out as the word of the AS. */
  readonly lifetime: number;
  /** Bytes of the answer as it came. */
  readonly bytes: number;
}

/** What a verdict takes in memory beside its answer, in bytes: measured with small answers, rounded up. */
const OVERHEAD = 1_024;
/** What an answer takes once parsed, with its text kept as evidence, in units of its size: likewise. */
const EXPANSION = 2;

/**
 * Verdicts by the SHA-256 of their token, bounded by the memory that they take. Two generations, as in `RecentMap`: what
 * is used moves to the younger one, and when that has half of the memory the older one is forgotten.
 */
export class VerdictCache {
  #younger = new Map<string, Verdict>();
  #older = new Map<string, Verdict>();
  #weight = 0;
  readonly #generation: number;

  /** @param bytes memory for all verdicts; at least half of it serves the most recently used ones */
  constructor(bytes: number) {
    this.#generation = bytes / 2;
  }

  get size(): number {
    return this.#younger.size + this.#older.size;
  }

  get(digest: string): Verdict | undefined {
    const recent = this.#younger.get(digest);
    if (recent !== undefined) return recent;
    const verdict = this.#older.get(digest);
    if (verdict !== undefined) this.set(digest, verdict);
    return verdict;
  }

  set(digest: string, verdict: Verdict): void {
    this.delete(digest);
    const weight = weightOf(verdict);
    if (this.#weight + weight > this.#generation && this.#younger.size > 0) {
      this.#older = this.#younger;
      this.#younger = new Map();
      this.#weight = 0;
    }
    this.#younger.set(digest, verdict);
    this.#weight += weight;
  }

  delete(digest: string): void {
    const recent = this.#younger.get(digest);
    if (recent !== undefined) this.#weight -= weightOf(recent);
    this.#younger.delete(digest);
    this.#older.delete(digest);
  }
}

function weightOf({ bytes }: Verdict): number {
  return bytes * EXPANSION + OVERHEAD;
}
