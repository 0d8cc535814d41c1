/** Which devices there are. All of them are in memory; the store holds the same. */
import { hex } from '../core/bytes.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { LatchkeyError } from '../core/errors.ts';
import { inSlices } from '../core/slices.ts';
import type { Revocations } from '../ports/device-authentication.ts';
import type { Log } from '../ports/log.ts';
import type { Store, StoreChange } from '../ports/store.ts';
import { type Device, decodeDevice, encodeDevice } from './device.ts';

const PREFIX = 'device/';
/** Records that are read in one turn of the event loop. */
const READ_AT_ONCE = 256;

export class Registry {
  readonly #store: Store;
  readonly #log: Log;
  readonly #devices = new Map<string, Device>();
  readonly #byCertificate = new Map<string, Device>();
  readonly #byBleName = new Map<string, Device>();
  readonly #byAudience = new Map<string, Device>();
  /** In the order of their ids; undefined since one came or went. */
  #sorted: readonly Device[] | undefined;
  readonly #onRevoked = new Set<(device: string) => void>();
  /** The last change of each device that is being written: changes of one device reach the medium and memory in one order. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(dependencies: { readonly store: Store; readonly log: Log }) {
    this.#store = dependencies.store;
    this.#log = dependencies.log;
  }

  /** Reads every device. A record that cannot be read is left where it is, logged and not served. */
  async load(): Promise<void> {
    const migrated = (code: ErrorCode, device: string) =>
      this.#log.warn(
        { event: 'device_bearer_ended', code, device },
        'an offline device takes no bearer tokens any more; tokens need a key, or bind = "first-presenter"',
      );
    const read = ([key, value]: readonly [string, Uint8Array]) => {
      try {
        this.#remember(decodeDevice(value, migrated));
      } catch (error) {
        if (!(error instanceof LatchkeyError)) throw error;
        this.#log.error(
          { event: 'device_record_unreadable', code: error.code, key },
          'a device record cannot be read; provision that device again',
        );
      }
    };
    await inSlices(await this.#store.list(PREFIX), read, { size: READ_AT_ONCE });
  }

  /** @throws {LatchkeyError} `device_unknown`, without the id: what a peer asks for may be anything, a token too */
  get(id: string): Device {
    const device = this.#devices.get(id);
    if (device === undefined) throw new LatchkeyError('device_unknown');
    return device;
  }

  find(id: string): Device | undefined {
    return this.#devices.get(id);
  }

  /** The device whose certificate has this thumbprint. SHA-256, 32 bytes. */
  byCertificate(thumbprint: Uint8Array): Device | undefined {
    return this.#byCertificate.get(hex(thumbprint));
  }

  /** The device that this `aud` value names. */
  byAudience(audience: string): Device | undefined {
    return this.#byAudience.get(audience);
  }

  /** The device that advertises this name. */
  byBleName(name: string): Device | undefined {
    return this.#byBleName.get(name);
  }

  /** Of keys that no device has any more. */
  readonly revocations: Revocations = {
    watch: (listener) => {
      this.#onRevoked.add(listener);
      return () => this.#onRevoked.delete(listener);
    },
  };

  /** Whether any device shows a certificate. */
  get hasCertificates(): boolean {
    return this.#byCertificate.size > 0;
  }

  list(): readonly Device[] {
    this.#sorted ??= [...this.#devices.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    return this.#sorted;
  }

  get size(): number {
    return this.#devices.size;
  }

  /**
   * @param alongside what is to be on the medium exactly when the device is
   * @throws {LatchkeyError} `device_exists` where the id, the certificate or the advertised name is taken, `audience_taken`
   */
  async add(device: Device, alongside: readonly StoreChange[] = []): Promise<void> {
    this.check(device);
    this.#remember(device);
    try {
      await this.#inTurn(device.id, () =>
        this.#store.write([{ put: PREFIX + device.id, value: encodeDevice(device) }, ...alongside]),
      );
    } catch (error) {
      this.#forget(device);
      this.#revoke(device.id);
      throw error;
    }
  }

  /**
   * Whether a device can be added.
   * @param replacing one that would not be there any more
   * @throws {LatchkeyError} as `add`
   */
  check(device: Device, replacing?: Device): void {
    const { audience, ble, certificate, id } = device;
    const another = (found: Device | undefined) => (found === replacing ? undefined : found);
    if (another(this.#devices.get(id)) !== undefined) throw new LatchkeyError('device_exists', id);
    // Two devices under one audience would both take a token meant for one of them.
    const namesake = another(this.#byAudience.get(audience));
    if (namesake !== undefined) throw new LatchkeyError('audience_taken', `${audience} (${namesake.id})`);
    const heard = another(ble === undefined ? undefined : this.#byBleName.get(ble.name));
    if (heard !== undefined) throw new LatchkeyError('device_exists', `advertised name is that of ${heard.id}`);
    const shown = another(certificate === undefined ? undefined : this.#byCertificate.get(hex(certificate)));
    if (shown !== undefined) throw new LatchkeyError('device_exists', `certificate is that of ${shown.id}`);
  }

  /**
   * Puts another record in the place of that of `device`, which may be an older one of the same device. On the medium first:
   * until then the record before counts.
   * @param alongside what is to be on the medium exactly when the record is
   * @throws {LatchkeyError} `device_unknown` where it was removed since, or registered anew
   */
  update(device: Device, change: Partial<Omit<Device, 'id'>>, alongside: readonly StoreChange[] = []): Promise<Device> {
    return this.#inTurn(device.id, async () => {
      const before = this.#devices.get(device.id);
      if (before === undefined || before.rootKey !== device.rootKey)
        throw new LatchkeyError('device_unknown', device.id);
      const after: Device = { ...before, ...change };
      await this.#store.write([{ put: PREFIX + after.id, value: encodeDevice(after) }, ...alongside]);
      this.#forget(before);
      this.#remember(after);
      if (after.rootKey !== before.rootKey) this.#revoke(after.id);
      return after;
    });
  }

  /**
   * On the medium first: where that fails the device is still there.
   * @param alongside what is to be written exactly when the device is removed
   * @throws {LatchkeyError} `device_unknown`
   */
  remove(id: string, alongside: readonly StoreChange[] = []): Promise<void> {
    return this.#inTurn(id, async () => {
      const device = this.get(id);
      await this.#store.write([{ remove: PREFIX + id }, ...alongside]);
      this.#forget(device);
      this.#revoke(id);
    });
  }

  /** Begins at once where no other change of this device is being written. */
  async #inTurn<T>(id: string, change: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(id);
    const turn = before === undefined ? change() : before.then(change, change);
    this.#turns.set(id, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(id) === turn) this.#turns.delete(id);
    }
  }

  #revoke(id: string): void {
    for (const listener of this.#onRevoked) listener(id);
  }

  #remember(device: Device): void {
    this.#sorted = undefined;
    this.#devices.set(device.id, device);
    this.#byAudience.set(device.audience, device);
    if (device.certificate !== undefined) this.#byCertificate.set(hex(device.certificate), device);
    if (device.ble !== undefined) this.#byBleName.set(device.ble.name, device);
  }

  #forget(device: Device): void {
    this.#sorted = undefined;
    this.#devices.delete(device.id);
    this.#byAudience.delete(device.audience);
    if (device.certificate !== undefined) this.#byCertificate.delete(hex(device.certificate));
    if (device.ble !== undefined) this.#byBleName.delete(device.ble.name);
  }

  /** Takes the keys of removed devices off the medium. */
  async forgetRemoved(): Promise<void> {
    await this.#store.forget(PREFIX);
  }
}
