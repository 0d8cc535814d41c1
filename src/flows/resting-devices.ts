/**
 * Devices for which something waits while their link is known to be down. They cost nothing but their place here: no attempt
 * and no timer of their own. They are woken together when the link is up again; one timer looks at all links now and then, for
 * a link that came up without saying so.
 */
import type { Timers } from '../core/clock.ts';
import type { DeviceLink } from '../ports/device-link.ts';

/** Milliseconds from one look at the links to the next. */
const LOOK_EVERY = 2_000;

export class RestingDevices {
  readonly #timers: Timers;
  readonly #isKnown: (device: string) => boolean;
  readonly #wake: (devices: readonly string[]) => void;
  readonly #byLink = new Map<DeviceLink, Set<string>>();
  #cancelLook: (() => void) | undefined;
  #stopped = false;

  constructor(dependencies: {
    readonly timers: Timers;
    /** Whether the device is registered: one that was removed rests no longer. */
    readonly isKnown: (device: string) => boolean;
    readonly wake: (devices: readonly string[]) => void;
  }) {
    this.#timers = dependencies.timers;
    this.#isKnown = dependencies.isKnown;
    this.#wake = dependencies.wake;
  }

  add(link: DeviceLink, device: string): void {
    if (this.#stopped) return;
    const devices = this.#byLink.get(link) ?? new Set();
    this.#byLink.set(link, devices);
    devices.add(device);
    this.#cancelLook ??= this.#timers.after(LOOK_EVERY, () => this.#look());
  }

  remove(link: DeviceLink, device: string): void {
    const devices = this.#byLink.get(link);
    devices?.delete(device);
    if (devices?.size === 0) this.#byLink.delete(link);
    if (this.#byLink.size > 0) return;
    this.#cancelLook?.();
    this.#cancelLook = undefined;
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelLook?.();
    this.#byLink.clear();
  }

  #look(): void {
    this.#cancelLook = undefined;
    for (const [link, devices] of [...this.#byLink]) {
      const woken = link.isUp() ? [...devices] : [...devices].filter((device) => !this.#isKnown(device));
      if (woken.length > 0) this.#wake(woken);
    }
    if (this.#byLink.size > 0) this.#cancelLook ??= this.#timers.after(LOOK_EVERY, () => this.#look());
  }
}
