/** administer: what operators do with devices. The same whether asked over the admin socket or with no hub running. */
import { certificateFromText } from '../codec/certificate.ts';
import type { DeviceTrust } from '../codec/device-trust-map.ts';
import { base64url, sha256 } from '../core/bytes.ts';
import { bestGuess, type Clock, type Random } from '../core/clock.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { Secret } from '../core/secret.ts';
import { hasEnded } from '../devices/delivery.ts';
import type { DeliveryQueue } from '../devices/delivery-queue.ts';
import { checkDeviceNames, type Device, ROOT_KEY_BYTES, takesTokens } from '../devices/device.ts';
import { credentialsFileOf } from '../devices/device-credentials.ts';
import { type HubSigningKeys, trustFileOf, trustOf } from '../devices/device-trust.ts';
import { profileFromJson, profileToJson } from '../devices/profile.ts';
import type { Registry } from '../devices/registry.ts';
import type { Provisioned } from '../devices/trust-records.ts';
import type {
  AddedDevice,
  DeliveriesQuery,
  DeviceView,
  Difficulty,
  ListedDelivery,
  NewDevice,
} from '../ports/admin.ts';
import type { Audit } from '../ports/audit.ts';
import type { Log } from '../ports/log.ts';
import { viewDelivery } from './deliver.ts';
import { deliveryEnd } from './delivery-end.ts';
import type { RefreshTrust } from './refresh-trust.ts';

export interface AdministerDependencies {
  readonly registry: Registry;
  readonly queue: DeliveryQueue;
  readonly hubKeys: HubSigningKeys;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly audit: Audit;
  /** Names of what the configuration has, to refuse a device that could never work. */
  readonly lines: readonly string[];
  /** Whether there is a radio. */
  readonly radio: boolean;
  readonly issuers: readonly string[];
  /** Of the dispatcher; nothing, where no hub runs. */
  readonly difficulty: (device: string) => Difficulty | undefined;
  readonly trust: Pick<RefreshTrust, 'issuersOf' | 'provisioned' | 'removed' | 'versionOf'>;
}

export class AdministerFlow {
  readonly #dependencies: AdministerDependencies;

  constructor(dependencies: AdministerDependencies) {
    this.#dependencies = dependencies;
  }

  listDevices(): readonly DeviceView[] {
    return this.#dependencies.registry.list().map((device) => this.#view(device));
  }

  showDevice(id: string): DeviceView {
    return this.#view(this.#dependencies.registry.get(id));
  }

  /** Registers a device under a fresh root key. The trust file is made here and now, and cannot be had a second time. */
  async addDevice(request: NewDevice): Promise<AddedDevice> {
    const { clock, hubKeys, issuers, lines, log, radio, random } = this.#dependencies;
    const ble = request.ble === undefined ? undefined : { name: request.ble.name ?? request.id };
    checkDeviceNames({ ...request, ble });
    if (request.line !== undefined && !lines.includes(request.line))
      throw new LatchkeyError('device_invalid', `line: ${known(request.line, lines, '[[lines]]')}`);
    if (ble !== undefined && !radio)
      throw new LatchkeyError('device_invalid', 'ble: the configuration has no radio yet; see [ble]');
    const profile = profileFromJson(request.profile, { takesTokens: takesTokens(request) });
    const accepted = issuersOf(request, issuers);
    const device: Device = {
      id: request.id,
      audience: request.audience,
      line: request.line,
      ble,
      profile,
      issuers: accepted,
      certificate: request.certificate === undefined ? undefined : thumbprintOf(request.certificate),
      rootKey: new Secret(random.bytes(ROOT_KEY_BYTES)),
      trustVersion: 1,
      addedAt: Math.floor(bestGuess(clock.now())),
    };
    const given = this.#dependencies.trust.issuersOf(device);
    const trust = trustFileOf(device, hubKeys, given);
    await this.#register(device, given);
    log.info(
      { event: 'device_added', device: device.id, line: device.line, ble: ble?.name, wrap: device.profile.wrap },
      'a device was registered',
    );
    return { device: this.#view(device), trust };
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

  /** Forgets a device, its keys and whatever waits for it, on the medium too. */
  async removeDevice(id: string): Promise<void> {
    const { audit, log, queue, registry } = this.#dependencies;
    await registry.remove(id);
    const dropped = await queue.removeDevice(id);
    for (const delivery of dropped)
      if (!hasEnded(delivery)) audit.record(deliveryEnd(delivery, { state: 'refused', code: 'device_unknown' }));
    log.info({ event: 'device_removed', device: id, deliveries: dropped.length }, 'a device was removed');
    await this.#dependencies.trust.removed(id);
    await registry.forgetRemoved();
    await queue.forgetEnded();
  }

  deliveries({ device, limit, waiting = false }: DeliveriesQuery): readonly ListedDelivery[] {
    const { difficulty, queue } = this.#dependencies;
    const wanted = queue.list(device).filter((delivery) => !waiting || !hasEnded(delivery));
    return wanted.slice(-limit).map((delivery) => ({
      ...viewDelivery(delivery),
      ...(hasEnded(delivery) ? {} : { difficulty: difficulty(delivery.device) }),
    }));
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

  #view(device: Device): DeviceView {
    return {
      id: device.id,
      audience: device.audience,
      ...(device.line === undefined ? {} : { line: device.line }),
      ...(device.ble === undefined ? {} : { ble: device.ble }),
      profile: profileToJson(device.profile) as JsonObject,
      issuers: device.issuers ?? 'any',
      ...(device.certificate === undefined ? {} : { certificate: base64url(device.certificate) }),
      trust_version: takesTokens(device) ? this.#dependencies.trust.versionOf(device) : device.trustVersion,
      added_at: device.addedAt,
      waiting: this.#dependencies.queue.waiting(device.id),
    };
  }
}

function thumbprintOf(certificate: string): Uint8Array {
  return sha256(certificateFromText(certificate));
}

/**
 * The issuers whose tokens open the device: those named, else the only one that is configured. With several it has to be
 * said which: the least trusted of them could otherwise mint tokens for every device.
 */
function issuersOf(request: NewDevice, configured: readonly string[]): readonly string[] | undefined {
  if (request.issuers === 'any') return undefined;
  if (request.issuers === undefined) {
    if (configured.length === 1) return configured;
    throw new LatchkeyError(
      'device_invalid',
      `issuer: name those whose tokens open the device, or any; [[issuers]] has ${configured.join(', ') || 'none yet'}`,
    );
  }
  for (const issuer of request.issuers) {
    if (!configured.includes(issuer))
      throw new LatchkeyError('device_invalid', `issuer: ${known(issuer, configured, '[[issuers]]')}`);
  }
  return request.issuers;
}

function known(asked: string, names: readonly string[], table: string): string {
  return names.length === 0
    ? `"${asked}" is not configured; the configuration has no ${table} yet`
    : `"${asked}" is not configured; ${table} has ${names.join(', ')}`;
}
