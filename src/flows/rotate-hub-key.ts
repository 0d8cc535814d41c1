/**
 * rotate hub key: a new signing key for the hub, and the end of an old one once no device needs it. Devices get the new one by
 * bundles under the key that they trust (flows/refresh-trust.ts); each is served under its old one until it confirmed that.
 */
import { hex } from '../core/bytes.ts';
import type { Random } from '../core/clock.ts';
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

export class HubKeyRotation {
  readonly #dependencies: HubKeyRotationDependencies;
  /** One change of the hub's keys at a time. */
  #keyWork: Promise<unknown> = Promise.resolve();

  constructor(dependencies: HubKeyRotationDependencies) {
    this.#dependencies = dependencies;
  }

  /** @throws {LatchkeyError} `hub_keys_in_use` */
  rotate(): Promise<RotatedHubKey> {
    return this.#changeKeys(async () => {
      const { audit, hubKeys, log, onChanged, registry } = this.#dependencies;
      await hubKeys.rotate();
      onChanged();
      const request = this.#requestId();
      audit.record({ kind: 'hub-key', verdict: 'rotated', device: undefined, request });
      await this.#retire();
      log.warn({ event: 'hub_key_rotated', keys: this.#currentKeyIds(), request }, 'the hub has a new signing key');
      const waiting = registry.list().filter((device) => this.#trustsOlderKey(device));
      return { keys: this.#currentKeyIds(), waiting: waiting.map(({ id }) => id) };
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
    const { audit, hubKeys, log, onChanged, registry } = this.#dependencies;
    const needed = new Set<string>();
    for (const device of registry.list()) for (const keyId of this.#needs(device)) needed.add(keyId);
    const retired = await hubKeys.retire((keyId) => needed.has(keyId));
    if (retired.length === 0) return;
    onChanged();
    const request = this.#requestId();
    audit.record({ kind: 'hub-key', verdict: 'retired', device: undefined, request });
    log.info({ event: 'hub_key_retired', keys: retired, request }, 'no device needs these keys of the hub any more');
  }

  /** Hub keys that the device may have to be reached with, or that its waiting tokens are signed with. */
  #needs(device: Device): Iterable<string> {
    if (!takesTokens(device) || !isSigned(device)) return [];
    const { held, pending } = this.#dependencies.records.of(device);
    return [...keyIds(held), ...(pending === undefined ? [] : keyIds(pending.trust)), ...this.signedWith(device)];
  }

  #trustsOlderKey(device: Device): boolean {
    const older = this.#dependencies.hubKeys.olderKeyIds();
    return [...this.#needs(device)].some((keyId) => older.includes(keyId));
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
