import { decodeDeviceTrust, encodeDeviceTrust } from '../codec/device-trust-map.ts';
import type { TrustFile } from '../codec/trust-file.ts';
import type { DeviceState } from './device-state.ts';
import type { HeldTrust } from './judge-bundle.ts';
import { trustFromRoot } from './trust-from-root.ts';

/** The state of a device, in memory and on whatever keeps it without power. */
export class DeviceMemory {
  readonly #save: (state: DeviceState) => Promise<void>;
  #state: DeviceState;
  #held: HeldTrust | undefined;

  /** @param dependencies.save resolves once the state survives a loss of power, whole; rejects where it stays the old one */
  constructor(dependencies: { readonly state: DeviceState; readonly save: (state: DeviceState) => Promise<void> }) {
    this.#state = dependencies.state;
    this.#save = dependencies.save;
    this.#held = heldIn(dependencies.state);
  }

  get state(): DeviceState {
    return this.#state;
  }

  /** What the device trusts, its keys derived; undefined until it is paired. */
  get trust(): TrustFile | undefined {
    return this.#held?.trust;
  }

  /** The same, with the trust map that it came in. */
  get held(): HeldTrust | undefined {
    return this.#held;
  }

  /** Nothing is answered before what it says is kept. */
  async keep(state: DeviceState): Promise<void> {
    await this.#save(state);
    this.#state = state;
    this.#held = heldIn(state);
  }

  /** What a bundle brought, under the same root key. @param map as it came */
  async keepBundle(map: Uint8Array): Promise<void> {
    const { trust } = this.#state;
    if (trust !== undefined) await this.keep({ ...this.#state, trust: { ...trust, trust: decodeDeviceTrust(map) } });
  }
}

function heldIn({ trust }: DeviceState): HeldTrust | undefined {
  return trust === undefined ? undefined : { trust: trustFromRoot(trust), payload: encodeDeviceTrust(trust.trust) };
}
