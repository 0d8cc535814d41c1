import { coded } from '../core/errors.ts';
import type { Log } from '../ports/log.ts';

/** What is open, closed last one first. */
export class OpenParts {
  readonly #log: Log;
  readonly #closers: (() => Promise<unknown>)[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  add(close: () => Promise<unknown>): void {
    this.#closers.push(close);
  }

  /** Closes all parts, also where one fails to close. @throws the first of the errors, at the end; the others are logged */
  async close(): Promise<void> {
    const errors: unknown[] = [];
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop()) {
      try {
        await close();
      } catch (error) {
        if (errors.length > 0) {
          const { code, detail } = coded(error);
          this.#log.error({ event: 'close_failed', code, detail }, 'another part of the hub could not be closed well');
        }
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}
