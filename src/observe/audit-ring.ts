/**
 * The records in the store, bounded: what a write adds, what it drops for that, and the one entry that says where the
 * chain begins and ends. Each plan is one atomic write, so that entry always fits the pages.
 */
import { utf8 } from '../core/bytes.ts';
import type { Secret } from '../core/secret.ts';
import type { Store, StoreChange } from '../ports/store.ts';
import {
  encodePage,
  evidenceKey,
  pageKey,
  SEGMENT_RECORDS,
  segmentEvidence,
  segmentOf,
  segmentPages,
} from './audit-page.ts';
import { type ChainedRecord, emptyHead } from './audit-record.ts';
import { type RingState, readPage, readState, stateOfPages, writeState } from './audit-state.ts';

export interface AuditLimits {
  readonly maxRecords: number;
  /** Of pages and their keys. */
  readonly maxBytes: number;
  /** Of signed introspection answers; 0 keeps none. */
  readonly maxEvidenceBytes: number;
  /** Seconds for which records are to be kept. */
  readonly retention: number;
}

/** A record on its way into the store. */
export interface AuditItem extends ChainedRecord {
  /** The signed answer whose hash the record names, where it may be kept. */
  readonly evidence: Secret<string> | undefined;
}

export interface RingPlan {
  readonly changes: readonly StoreChange[];
  readonly next: RingState;
  /** Records that are dropped before their time, for want of room. */
  readonly early: number;
}

interface Draft {
  readonly changes: StoreChange[];
  state: RingState;
  early: number;
}

export class AuditRing {
  readonly #store: Store;
  readonly #limits: AuditLimits;
  #state: RingState;
  /** Evidence that the newest segment has already. */
  readonly #known: Set<string>;

  private constructor(store: Store, limits: AuditLimits, state: RingState, known: Set<string>) {
    this.#store = store;
    this.#limits = limits;
    this.#state = state;
    this.#known = known;
  }

  /** `mended` where records were found without the entry that goes with them: the chain goes on after the last one. */
  static async open(options: {
    readonly store: Store;
    readonly limits: AuditLimits;
    /** 32 bytes, for a chain that begins. */
    readonly seed: Uint8Array;
  }): Promise<{ readonly ring: AuditRing; readonly mended: boolean }> {
    const { store, limits, seed } = options;
    const stored = await readState(store);
    const found = stored === undefined ? await stateOfPages(store) : undefined;
    const begun = emptyHead(seed);
    const state = stored ?? found ?? { head: begun, dropped: begun, bytes: 0, evidenceBytes: 0, evidenceFrom: 0 };
    if (stored === undefined) await store.write([writeState(state)]);
    const newest = segmentEvidence(segmentOf(state.head.sequence));
    const known = new Set((await store.list(newest)).map(([key]) => key));
    return { ring: new AuditRing(store, limits, state, known), mended: found !== undefined };
  }

  get state(): RingState {
    return this.#state;
  }

