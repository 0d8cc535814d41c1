/**
 * refresh trust: devices get to know what changed since they were provisioned, new keys of authorization servers, old ones
 * gone, another key of the hub, by bundles under what they trust already. An errand of the dispatcher, so that no token
 * overtakes the bundle that it needs. What a device holds is what it confirmed under its own key, and nothing else.
 */
import { codeText } from '../codec/coap/codes.ts';
import type { CoseKey } from '../codec/cose/key.ts';
import type { DeviceTrust } from '../codec/device-trust-map.ts';
import { COAP_CODE, COAP_METHOD } from '../codec/iana.ts';
import { bundleFormat, makeTrustBundle, openTrustAnswer } from '../codec/trust-bundle.ts';
import { hex } from '../core/bytes.ts';
import { bestGuess, type Clock, type Random } from '../core/clock.ts';
import type { CoapResponse } from '../core/coap-exchange.ts';
import { coded, isCoded, LatchkeyError } from '../core/errors.ts';
import type { DeliveryQueue } from '../devices/delivery-queue.ts';
import { type Device, takesTokens } from '../devices/device.ts';
import { answerKey, bundleMacKey } from '../devices/device-trust.ts';
import type { HubKeys } from '../devices/hub-keys.ts';
import type { Registry } from '../devices/registry.ts';
import type { PendingBundle, TrustRecord } from '../devices/trust-record.ts';
import type { Provisioned, TrustRecords } from '../devices/trust-records.ts';
import {
  certainHubKeys,
  type IssuerForDevices,
  issuersFor,
  isUrgent,
  sameContents,
  wantedTrust,
} from '../devices/wanted-trust.ts';
import type { RotatedHubKey, TrustView } from '../ports/admin.ts';
import type { Audit } from '../ports/audit.ts';
import type { DeviceLink } from '../ports/device-link.ts';
import type { Log } from '../ports/log.ts';
import type { StoreChange } from '../ports/store.ts';
import type { Errand } from './errand.ts';
import { HubKeyRotation, isSigned } from './rotate-hub-key.ts';
import { viewTrust } from './trust-view.ts';

/** Milliseconds after which a device that refused a bundle is asked again: its refusal proves nothing. */
const AFTER_REFUSAL = 3_600_000;
/** The same where anybody nearby can have answered. */
const AFTER_BARE_REFUSAL = 60_000;

/** Answers that judge the bundle, or say that the device has no use for any; others judge the moment. */
const REFUSALS: ReadonlySet<string> = new Set(['4.00', '4.01', '4.03', '4.04', '4.05', '4.13', '4.15']);

export interface RefreshTrustDependencies {
  readonly registry: Registry;
  readonly records: TrustRecords;
  readonly hubKeys: HubKeys;
  readonly queue: DeliveryQueue;
  /** @throws {LatchkeyError} `link_unconfigured` */
  readonly link: (device: Device) => DeviceLink;
  /** Every configured issuer with the keys that it has now. */
  readonly issuers: () => readonly IssuerForDevices[];
  readonly clock: Clock;
  readonly random: Pick<Random, 'bytes'>;
  readonly log: Log;
  readonly audit: Audit;
  /** Has what is due for a device done. */
  readonly wake: (device: string) => void;
}

/** `now`: before any token. `later`: when no token waits. `lost`: the hub has no key any more that the device trusts. */
type Need = 'none' | 'now' | 'later' | 'lost';

interface Assessment {
  readonly basis: readonly unknown[];
  readonly wanted: DeviceTrust;
  readonly need: Need;
}

interface Refusal {
  readonly code: string;
  /** `monotonic()` until which it is let be. */
  readonly until: number;
  readonly trust: DeviceTrust;
}

export class RefreshTrust implements Errand {
  readonly name = 'trust bundle';
  readonly #dependencies: RefreshTrustDependencies;
  readonly #assessments = new Map<string, Assessment>();
  readonly #refusals = new Map<string, Refusal>();
  readonly #rotation: HubKeyRotation;
  /** Counts changes of issuers' keys and of the hub's own. */
  #epoch = 0;

