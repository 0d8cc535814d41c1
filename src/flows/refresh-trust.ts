/**
 * refresh trust: devices get to know what changed since they were provisioned, new keys of authorization servers, old ones
 * gone, another key of the hub, by bundles under what they trust already. An errand of the dispatcher, so that no token
 * overtakes the bundle that it needs. What a device holds is what it confirmed under its own key, and nothing else.
 */
import { codeText } from '../codec/coap/codes.ts';
import type { CoseKey } from '../codec/cose/key.ts';
import { type DeviceTrust, encodeDeviceTrust } from '../codec/device-trust-map.ts';
import { COAP_METHOD } from '../codec/iana.ts';
import { bundleFormat, makeTrustBundle } from '../codec/trust-bundle.ts';
import { hex } from '../core/bytes.ts';
import { bestGuess, type Clock, type Random, type Timers } from '../core/clock.ts';
import type { CoapResponse } from '../core/coap-exchange.ts';
import { coded, isCoded, LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { inSlices } from '../core/slices.ts';
import type { DeliveryQueue } from '../devices/delivery-queue.ts';
import { type Device, takesTokens } from '../devices/device.ts';
import { bundleMacKey } from '../devices/device-trust.ts';
import type { HubKeys } from '../devices/hub-keys.ts';
import type { Registry } from '../devices/registry.ts';
import type { PendingBundle, TrustRecord } from '../devices/trust-record.ts';
import type { Provisioned, TrustRecords } from '../devices/trust-records.ts';
import {
  certainHubKeys,
  type IssuerForDevices,
  issuersFor,
  isUrgent,
  leavesNoVersion,
  sameContents,
  wantedTrust,
} from '../devices/wanted-trust.ts';
import type { RotatedHubKey, TrustView } from '../ports/admin.ts';
import type { Audit } from '../ports/audit.ts';
import type { DeviceLink } from '../ports/device-link.ts';
import type { Log, LogFields } from '../ports/log.ts';
import type { StoreChange } from '../ports/store.ts';
import {
  BUNDLE_FAULTS,
  type BundleFailure,
  BundleFailures,
  FAULTS_THAT_REFUSE,
  LONGEST_PAUSE,
} from './bundle-failures.ts';
import type { Errand } from './errand.ts';
import { judgeTrustAnswer, type TrustAnswer } from './judge-trust-answer.ts';
import { HubKeyRotation, isSigned } from './rotate-hub-key.ts';
import { viewTrust } from './trust-view.ts';

/** Milliseconds after which a device is asked again where an attacker in radio range may have refused in its place. */
const AFTER_BARE_REFUSAL = 60_000;

/** Devices that are compared in one turn of the event loop with what they should trust. */
const COMPARED_AT_ONCE = 32;

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
  readonly timers: Timers;
  readonly random: Pick<Random, 'bytes'>;
  readonly log: Log;
  readonly audit: Audit;
  /** Has what is due for a device done. */
  readonly wake: (device: string) => void;
}

/**
 * `now`: before any token. `later`: when no token waits. `lost`: the hub has no key any more that the device trusts, or no
 * version above those that the device knows.
 */
type Need = 'none' | 'now' | 'later' | 'lost';

interface Assessment {
  readonly basis: readonly unknown[];
  readonly wanted: DeviceTrust;
  readonly need: Need;
  /** NumericDate: since when something is due, as far as this run knows. */
  readonly since: number | undefined;
}

export class RefreshTrust implements Errand {
  readonly name = 'trust bundle';
  readonly #dependencies: RefreshTrustDependencies;
  readonly #assessments = new Map<string, Assessment>();
  readonly #failures: BundleFailures;
  readonly #rotation: HubKeyRotation;
  /** Counts changes of issuers' keys and of the hub's own. */
  #epoch = 0;

  constructor(dependencies: RefreshTrustDependencies) {
    this.#dependencies = dependencies;
    this.#failures = new BundleFailures(dependencies);
    const onChanged = () => {
      this.#epoch += 1;
    };
    this.#rotation = new HubKeyRotation({ ...dependencies, onChanged });
  }

