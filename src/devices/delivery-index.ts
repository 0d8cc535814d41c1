/**
 * Deliveries in memory, found by what the hub asks for: by id, by device, by token, by expiry. No question and no change looks
 * at all of them, so that the last of many costs what the first did.
 */
import { base64url } from '../core/bytes.ts';
import { LIMITS } from '../core/limits.ts';
import { type Delivery, hasEnded } from './delivery.ts';
import { ExpiryOrder } from './expiry-order.ts';

/** Looks of `surplus` at a device with many living tokens: one for so many ends. */
const LOOK_EVERY = 64;

interface Ended {
  readonly delivery: Delivery;
  /** Milliseconds of the monotonic clock; of what the run before left, those of the start. */
  readonly at: number;
}

/** The deliveries of one device. */
interface Share {
  /** In the order of their arrival. */
  readonly waiting: Map<string, Delivery>;
  readonly waitingByToken: Map<string, Delivery>;
  /** In the order of their ends. */
  readonly ended: Map<string, Ended>;
  readonly endedByToken: Map<string, readonly Delivery[]>;
  readonly deliveredByHash: Map<string, Delivery>;
  /** Number of ends from which on some may have to go. */
  lookAt: number;
}

/** What time it is, for what may be forgotten. */
export interface Present {
  /** NumericDate that is surely past. */
  readonly certain: number;
  /** Milliseconds of the monotonic clock. */
  readonly monotonic: number;
}

export class DeliveryIndex {
  /** In the order of their arrival. */
  readonly #byId = new Map<string, Delivery>();
  readonly #shares = new Map<string, Share>();
  readonly #devicesWaiting = new Set<string>();
  readonly #counts = { queued: 0, delivered: 0, refused: 0, expired: 0, cancelled: 0 };
  /** Refused, expired or cancelled, in the order of their ends. */
  readonly #failed = new Map<string, Ended>();
  /** Delivered ones whose token was found expired: they may have to make room. */
  readonly #outlived = new Map<string, Ended>();
  readonly #waitingByExpiry: ExpiryOrder;
  readonly #endedByExpiry: ExpiryOrder;
  readonly #aliveByExpiry: ExpiryOrder;

  constructor() {
    const orderOf = (counts: (delivery: Delivery) => boolean) =>
      new ExpiryOrder({
        isCurrent: (delivery) => this.#byId.get(delivery.id) === delivery,
        all: () => this.#all(counts),
      });
    this.#waitingByExpiry = orderOf((delivery) => !hasEnded(delivery));
    this.#endedByExpiry = orderOf(hasEnded);
    this.#aliveByExpiry = orderOf(({ id, state }) => state === 'delivered' && !this.#outlived.has(id));
  }

  get size(): number {
    return this.#byId.size;
  }

