/** administer: what operators do with devices. The same whether asked over the admin socket or with no hub running. */
import type { DeviceTrust } from '../codec/device-trust-map.ts';
import { base64url, hex } from '../core/bytes.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';
import { type Delivery, hasEnded } from '../devices/delivery.ts';
import type { DeliveryQueue } from '../devices/delivery-queue.ts';
import { checkName, type Device, takesTokens } from '../devices/device.ts';
import { credentialsFileOf } from '../devices/device-credentials.ts';
import { type HubSigningKeys, trustFileOf, trustOf } from '../devices/device-trust.ts';
import { differs } from '../devices/named-profile.ts';
import { profileToJson } from '../devices/profile.ts';
import type { Registry } from '../devices/registry.ts';
import type { Provisioned } from '../devices/trust-records.ts';
import type {
  AddedDevice,
  DeliveriesQuery,
  DeviceView,
  Difficulty,
  ListedDelivery,
  NewDevice,
  Page,
  PageQuery,
  ProfileView,
  RetriedDelivery,
  TrustView,
} from '../ports/admin.ts';
import type { Audit } from '../ports/audit.ts';
import type { Log } from '../ports/log.ts';
import type { StoreChange } from '../ports/store.ts';
import { answerPage } from './answer-page.ts';
import type { DeliveryAttempts } from './attempt-delivery.ts';
import { viewDelivery } from './deliver.ts';
import { deliveryEnd } from './delivery-end.ts';
import { type NewDeviceSurroundings, newDeviceOf } from './new-device.ts';
import type { RefreshTrust } from './refresh-trust.ts';

export interface AdministerDependencies extends NewDeviceSurroundings {
  readonly registry: Registry;
  readonly queue: DeliveryQueue;
  readonly hubKeys: HubSigningKeys;
  readonly log: Log;
  readonly audit: Audit;
  /** Of the dispatcher; nothing, where no hub runs. */
  readonly difficulty: (device: string) => Difficulty | undefined;
  readonly cancel: DeliveryAttempts['cancel'];
  /** Tries a device at once. @throws {LatchkeyError} `admin_unreachable` where no hub runs */
  readonly wake: (device: string) => void;
  readonly trust: Pick<RefreshTrust, 'issuersOf' | 'provisioned' | 'removal' | 'removed' | 'status' | 'versionOf'>;
}

/** What the audit says of the removal of a device. */
export interface RemovalRecord {
  /** `unpaired` where the device said that it gave up its trust. */
  readonly verdict: 'removed' | 'unpaired';
  /** Id of the request, where it has one already. */
  readonly request?: string;
  readonly code?: ErrorCode | undefined;
}

const REQUEST_ID_BYTES = 8;

export class AdministerFlow {
  readonly #dependencies: AdministerDependencies;

  constructor(dependencies: AdministerDependencies) {
    this.#dependencies = dependencies;
  }

