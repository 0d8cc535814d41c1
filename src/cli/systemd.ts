/** What a hub tells systemd of itself (sd_notify(3)), where its unit asks for it. */
import { spawn } from 'node:child_process';
import type { Log, LogFields } from '../ports/log.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Milliseconds after which systemd-notify is given up: it waits until systemd has taken the message. */
const DEADLINE = 2_000;

/**
 * Node has no datagram unix sockets, so systemd's own tool tells it; the unit says NotifyAccess=all for that. A message is
 * a child process of 10 ms of CPU, twice in a `WatchdogSec=` of a minute. A hub that cannot tell still works.
 */
export class Systemd {
  readonly #environment: Environment;
  readonly #log: Log;
  #last: Promise<void> = Promise.resolve();
  #heartbeat: NodeJS.Timeout | undefined;
  #hasFailed = false;

  constructor(environment: Environment, log: Log) {
    this.#environment = environment;
    this.#log = log;
  }

  /** One message after the other. Resolves when this one is taken, or cannot be. */
  tell(...states: readonly string[]): Promise<void> {
    if (!this.#environment.NOTIFY_SOCKET) return Promise.resolve();
    this.#last = this.#last.then(() => this.#send(states));
    return this.#last;
  }

  /**
   * Tells at half of `WatchdogSec=` that the event loop turns. A timer does it: where the loop hangs, the messages stop,
   * and systemd ends the hub and starts it again.
   */
  beginHeartbeat(): void {
    const { WATCHDOG_PID: pid, WATCHDOG_USEC: microseconds = '' } = this.#environment;
    if (!/^[1-9]\d{0,15}$/.test(microseconds) || (pid !== undefined && pid !== String(process.pid))) return;
    this.#heartbeat = setInterval(() => void this.tell('WATCHDOG=1'), Number(microseconds) / 2_000);
    this.#heartbeat.unref();
  }

  endHeartbeat(): void {
    clearInterval(this.#heartbeat);
  }

  #send(states: readonly string[]): Promise<void> {
    return new Promise((resolve) => {
      const failed = (fields: LogFields) => {
        // A heartbeat that fails would say so for ever.
        if (!this.#hasFailed)
          this.#log.warn({ event: 'notify_failed', states, ...fields }, 'systemd could not be notified.');
        this.#hasFailed = true;
        resolve();
      };
      const child = spawn('systemd-notify', [...states], { stdio: 'ignore', timeout: DEADLINE });
      child.on('error', (error) => failed({ error }));
      child.on('exit', (status, signal) => {
        if (status !== 0) return failed({ status, signal });
        this.#hasFailed = false;
        resolve();
      });
    });
  }
}
