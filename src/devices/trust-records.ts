/** What each device trusts, as far as the hub knows. All of it is in memory; the store holds the same. */
import type { DeviceTrust } from '../codec/device-trust-map.ts';
import type { WrapAlgorithm } from '../core/device-profile.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { Log } from '../ports/log.ts';
import type { Store, StoreChange } from '../ports/store.ts';
import type { Device } from './device.ts';
import { type HubSigningKeys, trustOf } from './device-trust.ts';
import { decodeTrustRecord, encodeTrustRecord, type PendingBundle, type TrustRecord } from './trust-record.ts';

const PREFIX = 'trust/';

export interface Provisioned {
  readonly change: StoreChange;
  undo(): void;
}

export class TrustRecords {
  readonly #store: Store;
  readonly #hubKeys: HubSigningKeys;
  readonly #log: Log;
  /** As they lie on the medium, until somebody asks for one. */
  readonly #records = new Map<string, TrustRecord | Uint8Array>();

  constructor(dependencies: { readonly store: Store; readonly hubKeys: HubSigningKeys; readonly log: Log }) {
    this.#store = dependencies.store;
    this.#hubKeys = dependencies.hubKeys;
    this.#log = dependencies.log;
  }

  /** Takes every record, and reads none: with thousands of devices that would hold up the start. */
  async load(): Promise<void> {
    for (const [key, value] of await this.#store.list(PREFIX)) this.#records.set(key.slice(PREFIX.length), value);
  }

  /**
   * A device of an earlier version has no record: it holds what its trust file had then, under the only key that the hub
   * had, which is the oldest one still kept. A record that cannot be read is logged: of that device no more is known.
   */
  of(device: Device): TrustRecord {
    const known = this.#read(device.id);
    if (known !== undefined) return known;
    const oldest = {
      signingKey: (algorithm: WrapAlgorithm) => this.#hubKeys.signingKey(algorithm),
      signingKeys: (algorithm: WrapAlgorithm) => this.#hubKeys.signingKeys(algorithm).slice(-1),
    };
    const held = trustOf(device, oldest, { issuers: [], time: undefined });
    return { held, heldSince: device.addedAt, highest: held.version, pending: undefined };
  }

  /**
   * A device that is registered with this, by hand or because it was paired. Known from now on; answers with what has to be
   * written together with the device, and with how to take it back where that fails.
   * @throws {LatchkeyError} `device_trust_invalid` for more than a device can hold
   */
  provisioned(device: string, held: DeviceTrust, at: number): Provisioned {
    const record = { held, heldSince: at, highest: held.version, pending: undefined };
    const change = { put: PREFIX + device, value: encodeTrustRecord(record) };
    const before = this.#records.get(device);
    this.#records.set(device, record);
    return {
      change,
      undo: () => {
        if (before === undefined) this.#records.delete(device);
        else this.#records.set(device, before);
      },
    };
  }

  /** A bundle is about to be sent: from now on the device may hold it. */
  async began(device: Device, pending: PendingBundle): Promise<void> {
    const record = this.of(device);
    await this.#put(device.id, { ...record, pending, highest: Math.max(record.highest, pending.trust.version) });
  }

  /** The device confirmed what was pending. */
  async confirmed(device: Device, pending: PendingBundle, at: number): Promise<void> {
    const { highest } = this.of(device);
    await this.#put(device.id, { held: pending.trust, heldSince: at, highest, pending: undefined });
  }

  /** The device proved that it holds a version as high as this: what is made for it has to be above. */
  async outran(device: Device, version: number): Promise<void> {
    const record = this.of(device);
    await this.#put(device.id, { ...record, highest: Math.max(record.highest, version) });
  }

  /** What has to be written where a device is removed. */
  removal(device: string): readonly StoreChange[] {
    return this.#records.has(device) ? [{ remove: PREFIX + device }] : [];
  }

  /** That was written. */
  removed(device: string): void {
    this.#records.delete(device);
  }

  #read(device: string): TrustRecord | undefined {
    const kept = this.#records.get(device);
    if (!(kept instanceof Uint8Array)) return kept;
    try {
      const record = decodeTrustRecord(kept);
      this.#records.set(device, record);
      return record;
    } catch (error) {
      if (!(error instanceof LatchkeyError)) throw error;
      this.#records.delete(device);
      this.#log.error(
        { event: 'trust_record_unreadable', code: error.code, key: PREFIX + device },
        'what a device trusts cannot be read; it is taken for what it was registered with',
      );
      return undefined;
    }
  }

  async #put(device: string, record: TrustRecord): Promise<void> {
    await this.#store.write([{ put: PREFIX + device, value: encodeTrustRecord(record) }]);
    this.#records.set(device, record);
  }
}