  listDevices({ after }: PageQuery = {}): Page<DeviceView> {
    const devices = behind(this.#dependencies.registry.list(), after);
    return answerPage(devices, { cursor: idOf, most: LIMITS.devicesAnswered, view: (device) => this.view(device) });
  }

  /** What devices trust. */
  trust({ after }: PageQuery = {}): Page<TrustView> {
    const { registry, trust } = this.#dependencies;
    const devices = behind(registry.list(), after).filter(takesTokens);
    const { items, next } = answerPage(devices, {
      cursor: idOf,
      most: LIMITS.devicesAnswered,
      view: (device) => trust.status([device]),
    });
    return { items: items.flat(), ...(next === undefined ? {} : { next }) };
  }

  /** What the configuration has, in its order, and how many devices have it. */
  profiles(): readonly ProfileView[] {
    const { profiles, registry } = this.#dependencies;
    return profiles.map((named) => {
      const { audience, issuers, name, profile } = named;
      const devices = registry.list().filter(({ profileName }) => profileName === name);
      const differing = devices.filter((device) => differs(device.profile, named)).length;
      const view = { name, profile: profileToJson(profile), audience, devices: devices.length, differing };
      return issuers === undefined ? view : { ...view, issuers };
    });
  }

  showDevice(id: string): DeviceView {
    return this.view(this.#dependencies.registry.get(id));
  }

  /** Registers a device under a fresh root key. The trust file is made here and now, and cannot be had a second time. */
  async addDevice(request: NewDevice): Promise<AddedDevice> {
    const { hubKeys, log, trust } = this.#dependencies;
    const device = newDeviceOf(request, this.#dependencies);
    const given = trust.issuersOf(device);
    const file = trustFileOf(device, hubKeys, given);
    await this.#register(device, given);
    log.info(
      { event: 'device_added', device: device.id, line: device.line, ble: device.ble?.name, wrap: device.profile.wrap },
      'a device was registered',
    );
    return { device: this.view(device), trust: file };
  }

  /**
   * What a connected device shows to the hub and is answered with. Derived from its root key, so it can be had again.
   * @throws {LatchkeyError} `device_unknown`
   */
  deviceCredentials(id: string): string {
    const { log, registry } = this.#dependencies;
    const credentials = credentialsFileOf(registry.get(id));
    log.info({ event: 'device_credentials', device: id }, 'the credentials of a device were written out');
    return credentials;
  }

  /**
   * Forgets a device, its keys and whatever waits for it. All of it leaves the medium in one write, and memory after that;
   * then it goes on record.
   * @param record what the audit says of it
   * @throws {LatchkeyError} `device_unknown`; errors of the store, and then everything is as before
   */
  async removeDevice(id: string, record: RemovalRecord = { verdict: 'removed' }): Promise<void> {
    const { audit, log, random, registry, trust } = this.#dependencies;
    registry.get(id);
    const { request = hex(random.bytes(REQUEST_ID_BYTES)), code, verdict } = record;
    await this.dropDeliveries(id, async (removals) => {
      await registry.remove(id, [...trust.removal(id), ...removals]);
      audit.record({ kind: 'unpair', verdict, device: id, request, code });
      log.info({ event: 'device_removed', device: id, request }, 'a device was removed');
    });
    // Brought while that was written.
    await this.dropDeliveries(id);
    await trust.removed(id);
    await registry.forgetRemoved();
  }

  /**
   * Ends whatever waits for a device: its tokens are for a key that it has no more.
   * @param write as `DeliveryQueue.removeDevice` takes it
   */
  async dropDeliveries(device: string, write?: (removals: readonly StoreChange[]) => Promise<void>): Promise<void> {
    const { audit, log, queue } = this.#dependencies;
    const dropped = await queue.removeDevice(device, write);
    for (const delivery of dropped)
      if (!hasEnded(delivery)) audit.record(deliveryEnd(delivery, { state: 'refused', code: 'device_unknown' }));
    if (dropped.length > 0)
      log.info({ event: 'deliveries_dropped', device, deliveries: dropped.length }, 'tokens of a device were dropped');
    await queue.forgetEnded();
  }

  /**
   * What people call it from now on. Its id, by which it knows itself and clients know it, stays.
   * @throws {LatchkeyError} `device_unknown`, `device_invalid`
   */
  async renameDevice(id: string, name: string): Promise<DeviceView> {
    const { log, registry } = this.#dependencies;
    checkName(name);
    const device = await registry.update(registry.get(id), { name });
    log.info({ event: 'device_renamed', device: id, name }, 'a device has another name');
    return this.view(device);
  }

  /** @throws {LatchkeyError} `request_invalid` for a cursor that is none */
  deliveries({ after, device, limit, waiting = false }: DeliveriesQuery): Page<ListedDelivery> {
    const { queue } = this.#dependencies;
    if (after !== undefined && !/^\d{1,15}$/.test(after)) throw new LatchkeyError('request_invalid', 'after');
    const found = queue.list(device).filter((delivery) => !waiting || !hasEnded(delivery));
    const wanted =
      after === undefined
        ? found.slice(-limit)
        : found.filter(({ sequence }) => sequence > Number(after)).slice(0, limit);
    return answerPage(wanted, {
      cursor: ({ sequence }) => String(sequence),
      most: LIMITS.deliveriesAnswered,
      view: (delivery) => this.viewListed(delivery),
    });
  }

  /** @throws {LatchkeyError} `delivery_unknown`; `delivery_ended` where another end came first */
  async cancelDelivery(id: string): Promise<ListedDelivery> {
    const { delivery, isFirst } = await this.#dependencies.cancel(id);
    if (!isFirst) throw new LatchkeyError('delivery_ended', delivery.state);
    await this.#dependencies.queue.forgetEnded();
    return this.viewListed(delivery);
  }

  /** @throws {LatchkeyError} as `cancelDelivery`; `admin_unreachable` where no hub runs */
  retryDelivery(id: string): RetriedDelivery {
    const { log, queue, wake } = this.#dependencies;
    const delivery = queue.get(id);
    const { device } = delivery;
    if (hasEnded(delivery)) throw new LatchkeyError('delivery_ended', delivery.state);
    wake(device);
    log.info({ event: 'delivery_retried', device, delivery: id }, 'an operator had a device tried at once');
    const before = queue.waitingFor(device).filter(({ sequence }) => sequence < delivery.sequence).length;
    return { ...this.viewListed(delivery), before };
  }

  viewListed(delivery: Delivery): ListedDelivery {
    const difficulty = hasEnded(delivery) ? undefined : this.#dependencies.difficulty(delivery.device);
    return { ...viewDelivery(delivery, difficulty), ...(difficulty === undefined ? {} : { difficulty }) };
  }

  /** Device and what it was given are on the medium together: that must be known however soon the hub gets another key. */
  async #register(device: Device, issuers: DeviceTrust['issuers']): Promise<void> {
    const { registry } = this.#dependencies;
    if (registry.find(device.id) !== undefined) throw new LatchkeyError('device_exists', device.id);
    const provisioned = takesTokens(device) ? this.#provisioned(device, issuers) : undefined;
    try {
      await registry.add(device, provisioned === undefined ? [] : [provisioned.change]);
    } catch (error) {
      provisioned?.undo();
      throw error;
    }
  }

  #provisioned(device: Device, issuers: DeviceTrust['issuers']): Provisioned {
    const { hubKeys, trust } = this.#dependencies;
    try {
      return trust.provisioned(device, trustOf(device, hubKeys, { issuers, time: undefined }));
    } catch (error) {
      if (!isCoded(error, 'device_trust_invalid')) throw error;
      throw new LatchkeyError('device_invalid', `profile: too much for a device to hold (${error.detail})`);
    }
  }

  #profileFacts(device: Device, name: string): Pick<DeviceView, 'profile_name' | 'profile_differs'> {
    const named = this.#dependencies.profiles.find((profile) => profile.name === name);
    return { profile_name: name, ...(differs(device.profile, named) ? { profile_differs: true } : {}) };
  }

  view(device: Device): DeviceView {
    return {
      id: device.id,
      audience: device.audience,
      ...(device.name === undefined ? {} : { name: device.name }),
      ...(device.line === undefined ? {} : { line: device.line }),
      ...(device.ble === undefined ? {} : { ble: device.ble }),
      profile: profileToJson(device.profile) as JsonObject,
      ...(device.profileName === undefined ? {} : this.#profileFacts(device, device.profileName)),
      ...(device.paired === undefined ? {} : { paired: device.paired }),
      issuers: device.issuers ?? 'any',
      ...(device.certificate === undefined ? {} : { certificate: base64url(device.certificate) }),
      trust_version: takesTokens(device) ? this.#dependencies.trust.versionOf(device) : device.trustVersion,
      added_at: device.addedAt,
      waiting: this.#dependencies.queue.waiting(device.id),
      ...(device.pairing === undefined ? {} : { unfinished: true }),
    };
  }
}

/** Of devices in the order of their ids, those behind this one, which may be gone by now. */
function behind(devices: readonly Device[], after: string | undefined): readonly Device[] {
  return after === undefined ? devices : devices.filter(({ id }) => id > after);
}

function idOf({ id }: Device): string {
  return id;
}
