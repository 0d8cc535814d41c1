/** Proof identifiers that were used, remembered over a restart of the hub. */
import { fromUtf8, sha256, utf8 } from '../core/bytes.ts';
import type { TimeBounds } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { Store } from '../ports/store.ts';

/** `replay/<slice>/<batch>`, both as numbers of this many digits, so that the store's order is theirs. */
const PREFIX = 'replay/used/';
const DIGITS = 12;
/** The boot that the records were written under, and what is known of them. */
const BOOT_KEY = 'replay/boot';
/** The run ended in good order: nothing was lost. */
const CLEAN = ' clean';
/** Records of the boot before may be lost, and proofs of then may still be good. */
const LOST = ' lost';

/** What is kept of an identifier: enough that nobody finds a second one with the same hash. */
const MARK_BYTES = 16;
/** A slice is dropped as a whole, so an identifier is remembered for up to this part of its lifetime too long. */
const SLICES_IN_LIFETIME = 4;

interface Slice {
  /** Only ever rises, over restarts too. */
  readonly number: number;
  /** Monotonic millisecond from which nothing in it can be good any more. */
  readonly until: number;
  readonly marks: Set<string>;
  /** Marks by who had them made: client keys, tokens without a key, and devices; for marks that were loaded the cause is unknown. */
  readonly shares: Map<string, number>;
  /** Keys of its records in the store. */
  readonly keys: string[];
}

/** Whose proof it is. */
export interface ProofOwner {
  /** Names the key that made it; undefined for a token without a key, whose presenter could choose one for each proof. */
  readonly key: string | undefined;
  /** Names the token that it came with, where that has no key. */
  readonly token?: string | undefined;
  /** Id of the device that brought it. */
  readonly device: string;
}

export interface DurableReplayWindowOptions {
  readonly store: Store;
  /** Names this boot of the machine: `/proc/sys/kernel/random/boot_id`. */
  readonly bootId: string;
  /** The present, in milliseconds of the monotonic clock. */
  readonly monotonic: number;
  /** Seconds by which the `iat` of a proof may differ from the present, either way. Remembered is twice that. */
  readonly window: number;
  /** Identifiers remembered at once. */
  readonly limit?: number;
}

/**
 * Remembers each identifier for a fixed time and no more of them than a limit, in memory as on disk; a full window refuses.
 * `use` resolves once the record is in the hands of the operating system, so no proof is taken twice although the hub
 * was killed in between. Records of proofs that arrive together go into one write. Nothing waits for the medium: a power
 * cut may take the newest records along, and `mayHaveForgotten` then has every proof of before refused for one window.
 *
 * Times are counted on the monotonic clock, and what was loaded lives a whole lifetime again: a calendar that is wrong
 * or unknown makes nothing be forgotten early.
 */
export class DurableReplayWindow {
  readonly #store: Store;
  readonly #bootId: string;
  readonly #openedAt: number;
  readonly #window: number;
  /** Milliseconds for which an identifier is remembered: a proof from as far ahead as the window allows lives that long. */
  readonly #lifetime: number;
  readonly #limit: number;
  #lostRecords: boolean;
  /** Oldest first; the last one takes what comes. */
  readonly #slices: Slice[];
  #number: number;
  #batch = 0;
  #size: number;
  /** Marks that no write has taken up yet, and keys that the next one removes. */
  #waiting: string[] = [];
  #removals: string[] = [];
  #bootRecord: string | undefined;
  #next: Promise<void> | undefined;
  #last: Promise<void> = Promise.resolve();

  private constructor(options: DurableReplayWindowOptions, found: { readonly slice: Slice; readonly lost: boolean }) {
    this.#store = options.store;
    this.#bootId = options.bootId;
    this.#openedAt = options.monotonic;
    this.#window = options.window;
    this.#lifetime = lifetimeOf(options.window);
    this.#limit = options.limit ?? LIMITS.replayEntries;
    this.#lostRecords = found.lost;
    this.#slices = [found.slice];
    this.#number = found.slice.number;
    this.#size = found.slice.marks.size;
  }

