import type { Timers } from '../../src/core/clock.ts';
import { LIMITS } from '../../src/core/limits.ts';

/** Milliseconds. */
const WINDOW = 1_000;

/**
 * How many logins the embedded broker takes in a second. Only a good password counts for a device, so that an attacker without it
 * cannot lock the device out. Failures count for the address that they come from.
 */
export class LoginQuota {
  readonly #timers: Timers;
  readonly #ofDevice = new Map<string, number>();
  readonly #failedFrom = new Map<string, number>();
  #asked = 0;
  #isRunning = false;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Whether the hub may be asked about one more login from this address. */
  mayAsk(address: string): boolean {
    if ((this.#failedFrom.get(address) ?? 0) >= LIMITS.embeddedFailedLoginsPerSecond) return false;
    if (this.#asked >= LIMITS.embeddedLoginsPerSecond) return false;
    this.#run();
    this.#asked += 1;
    return true;
  }

  failed(address: string): void {
    this.#run();
    this.#failedFrom.set(address, (this.#failedFrom.get(address) ?? 0) + 1);
  }

  /** Whether a device with a good password may enter. */
  mayEnter(device: string): boolean {
    const entered = this.#ofDevice.get(device) ?? 0;
    if (entered >= LIMITS.embeddedLoginsOfOneDevice) return false;
    this.#run();
    this.#ofDevice.set(device, entered + 1);
    return true;
  }

  #run(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#timers.after(WINDOW, () => {
      this.#isRunning = false;
      this.#asked = 0;
      this.#failedFrom.clear();
      this.#ofDevice.clear();
    });
  }
}
