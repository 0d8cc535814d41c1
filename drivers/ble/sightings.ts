import type { Clock, Random } from '../../src/core/clock.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { RADIO_TIMES } from './ble-settings.ts';

/** Somebody who advertises a name. Whether it is the device of that name, only its key can tell. */
export interface Candidate {
  readonly address: string;
  /** dBm. */
  readonly rssi: number;
  /** Milliseconds of the monotonic clock. */
  readonly lastHeard: number;
  /** Whether the device's key vouched for it, in this run. */
  readonly isConfirmed: boolean;
}

interface Entry extends Candidate {
  rssi: number;
  lastHeard: number;
  isConfirmed: boolean;
  readonly firstHeard: number;
  /** Failures in a row to be connected. */
  unreached: number;
  /** Failures in a row to prove itself. */
  unproven: number;
  /** Times in a row that it was connected and asked, and the link ended without an answer. */
  silent: number;
  /** It is not tried before this. */
  notBefore: number;
}

/**
 * Pause of an address that could not be connected for the second time, and longest one; milliseconds. The first failure is
 * mostly a passing one, and the next advertisement a better moment.
 */
const CONNECT_PAUSE = 500;
const CONNECT_PAUSE_CAP = 30_000;
/** The same of one that did not prove itself: an impostor stays for longer than a passing fault. */
const PROOF_PAUSE = 60_000;
const PROOF_PAUSE_CAP = 1_800_000;
/**
 * Longest pause of an address that the key vouched for once: whoever takes on the address of a device can make it fail, and
 * must not keep it from its tokens for long.
 */
const CONFIRMED_PAUSE_CAP = 30_000;

/**
 * Who was heard under which name, and who is to be tried. Judged by address, never by name: an impostor that advertises
 * the name of a device is set aside, and the device beside it is not.
 */
export class Sightings {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #random: Pick<Random, 'fraction'>;
  readonly #names = new Map<string, Entry[]>();
  /** When the adapter came: it knows nobody who was heard by another one, or before it was gone. */
  #since = Number.NEGATIVE_INFINITY;

  constructor(clock: Pick<Clock, 'monotonic'>, random: Pick<Random, 'fraction'>) {
    this.#clock = clock;
    this.#random = random;
  }

