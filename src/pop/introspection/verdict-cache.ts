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

/**
 * What a verdict takes in memory beside its answer, in bytes, and what an answer takes once it is parsed, in units of its
 * size. On Node 20 (heap and buffers, 2,000 to 20,000 verdicts): 217 bytes for `{"active":false}`, 1,066 for an active
 * answer of 309, 9,188 for one of 3,497 with 200 groups; signed, with its text kept as evidence, 1,918 for one of 600 and
 * 14,301 for one of 4,851. An issuer that means to can take more: an answer of 3,012 with
 * 900 empty objects takes 20 times its size.
 */
const OVERHEAD = 512;
const EXPANSION = 3;

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

  /** Forgets the verdicts that are of no use any more. */
  sweep(isUseful: (verdict: Verdict) => boolean): void {
    for (const verdicts of [this.#older, this.#younger]) {
      for (const [digest, verdict] of verdicts) if (!isUseful(verdict)) this.delete(digest);
    }
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
