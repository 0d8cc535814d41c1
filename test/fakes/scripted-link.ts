import type { CoapRequest, CoapResponse } from '../../src/core/coap-exchange.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { DeviceLink, LinkLimits } from '../../src/ports/device-link.ts';

type Answer = CoapResponse | LatchkeyError | 'silence';

/** A link whose faults a test chooses: what the device answers, that it stays silent, that the line is down. */
export class ScriptedLink implements DeviceLink {
  readonly name = 'line-1';
  readonly limits: LinkLimits;
  readonly requests: CoapRequest[] = [];
  /** What it was told of its answers. */
  readonly proofs: (boolean | undefined)[] = [];
  /** How often it was told that nobody vouched for an answer. */
  doubts = 0;
  readonly #listeners = new Set<() => void>();
  answer: (request: CoapRequest) => Answer;

  constructor(answer: (request: CoapRequest) => Answer, isOpen = false) {
    this.answer = answer;
    this.limits = { maxBodyBytes: 1_024, isReliable: true, isOpen };
  }

  proven(isProven: boolean | undefined): void {
    this.proofs.push(isProven);
  }

  doubted(): void {
    this.doubts += 1;
  }

  /** What is wrong with the medium, where a test has it fail. */
  down: LatchkeyError | undefined;
  /** How often somebody asked whether it is up. */
  looks = 0;

  isUp(): boolean {
    this.looks += 1;
    return this.down === undefined;
  }

  fault(): LatchkeyError | undefined {
    return this.down;
  }

  request(
    request: CoapRequest,
    options: { readonly deadline: number; readonly signal?: AbortSignal },
  ): Promise<CoapResponse> {
    this.requests.push(request);
    if (this.down !== undefined) return Promise.reject(this.down);
    const answer = this.answer(request);
    if (answer instanceof LatchkeyError) return Promise.reject(answer);
    if (answer !== 'silence') return Promise.resolve(answer);
    return new Promise((_, reject) => {
      options.signal?.addEventListener('abort', () => reject(new LatchkeyError('link_down')));
    });
  }

  onSighting(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  sight(): void {
    for (const listener of this.#listeners) listener();
  }

  counters(): Readonly<Record<string, number>> {
    return {};
  }

  async close(): Promise<void> {
    // Nothing to release.
  }
}
