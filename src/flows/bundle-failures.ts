/**
 * What devices made of their trust bundles: refusals, and answers that cannot be used. A device may keep such answers up for
 * ever, with its own good key. So each costs a pause, and while the pause lasts the tokens of the device go on. In memory
 * only: a hub that was restarted asks each device once more.
 */
import type { DeviceTrust } from '../codec/device-trust-map.ts';
import type { Clock, Timers } from '../core/clock.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { sameContents } from '../devices/wanted-trust.ts';

/** What a device that answers can bring about with its answer. A device that is away brings about none of them. */
export const BUNDLE_FAULTS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'device_answer_invalid',
  'device_answer_untrusted',
  'device_reset',
  'coap_block_invalid',
  'coap_option_refused',
  'trust_outrun',
  'trust_versions_spent',
]);

/** Answers that cannot be used, one after the other, that count as a refusal. Any of the first two may be chance. */
export const FAULTS_THAT_REFUSE = 3;
/** Milliseconds of the pause after that many; each further answer of the kind doubles it. */
const FIRST_PAUSE = 60_000;
/** Milliseconds of the longest pause, and of the one after a refusal that the device's key authenticates. */
export const LONGEST_PAUSE = 3_600_000;

export interface BundleFailure {
  readonly code: ErrorCode;
  /** CoAP code of the answer; undefined where there was none that could be read. */
  readonly deviceCode: string | undefined;
  /** What the device should have trusted. */
  readonly trust: DeviceTrust;
}

interface Kept {
  readonly failure: BundleFailure | undefined;
  /** Answers that cannot be used, since the device last confirmed a bundle or refused one. */
  readonly faults: number;
  /** `monotonic()` until which the device is left alone. */
  readonly until: number;
  readonly cancelWake: () => void;
}

const NOTHING: Kept = { failure: undefined, faults: 0, until: 0, cancelWake: () => undefined };

export interface BundleFailuresDependencies {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly timers: Timers;
  readonly wake: (device: string) => void;
}

export class BundleFailures {
  readonly #dependencies: BundleFailuresDependencies;
  readonly #devices = new Map<string, Kept>();

  constructor(dependencies: BundleFailuresDependencies) {
    this.#dependencies = dependencies;
  }

  /** The device, or a peer in its place, refused the bundle. The next token or sighting after `pause` tries it again. */
  refused(device: string, failure: BundleFailure, pause: number): void {
    this.#of(device).cancelWake();
    const until = this.#dependencies.clock.monotonic() + pause;
    this.#devices.set(device, { failure, faults: 0, until, cancelWake: NOTHING.cancelWake });
  }

  /** Whether any such answer came since the device last confirmed a bundle. */
  hasFailed(device: string): boolean {
    return this.#of(device).faults > 0;
  }

  /** An answer that cannot be used came, which costs no pause of its own yet. @returns how many came so far */
  counted(device: string): number {
    const kept = this.#of(device);
    const faults = kept.faults + 1;
    this.#devices.set(device, { ...kept, faults });
    return faults;
  }

  /**
   * So many came that they count as a refusal. The hub tries again by itself.
   * @param isOpen an attacker in radio range may have answered: then the pause stays short, and a sighting ends it
   * @returns milliseconds of the pause
   */
  paused(device: string, failure: BundleFailure, isOpen: boolean): number {
    const { clock, timers, wake } = this.#dependencies;
    const { cancelWake, faults } = this.#of(device);
    cancelWake();
    const doublings = isOpen ? 0 : Math.min(faults - FAULTS_THAT_REFUSE, 16);
    const pause = Math.min(FIRST_PAUSE * 2 ** doublings, LONGEST_PAUSE);
    const until = clock.monotonic() + pause;
    const cancel = isOpen ? NOTHING.cancelWake : timers.after(pause, () => wake(device));
    this.#devices.set(device, { failure, faults, until, cancelWake: cancel });
    return pause;
  }

  /** The device confirmed a bundle, or is removed. */
  clear(device: string): void {
    this.#of(device).cancelWake();
    this.#devices.delete(device);
  }

  /** Whether the device is left alone for now. Contents that are new to it are worth one attempt. */
  isPaused(device: string, wanted: DeviceTrust): boolean {
    return this.#dependencies.clock.monotonic() < this.#of(device).until && this.of(device, wanted) !== undefined;
  }

  /** Why the device does not hold this, where it refused it or that many answers could not be used. */
  of(device: string, wanted: DeviceTrust): BundleFailure | undefined {
    const { failure } = this.#of(device);
    return failure !== undefined && sameContents(failure.trust, wanted) ? failure : undefined;
  }

  #of(device: string): Kept {
    return this.#devices.get(device) ?? NOTHING;
  }
}
