/** A simulated device that can be paired, and the hub's side of it made straight with the codecs: no hub takes part. */
import { checkOrderAnswer, type DeviceOrder, makeOrder, orderKey } from '../../src/codec/device-order.ts';
import type { ProvisionedTrust } from '../../src/codec/device-trust-map.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../../src/codec/iana.ts';
import {
  checkConfirmation,
  decodeNonce,
  encodeNonce,
  type ProvisionNonces,
  sealProvisionedTrust,
} from '../../src/codec/provisioning.ts';
import type { CoapResponse } from '../../src/core/coap-exchange.ts';
import { Secret } from '../../src/core/secret.ts';
import type { DeviceEvent } from '../../src/sim/device-event.ts';
import { DeviceMemory } from '../../src/sim/device-memory.ts';
import { DeviceSetup } from '../../src/sim/device-setup.ts';
import { type DeviceState, decodeDeviceState, encodeDeviceState, FRESH_DEVICE } from '../../src/sim/device-state.ts';
import { SimulatedDevice } from '../../src/sim/simulated-device.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { PROVISIONED, TRUST } from '../fixtures/device-trust.ts';

export const SETUP = new Secret(new Uint8Array(16).fill(0x51));
export const HUB_NONCE = new Uint8Array(16).fill(0xa0);

export interface Sent {
  readonly contentFormat?: number;
  readonly payload?: Uint8Array;
}

export class PairableDevice {
  /** Not before the time that the hub told it. */
  readonly time = new FakeTime({ now: TRUST.time ?? 0 });
  readonly events: DeviceEvent[] = [];
  /** What survives a loss of power. */
  flash: string;
  /** Fails the next write to the flash. */
  failsToSave = false;
  device: SimulatedDevice;
  setup: DeviceSetup;

  readonly #nonce: Uint8Array | undefined;

  /** @param nonce the one that it gives, always: for vectors */
  constructor(state: DeviceState = FRESH_DEVICE, nonce?: Uint8Array) {
    this.#nonce = nonce;
    this.flash = encodeDeviceState(state);
    ({ device: this.device, setup: this.setup } = this.#switchOn());
  }

  get state(): DeviceState {
    return this.setup.memory.state;
  }

  /** Power off and on: what was in RAM alone is gone. */
  restart(): void {
    ({ device: this.device, setup: this.setup } = this.#switchOn());
  }

  reset(): void {
    this.flash = encodeDeviceState(FRESH_DEVICE);
    this.restart();
  }

  post(path: 'provision' | 'unpair' | 'identify', { contentFormat, payload }: Sent): Promise<CoapResponse> {
    return this.device.handler({
      method: COAP_METHOD.POST,
      path: [path],
      ...(contentFormat === undefined ? {} : { contentFormat }),
      ...(payload === undefined ? {} : { payload }),
    });
  }

  /** Step 1, or a nonce for an order. */
  async begin(hub = HUB_NONCE, path: 'provision' | 'unpair' | 'identify' = 'provision'): Promise<ProvisionNonces> {
    const answer = await this.post(path, { contentFormat: CONTENT_FORMAT.cbor, payload: encodeNonce(hub) });
    return { hub, device: decodeNonce(answer.payload) };
  }

  provision(payload: Uint8Array): Promise<CoapResponse> {
    return this.post('provision', { contentFormat: CONTENT_FORMAT.coseEncrypt0, payload });
  }

  order(payload: Uint8Array, path: 'provision' | 'unpair' | 'identify' = 'provision'): Promise<CoapResponse> {
    return this.post(path, { contentFormat: CONTENT_FORMAT.coseMac0, payload });
  }

  /** The order to give up what it trusts, with a nonce that it gave now. */
  async unpairingOrder(provisioned: ProvisionedTrust = PROVISIONED): Promise<Uint8Array> {
    return orderOf({ operation: 'unpair', nonces: await this.begin(HUB_NONCE, 'unpair') }, provisioned);
  }

  /** Steps 1 and 2. */
  async receive(provisioned: ProvisionedTrust = PROVISIONED, setup = SETUP): Promise<ProvisionNonces> {
    const nonces = await this.begin();
    const answer = await this.provision(sealProvisionedTrust(provisioned, { setup, nonces }));
    checkConfirmation(answer.payload, provisioned, { setup, nonces });
    return nonces;
  }

  /** All three. */
  async pair(provisioned: ProvisionedTrust = PROVISIONED): Promise<ProvisionNonces> {
    const nonces = await this.receive(provisioned);
    const order = commit(nonces, provisioned);
    const answer = await this.order(order);
    checkOrderAnswer(answer.payload, order, contextOf(provisioned));
    return nonces;
  }

  #switchOn(): { readonly device: SimulatedDevice; readonly setup: DeviceSetup } {
    const memory = new DeviceMemory({
      state: decodeDeviceState(this.flash),
      save: async (state) => {
        if (this.failsToSave) throw new Error('the flash is worn out');
        this.flash = encodeDeviceState(state);
      },
    });
    const onEvent = (event: DeviceEvent) => void this.events.push(event);
    const nonce = this.#nonce;
    const random = nonce === undefined ? this.time : { bytes: () => nonce };
    const setup = new DeviceSetup({ secret: SETUP, memory, clock: this.time, random, onEvent });
    return { setup, device: new SimulatedDevice({ trust: setup, clock: this.time, random: this.time, onEvent }) };
  }
}

export function contextOf({ rootKey, trust }: ProvisionedTrust = PROVISIONED) {
  return { key: orderKey(rootKey), audience: trust.audience };
}

export function orderOf(order: DeviceOrder, provisioned: ProvisionedTrust = PROVISIONED): Uint8Array {
  return makeOrder(order, contextOf(provisioned));
}

export function commit(nonces: ProvisionNonces, provisioned: ProvisionedTrust = PROVISIONED): Uint8Array {
  return orderOf({ operation: 'commit', version: provisioned.trust.version, nonces }, provisioned);
}

/** What another hub, or the same one in another pairing, would send. */
export const OTHER: ProvisionedTrust = {
  trust: { ...TRUST, audience: 'coap://other' },
  rootKey: new Secret(new Uint8Array(32).fill(0x0e)),
};
