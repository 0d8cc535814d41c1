/**
 * Deliveries, durable: what `add` has resolved for survives a power cut. Whatever is queued is on the medium before
 * anybody is told, and so is the end of every delivery. All records are in memory too; both are bounded.
 */
import { equal } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { Log } from '../ports/log.ts';
import type { Store } from '../ports/store.ts';
import { type Delivery, decodeDelivery, encodeDelivery, hasEnded } from './delivery.ts';
import { DeliveryWatchers } from './delivery-watchers.ts';

const PREFIX = 'delivery/';

export type Outcome =
  | {
      readonly state: 'delivered';
      readonly deviceCode: string;
      readonly receipt: boolean;
      /** NumericDate: of a token whose life began when it came. */
      readonly expiresAt?: number | undefined;
    }
  | { readonly state: 'refused'; readonly deviceCode: string; readonly code: 'device_refused_token' }
  | { readonly state: 'expired'; readonly code: 'delivery_expired' };

export interface QueueLimits {
  /** Deliveries that wait for one device. */
  readonly perDevice: number;
  /** Deliveries of all devices, ended ones too. */
  readonly overall: number;
}

export class DeliveryQueue {
  readonly watchers = new DeliveryWatchers();
  readonly #store: Store;
  readonly #log: Log;
  readonly #limits: QueueLimits;
  readonly #byId = new Map<string, Delivery>();
  /** Deliveries whose first write is under way: nobody is told of them yet, the device neither. */
  readonly #unwritten = new Map<string, Promise<void>>();
  #lastSequence = 0;
  /** Whether tokens of ended deliveries may still be in the files: the run before may have left some. */
  #hasRemains = true;

  constructor(dependencies: { readonly store: Store; readonly log: Log; readonly limits?: QueueLimits }) {
    this.#store = dependencies.store;
    this.#log = dependencies.log;
    this.#limits = dependencies.limits ?? { perDevice: LIMITS.deliveriesPerDevice, overall: LIMITS.deliveriesOverall };
  }