  /** Adds records, and drops old ones for want of room. */
  async plan(items: readonly AuditItem[]): Promise<RingPlan> {
    const draft: Draft = { changes: [], state: this.#state, early: 0 };
    for (const page of pagesOf(items)) this.#add(draft, page);
    await this.#dropOldest(draft);
    await this.#dropEvidence(draft);
    return planOf(draft);
  }

  /** Drops records whose time is over. @param now NumericDate */
  async planExpiry(now: number): Promise<RingPlan> {
    const draft: Draft = { changes: [], state: this.#state, early: 0 };
    await this.#dropExpired(draft, now - this.#limits.retention);
    return planOf(draft);
  }

  /** Notes that a plan was carried out. */
  commit({ changes, next }: RingPlan): void {
    if (segmentOf(next.head.sequence) !== segmentOf(this.#state.head.sequence)) this.#known.clear();
    const newest = segmentEvidence(segmentOf(next.head.sequence));
    for (const change of changes) if ('put' in change && change.put.startsWith(newest)) this.#known.add(change.put);
    this.#state = next;
  }

  #add(draft: Draft, page: readonly [AuditItem, ...AuditItem[]]): void {
    const key = pageKey(page[0].record.sequence);
    const value = encodePage(page);
    const { hash, record } = page.at(-1) ?? page[0];
    draft.changes.push({ put: key, value });
    draft.state = {
      ...draft.state,
      head: { sequence: record.sequence, hash },
      bytes: draft.state.bytes + key.length + value.length,
    };
    const segment = segmentOf(record.sequence);
    const added = new Set<string>();
    for (const { evidence, record: names } of page) {
      if (evidence === undefined || names.evidence === undefined || this.#limits.maxEvidenceBytes === 0) continue;
      const put = evidenceKey(segment, names.evidence);
      if (this.#known.has(put) || added.has(put)) continue;
      added.add(put);
      const kept = utf8(evidence.expose());
      draft.changes.push({ put, value: kept });
      draft.state = { ...draft.state, evidenceBytes: draft.state.evidenceBytes + kept.length };
    }
  }

  /** Whole pages, the oldest first, as long as their newest record is past its time. */
  async #dropExpired(draft: Draft, before: number): Promise<void> {
    for (;;) {
      const segment = segmentOf(draft.state.dropped.sequence + 1);
      const pages = await this.#store.list(segmentPages(segment));
      const isOver = ([, value]: readonly [string, Uint8Array]) => (lastOf(value)?.record.at ?? 0) <= before;
      const kept = pages.findIndex((page) => !isOver(page));
      this.#drop(draft, kept < 0 ? pages : pages.slice(0, kept));
      if (kept >= 0 || segment >= segmentOf(this.#state.head.sequence)) return;
      await this.#leave(draft, segment);
    }
  }

  /** Whole segments, the oldest first, until there is room; never one that this plan adds to. */
  async #dropOldest(draft: Draft): Promise<void> {
    const { maxBytes, maxRecords } = this.#limits;
    for (;;) {
      const { bytes, dropped, head } = draft.state;
      const segment = segmentOf(dropped.sequence + 1);
      const isFull = bytes > maxBytes || head.sequence - dropped.sequence > maxRecords;
      if (!isFull || segment >= segmentOf(this.#state.head.sequence)) return;
      this.#drop(draft, await this.#store.list(segmentPages(segment)));
      await this.#leave(draft, segment);
      draft.early += draft.state.dropped.sequence - dropped.sequence;
    }
  }

  #drop(draft: Draft, pages: readonly (readonly [string, Uint8Array])[]): void {
    for (const [key, value] of pages) {
      draft.changes.push({ remove: key });
      const last = lastOf(value);
      draft.state = {
        ...draft.state,
        bytes: Math.max(0, draft.state.bytes - key.length - value.length),
        // Where nothing can be read the hash stays behind, and the next record does not follow on it: that shows.
        ...(last === undefined ? {} : { dropped: { sequence: last.record.sequence, hash: last.hash } }),
      };
    }
  }

  /** The segment is empty now: its evidence goes too, and its last number, had it been there, counts as dropped. */
  async #leave(draft: Draft, segment: number): Promise<void> {
    const { dropped } = draft.state;
    const end = Math.min((segment + 1) * SEGMENT_RECORDS - 1, draft.state.head.sequence);
    if (dropped.sequence < end) draft.state = { ...draft.state, dropped: { ...dropped, sequence: end } };
    await this.#dropEvidenceOf(draft, segment);
  }

  async #dropEvidence(draft: Draft): Promise<void> {
    const newest = segmentOf(draft.state.head.sequence);
    while (draft.state.evidenceBytes > this.#limits.maxEvidenceBytes && draft.state.evidenceFrom < newest)
      await this.#dropEvidenceOf(draft, draft.state.evidenceFrom);
  }

  async #dropEvidenceOf(draft: Draft, segment: number): Promise<void> {
    let { evidenceBytes } = draft.state;
    for (const [remove, value] of await this.#store.list(segmentEvidence(segment))) {
      draft.changes.push({ remove });
      evidenceBytes -= value.length;
    }
    const evidenceFrom = Math.max(draft.state.evidenceFrom, segment + 1);
    draft.state = { ...draft.state, evidenceBytes: Math.max(0, evidenceBytes), evidenceFrom };
  }
}

/** Items that share a segment, in rows. */
function pagesOf(items: readonly AuditItem[]): readonly [AuditItem, ...AuditItem[]][] {
  const pages: [AuditItem, ...AuditItem[]][] = [];
  for (const item of items) {
    const page = pages.at(-1);
    if (page !== undefined && segmentOf(page[0].record.sequence) === segmentOf(item.record.sequence)) page.push(item);
    else pages.push([item]);
  }
  return pages;
}

function planOf({ changes, early, state }: Draft): RingPlan {
  return { changes: [...changes, writeState(state)], next: state, early };
}

function lastOf(page: Uint8Array): ChainedRecord | undefined {
  return readPage(page)?.at(-1);
}