  /** @throws {LatchkeyError} `store_corrupt` for records that this file does not write; errors of the store */
  static async open(options: DurableReplayWindowOptions): Promise<DurableReplayWindow> {
    const { store, bootId, monotonic, window } = options;
    const records = await store.list(PREFIX);
    const marks = new Set<string>();
    let newest = 0;
    for (const [key, value] of records) {
      newest = Math.max(newest, sliceOf(key));
      for (const mark of marksOf(value)) marks.add(mark);
    }
    const lost = lostRecords(await store.read(BOOT_KEY), bootId);
    // On the medium before the first proof is judged: from now on a power cut is one that may have lost records.
    await store.write([{ put: BOOT_KEY, value: utf8(lost ? bootId + LOST : bootId) }]);
    const until = monotonic + lifetimeOf(window);
    const slice = { number: newest, until, marks, shares: new Map(), keys: records.map(([key]) => key) };
    return new DurableReplayWindow(options, { slice, lost });
  }

  /** Identifiers remembered at present. */
  get size(): number {
    return this.#size;
  }

  /**
   * Marks `identifier` as used. From the call on a second one is refused; resolves once a killed process would remember.
   * @param monotonic milliseconds of the monotonic clock
   * @param owner key and device each have a share of the window, so that neither one client nor whoever has one device can
   *   lock the others out
   * @throws {LatchkeyError} `proof_replayed` if it was used before, `proof_window_full` if there is no room to remember
   *   it, with the time until there is; errors of the store, after which it counts as used
   */
  async use(identifier: string, monotonic: number, owner?: ProofOwner): Promise<void> {
    const slice = this.#turn(monotonic);
    this.#settle(monotonic);
    const mark = Buffer.from(sha256(identifier)).toString('latin1', 0, MARK_BYTES);
    if (this.#slices.some(({ marks }) => marks.has(mark))) throw new LatchkeyError('proof_replayed');
    if (this.#size >= this.#limit) {
      throw this.#full(`${this.#limit} proofs`, monotonic, ({ marks }) => marks.size > 0);
    }
    if (owner !== undefined) this.#takeShares(slice, owner, monotonic);
    slice.marks.add(mark);
    this.#size += 1;
    this.#waiting.push(mark);
    await this.#written();
  }

  /**
   * Whether a proof of that `iat` may have been used before a power cut that took its record along. Clocks of clients
   * may be ahead by the window, so for that long after the start no proof can be told from one that was used. While the
   * time is not known that holds for every proof, for as long as one can be good.
   * @param issuedAt NumericDate
   */
  mayHaveForgotten(
    issuedAt: number,
    { time, monotonic }: { readonly time: TimeBounds; readonly monotonic: number },
  ): boolean {
    if (!this.#lostRecords || this.#isOver(monotonic)) return false;
    return time.latest === undefined || issuedAt <= time.latest - (monotonic - this.#openedAt) / 1_000 + this.#window;
  }

  /**
   * Puts all records on the medium and notes that none of them was lost. No proof may come after.
   * @param monotonic milliseconds of the monotonic clock
   */
  async close(monotonic: number): Promise<void> {
    await this.#last;
    this.#settle(monotonic);
    const state = this.#lostRecords ? LOST : CLEAN;
    await this.#store.write([{ put: BOOT_KEY, value: utf8(this.#bootId + state) }]);
  }

  #takeShares(slice: Slice, { device, key, token }: ProofOwner, monotonic: number): void {
    const shares = [
      [`device ${device}`, LIMITS.relayedProofsPerDevice],
      ...(key === undefined ? [] : [[`key ${key}`, LIMITS.relayedProofsPerKey] as const]),
      ...(token === undefined ? [] : [[`token ${token}`, LIMITS.relayedProofsPerToken] as const]),
    ] as const;
    for (const [owner, most] of shares) {
      const taken = this.#slices.reduce((sum, { shares: ofSlice }) => sum + (ofSlice.get(owner) ?? 0), 0);
      if (taken < most) continue;
      throw this.#full(`${taken} proofs of one ${owner.split(' ')[0]}`, monotonic, (each) => each.shares.has(owner));
    }
    for (const [owner] of shares) slice.shares.set(owner, (slice.shares.get(owner) ?? 0) + 1);
  }

  /** With the time until the oldest slice goes that has something of what fills the window. */
  #full(detail: string, monotonic: number, isPart: (slice: Slice) => boolean): LatchkeyError {
    const until = this.#slices.find(isPart)?.until ?? monotonic;
    return new LatchkeyError('proof_window_full', detail, { retryAfter: (until - monotonic) / 1_000 });
  }

  /** Once proofs of the boot before are dead, another restart has nothing to be careful about. */
  #settle(monotonic: number): void {
    if (!this.#lostRecords || !this.#isOver(monotonic)) return;
    this.#lostRecords = false;
    this.#bootRecord = this.#bootId;
  }

  /** Whether all that was used before the start is too old by its `iat`. */
  #isOver(monotonic: number): boolean {
    return monotonic > this.#openedAt + this.#lifetime;
  }

