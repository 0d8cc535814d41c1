/**
 * rotate hub key: a new signing key for the hub, and the end of an old one once no device needs it. Devices get the new one by
 * bundles under the key that they trust (flows/refresh-trust.ts); each is served under its old one until it confirmed that.
 */
import { hex } from '../core/bytes.ts';
import type { Random } from '../core/clock.ts';
import { inSlices } from '../core/slices.ts';
import type { DeliveryQueue } from '../devices/delivery-queue.ts';
import { type Device, takesTokens } from '../devices/device.ts';
import type { HubKeys } from '../devices/hub-keys.ts';
import type { Registry } from '../devices/registry.ts';
import type { TrustRecords } from '../devices/trust-records.ts';
import { keyIds } from '../devices/wanted-trust.ts';
import type { RotatedHubKey } from '../ports/admin.ts';
import type { Audit } from '../ports/audit.ts';
import type { Log } from '../ports/log.ts';

export interface HubKeyRotationDependencies {
  readonly registry: Registry;
  readonly records: TrustRecords;
  readonly hubKeys: HubKeys;
  readonly queue: DeliveryQueue;
  readonly random: Pick<Random, 'bytes'>;
  readonly log: Log;
  readonly audit: Audit;
  /** Called whenever the hub has other keys than before. */
  readonly onChanged: () => void;
}

const NONE: ReadonlySet<string> = new Set();
/** Devices that are asked for their keys in one turn of the event loop. */
const LOOKED_AT_ONCE = 64;

export class HubKeyRotation {
  readonly #dependencies: HubKeyRotationDependencies;
  /** One change of the hub's keys at a time. */
  #keyWork: Promise<unknown> = Promise.resolve();
  /** For older keys, a device each that was found to need it. */
  readonly #neededBy = new Map<string, string>();

  constructor(dependencies: HubKeyRotationDependencies) {
    this.#dependencies = dependencies;
  }

  /** @throws {LatchkeyError} `hub_keys_in_use` */
  rotate(): Promise<RotatedHubKey> {
    return this.#changeKeys(async () => {
      const { audit, hubKeys, log, onChanged } = this.#dependencies;
      await hubKeys.rotate();
      onChanged();
      const request = this.#requestId();
      audit.record({ kind: 'hub-key', verdict: 'rotated', device: undefined, request });
      await this.#retire();
      log.warn({ event: 'hub_key_rotated', key_ids: this.#currentKeyIds(), request }, 'the hub has a new signing key');
      return { keys: this.#currentKeyIds(), waiting: await this.#trustingOlderKeys() };
    });
  }

  async retire(): Promise<void> {
    await this.#changeKeys(() => this.#retire());
  }

  /** The hub keys that waiting tokens of the device are signed with. */
  signedWith(device: Device): ReadonlySet<string> {
    if (!isSigned(device)) return NONE;
    const { hubKeys, queue } = this.#dependencies;
    // A delivery of an earlier version does not say: then there was one key, the oldest.
    const oldest = hubKeys.signingKeys(device.profile.authentication).at(-1)?.keyId ?? '';
    return new Set(queue.waitingFor(device.id).map(({ hubKey }) => hubKey ?? oldest));
  }

  async #retire(): Promise<void> {
    const { audit, hubKeys, log, onChanged } = this.#dependencies;
    const unneeded = await this.#unneeded();
    const retired = await hubKeys.retire((keyId) => !unneeded.has(keyId));
    if (retired.length === 0) return;
    onChanged();
    const request = this.#requestId();
    audit.record({ kind: 'hub-key', verdict: 'retired', device: undefined, request });
    log.info({ event: 'hub_key_retired', key_ids: retired, request }, 'no device needs these keys of the hub any more');
  }

  /** Hub keys that the device may have to be reached with, or that its waiting tokens are signed with. */
  #needs(device: Device): Iterable<string> {
    if (!takesTokens(device) || !isSigned(device)) return [];
    const { held, pending } = this.#dependencies.records.of(device);
    return [...keyIds(held), ...(pending === undefined ? [] : keyIds(pending.trust)), ...this.signedWith(device)];
  }

  /** Older keys that no device needs. Where the device that was found last still needs one, no other has to be looked at. */
  async #unneeded(): Promise<ReadonlySet<string>> {
    const { hubKeys, registry } = this.#dependencies;
    const open = new Set<string>();
    let from = '';
    for (const keyId of hubKeys.olderKeyIds()) {
      const id = this.#neededBy.get(keyId) ?? '';
      const device = registry.find(id);
      if (device !== undefined && [...this.#needs(device)].includes(keyId)) continue;
      open.add(keyId);
      from = id;
    }
    if (open.size === 0) return open;
    const found = new AbortController();
    const look = (device: Device) => {
      for (const keyId of this.#needs(device)) if (open.delete(keyId)) this.#neededBy.set(keyId, device.id);
      if (open.size === 0) found.abort();
    };
    // On from where the last one was found: devices confirm their new keys in any order, and none is looked at again and again.
    const devices = registry.list();
    const next = Math.max(
      0,
      devices.findIndex(({ id }) => id > from),
    );
    const inTurn = [...devices.slice(next), ...devices.slice(0, next)];
    await inSlices(inTurn, look, { size: LOOKED_AT_ONCE, signal: found.signal });
    for (const keyId of open) this.#neededBy.delete(keyId);
    return open;
  }

  async #trustingOlderKeys(): Promise<readonly string[]> {
    const { hubKeys, registry } = this.#dependencies;
    const older = new Set(hubKeys.olderKeyIds());
    const waiting: string[] = [];
    const look = (device: Device) => {
      if ([...this.#needs(device)].some((keyId) => older.has(keyId))) waiting.push(device.id);
    };
    await inSlices(registry.list(), look, { size: LOOKED_AT_ONCE });
    return waiting;
  }

  #currentKeyIds(): Readonly<Record<string, string>> {
    const { hubKeys } = this.#dependencies;
    return { ES256: hubKeys.signingKey('ES256').keyId, EdDSA: hubKeys.signingKey('EdDSA').keyId };
  }

  #requestId(): string {
    return hex(this.#dependencies.random.bytes(8));
  }

  #changeKeys<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#keyWork.then(work, work);
    this.#keyWork = next.catch(() => undefined);
    return next;
  }
}

/** Whether its tokens are signed, so that it trusts keys of the hub. */
export function isSigned({ profile }: Device): boolean {
  return profile.wrap.startsWith('sign1');
}
