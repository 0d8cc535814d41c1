import { LIMITS } from '../../../src/core/limits.ts';
import { printable } from '../../../src/core/printable.ts';
import { Repeats } from '../../../src/core/repeats.ts';
import type { Log } from '../../../src/ports/log.ts';

/** Lines of the process that are logged in a minute, whatever they say; the rest is counted. */
const WINDOW = { window: 60_000, ofOneKind: 10, overall: 10 } as const;
const LINE = 'line';

/**
 * What the process of the radio writes to its standard output and error: of the stack below, which writes there as it likes,
 * or of node when the process fails. It comes as lines of the hub's log, short and few.
 */
export class OutputLog {
  readonly #log: Log;
  readonly #lines: Repeats<undefined>;
  #partial = '';

  constructor(log: Log) {
    this.#log = log;
    this.#lines = new Repeats(WINDOW, (_, lines) =>
      log.warn({ event: 'radio_output_repeated', lines }, 'the process of the radio wrote more lines than are logged'),
    );
  }

  write(chunk: Buffer): void {
    const [first = '', ...others] = chunk.toString('latin1').split('\n');
    // Of a line without an end only its beginning is kept.
    this.#partial = (this.#partial + first.slice(0, LIMITS.radioTextLength)).slice(0, LIMITS.radioTextLength);
    for (const next of others) {
      this.#say(this.#partial);
      this.#partial = next.slice(0, LIMITS.radioTextLength);
    }
  }

  end(): void {
    this.#say(this.#partial);
    this.#partial = '';
    this.#lines.end();
  }

  #say(line: string): void {
    const text = printable(line.trim());
    if (text === '' || !this.#lines.tells(LINE, undefined)) return;
    this.#log.warn({ event: 'radio_output', text }, 'the process of the radio wrote a line');
  }
}
