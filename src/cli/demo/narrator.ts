import { coded, LatchkeyError } from '../../core/errors.ts';
import type { Terminal } from '../command.ts';
import { eachLine } from '../output.ts';

export interface StepResult {
  readonly name: string;
  readonly ok: boolean;
  /** Milliseconds. */
  readonly ms: number;
}

/** Tells the story step by step, and keeps how each step went. Silent where only the summary is wanted. */
export class Narrator {
  readonly #print: (line: string) => void;
  readonly #heading: (line: string) => void;
  readonly #results: StepResult[] = [];

  constructor(options: { readonly terminal: Terminal; readonly silent: boolean }) {
    this.#print = options.silent ? () => undefined : (text) => eachLine(text, options.terminal.print);
    this.#heading = options.silent ? () => undefined : (line) => options.terminal.heading(line);
  }

  get results(): readonly StepResult[] {
    return this.#results;
  }

  chapter(title: string): void {
    this.#print('');
    this.#heading(title);
  }

  /**
   * One step: `action` does it and checks it.
   * @throws {LatchkeyError} `demo_failed`, naming the step and what went wrong
   */
  async step<T>(name: string, title: string, action: () => Promise<T>): Promise<T> {
    this.#print('');
    this.#heading(`${this.#results.length + 1}. ${title}`);
    const start = performance.now();
    let result: T;
    try {
      result = await action();
    } catch (error) {
      this.#finish(name, false, start);
      const { code, detail } = coded(error);
      const reason = code === 'demo_failed' ? detail : `${code}${detail === undefined ? '' : `: ${detail}`}`;
      throw new LatchkeyError('demo_failed', `${name}: ${reason}`, { cause: error });
    }
    this.#finish(name, true, start);
    return result;
  }

  /** What happens, in plain words. */
  say(text: string): void {
    this.#print(`   ${text}`);
  }

  /** What crossed a wire. */
  wire(from: string, to: string, what: string): void {
    this.#print(`   ${`${from} -> ${to}`.padEnd(14)} ${what}`);
  }

  #finish(name: string, ok: boolean, start: number): void {
    const ms = Math.round(performance.now() - start);
    this.#results.push({ name, ok, ms });
    this.#print(`   ${ok ? 'ok' : 'FAILED'} (${ms} ms)`);
  }
}

/** @throws {LatchkeyError} `demo_failed` where the demo's claim does not hold */
export function hold(condition: boolean, claim: string): void {
  if (!condition) throw new LatchkeyError('demo_failed', `does not hold: ${claim}`);
}
