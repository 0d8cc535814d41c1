import type { TrustFile } from '../codec/trust-file.ts';
import type { DeviceState } from './device-state.ts';
import { trustFromRoot } from './trust-from-root.ts';

/** The state of a device, in memory and on whatever keeps it without power. */
export class DeviceMemory {
  readonly #save: (state: DeviceState) => Promise<void>;
  #state: DeviceState;
  #trust: TrustFile | undefined;

  /** @param dependencies.save resolves once the state survives a loss of power, whole; rejects where it stays the old one */
  constructor(dependencies: { readonly state: DeviceState; readonly save: (state: DeviceState) => Promise<void> }) {
    this.#state = dependencies.state;
    this.#save = dependencies.save;
    this.#trust = trustOf(dependencies.state);
  }

  get state(): DeviceState {
    return this.#state;
  }

  /** What the device trusts, its keys derived; undefined while nobody paired it. */
  get trust(): TrustFile | undefined {
    return this.#trust;
  }

  /** Nothing is answered before what it says is kept. */
  async keep(state: DeviceState): Promise<void> {
    await this.#save(state);
    this.#state = state;
    this.#trust = trustOf(state);
  }
}

function trustOf({ trust }: DeviceState): TrustFile | undefined {
  return trust === undefined ? undefined : trustFromRoot(trust);
}