  isDue(id: string): boolean {
    const { queue, registry } = this.#dependencies;
    const device = registry.find(id);
    if (device === undefined || !takesBundles(device)) return false;
    const { need, wanted } = this.#assess(device);
    if (need === 'none' || need === 'lost') return false;
    if (this.#failures.isPaused(id, wanted)) return false;
    return need === 'now' || queue.next(id) === undefined;
  }

  async run(device: Device, { deadline, signal }: { deadline: number; signal: AbortSignal }): Promise<void> {
    const pending = await this.#prepare(device);
    if (pending === undefined) return;
    const link = this.#dependencies.link(device);
    let answer: CoapResponse | undefined;
    try {
      answer = await link.request(
        {
          method: COAP_METHOD.POST,
          path: ['trust'],
          contentFormat: bundleFormat(this.#bundleKey(device)),
          payload: pending.message,
        },
        { deadline, signal },
      );
      await this.#follow(device, pending, answer, link);
    } catch (error) {
      if (!isCoded(error) || !BUNDLE_FAULTS.has(error.code)) throw error;
      if (this.#failures.counted(device.id) < FAULTS_THAT_REFUSE) throw error;
      this.#paused(device, pending, error, { answer, link });
    }
  }

  /** Tells the link whether the device's key authenticates the answer: by radio another candidate is sought if not. */
  #judged(device: Device, pending: PendingBundle, answer: CoapResponse, link: DeviceLink): TrustAnswer {
    try {
      const judged = judgeTrustAnswer(device, pending, answer);
      if (judged.kind !== 'refused' || judged.isProven) link.proven?.(true);
      return judged;
    } catch (error) {
      // Busy or faulty, or an attacker by radio: whatever else answers to the name comes first.
      if (isCoded(error, 'device_answer_invalid')) link.doubted?.();
      if (!isCoded(error, 'device_answer_untrusted')) throw error;
      if (link.limits.isOpen === true) {
        const { audit } = this.#dependencies;
        const request = this.#requestId();
        audit.record({ kind: 'answer', verdict: 'refused', device: device.id, request, code: 'device_impostor' });
      }
      link.proven?.(false);
      throw error;
    }
  }

  async #follow(device: Device, pending: PendingBundle, answer: CoapResponse, link: DeviceLink): Promise<void> {
    const judged = this.#judged(device, pending, answer, link);
    if (judged.kind === 'conflict') await this.#outran(device, pending, judged.held);
    else if (judged.kind === 'held') await this.#confirmed(device, pending);
    // A bare refusal by radio may be an attacker's: it pauses for only so long that tokens are not held up.
    else {
      const isDoubtful = !judged.isProven && link.limits.isOpen === true;
      this.#refused(device, pending, codeText(answer.code), isDoubtful ? AFTER_BARE_REFUSAL : LONGEST_PAUSE);
    }
  }

  /** An issuer has other keys than before. */
  issuerChanged(issuer: string): void {
    this.#epoch += 1;
    void this.#wakeDue(({ issuers }) => issuers === undefined || issuers.includes(issuer));
  }

  /** Makes new signing keys for the hub, and has devices told. @throws {LatchkeyError} `hub_keys_in_use` */
  async rotateHubKey(): Promise<RotatedHubKey> {
    const rotated = await this.#rotation.rotate();
    void this.#wakeDue(isSigned);
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
    this.#failures.clear(id);
    this.#dependencies.records.removed(id);
    await this.retire();
  }

  /** What each of these devices that takes tokens trusts, and what it waits for. */
  status(devices: readonly Device[] = this.#dependencies.registry.list()): readonly TrustView[] {
    const { hubKeys, issuers, records } = this.#dependencies;
    const configured = issuers();
    return devices.filter(takesTokens).map((device) => {
      const { need, since, wanted } = this.#assess(device);
      return viewTrust({
        ...{ device, since, configured },
        record: records.of(device),
        wanted,
        state: !takesBundles(device) ? 'by_hand' : need === 'lost' ? 'lost' : need === 'none' ? 'current' : 'waiting',
        failure: this.#failures.of(device.id, wanted),
        signsWith: certainHubKeys(device, records.of(device), hubKeys)[0]?.keyId,
      });
    });
  }

  /** What the device should hold and how much that hurries, worked out once for each change of anything that it hangs on. */
  #assess(device: Device): Assessment {
    const { clock, hubKeys, issuers, records } = this.#dependencies;
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
    const judged = this.#needOf(device, record, wanted);
    const since = judged.need === 'none' ? undefined : (known?.since ?? Math.floor(bestGuess(clock.now())));
    const assessment = { basis, since, ...judged };
    this.#assessments.set(device.id, assessment);
    return assessment;
  }