  /** Reads what was left by the run before. A record that cannot be read is set aside and logged. */
  async load(): Promise<void> {
    for (const [key, value] of await this.#store.list(PREFIX)) {
      try {
        this.#remember(decodeDelivery(value));
      } catch (error) {
        if (!(error instanceof LatchkeyError)) throw error;
        this.#log.error(
          { event: 'delivery_record_unreadable', code: error.code, key },
          'a delivery record cannot be read; that token is lost',
        );
      }
    }
  }

  /**
   * Queues a delivery, unless the same token waits for that device already: then that one is the answer. What has ended
   * does not stand in the way: a device that lost its power lost its tokens, and one that did not knows the `cti`.
   * @throws {LatchkeyError} `delivery_queue_full`
   */
  async add(delivery: Omit<Delivery, 'sequence' | 'state' | 'deviceCode' | 'code' | 'receipt'>): Promise<Delivery> {
    const known = this.#waitingFor(delivery.device, delivery.cti);
    if (known !== undefined) {
      // Nobody is told of a delivery before it is on the medium, whoever brought it first.
      await this.#unwritten.get(known.id);
      return known;
    }
    const waitingForDevice = this.waiting(delivery.device);
    const overall = this.#byId.size;
    const isFull = overall >= this.#limits.overall;
    const replaced = isFull ? this.#oldestFailed() : undefined;
    if (waitingForDevice >= this.#limits.perDevice || (isFull && replaced === undefined)) {
      throw new LatchkeyError(
        'delivery_queue_full',
        `${waitingForDevice} wait for ${delivery.device}, ${overall} are kept overall`,
      );
    }
    const queued: Delivery = {
      ...delivery,
      sequence: this.#lastSequence + 1,
      state: 'queued',
      deviceCode: undefined,
      code: undefined,
      receipt: false,
    };
    // In memory first: the same token arriving while the disk is busy must find this one.
    this.#remember(queued);
    if (replaced !== undefined) this.#forget(replaced);
    const written = this.#store.write([
      { put: PREFIX + queued.id, value: encodeDelivery(queued) },
      ...(replaced === undefined ? [] : [{ remove: PREFIX + replaced.id }]),
    ]);
    this.#unwritten.set(queued.id, written);
    try {
      await written;
    } catch (error) {
      this.#forget(queued);
      throw error;
    } finally {
      this.#unwritten.delete(queued.id);
    }
    this.watchers.tell(queued);
    return queued;
  }

  /** @throws {LatchkeyError} `delivery_unknown` */
  get(id: string): Delivery {
    const delivery = this.#byId.get(id);
    if (delivery === undefined) throw new LatchkeyError('delivery_unknown');
    return delivery;
  }

  /** The oldest delivery that waits for a device. */
  next(device: string): Delivery | undefined {
    let oldest: Delivery | undefined;
    for (const delivery of this.#byId.values()) {
      if (delivery.device !== device || hasEnded(delivery) || this.#unwritten.has(delivery.id)) continue;
      if (oldest === undefined || delivery.sequence < oldest.sequence) oldest = delivery;
    }
    return oldest;
  }

  /** Devices for which something waits. */
  waitingDevices(): ReadonlySet<string> {
    const devices = new Set<string>();
    for (const delivery of this.#byId.values()) if (!hasEnded(delivery)) devices.add(delivery.device);
    return devices;
  }

  /** When the first of those that wait expires; NumericDate. */
  firstExpiry(): number | undefined {
    let first: number | undefined;
    for (const delivery of this.#byId.values())
      if (!hasEnded(delivery) && (first === undefined || delivery.expiresAt < first)) first = delivery.expiresAt;
    return first;
  }

  /** Those of one device or of all, in the order of their arrival. */
  list(device?: string): readonly Delivery[] {
    return [...this.#byId.values()]
      .filter((delivery) => (device === undefined || delivery.device === device) && !this.#unwritten.has(delivery.id))
      .sort((a, b) => a.sequence - b.sequence);
  }

  /** What still waits although its token is expired at `earliest`. */
  expired(earliest: number): readonly Delivery[] {
    return [...this.#byId.values()].filter((delivery) => !hasEnded(delivery) && delivery.expiresAt <= earliest);
  }

  /** The delivered token of a device that has this hash and is not expired at `earliest`. */
  live(device: string, tokenHash: Uint8Array, earliest: number): Delivery | undefined {
    for (const delivery of this.#byId.values()) {
      if (
        delivery.device === device &&
        delivery.state === 'delivered' &&
        delivery.expiresAt > earliest &&
        equal(delivery.tokenHash, tokenHash)
      ) {
        return delivery;
      }
    }
    return undefined;
  }

  /** Ends a delivery, on the medium first. One that has ended already stays as it is. */
  async end(id: string, outcome: Outcome): Promise<Delivery> {
    const delivery = this.get(id);
    if (hasEnded(delivery)) return delivery;
    const ended: Delivery = {
      ...delivery,
      cwt: undefined,
      origin: undefined,
      state: outcome.state,
      deviceCode: outcome.state === 'expired' ? undefined : outcome.deviceCode,
      code: outcome.state === 'delivered' ? undefined : outcome.code,
      receipt: outcome.state === 'delivered' && outcome.receipt,
      expiresAt: (outcome.state === 'delivered' ? outcome.expiresAt : undefined) ?? delivery.expiresAt,
    };
    const surplus = this.#surplus(delivery);
    this.#hasRemains = true;
    await this.#store.write([
      { put: PREFIX + id, value: encodeDelivery(ended) },
      ...surplus.map((other) => ({ remove: PREFIX + other.id })),
    ]);
    for (const other of surplus) this.#forget(other);
    if (this.#byId.has(id)) this.#byId.set(id, ended);
    // Its device was removed while this was written: nothing of it may come back.
    else await this.#store.write([{ remove: PREFIX + id }]);
    this.watchers.tell(ended);
    return ended;
  }

  /**
   * What has to go once this delivery has ended: earlier ends of the same token, since however often a client sends one it
   * takes the room of one, and the oldest ends of a device that has more than its share.
   */
  #surplus(delivery: Delivery): readonly Delivery[] {
    const ended = [...this.#byId.values()].filter((other) => other.device === delivery.device && hasEnded(other));
    const same = ended.filter((other) => isSameToken(other, delivery));
    const others = ended.filter((other) => !isSameToken(other, delivery)).sort((a, b) => a.sequence - b.sequence);
    return [...same, ...others.slice(0, Math.max(0, others.length + 1 - LIMITS.endedPerDevice))];
  }

  /** Removes the records of ended deliveries whose token is expired for `keepFor` seconds at `earliest`. */
  async clean(earliest: number, keepFor: number): Promise<void> {
    const old = [...this.#byId.values()].filter(
      (delivery) => hasEnded(delivery) && delivery.expiresAt + keepFor <= earliest,
    );
    if (old.length === 0) return;
    await this.#store.write(old.map((delivery) => ({ remove: PREFIX + delivery.id })));
    for (const delivery of old) this.#forget(delivery);
  }

  /** Takes the tokens of ended deliveries off the medium, if there may be any. */
  async forgetEnded(): Promise<void> {
    if (!this.#hasRemains) return;
    this.#hasRemains = false;
    try {
      await this.#store.forget(PREFIX);
    } catch (error) {
      this.#hasRemains = true;
      throw error;
    }
  }

  /** Forgets everything of a device that is removed. */
  async removeDevice(device: string): Promise<readonly Delivery[]> {
    this.#hasRemains = true;
    const own = [...this.#byId.values()].filter((delivery) => delivery.device === device);
    for (const delivery of own) this.#forget(delivery);
    await this.#store.write(own.map((delivery) => ({ remove: PREFIX + delivery.id })));
    for (const delivery of own)
      this.watchers.tell(hasEnded(delivery) ? delivery : { ...delivery, state: 'refused', code: 'device_unknown' });
    return own;
  }

  /** What waits for a device, in no order. */
  waitingFor(device: string): readonly Delivery[] {
    return [...this.#byId.values()].filter((delivery) => delivery.device === device && !hasEnded(delivery));
  }

  waiting(device: string): number {
    let count = 0;
    for (const delivery of this.#byId.values()) if (delivery.device === device && !hasEnded(delivery)) count += 1;
    return count;
  }

  /** How many there are in each state. */
  counts(): Readonly<Record<Delivery['state'], number>> {
    const counts = { queued: 0, delivered: 0, refused: 0, expired: 0 };
    for (const delivery of this.#byId.values()) counts[delivery.state] += 1;
    return counts;
  }

  /** A refused or expired delivery is only kept to be asked about: it makes room first. */
  #oldestFailed(): Delivery | undefined {
    for (const delivery of this.#byId.values()) {
      if (delivery.state === 'refused' || delivery.state === 'expired') return delivery;
    }
    return undefined;
  }

  #waitingFor(device: string, cti: Uint8Array): Delivery | undefined {
    for (const delivery of this.#byId.values()) {
      if (!hasEnded(delivery) && isSameToken(delivery, { device, cti })) return delivery;
    }
    return undefined;
  }

  #remember(delivery: Delivery): void {
    this.#byId.set(delivery.id, delivery);
    this.#lastSequence = Math.max(this.#lastSequence, delivery.sequence);
  }

  #forget(delivery: Delivery): void {
    this.#byId.delete(delivery.id);
  }
}

/** The same JWT for the same device: its cti comes from the JWT alone. */
function isSameToken(a: Pick<Delivery, 'device' | 'cti'>, b: Pick<Delivery, 'device' | 'cti'>): boolean {
  return a.device === b.device && equal(a.cti, b.cti);
}
