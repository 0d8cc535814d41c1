/** administer: what operators do with devices. The same whether asked over the admin socket or with no hub running. */
import { bestGuess, type Clock, type Random } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { Secret } from '../core/secret.ts';
import type { DeliveryQueue } from '../devices/delivery-queue.ts';
import { checkDeviceNames, type Device, ROOT_KEY_BYTES } from '../devices/device.ts';
import { type HubSigningKeys, trustFileOf } from '../devices/device-trust.ts';
import { profileFromJson, profileToJson } from '../devices/profile.ts';
import type { Registry } from '../devices/registry.ts';
import type { AddedDevice, DeviceView, NewDevice } from '../ports/admin.ts';
import type { Log } from '../ports/log.ts';

export interface AdministerDependencies {
  readonly registry: Registry;
  readonly queue: DeliveryQueue;
  readonly hubKeys: HubSigningKeys;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Names of what the configuration has, to refuse a device that could never work. */
  readonly lines: readonly string[];
  readonly issuers: readonly string[];
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
    const { clock, hubKeys, issuers, lines, log, random, registry } = this.#dependencies;
    checkDeviceNames(request);
    if (!lines.includes(request.line))
      throw new LatchkeyError('device_invalid', `line: ${known(request.line, lines, '[[lines]]')}`);
    const profile = profileFromJson(request.profile);
    const accepted = issuersOf(request, issuers);
    const device: Device = {
      id: request.id,
      audience: request.audience,
      line: request.line,
      profile,
      issuers: accepted,
      rootKey: new Secret(random.bytes(ROOT_KEY_BYTES)),
      trustVersion: 1,
      addedAt: Math.floor(bestGuess(clock.now())),
    };
    const trust = trustFileOf(device, hubKeys);
    await registry.add(device);
    log.info(
      { event: 'device_added', device: device.id, line: device.line, wrap: device.profile.wrap },
      'a device was registered',
    );
    return { device: this.#view(device), trust };
  }

  /** Forgets a device, its keys and whatever waits for it, on the medium too. */
  async removeDevice(id: string): Promise<void> {
    const { log, queue, registry } = this.#dependencies;
    await registry.remove(id);
    const dropped = await queue.removeDevice(id);
    log.info({ event: 'device_removed', device: id, deliveries: dropped.length }, 'a device was removed');
    await registry.forgetRemoved();
    await queue.forgetEnded();
  }

  #view(device: Device): DeviceView {
    return {
      id: device.id,
      audience: device.audience,
      line: device.line,
      profile: profileToJson(device.profile) as JsonObject,
      issuers: device.issuers ?? 'any',
      trust_version: device.trustVersion,
      added_at: device.addedAt,
      waiting: this.#dependencies.queue.waiting(device.id),
    };
  }
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
