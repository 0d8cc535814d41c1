/**
 * Deliveries, durable: what `add` has resolved for survives a power cut. Whatever is queued is on the medium before
 * anybody is told, and so is the end of every delivery, which is one and no more. All records are in memory too; both are
 * bounded, and a token that was delivered and is alive is never dropped for that.
 */
import type { FloorClock } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { inSlices } from '../core/slices.ts';
import type { Log } from '../ports/log.ts';
import type { Store, StoreChange } from '../ports/store.ts';
import { type Delivery, decodeDelivery, encodeDelivery, hasEnded } from './delivery.ts';
import { DeliveryIndex, type Present } from './delivery-index.ts';
import { DeliveryWatchers } from './delivery-watchers.ts';
import { ReplacedDeliveries } from './replaced-deliveries.ts';

const PREFIX = 'delivery/';
/** Records that are read in one turn of the event loop. */
const READ_AT_ONCE = 256;

export type Outcome =
  | {
      readonly state: 'delivered';
      readonly deviceCode: string;
      readonly receipt: boolean;
      /** NumericDate: of a token whose life began when it came. */
      readonly expiresAt?: number | undefined;
    }
  | { readonly state: 'refused'; readonly deviceCode: string; readonly code: 'device_refused_token' }
  | { readonly state: 'expired'; readonly code: 'delivery_expired' }
  | { readonly state: 'cancelled'; readonly code: 'delivery_cancelled' };

export interface QueueLimits {
  /** Deliveries that wait for one device. */
  readonly perDevice: number;
  /** Deliveries of all devices, ended ones too; one device has half of them at most. */
  readonly overall: number;
}

/** What became of a delivery. */
export interface End {
  readonly delivery: Delivery;
  /** Whether this call ended it. Of several only one does, and leaves the record in the audit. */
  readonly isFirst: boolean;
}

export class DeliveryQueue {
  readonly watchers = new DeliveryWatchers();
  readonly #store: Store;
  readonly #log: Log;
  readonly #clock: Pick<FloorClock, 'certain' | 'monotonic'>;
  readonly #limits: QueueLimits;
  readonly #index = new DeliveryIndex();
  /** Deliveries whose first write is under way: nobody is told of them yet, the device neither. */
  readonly #unwritten = new Map<string, Promise<void>>();
  /** Ends that are being written, each with what it comes to: of a delivery that ends there is no other end. */
  readonly #ends = new Map<string, Promise<Delivery>>();
  /** Ended ones whose room was given to a delivery that is being written. They are there until that is on the medium. */
  readonly #leaving = new Set<string>();
  readonly #replaced: ReplacedDeliveries;
  #lastSequence = 0;
  /** Whether tokens of ended deliveries may still be in the files: the run before may have left some. */
  #hasRemains = true;

  constructor(dependencies: {
    readonly store: Store;
    readonly log: Log;
    readonly clock: Pick<FloorClock, 'certain' | 'monotonic'>;
    readonly limits?: QueueLimits;
  }) {
    this.#store = dependencies.store;
    this.#log = dependencies.log;
    this.#clock = dependencies.clock;
    this.#limits = dependencies.limits ?? { perDevice: LIMITS.deliveriesPerDevice, overall: LIMITS.deliveriesOverall };
    this.#replaced = new ReplacedDeliveries(dependencies.clock);
  }

