/**
 * The last step of a pairing: the order to the device to use what it was sent. The hub gives it whenever it can until the
 * device has said that it does, and no token goes before that. Until then the device trusts whom it trusted before.
 */
import type { Device } from '../devices/device.ts';
import type { Registry } from '../devices/registry.ts';
import type { Audit } from '../ports/audit.ts';
import type { DeviceLink } from '../ports/device-link.ts';
import type { Log } from '../ports/log.ts';
import type { Errand } from './errand.ts';
import { type Attempt, orderDevice } from './order-device.ts';

export interface FinishPairingDependencies {
  readonly registry: Registry;
  /** @throws {LatchkeyError} `link_unconfigured` */
  readonly link: (device: Device) => DeviceLink;
  readonly audit: Audit;
  readonly log: Log;
}

export class FinishPairing implements Errand {
  readonly name = 'pairing';
  readonly #dependencies: FinishPairingDependencies;
  /** Ends of pairings that are being written, by device. */
  readonly #ends = new Map<string, Promise<void>>();

  constructor(dependencies: FinishPairingDependencies) {
    this.#dependencies = dependencies;
  }

  isDue(device: string): boolean {
    return this.#dependencies.registry.find(device)?.pairing !== undefined;
  }

  async run(device: Device, attempt: Attempt): Promise<void> {
    const { pairing } = device;
    if (pairing === undefined) return;
    const { nonces } = pairing;
    const order = { operation: 'commit', version: device.trustVersion, nonces } as const;
    await orderDevice(device, order, { link: this.#dependencies.link(device), path: 'provision', ...attempt });
    await this.#end(device, pairing.request);
  }

  /** The operator and the dispatcher may have asked at the same time: one of them writes it, and both wait for that. */
  async #end(device: Device, request: string): Promise<void> {
    const underWay = this.#ends.get(device.id);
    if (underWay !== undefined) return underWay;
    if (!this.isDue(device.id)) return;
    const end = this.#write(device, request);
    this.#ends.set(device.id, end);
    try {
      await end;
    } finally {
      this.#ends.delete(device.id);
    }
  }

  async #write(device: Device, request: string): Promise<void> {
    const { audit, log, registry } = this.#dependencies;
    await registry.update(device, { pairing: undefined });
    audit.record({ kind: 'pair', verdict: 'paired', device: device.id, request });
    log.info({ event: 'device_paired', device: device.id, request }, 'a device is paired: it uses what it was sent');
  }
}
