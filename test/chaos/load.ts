import { HubRefusal } from '../../src/client/index.ts';
import { isCoded } from '../../src/core/errors.ts';
import type { ChaosSite } from './site.ts';

/** Work of several peers at once, until it is stopped. What is under way when the hub dies may end either way. */
export class Load {
  readonly #site: ChaosSite;
  #isOn = true;
  #acknowledged = 0;
  readonly #refused = new Map<string, number>();
  readonly #running: Promise<void>[];

  constructor(site: ChaosSite) {
    this.#site = site;
    const work = [
      () => site.deliver(),
      () => site.deliver(),
      () => site.relay(),
      () => site.relay(),
      () => site.register(),
    ];
    this.#running = work.map((step) => this.#repeat(step));
  }

  /** Steps that the hub acknowledged since the start of the load. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Codes of the hub for what it refused, and `unreachable` where there was no hub; with their counts. */
  get refused(): ReadonlyMap<string, number> {
    return this.#refused;
  }

  /** Resolves when the hub has acknowledged so many more steps. @throws {Error} after 90 s without */
  async advance(steps: number): Promise<void> {
    const wanted = this.#acknowledged + steps;
    const deadline = performance.now() + 90_000;
    while (this.#acknowledged < wanted) {
      if (performance.now() > deadline)
        throw new Error(`the hub acknowledges nothing: ${JSON.stringify([...this.#refused])}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  async stop(): Promise<void> {
    this.#isOn = false;
    await Promise.all(this.#running);
  }

  async #repeat(step: () => Promise<void>): Promise<void> {
    while (this.#isOn) {
      try {
        await step();
        this.#acknowledged += 1;
      } catch (error) {
        const code = codeOf(error);
        this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      // A Raspberry Pi has clients, not a benchmark.
      await new Promise((resolve) => setTimeout(resolve, this.#site.pause));
    }
  }
}

/** @throws what is neither a refusal of the hub nor a lost connection */
function codeOf(error: unknown): string {
  if (error instanceof HubRefusal) return error.hubCode ?? 'refused';
  if (isCoded(error))
    return error.code === 'admin_unreachable' || error.code === 'client_unreachable' ? 'unreachable' : error.code;
  // How fetch says that the connection broke, or that its answer was cut short.
  if (error instanceof TypeError || error instanceof SyntaxError) return 'unreachable';
  if (error instanceof Error && error.message.startsWith('introspection: 5')) return error.message.slice(0, 60);
  throw error;
}