  /** Reads what was left by the run before. A record that cannot be read is set aside and logged. */
  async load(): Promise<void> {
    const found: Delivery[] = [];
    const read = ([key, value]: readonly [string, Uint8Array]) => {
      try {
        found.push(decodeDelivery(value));
      } catch (error) {
        if (!(error instanceof LatchkeyError)) throw error;
        this.#log.error(
          { event: 'delivery_record_unreadable', code: error.code, key },
          'a delivery record cannot be read; that token is lost',
        );
      }
    };
    await inSlices(await this.#store.list(PREFIX), read, { size: READ_AT_ONCE });
    found.sort((a, b) => a.sequence - b.sequence);
    await inSlices(found, (delivery) => this.#remember(delivery), { size: READ_AT_ONCE });
  }

  /**
   * Queues a delivery, unless the same token waits for that device already: then that one is the answer. What has ended
   * does not stand in the way: a device that lost its power lost its tokens, and one that did not knows the `cti`.
   * @throws {LatchkeyError} `delivery_queue_full`, `delivery_room_full`
   */
  async add(delivery: Omit<Delivery, 'sequence' | 'state' | 'deviceCode' | 'code' | 'receipt'>): Promise<Delivery> {
    const known = this.#index.sameWaiting(delivery);
    // One that is about to end is not waiting any more: what is brought now is another delivery.
    if (known !== undefined && !this.#ends.has(known.id)) {
      // Nobody is told of a delivery before it is on the medium, whoever brought it first.
      await this.#unwritten.get(known.id);
      return known;
    }
    const replaced = this.#roomFor(delivery.device);
    const queued: Delivery = {
      ...delivery,
      sequence: this.#lastSequence + 1,
      state: 'queued',
      deviceCode: undefined,
      code: undefined,
      receipt: false,
    };
    // In memory first: the same token arriving while the disk is busy must find this one. What it replaces stays until then.
    this.#remember(queued);
    for (const { id } of replaced) this.#leaving.add(id);
    const written = this.#store.write([
      { put: PREFIX + queued.id, value: encodeDelivery(queued) },
      ...replaced.map(({ id }) => ({ remove: PREFIX + id })),
    ]);
    this.#unwritten.set(queued.id, written);
    try {
      await written;
      for (const other of replaced) this.#index.forget(other);
    } catch (error) {
      this.#index.forget(queued);
      throw error;
    } finally {
      this.#unwritten.delete(queued.id);
      for (const { id } of replaced) this.#leaving.delete(id);
    }
    this.watchers.tell(queued);
    return queued;
  }

  /** @throws {LatchkeyError} `delivery_unknown` */
  get(id: string): Delivery {
    const delivery = this.#index.find(id) ?? this.#replaced.find(id);
    if (delivery === undefined) throw new LatchkeyError('delivery_unknown');
    return delivery;
  }

  /** The oldest delivery that waits for a device. */
  next(device: string): Delivery | undefined {
    for (const delivery of this.#index.waitingFor(device))
      if (!this.#unwritten.has(delivery.id) && !this.#ends.has(delivery.id)) return delivery;
    return undefined;
  }

  /** Devices for which something waits. */
  waitingDevices(): ReadonlySet<string> {
    return this.#index.waitingDevices();
  }

  /** When the first of those that wait expires; NumericDate. */
  firstExpiry(): number | undefined {
    return this.#index.firstExpiry();
  }

  /** Those of one device or of all, in the order of their arrival. */
  list(device?: string): readonly Delivery[] {
    return [...this.#index.list(device)].filter(({ id }) => !this.#unwritten.has(id));
  }

  /** What still waits although its token is expired at `earliest`, but for what ends already. */
  expired(earliest: number): readonly Delivery[] {
    return this.#index.waitingUntil(earliest).filter(({ id }) => !this.#ends.has(id));
  }

  /** The delivered token of a device that has this hash and is not expired at `earliest`. */
  live(device: string, tokenHash: Uint8Array, earliest: number): Delivery | undefined {
    const delivery = this.#index.delivered(device, tokenHash);
    return delivery !== undefined && delivery.expiresAt > earliest ? delivery : undefined;
  }

  /** When the first of those tokens expires that a device holds; NumericDate past `certain`. */
  nextRoom(device: string, certain: number): number | undefined {
    let first: number | undefined;
    for (const { expiresAt, state } of this.#index.ofDevice(device))
      if (state === 'delivered' && expiresAt > certain && (first === undefined || expiresAt < first)) first = expiresAt;
    return first;
  }

  /** Tells those who watch what waits for a device: something else of it changed. */
  tellWaiting(device: string): void {
    for (const delivery of this.waitingFor(device))
      if (!this.#unwritten.has(delivery.id) && !this.#ends.has(delivery.id)) this.watchers.tell(delivery);
  }

  /**
   * Ends a delivery, on the medium first. One that has ended already stays as it is, and one that is about to end ends as
   * the call before this one has it: this one waits for that.
   * @param record called where this call ends it, before anybody is told of the end
   * @throws {LatchkeyError} `delivery_unknown`; whatever the store throws, and then it waits as before
   */
  async end(id: string, outcome: Outcome, record: () => void = () => undefined): Promise<End> {
    const underWay = this.#ends.get(id);
    if (underWay !== undefined) return { delivery: await underWay, isFirst: false };
    const delivery = this.get(id);
    if (hasEnded(delivery)) return { delivery, isFirst: false };
    const end = this.#end(delivery, outcome, record);
    this.#ends.set(id, end);
    try {
      return { delivery: await end, isFirst: true };
    } finally {
      this.#ends.delete(id);
    }
  }

  async #end(delivery: Delivery, outcome: Outcome, record: () => void): Promise<Delivery> {
    const { id } = delivery;
    // Two writes that are under way together may reach the medium in either order.
    const firstWrite = this.#unwritten.get(id);
    if (firstWrite !== undefined) await firstWrite;
    const ended: Delivery = {
      ...delivery,
      cwt: undefined,
      origin: undefined,
      state: outcome.state,
      deviceCode: 'deviceCode' in outcome ? outcome.deviceCode : undefined,
      code: outcome.state === 'delivered' ? undefined : outcome.code,
      receipt: outcome.state === 'delivered' && outcome.receipt,
      expiresAt: (outcome.state === 'delivered' ? outcome.expiresAt : undefined) ?? delivery.expiresAt,
    };
    const { oldest, same } = this.#index.surplus(delivery, ended.state, this.#now());
    this.#hasRemains = true;
    await this.#store.write([
      { put: PREFIX + id, value: encodeDelivery(ended) },
      ...[...same, ...oldest].map((other) => ({ remove: PREFIX + other.id })),
    ]);
    for (const other of [...same, ...oldest]) this.#index.forget(other);
    this.#replaced.remember(same);
    this.#index.set(ended, this.#clock.monotonic());
    record();
    this.watchers.tell(ended);
    return ended;
  }

  /** Removes the records of ended deliveries whose token is expired for `keepFor` seconds at `earliest`. */
  async clean(earliest: number, keepFor: number): Promise<void> {
    const old = this.#index.endedUntil(earliest - keepFor, this.#now());
    if (old.length === 0) return;
    await this.#store.write(old.map((delivery) => ({ remove: PREFIX + delivery.id })));
    for (const delivery of old) this.#index.forget(delivery);
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

  /**
   * Forgets everything of a device that is removed. What waits ends by that, as refused; what is about to end by another
   * call ends as that one has it.
   * @param write writes the removals, and what is to be on the medium exactly when they are
   * @returns what was forgotten, as it stood: what had not ended leaves its record in the audit now
   */
  async removeDevice(
    device: string,
    write: (removals: readonly StoreChange[]) => Promise<void> = async (removals) => {
      if (removals.length > 0) await this.#store.write(removals);
    },
  ): Promise<readonly Delivery[]> {
    const own = this.#index.ofDevice(device);
    const waiting = own.filter((delivery) => !hasEnded(delivery) && !this.#ends.has(delivery.id));
    const removal = this.#remove(own, write);
    for (const delivery of waiting) {
      const end = removal.then(() => removedWith(delivery));
      // Where it fails the caller of this hears of it, and so does who waits for this end.
      end.catch(() => undefined);
      this.#ends.set(delivery.id, end);
    }
    try {
      return await removal;
    } finally {
      for (const { id } of waiting) this.#ends.delete(id);
    }
  }

  async #remove(
    own: readonly Delivery[],
    write: (removals: readonly StoreChange[]) => Promise<void>,
  ): Promise<readonly Delivery[]> {
    this.#hasRemains = true;
    const underWay = own.flatMap(({ id }) => [this.#ends.get(id) ?? [], this.#unwritten.get(id) ?? []].flat());
    if (underWay.length > 0) await Promise.allSettled(underWay);
    // One whose first write failed was never there.
    const removed = own.flatMap(({ id }) => this.#index.find(id) ?? []);
    // First: where it fails they are still there, on the medium and in memory.
    await write(removed.map(({ id }) => ({ remove: PREFIX + id })));
    for (const delivery of removed) this.#index.forget(delivery);
    for (const delivery of removed) this.watchers.tell(hasEnded(delivery) ? delivery : removedWith(delivery));
    return removed;
  }

  /** What waits for a device, in the order of its arrival. */
  waitingFor(device: string): readonly Delivery[] {
    return [...this.#index.waitingFor(device)];
  }

  waiting(device: string): number {
    return this.#index.waiting(device);
  }

  /** How many there are in each state. */
  counts(): Readonly<Record<Delivery['state'], number>> {
    return this.#index.counts;
  }

  /**
   * What has to go so that there is room for another delivery.
   * @throws {LatchkeyError} `delivery_queue_full`; `delivery_room_full` rather than that a living token is forgotten
   */
  #roomFor(device: string): readonly Delivery[] {
    const { overall, perDevice } = this.#limits;
    const waiting = this.#index.waiting(device);
    const { size } = this.#index;
    const { queued } = this.#index.counts;
    const detail = `${waiting} wait for ${device}, ${queued} of ${size} that are kept wait`;
    if (waiting >= perDevice) throw new LatchkeyError('delivery_queue_full', detail);
    const kept = this.#index.kept(device);
    const [leaving, leavingOfDevice] = this.#leavingOf(device);
    const isShareFull = kept - leavingOfDevice >= Math.max(perDevice, Math.floor(overall / 2));
    if (!isShareFull && size - leaving < overall) return [];
    const replaced = isShareFull
      ? this.#index.spareOf(device, this.#now(), this.#leaving)
      : this.#index.spare(this.#now(), this.#leaving);
    if (replaced !== undefined) return [replaced];
    const mostWait = isShareFull ? waiting * 2 > kept : queued * 2 > size;
    throw new LatchkeyError(mostWait ? 'delivery_queue_full' : 'delivery_room_full', detail);
  }

  /** How many leave, of all devices and of this one. */
  #leavingOf(device: string): readonly [number, number] {
    const leaving = [...this.#leaving].flatMap((id) => this.#index.find(id) ?? []);
    return [leaving.length, leaving.filter((each) => each.device === device).length];
  }

  #remember(delivery: Delivery): void {
    this.#index.set(delivery, this.#clock.monotonic());
    this.#lastSequence = Math.max(this.#lastSequence, delivery.sequence);
  }

  #now(): Present {
    return { certain: this.#clock.certain(), monotonic: this.#clock.monotonic() };
  }
}

function removedWith(delivery: Delivery): Delivery {
  return { ...delivery, cwt: undefined, state: 'refused', code: 'device_unknown' };
}