  constructor(dependencies: RefreshTrustDependencies) {
    this.#dependencies = dependencies;
    const onChanged = () => {
      this.#epoch += 1;
    };
    this.#rotation = new HubKeyRotation({ ...dependencies, onChanged });
  }

  *devices(): Iterable<string> {
    for (const { id } of this.#dependencies.registry.list()) if (this.isDue(id)) yield id;
  }

  isDue(id: string): boolean {
    const { clock, queue, registry } = this.#dependencies;
    const device = registry.find(id);
    if (device === undefined || !takesBundles(device)) return false;
    const { need, wanted } = this.#assess(device);
    if (need === 'none' || need === 'lost') return false;
    const refusal = this.#refusals.get(id);
    if (refusal !== undefined && clock.monotonic() < refusal.until && sameContents(refusal.trust, wanted)) return false;
    return need === 'now' || queue.next(id) === undefined;
  }

  async run(device: Device, { deadline, signal }: { deadline: number; signal: AbortSignal }): Promise<void> {
    const pending = await this.#prepare(device);
    if (pending === undefined) return;
    const link = this.#dependencies.link(device);
    const answer = await link.request(
      {
        method: COAP_METHOD.POST,
        path: ['trust'],
        contentFormat: bundleFormat(this.#bundleKey(device)),
        payload: pending.message,
      },
      { deadline, signal },
    );
    await this.#judge(device, pending, answer, link);
  }

  /**
   * The version that the device says it holds, once its key vouches for that. The link is told whether it did; who answers by
   * radio without the key goes on record.
   * @throws {LatchkeyError} `device_answer_untrusted`
   */
  #provenVersion(
    device: Device,
    answer: CoapResponse,
    context: Parameters<typeof openTrustAnswer>[1],
    link: DeviceLink,
  ): number {
    try {
      const version = openTrustAnswer(answer.payload, context);
      link.proven?.(true);
      return version;
    } catch (error) {
      if (!isCoded(error)) throw error;
      const { audit, random } = this.#dependencies;
      if (link.limits.isOpen === true) {
        const request = hex(random.bytes(8));
        audit.record({ kind: 'answer', verdict: 'refused', device: device.id, request, code: 'device_impostor' });
      }
      link.proven?.(false);
      throw new LatchkeyError('device_answer_untrusted', 'trust', { cause: error });
    }
  }

  async #judge(device: Device, pending: PendingBundle, answer: CoapResponse, link: DeviceLink): Promise<void> {
    const deviceCode = codeText(answer.code);
    const isRefusal = REFUSALS.has(deviceCode);
    if (isRefusal && answer.payload.length === 0) {
      // Nobody vouches for a bare one. A device that knows no bundles says so, and so can anybody by radio: then for long
      // enough only that tokens are not held up.
      this.#refused(device, pending, deviceCode, link.limits.isOpen === true ? AFTER_BARE_REFUSAL : AFTER_REFUSAL);
      return;
    }
    if (!isRefusal && answer.code !== COAP_CODE.changed && answer.code !== COAP_CODE.conflict)
      throw new LatchkeyError('device_answer_invalid', deviceCode);
    const context = { key: answerKey(device), device: device.id, code: answer.code, bundle: pending.message };
    const held = this.#provenVersion(device, answer, context, link);
    if (isRefusal) {
      this.#refused(device, pending, deviceCode, AFTER_REFUSAL);
    } else if (answer.code === COAP_CODE.conflict) {
      await this.#outran(device, pending, held);
    } else {
      if (held !== pending.trust.version) throw new LatchkeyError('device_answer_invalid', 'trust version');
      await this.#confirmed(device, pending);
    }
  }

