import type { LinePort, LinePortEvents, OpenPort, PortOpener } from '../../drivers/serial/line-port.ts';
import type { LatchkeyError } from '../../src/core/errors.ts';

/** One opening of a line that the test plays the other end of. */
export class FakePort implements LinePort {
  readonly events: LinePortEvents;
  readonly written: Uint8Array[] = [];
  readonly #undone: (() => void)[] = [];
  /** While false, writes do not leave. */
  drains = true;
  /** While false, `destroy` never resolves. */
  closes = true;
  destroyed = false;
  flowing = true;

  constructor(events: LinePortEvents) {
    this.events = events;
  }

  write(bytes: Uint8Array, done: () => void): void {
    this.written.push(bytes);
    if (this.drains) done();
    else this.#undone.push(done);
  }

  /** Lets one write leave that was held back. */
  drainOne(): void {
    this.#undone.shift()?.();
  }

  setFlowing(flowing: boolean): void {
    this.flowing = flowing;
  }

  destroy(): Promise<void> {
    this.destroyed = true;
    return this.closes ? Promise.resolve() : new Promise(() => undefined);
  }
}

/** Opens fake ports, or fails as told. */
export class FakePorts {
  readonly opened: FakePort[] = [];
  readonly attemptsAt: number[] = [];
  readonly #now: () => number;
  /** Thrown by every attempt while set. */
  failure: LatchkeyError | undefined;
  /** While true, attempts never settle by themselves. */
  hangs = false;

  constructor(now: () => number) {
    this.#now = now;
  }

  readonly open: PortOpener = ({ events, signal }: OpenPort) => {
    this.attemptsAt.push(this.#now());
    if (this.failure !== undefined) return Promise.reject(this.failure);
    if (this.hangs) {
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    }
    const port = new FakePort(events);
    this.opened.push(port);
    return Promise.resolve(port);
  };

  last(): FakePort {
    const port = this.opened.at(-1);
    if (port === undefined) throw new Error('nothing was opened');
    return port;
  }
}