  /** The slice for what comes now, after the dead ones are gone from memory and marked to go from the store. */
  #turn(monotonic: number): Slice {
    for (let oldest = this.#slices[0]; oldest !== undefined && oldest.until <= monotonic; oldest = this.#slices[0]) {
      this.#slices.shift();
      this.#size -= oldest.marks.size;
      this.#removals = this.#removals.concat(oldest.keys);
    }
    const newest = this.#slices.at(-1);
    // What was loaded never takes more: its batches are numbered already.
    if (newest !== undefined && monotonic < newest.until - this.#lifetime) return newest;
    const until = monotonic + this.#lifetime / SLICES_IN_LIFETIME + this.#lifetime;
    const slice: Slice = { number: this.#number + 1, until, marks: new Set(), shares: new Map(), keys: [] };
    this.#number = slice.number;
    this.#batch = 0;
    this.#slices.push(slice);
    return slice;
  }

  /** The write that takes up all that waits: the one after the write under way. */
  #written(): Promise<void> {
    if (this.#next === undefined) {
      const next = this.#last.then(() => this.#writeWaiting());
      this.#next = next;
      // Whoever used an identifier of this batch gets its error; the batch after it tries for itself.
      this.#last = next.then(pause, pause);
    }
    return this.#next;
  }

  async #writeWaiting(): Promise<void> {
    const { keys, number } = this.#slices.at(-1) as Slice;
    const put = `${PREFIX}${digits(number)}/${digits(this.#batch)}`;
    const value = Buffer.from(this.#waiting.join(''), 'latin1');
    const removals = this.#removals.map((remove) => ({ remove }));
    this.#batch += 1;
    this.#next = undefined;
    this.#waiting = [];
    this.#removals = [];
    keys.push(put);
    const boot = this.#bootRecord === undefined ? [] : [{ put: BOOT_KEY, value: utf8(this.#bootRecord) }];
    this.#bootRecord = undefined;
    await this.#store.write([{ put, value }, ...removals, ...boot], { flush: false });
  }
}

function lostRecords(record: Uint8Array | undefined, bootId: string): boolean {
  if (record === undefined) return false;
  const text = fromUtf8(record);
  return text.endsWith(LOST) || (text !== bootId && !text.endsWith(CLEAN));
}

function lifetimeOf(window: number): number {
  return 2 * window * 1_000;
}

function digits(number: number): string {
  return String(number).padStart(DIGITS, '0');
}

function sliceOf(key: string): number {
  const number = Number(key.slice(PREFIX.length, PREFIX.length + DIGITS));
  if (!Number.isSafeInteger(number)) throw new LatchkeyError('store_corrupt', 'replay record: key');
  return number;
}

function marksOf(value: Uint8Array): readonly string[] {
  if (value.length % MARK_BYTES !== 0) throw new LatchkeyError('store_corrupt', 'replay record: length');
  const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1');
  return Array.from({ length: text.length / MARK_BYTES }, (_, index) =>
    text.slice(index * MARK_BYTES, (index + 1) * MARK_BYTES),
  );
}

/** A turn of the event loop between two writes, so that proofs that come at once share one. The batch's own promise carries the outcome. */
function pause(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