  get counts(): Readonly<Record<Delivery['state'], number>> {
    return { ...this.#counts };
  }

  find(id: string): Delivery | undefined {
    return this.#byId.get(id);
  }

  /** In the order of their arrival; of all devices, or of one. */
  *list(device?: string): Iterable<Delivery> {
    if (device === undefined) {
      yield* this.#byId.values();
      return;
    }
    yield* this.ofDevice(device).sort((a, b) => a.sequence - b.sequence);
  }

  /** In no order. */
  ofDevice(device: string): Delivery[] {
    const share = this.#shares.get(device);
    if (share === undefined) return [];
    return [...share.waiting.values(), ...Array.from(share.ended.values(), ({ delivery }) => delivery)];
  }

  /** What waits for a device, in the order of its arrival. */
  waitingFor(device: string): Iterable<Delivery> {
    return this.#shares.get(device)?.waiting.values() ?? [];
  }

  waiting(device: string): number {
    return this.#shares.get(device)?.waiting.size ?? 0;
  }

  /** How many are kept of one device, ended ones too. */
  kept(device: string): number {
    const share = this.#shares.get(device);
    return share === undefined ? 0 : share.waiting.size + share.ended.size;
  }

  waitingDevices(): ReadonlySet<string> {
    return this.#devicesWaiting;
  }

  /** The delivery of the same JWT that waits for the same device: the cti comes from the JWT alone. */
  sameWaiting({ cti, device }: Pick<Delivery, 'device' | 'cti'>): Delivery | undefined {
    return this.#shares.get(device)?.waitingByToken.get(base64url(cti));
  }

  delivered(device: string, tokenHash: Uint8Array): Delivery | undefined {
    return this.#shares.get(device)?.deliveredByHash.get(base64url(tokenHash));
  }

  firstExpiry(): number | undefined {
    return this.#waitingByExpiry.first()?.expiresAt;
  }

  waitingUntil(expiry: number): readonly Delivery[] {
    return this.#waitingByExpiry.until(expiry);
  }

  /** Ended ones whose token expired at `expiry` or before, but for those that ended just now. */
  endedUntil(expiry: number, now: Present): readonly Delivery[] {
    return this.#endedByExpiry.until(expiry).filter(({ device, id }) => {
      const ended = this.#shares.get(device)?.ended.get(id);
      return ended !== undefined && !isRecent(ended, now);
    });
  }

  /** Keeps a delivery, in the place of an earlier state of it. @param now milliseconds of the monotonic clock */
  set(delivery: Delivery, now: number): void {
    const { cti, device, id, state } = delivery;
    const before = this.#byId.get(id);
    if (before !== undefined) this.#leaveShare(before);
    this.#byId.set(id, delivery);
    this.#counts[state] += 1;
    const share = this.#shares.get(device) ?? newShare();
    this.#shares.set(device, share);
    const token = base64url(cti);
    if (!hasEnded(delivery)) {
      share.waiting.set(id, delivery);
      share.waitingByToken.set(token, delivery);
      this.#devicesWaiting.add(device);
      this.#waitingByExpiry.add(delivery, this.#counts.queued);
      return;
    }
    const ended = { delivery, at: now };
    share.ended.set(id, ended);
    share.endedByToken.set(token, [...(share.endedByToken.get(token) ?? []), delivery]);
    if (state === 'delivered') {
      share.deliveredByHash.set(base64url(delivery.tokenHash), delivery);
      this.#aliveByExpiry.add(delivery, this.#counts.delivered);
    } else this.#failed.set(id, ended);
    this.#endedByExpiry.add(delivery, this.#byId.size - this.#counts.queued);
  }

  forget({ device, id }: Pick<Delivery, 'device' | 'id'>): void {
    const delivery = this.#byId.get(id);
    if (delivery === undefined) return;
    this.#leaveShare(delivery);
    this.#byId.delete(id);
    const share = this.#shares.get(device);
    if (share !== undefined && share.waiting.size === 0 && share.ended.size === 0) this.#shares.delete(device);
  }

  /**
   * What has to go once this delivery ends so. Earlier ends of the same token, since however often a client sends one it
   * takes the room of one; and the oldest ends of a device that has more than its share. A token that was delivered and is
   * alive stays, unless it is delivered again; an end of the last minute stays too.
   */
  surplus(delivery: Delivery, end: Delivery['state'], now: Present): Surplus {
    const share = this.#shares.get(delivery.device);
    if (share === undefined) return { same: [], oldest: [] };
    const same = (share.endedByToken.get(base64url(delivery.cti)) ?? []).filter(
      (other) => end === 'delivered' || !isAlive(other, now),
    );
    const oldest: Delivery[] = [];
    const left = () => share.ended.size - same.length - oldest.length;
    if (left() < share.lookAt) return { same, oldest };
    for (const ended of share.ended.values()) {
      if (left() < LIMITS.endedPerDevice) break;
      if (mayGo(ended, now) && !same.includes(ended.delivery)) oldest.push(ended.delivery);
    }
    share.lookAt = left() < LIMITS.endedPerDevice ? LIMITS.endedPerDevice : left() + LOOK_EVERY;
    return { same, oldest };
  }

  /**
   * One of any device that is only kept to be asked about, and makes room for another.
   * @param taken ids of those that make room already
   */
  spare(now: Present, taken: ReadonlySet<string>): Delivery | undefined {
    for (const { device, id } of this.#aliveByExpiry.take(now.certain)) {
      const ended = this.#shares.get(device)?.ended.get(id);
      if (ended !== undefined) this.#outlived.set(id, ended);
    }
    const isFree = ({ delivery }: Ended) => !taken.has(delivery.id);
    for (const oldest of this.#failed.values()) {
      if (!isFree(oldest)) continue;
      if (!isRecent(oldest, now)) return oldest.delivery;
      break;
    }
    for (const ended of this.#outlived.values()) if (isFree(ended) && !isRecent(ended, now)) return ended.delivery;
    return undefined;
  }

  /** The same of one device. */
  spareOf(device: string, now: Present, taken: ReadonlySet<string>): Delivery | undefined {
    for (const ended of this.#shares.get(device)?.ended.values() ?? [])
      if (!taken.has(ended.delivery.id) && mayGo(ended, now)) return ended.delivery;
    return undefined;
  }

  *#all(counts: (delivery: Delivery) => boolean): Iterable<Delivery> {
    for (const delivery of this.#byId.values()) if (counts(delivery)) yield delivery;
  }

  #leaveShare(delivery: Delivery): void {
    const { cti, device, id, state } = delivery;
    this.#counts[state] -= 1;
    this.#failed.delete(id);
    this.#outlived.delete(id);
    const share = this.#shares.get(device);
    if (share === undefined) return;
    const token = base64url(cti);
    if (share.waiting.delete(id)) {
      if (share.waitingByToken.get(token) === delivery) share.waitingByToken.delete(token);
      if (share.waiting.size === 0) this.#devicesWaiting.delete(device);
      return;
    }
    share.ended.delete(id);
    const others = share.endedByToken.get(token)?.filter((other) => other !== delivery) ?? [];
    if (others.length === 0) share.endedByToken.delete(token);
    else share.endedByToken.set(token, others);
    const hash = base64url(delivery.tokenHash);
    if (share.deliveredByHash.get(hash) === delivery) share.deliveredByHash.delete(hash);
  }
}

interface Surplus {
  /** Of the same token. */
  readonly same: readonly Delivery[];
  readonly oldest: readonly Delivery[];
}

function newShare(): Share {
  return {
    waiting: new Map(),
    waitingByToken: new Map(),
    ended: new Map(),
    endedByToken: new Map(),
    deliveredByHash: new Map(),
    lookAt: LIMITS.endedPerDevice,
  };
}

function mayGo(ended: Ended, now: Present): boolean {
  return !isRecent(ended, now) && !isAlive(ended.delivery, now);
}

/** Whether a client that was told "queued" may not have asked yet what became of it. */
function isRecent({ at }: Ended, { monotonic }: Present): boolean {
  return monotonic - at < LIMITS.endedKeptFor;
}

/** Whether the token lets its client talk to the device: the proxy asks for it. */
function isAlive({ expiresAt, state }: Delivery, { certain }: Present): boolean {
  return state === 'delivered' && expiresAt > certain;
}
