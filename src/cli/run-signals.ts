/** The signals that a running hub hears. */

/** What the next signal does. */
const ENDS = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;

/**
 * SIGTERM, SIGINT and SIGQUIT have the hub drain and end; a second one ends the process at once. SIGHUP has it read its
 * configuration again. SIGUSR2 does nothing. SIGUSR1 is seen to in main.ts. Without a handler each of them would end the
 * process with nothing drained.
 */
export class RunSignals {
  /** Resolves with the first signal to end. */
  readonly stop: Promise<string>;
  #reload: (() => void) | undefined;
  #reloadAsked = false;

  constructor() {
    this.stop = new Promise((resolve) => {
      let asked = false;
      const onSignal = (signal: NodeJS.Signals) => {
        if (asked) endAtOnce(signal);
        asked = true;
        resolve(signal);
      };
      for (const signal of ENDS) process.on(signal, onSignal);
    });
    process.on('SIGHUP', () => {
      this.#reloadAsked = true;
      this.#reload?.();
    });
    process.on('SIGUSR2', () => undefined);
  }

  /** One that came while the hub started counts too. */
  onReload(reload: () => void): void {
    this.#reload = reload;
    if (this.#reloadAsked) reload();
  }
}

/**
 * Ends the process by what the signal does of itself. `process.exit` would wait for every thread, also for one that is stuck
 * in a write to a pipe that nothing reads, or to a disk that hangs.
 */
export function endAtOnce(signal: NodeJS.Signals = 'SIGTERM'): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}
