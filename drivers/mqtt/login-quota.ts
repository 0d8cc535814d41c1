import type { Timers } from '../../src/core/clock.ts';
import { LIMITS } from '../../src/core/limits.ts';

/** Milliseconds. */
const WINDOW = 1_000;

/**
 * How many logins the embedded broker takes in a second. Only a good password counts for a device, so that an attacker without it
 * cannot lock the device out. Failures count for the network that they come from, see drivers/http/peer-network.ts.
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

  /** Whether the hub may be asked about one more login of this name from this network. */
  mayAsk(network: string, name: string): boolean {
    // Else one device with a good password could use up what all have.
    if (this.#isUsedUp(name)) return false;
    if ((this.#failedFrom.get(network) ?? 0) >= LIMITS.embeddedFailedLoginsPerSecond) return false;
    if (this.#asked >= LIMITS.embeddedLoginsPerSecond) return false;
    this.#run();
    this.#asked += 1;
    return true;
  }

  failed(network: string): void {
    this.#run();
    this.#failedFrom.set(network, (this.#failedFrom.get(network) ?? 0) + 1);
  }

  /** Whether a device with a good password may enter. */
  mayEnter(device: string): boolean {
    if (this.#isUsedUp(device)) return false;
    this.#run();
    this.#ofDevice.set(device, (this.#ofDevice.get(device) ?? 0) + 1);
    return true;
  }

  #isUsedUp(device: string): boolean {
    return (this.#ofDevice.get(device) ?? 0) >= LIMITS.embeddedLoginsOfOneDevice;
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