  heard(name: string, address: string, rssi: number): void {
    const now = this.#clock.monotonic();
    const entries = this.#names.get(name) ?? [];
    this.#names.set(name, entries);
    const known = entries.find((entry) => entry.address === address);
    if (known !== undefined) {
      known.rssi = rssi;
      known.lastHeard = now;
      return;
    }
    if (entries.length >= this.#addressesPerName()) entries.splice(mostDispensable(entries), 1);
    const fresh = {
      address,
      rssi,
      firstHeard: now,
      lastHeard: now,
      isConfirmed: false,
      unreached: 0,
      unproven: 0,
      silent: 0,
      notBefore: now,
    };
    entries.push(fresh);
  }

  /** From now on another adapter listens, or the same one that has forgotten everybody. */
  begin(): void {
    this.#since = this.#clock.monotonic();
  }

  /** Whoever has this address did not advertise just now, and yet is known to be there. @returns the names that it has */
  stillThere(address: string): readonly string[] {
    const names = [...this.#names.keys()].filter((name) => this.#find(name, address) !== undefined);
    for (const name of names) Object.assign(this.#find(name, address) ?? {}, { lastHeard: this.#clock.monotonic() });
    return names;
  }

  /** Candidates that the adapter heard so lately that they take a connection now. */
  fresh(name: string): readonly Candidate[] {
    return this.#ranked(name, this.#freshAge());
  }

  /**
   * The candidate to connect to now. A confirmed address always comes first. Else most attempts follow the ranking of
   * `candidates`, a quarter take the address that is on the air for longest, and a quarter take any. A ranking alone would let
   * an attacker with new addresses keep out a device that failed once.
   */
  next(name: string): Candidate | undefined {
    const fresh = this.#ranked(name, this.#freshAge());
    const [first] = fresh;
    if (first === undefined || isVouchedFor(first)) return first;
    const fraction = this.#random.fraction();
    if (fraction < 0.5) return first;
    if (fraction < 0.75)
      return fresh.reduce((oldest, entry) => (entry.firstHeard < oldest.firstHeard ? entry : oldest));
    return fresh[Math.floor(this.#random.fraction() * fresh.length)];
  }

  /**
   * Forgets the dispensable name that was heard longest ago, where there are `most` dispensable names or more. The names of an
   * attacker cannot fill the memory, and cannot keep out a new name.
   */
  makeRoom(most: number, isDispensable: (name: string) => boolean): void {
    let oldest: { readonly name: string; readonly lastHeard: number } | undefined;
    let dispensable = 0;
    for (const name of this.#names.keys()) {
      if (!isDispensable(name)) continue;
      dispensable += 1;
      const lastHeard = this.lastHeard(name) ?? 0;
      if (oldest === undefined || lastHeard < oldest.lastHeard) oldest = { name, lastHeard };
    }
    if (oldest !== undefined && dispensable >= most) this.#names.delete(oldest.name);
  }

  /** Whether the name was heard and is remembered. */
  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** Milliseconds of the monotonic clock when anybody was last heard under this name. */
  lastHeard(name: string): number | undefined {
    const entries = this.#names.get(name);
    return entries === undefined ? undefined : Math.max(...entries.map(({ lastHeard }) => lastHeard));
  }

  /** Who was heard within `age` milliseconds and is not set aside, the likeliest first. */
  candidates(name: string, age: number): readonly Candidate[] {
    return this.#ranked(name, age);
  }

  /** Everybody who was heard within `age` milliseconds. */
  list(age: number): readonly (Candidate & { readonly name: string })[] {
    const now = this.#clock.monotonic();
    return [...this.#names].flatMap(([name, entries]) =>
      entries.filter(({ lastHeard }) => now - lastHeard <= age).map((entry) => ({ ...entry, name })),
    );
  }

  /** The device's key vouched for what came from there. */
  confirm(name: string, address: string): void {
    const entry = this.#find(name, address);
    if (entry === undefined) return;
    entry.isConfirmed = true;
    entry.unproven = 0;
    entry.silent = 0;
    entry.notBefore = this.#clock.monotonic();
  }

  /** It was connected, and speaks CoAP over GATT. */
  reached(name: string, address: string): void {
    const entry = this.#find(name, address);
    if (entry !== undefined) entry.unreached = 0;
  }

  /** It could not be connected. */
  unreachable(name: string, address: string): void {
    const entry = this.#find(name, address);
    if (entry === undefined) return;
    entry.unreached += 1;
    if (entry.unreached > 1) this.#setAside(entry, CONNECT_PAUSE * 2 ** (entry.unreached - 2), CONNECT_PAUSE_CAP);
  }

  /**
   * It was connected and asked, and gave no answer. That happens to a device too, so it is not set aside; but whoever else
   * advertises the name comes first, until the device's key vouches for this one.
   */
  silent(name: string, address: string): void {
    const entry = this.#find(name, address);
    if (entry !== undefined) entry.silent += 1;
  }

  /**
   * It answered something that anybody can say, the device too. Whoever proved itself before is believed: else a new address
   * would come before a device that was only busy once.
   * @returns whether others come first now
   */
  doubted(name: string, address: string): boolean {
    const entry = this.#find(name, address);
    if (entry === undefined || entry.isConfirmed) return false;
    entry.silent += 1;
    return true;
  }

  /** It answered, and the device's key does not vouch for the answer. */
  unproven(name: string, address: string): void {
    const entry = this.#find(name, address);
    if (entry === undefined) return;
    const cap = entry.isConfirmed ? CONFIRMED_PAUSE_CAP : PROOF_PAUSE_CAP;
    this.#setAside(entry, PROOF_PAUSE * 2 ** entry.unproven, cap);
    entry.unproven += 1;
  }

  /**
   * What they have to prove is another secret now: none is set aside for having failed, and those that did come last. One that
   * could not be connected keeps its pause.
   */
  askAnew(name: string): void {
    const now = this.#clock.monotonic();
    for (const entry of this.#names.get(name) ?? []) if (entry.unproven > 0) entry.notBefore = now;
  }

  /** Forgets names that are of no interest any more, and addresses that were not heard within `age` and failed nothing. */
  forget(isOfInterest: (name: string) => boolean, age: number): void {
    const now = this.#clock.monotonic();
    for (const [name, entries] of this.#names) {
      const kept = entries.filter((entry) => now - entry.lastHeard <= age || entry.notBefore > now);
      if (!isOfInterest(name) || kept.length === 0) this.#names.delete(name);
      else this.#names.set(name, kept);
    }
  }

  /** Every address that is remembered. */
  addresses(): readonly string[] {
    return [...this.#names.values()].flatMap((entries) => entries.map(({ address }) => address));
  }

  get size(): number {
    return this.#names.size;
  }

  #ranked(name: string, age: number): readonly Entry[] {
    const now = this.#clock.monotonic();
    return (this.#names.get(name) ?? [])
      .filter(({ lastHeard, notBefore }) => now - lastHeard <= age && notBefore <= now)
      .sort(byLikelihood);
  }

  #freshAge(): number {
    return Math.min(RADIO_TIMES.fresh, this.#clock.monotonic() - this.#since);
  }

  /** The overall limit in equal shares, so that memory stays bounded where many names are under attack. */
  #addressesPerName(): number {
    const share = Math.floor(LIMITS.bleAddresses / Math.max(1, this.#names.size));
    return Math.max(LIMITS.bleAddressesPerNameLeast, Math.min(LIMITS.bleAddressesPerName, share));
  }

  #find(name: string, address: string): Entry | undefined {
    return this.#names.get(name)?.find((entry) => entry.address === address);
  }

  #setAside(entry: Entry, pause: number, longest: number): void {
    entry.notBefore = Math.max(entry.notBefore, this.#clock.monotonic() + Math.min(pause, longest));
  }
}

function failures({ silent, unproven, unreached }: Entry): number {
  return silent + unproven + unreached;
}

/**
 * The one that proved itself and was not silent since, then the one that failed least, then the one that is on the air for
 * longest: an impostor that takes a new address for each attempt is always the newest. One that hands on a proof of the
 * device, so as to be taken for it, gains nothing once it is silent.
 */
function byLikelihood(a: Entry, b: Entry): number {
  const [first, second] = [isVouchedFor(a), isVouchedFor(b)];
  if (first !== second) return first ? -1 : 1;
  return failures(a) - failures(b) || a.firstHeard - b.firstHeard;
}

function isVouchedFor({ isConfirmed, silent }: Entry): boolean {
  return isConfirmed && silent === 0;
}

/**
 * The entry that gives way where too many addresses have one name: the unconfirmed one that was heard longest ago. Failures do
 * not count here. An attacker that changes its address with each advertisement is never heard again under the old one, and a
 * device that failed once is.
 */
function mostDispensable(entries: readonly Entry[]): number {
  const ranked = [...entries].sort((a, b) => {
    if (a.isConfirmed !== b.isConfirmed) return a.isConfirmed ? 1 : -1;
    return a.lastHeard - b.lastHeard;
  });
  return entries.indexOf(ranked[0] as Entry);
}
