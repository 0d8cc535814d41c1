/** Which devices there are. All of them are in memory; the store holds the same. */
import { LatchkeyError } from '../core/errors.ts';
import type { Log } from '../ports/log.ts';
import type { Store } from '../ports/store.ts';
import { type Device, decodeDevice, encodeDevice } from './device.ts';

const PREFIX = 'device/';

export class Registry {
  readonly #store: Store;
  readonly #log: Log;
  readonly #devices = new Map<string, Device>();

  constructor(dependencies: { readonly store: Store; readonly log: Log }) {
    this.#store = dependencies.store;
    this.#log = dependencies.log;
  }

  /** Reads every device. A record that cannot be read is left where it is, logged and not served. */
  async load(): Promise<void> {
    for (const [key, value] of await this.#store.list(PREFIX)) {
      try {
        const device = decodeDevice(value);
        this.#devices.set(device.id, device);
      } catch (error) {
        if (!(error instanceof LatchkeyError)) throw error;
        this.#log.error(
          { event: 'device_record_unreadable', code: error.code, key },
          'a device record cannot be read; provision that device again',
        );
      }
    }
  }

  /** @throws {LatchkeyError} `device_unknown` */
  get(id: string): Device {
    const device = this.#devices.get(id);
    if (device === undefined) throw new LatchkeyError('device_unknown', id);
    return device;
  }

  list(): readonly Device[] {
    return [...this.#devices.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  get size(): number {
    return this.#devices.size;
  }

  /** @throws {LatchkeyError} `device_exists`, `audience_taken` */
  async add(device: Device): Promise<void> {
    if (this.#devices.has(device.id)) throw new LatchkeyError('device_exists', device.id);
    for (const other of this.#devices.values()) {
      // Two devices under one audience would both take a token meant for one of them.
      if (other.audience === device.audience)
        throw new LatchkeyError('audience_taken', `${device.audience} (${other.id})`);
    }
    this.#devices.set(device.id, device);
    try {
      await this.#store.write([{ put: PREFIX + device.id, value: encodeDevice(device) }]);
    } catch (error) {
      this.#devices.delete(device.id);
      throw error;
    }
  }

  /** @throws {LatchkeyError} `device_unknown` */
  async remove(id: string): Promise<void> {
    this.get(id);
    await this.#store.write([{ remove: PREFIX + id }]);
    this.#devices.delete(id);
  }

  /** Takes the keys of removed devices off the medium. */
  async forgetRemoved(): Promise<void> {
    await this.#store.forget(PREFIX);
  }
}