  #needOf(device: Device, record: TrustRecord, wanted: DeviceTrust): Pick<Assessment, 'need' | 'wanted'> {
    const { hubKeys, log } = this.#dependencies;
    try {
      // With a bundle on its way nobody knows which of two the device holds, so that one has to be settled in any case.
      if (record.pending === undefined && sameContents(record.held, wanted)) return { wanted, need: 'none' };
      // What is held was checked when it was read, and so what is the same; what differs is checked here.
      encodeDeviceTrust(wanted);
      if (isSigned(device) && certainHubKeys(device, record, hubKeys).length === 0) return { wanted, need: 'lost' };
      if (leavesNoVersion(record, wanted)) return { wanted, need: 'lost' };
      return { wanted, need: isUrgent(device, record, wanted) ? 'now' : 'later' };
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
    const { need, since, wanted } = this.#assess(device);
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
      since: record.pending?.since ?? since ?? Math.floor(bestGuess(now)),
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
    this.#failures.clear(device.id);
    const request = this.#requestId();
    audit.record({ kind: 'trust', verdict: 'delivered', device: device.id, request });
    log.info(
      { event: 'trust_confirmed', device: device.id, version: pending.trust.version, request },
      'the device confirmed what it trusts',
    );
    await this.retire();
  }

  /**
   * A hub that was restored from a backup counts from a number that its devices are past. The device proves its own, and the
   * hub goes past it at once. A device that is past that number too is faulty, or has another hub: every further one waits.
   */
  async #outran(device: Device, { trust }: PendingBundle, held: number): Promise<void> {
    const { audit, log, records } = this.#dependencies;
    // No bundle could ever be above it, so the hub does not count from it.
    if (held >= LIMITS.deviceTrustVersion) throw new LatchkeyError('trust_versions_spent', device.id);
    await records.outran(device, held);
    if (this.#failures.hasFailed(device.id)) throw new LatchkeyError('trust_outrun', `${trust.version} by ${held}`);
    this.#failures.counted(device.id);
    const request = this.#requestId();
    audit.record({ kind: 'trust', verdict: 'refused', device: device.id, request, code: 'trust_outrun' });
    log.warn(
      { event: 'trust_outrun', code: 'trust_outrun', device: device.id, version: trust.version, held, request },
      'the device holds a higher version of its trust than the hub knows of; the next one is above that',
    );
  }

  #refused(device: Device, { trust }: PendingBundle, deviceCode: string, pause: number): void {
    const failure = { code: 'device_refused_trust', deviceCode, trust } as const;
    this.#failures.refused(device.id, failure, pause);
    this.#tell(
      device,
      failure,
      {},
      'the device refused what it is to trust; tokens go on as far as the device can verify them',
    );
  }

  /** A line and a record for each pause, so a device has no hand in how many there are. */
  #paused(
    device: Device,
    { trust }: PendingBundle,
    { code: fault, detail }: LatchkeyError,
    { answer, link }: { readonly answer: CoapResponse | undefined; readonly link: DeviceLink },
  ): void {
    const isOfVersions = fault === 'trust_outrun' || fault === 'trust_versions_spent';
    const failure: BundleFailure = {
      code: isOfVersions ? fault : 'device_refused_trust',
      deviceCode: answer === undefined ? undefined : codeText(answer.code),
      trust,
    };
    const pause = this.#failures.paused(device.id, failure, link.limits.isOpen === true && !isOfVersions);
    const fields = { fault, detail, pause: pause / 1_000 };
    this.#tell(device, failure, fields, 'the device answers its bundles with nothing that can be used; tokens go on');
  }

  #tell({ id: device }: Device, { code, deviceCode, trust }: BundleFailure, more: LogFields, message: string): void {
    const { audit, log } = this.#dependencies;
    const request = this.#requestId();
    audit.record({ kind: 'trust', verdict: 'refused', device, request, code });
    const { version } = trust;
    log.warn({ event: 'trust_refused', device, version, device_code: deviceCode, code, request, ...more }, message);
  }

  /** Has what became due done. One device whose trust cannot be worked out keeps no other from it. */
  async #wakeDue(isConcerned: (device: Device) => boolean): Promise<void> {
    const { log, registry, wake } = this.#dependencies;
    const look = ({ id }: Device) => {
      try {
        if (this.isDue(id)) wake(id);
      } catch (error) {
        const { code } = coded(error);
        log.error({ event: 'trust_not_made', device: id, code, error }, 'what this device should trust has no form');
      }
    };
    await inSlices(registry.list().filter(isConcerned), look, { size: COMPARED_AT_ONCE });
  }

  #requestId(): string {
    return hex(this.#dependencies.random.bytes(8));
  }
}

/** Only a device that answers under its own key can say what it holds. */
function takesBundles(device: Device): boolean {
  return takesTokens(device) && device.profile.receipt === 'mac0';
}