  /** An issuer has other keys than before. */
  issuerChanged(issuer: string): void {
    this.#epoch += 1;
    for (const device of this.#dependencies.registry.list())
      if (device.issuers === undefined || device.issuers.includes(issuer)) this.#wakeIfDue(device.id);
  }

  /** Makes new signing keys for the hub, and has devices told. @throws {LatchkeyError} `hub_keys_in_use` */
  async rotateHubKey(): Promise<RotatedHubKey> {
    const rotated = await this.#rotation.rotate();
    for (const { id } of this.#dependencies.registry.list()) this.#wakeIfDue(id);
    return rotated;
  }

  /** Drops the keys that no device needs any more: a run that was killed, or a removed device, may have left some. */
  async retire(): Promise<void> {
    await this.#rotation.retire();
  }

  /** The issuers of a device with their keys, as far as they are known. */
  issuersOf(device: Device): DeviceTrust['issuers'] {
    return takesTokens(device) ? issuersFor(device, this.#dependencies.issuers(), []) : [];
  }

  /** A device that is registered with this: see `TrustRecords.provisioned`. */
  provisioned(device: Device, held: DeviceTrust): Provisioned {
    return this.#dependencies.records.provisioned(device.id, held, device.addedAt);
  }

  /** Version that the device holds, as far as the hub knows. */
  versionOf(device: Device): number {
    return this.#dependencies.records.of(device).held.version;
  }

  /** What has to be written together with the removal of a device. */
  removal(id: string): readonly StoreChange[] {
    return this.#dependencies.records.removal(id);
  }

  /** A device was removed. */
  async removed(id: string): Promise<void> {
    this.#assessments.delete(id);
    this.#refusals.delete(id);
    this.#dependencies.records.removed(id);
    await this.retire();
  }

  /** What each device that takes tokens trusts, and what it waits for. */
  status(): readonly TrustView[] {
    const { hubKeys, records, registry } = this.#dependencies;
    return registry
      .list()
      .filter(takesTokens)
      .map((device) => {
        const { need, wanted } = this.#assess(device);
        const refusal = this.#refusals.get(device.id);
        return viewTrust({
          device,
          record: records.of(device),
          wanted,
          state: !takesBundles(device) ? 'by_hand' : need === 'lost' ? 'lost' : need === 'none' ? 'current' : 'waiting',
          refusedWith: refusal !== undefined && sameContents(refusal.trust, wanted) ? refusal.code : undefined,
          signsWith: certainHubKeys(device, records.of(device), hubKeys)[0]?.keyId,
        });
      });
  }

  /** What the device should hold and how much that hurries, worked out once for each change of anything that it hangs on. */
  #assess(device: Device): Assessment {
    const { hubKeys, issuers, records } = this.#dependencies;
    const record = records.of(device);
    const signedWith = this.#rotation.signedWith(device);
    const basis = [this.#epoch, device, record.held, record.pending, [...signedWith].sort().join(' ')];
    const known = this.#assessments.get(device.id);
    if (known?.basis.every((part, index) => part === basis[index])) return known;
    const wanted = wantedTrust({
      device,
      record,
      hubKeys,
      // A device that confirms nothing is given nothing by bundles: it keeps the issuers that it was given.
      issuers: takesBundles(device) ? issuers() : record.held.issuers,
      signedWith,
    });
    const assessment = { basis, ...this.#needOf(device, record, wanted) };
    this.#assessments.set(device.id, assessment);
    return assessment;
  }

  #needOf(device: Device, record: TrustRecord, wanted: DeviceTrust): Pick<Assessment, 'need' | 'wanted'> {
    const { hubKeys, log } = this.#dependencies;
    try {
      // With a bundle on its way nobody knows which of two the device holds, so that one has to be settled in any case.
      if (record.pending === undefined && sameContents(record.held, wanted)) return { wanted, need: 'none' };
      if (isSigned(device) && certainHubKeys(device, record, hubKeys).length === 0) return { wanted, need: 'lost' };
      return { wanted, need: isUrgent(record.held, wanted) ? 'now' : 'later' };
    } catch (error) {
      // Settings of an earlier version may be more than a device can hold: then it stays with what it has.
      const { code, detail } = coded(error);
      log.error(
        { event: 'trust_not_made', device: device.id, code, detail },
        'what this device should trust has no form',
      );
      return { wanted: record.held, need: 'none' };
    }
  }

  /** The bundle to send: the one that is pending, where it is still what is wanted. On the medium before it is sent. */
  async #prepare(device: Device): Promise<PendingBundle | undefined> {
    const { clock, records } = this.#dependencies;
    const { need, wanted } = this.#assess(device);
    if (need === 'none') return undefined;
    const record = records.of(device);
    const { pending: made } = record;
    // One that the device is past already is made anew.
    if (made?.trust.version === record.highest && sameContents(made.trust, wanted)) return made;
    const now = clock.now();
    const trust: DeviceTrust = {
      ...wanted,
      version: record.highest + 1,
      time: now.latest === undefined ? undefined : now.earliest,
    };
    const pending: PendingBundle = {
      trust,
      message: makeTrustBundle({ trust, key: this.#bundleKey(device), audience: record.held.audience }),
      since: record.pending?.since ?? Math.floor(bestGuess(now)),
    };
    await records.began(device, pending);
    return pending;
  }

  /** @throws {LatchkeyError} `trust_key_lost` */
  #bundleKey(device: Device): CoseKey {
    const { hubKeys, records } = this.#dependencies;
    if (!isSigned(device)) return bundleMacKey(device);
    const [key] = certainHubKeys(device, records.of(device), hubKeys);
    if (key === undefined) throw new LatchkeyError('trust_key_lost', device.id);
    return key.key;
  }

  async #confirmed(device: Device, pending: PendingBundle): Promise<void> {
    const { audit, clock, log, records } = this.#dependencies;
    // Another bundle may have taken its place while this one was on its way.
    if (records.of(device).pending !== pending) return;
    await records.confirmed(device, pending, Math.floor(bestGuess(clock.now())));
    this.#refusals.delete(device.id);
    const request = this.#requestId();
    audit.record({ kind: 'trust', verdict: 'delivered', device: device.id, request });
    log.info(
      { event: 'trust_confirmed', device: device.id, version: pending.trust.version, request },
      'the device confirmed what it trusts',
    );
    await this.retire();
  }

  /** A hub that was restored from a backup counts from a number that its devices are past. The device proves its own. */
  async #outran(device: Device, { trust }: PendingBundle, held: number): Promise<void> {
    const { audit, log, records } = this.#dependencies;
    if (held < trust.version) throw new LatchkeyError('device_answer_invalid', 'trust version');
    const request = this.#requestId();
    audit.record({ kind: 'trust', verdict: 'refused', device: device.id, request, code: 'trust_outrun' });
    log.warn(
      { event: 'trust_outrun', code: 'trust_outrun', device: device.id, version: trust.version, held, request },
      'the device holds a higher version of its trust than the hub knows of; the next one is above that',
    );
    await records.outran(device, held);
  }

  #refused(device: Device, { trust }: PendingBundle, code: string, pause: number): void {
    const { audit, clock, log } = this.#dependencies;
    this.#refusals.set(device.id, { code, trust, until: clock.monotonic() + pause });
    const request = this.#requestId();
    audit.record({ kind: 'trust', verdict: 'refused', device: device.id, request, code: 'device_refused_trust' });
    log.warn(
      {
        event: 'trust_refused',
        device: device.id,
        version: trust.version,
        device_code: code,
        code: 'device_refused_trust',
        request,
      },
      'the device refused what it is to trust; tokens go on as far as it can judge them',
    );
  }

  #wakeIfDue(id: string): void {
    if (this.isDue(id)) this.#dependencies.wake(id);
  }

  #requestId(): string {
    return hex(this.#dependencies.random.bytes(8));
  }
}

/** Only a device that answers under its own key can say what it holds. */
function takesBundles(device: Device): boolean {
  return takesTokens(device) && device.profile.receipt === 'mac0';
}
