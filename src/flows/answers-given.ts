import type { Clock } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import { Shares } from '../core/shares.ts';

interface Given {
  readonly device: string;
  /** Tells whether it is the same question. */
  readonly digest: string;
  /** Undefined once it had to make room. */
  answer: Promise<Uint8Array> | undefined;
  /** Milliseconds of the monotonic clock. */
  readonly until: number;
  /** Of the answer, once it is there. */
  bytes: number;
}

export interface AnswersGivenLimits {
  /** Milliseconds for which a question is known again. */
  readonly lifetime: number;
  /** Of answers. */
  readonly bytes: number;
  /** Questions, and those of one device. */
  readonly questions: number;
  readonly ofOneDevice: number;
}

/**
 * Questions of late, and their answers for those that come twice. Every question is known for its whole lifetime: where
 * there is no room for more, new ones are refused. Answers that take too much memory go, the oldest first; their questions
 * stay. A question that failed is forgotten.
 */
export class AnswersGiven {
  readonly #questions = new Map<string, Given>();
  /** Those whose answer is there, oldest first. */
  readonly #answered = new Set<Given>();
  readonly #shares: Shares;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #limits: AnswersGivenLimits;
  #bytes = 0;

  constructor(clock: Pick<Clock, 'monotonic'>, limits: AnswersGivenLimits) {
    this.#clock = clock;
    this.#limits = limits;
    this.#shares = new Shares(limits.ofOneDevice);
  }

  find(name: string): Pick<Given, 'digest' | 'answer'> | undefined {
    this.#forget();
    return this.#questions.get(name);
  }

  /**
   * Remembers a question, and its answer once that is there.
   * @param question.name of question and device; not known yet
   * @param answer makes it, where there is room
   * @throws {LatchkeyError} `hub_busy`; whatever `answer` throws
   */
  async give(
    { device, digest, name }: { readonly device: string; readonly digest: string; readonly name: string },
    answer: () => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    if (this.#questions.size >= this.#limits.questions) throw new LatchkeyError('hub_busy', 'too many questions');
    if (!this.#shares.take(device)) throw new LatchkeyError('hub_busy', 'too many questions of one device');
    const until = this.#clock.monotonic() + this.#limits.lifetime;
    const made = answer();
    const given: Given = { device, digest, answer: made, until, bytes: 0 };
    this.#questions.set(name, given);
    try {
      const bytes = await made;
      if (this.#questions.get(name) === given) this.#keep(given, bytes.length);
      return bytes;
    } catch (error) {
      if (this.#questions.get(name) === given) this.#remove(name, given);
      throw error;
    }
  }

  #keep(given: Given, bytes: number): void {
    given.bytes = bytes;
    this.#bytes += bytes;
    this.#answered.add(given);
    for (const oldest of this.#answered) {
      if (this.#bytes <= this.#limits.bytes) return;
      this.#drop(oldest);
    }
  }

  #drop(given: Given): void {
    if (!this.#answered.delete(given)) return;
    this.#bytes -= given.bytes;
    given.answer = undefined;
  }

  /** Questions are in the order of their ends, since all live equally long. */
  #forget(): void {
    const now = this.#clock.monotonic();
    for (const [name, given] of this.#questions) {
      if (given.until > now) return;
      this.#remove(name, given);
    }
  }

  #remove(name: string, given: Given): void {
    this.#questions.delete(name);
    this.#shares.release(given.device);
    this.#drop(given);
  }
}
