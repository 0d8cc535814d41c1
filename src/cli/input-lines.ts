import { LIMITS } from '../core/limits.ts';

/** What is read of standard input, a line at a time; in between it is left alone, so that it keeps no process alive. */
export class InputLines {
  readonly #stream: NodeJS.ReadStream;
  #rest = '';
  #ended = false;

  constructor(stream: NodeJS.ReadStream) {
    this.#stream = stream;
    // For good: the end may come while no caller waits for a line, and is reported once.
    const onEnd = () => {
      this.#ended = true;
    };
    stream.once('end', onEnd).once('error', onEnd);
  }

  /** The next line without its end; undefined at the end of the stream, and once the signal is given. */
  next(signal?: AbortSignal): Promise<string | undefined> {
    const stream = this.#stream;
    const waiting = this.#take() ?? (this.#ended ? this.#takeLast() : undefined);
    if (waiting !== undefined || this.#ended || signal?.aborted === true) return Promise.resolve(waiting);
    return new Promise((resolve) => {
      const finish = (line: string | undefined) => {
        stream.off('data', onData).off('end', onEnd).off('error', onEnd).pause();
        signal?.removeEventListener('abort', onAbort);
        resolve(line);
      };
      const onData = (chunk: Buffer) => {
        this.#rest += chunk.toString('utf8');
        const line = this.#take();
        if (line !== undefined) finish(line);
        // No person types that much in a line.
        else if (this.#rest.length > LIMITS.terminalLineLength) this.#rest = '';
      };
      const onEnd = () => finish(this.#takeLast());
      const onAbort = () => finish(undefined);
      stream.on('data', onData).once('end', onEnd).once('error', onEnd).resume();
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** What stands behind the last end of a line. */
  #takeLast(): string | undefined {
    const last = this.#rest;
    this.#rest = '';
    return last === '' ? undefined : last;
  }

  #take(): string | undefined {
    const end = this.#rest.indexOf('\n');
    if (end < 0) return undefined;
    const line = this.#rest.slice(0, end);
    this.#rest = this.#rest.slice(end + 1);
    return line;
  }
}
