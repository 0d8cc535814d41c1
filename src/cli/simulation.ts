import type { Terminal } from './command.ts';

/** How often nothing is done, milliseconds. */
const KEEP_ALIVE = 60_000;

/** A simulated device while it runs: one line for each event, until the process is told to stop. */
export class Simulation {
  readonly #terminal: Terminal;
  readonly #json: boolean;

  constructor(terminal: Terminal, json: boolean) {
    this.#terminal = terminal;
    this.#json = json;
  }

  tell<Event>(event: Event, describe: (event: Event) => string): void {
    this.#terminal.print(this.#json ? JSON.stringify(event) : describe(event));
  }

  /** Starts it, says that it is ready, and ends it at SIGTERM or SIGINT, or once no process reads what it says. */
  async run(device: string, start: () => Promise<{ readonly address: string; close(): Promise<void> }>): Promise<void> {
    const stopAsked = stopSignal();
    // Between two openings of a tty nothing else does: its cable may be out.
    const keptAlive = setInterval(() => undefined, KEEP_ALIVE);
    const running = await start().catch((error: unknown) => {
      clearInterval(keptAlive);
      throw error;
    });
    const { address } = running;
    this.tell({ event: 'ready', device, address }, () => `${device} is ready on ${address}`);
    await stopAsked;
    clearInterval(keptAlive);
    await running.close();
  }
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
    process.stdout.once('error', () => resolve());
  });
}
