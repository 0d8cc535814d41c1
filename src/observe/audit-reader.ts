/** Reads the audit back from the store, a segment at a time: to show it, to export it, to verify it. */
import { base64url, fromUtf8 } from '../core/bytes.ts';
import { isCoded } from '../core/errors.ts';
import type { AuditPage, AuditQuery, AuditVerification } from '../ports/admin.ts';
import type { AuditRecord } from '../ports/audit.ts';
import type { Store } from '../ports/store.ts';
import type { AuditTrail } from './audit.ts';
import { ChainCheck } from './audit-chain.ts';
import { decodePage, evidenceKey, firstOfKey, segmentOf, segmentPages } from './audit-page.ts';
import { type ChainedRecord, headFromText, headText } from './audit-record.ts';

/** Signed answers that one page brings along, bytes: more of them wait for the next one. */
const EVIDENCE_BYTES = 1_048_576;
/** Walks that may find segments gone, because the hub dropped them meanwhile, before what they find counts. */
const WALKS = 4;

type Unreadable = { readonly first: number };

export class AuditReader {
  readonly #store: Store;
  readonly #trail: Pick<AuditTrail, 'kept' | 'subjects' | 'written'>;

  constructor(options: { readonly store: Store; readonly trail: Pick<AuditTrail, 'kept' | 'subjects' | 'written'> }) {
    this.#store = options.store;
    this.#trail = options.trail;
  }

  async page(query: AuditQuery): Promise<AuditPage> {
    await this.#trail.written();
    for (let walk = 1; ; walk += 1) {
      const { dropped } = this.#trail.kept;
      const page = await this.#page(query);
      if (this.#trail.kept.dropped.sequence === dropped.sequence || walk >= WALKS) return page;
    }
  }

  async #page(query: AuditQuery): Promise<AuditPage> {
    const matches = this.#filter(query);
    const { head, dropped } = this.#trail.kept;
    const from = Math.max(query.after ?? 0, dropped.sequence);
    const isForward = query.after !== undefined;
    const found: ChainedRecord[] = [];
    const evidence = new Map<string, string>();
    let through = isForward ? from : head.sequence;
    let [unreadable, evidenceBytes] = [0, 0];
    for await (const item of this.#walk({ from, to: head.sequence, isForward })) {
      if (found.length >= query.limit || evidenceBytes > EVIDENCE_BYTES) break;
      if ('first' in item) {
        unreadable += 1;
        continue;
      }
      if (isForward) through = item.record.sequence;
      if (!matches(item.record)) continue;
      found.push(item);
      if (query.evidence === true) evidenceBytes += await this.#collect(item.record, evidence);
    }
    if (!isForward) found.reverse();
    return {
      records: found.map(({ record, hash }) => ({ ...record, hash: base64url(hash) })),
      through,
      dropped: headText(dropped),
      head: headText(head),
      unreadable,
      evidence: Object.fromEntries(evidence),
    };
  }

  /** @throws {LatchkeyError} `audit_head_invalid` */
  async verify(pin?: string): Promise<AuditVerification> {
    const noted = pin === undefined ? undefined : headFromText(pin);
    await this.#trail.written();
    for (let walk = 1; ; walk += 1) {
      const { dropped, head } = this.#trail.kept;
      const check = new ChainCheck(dropped, noted);
      for await (const item of this.#walk({ from: dropped.sequence, to: head.sequence, isForward: true })) {
        if ('first' in item) check.unreadable(item.first);
        else {
          check.next(item);
          await this.#checkEvidence(item.record, check);
        }
      }
      check.finish(head);
      const isStill = this.#trail.kept.dropped.sequence === dropped.sequence;
      if (check.faults.length > 0 && !isStill && walk < WALKS) continue;
      return { records: check.records, dropped: headText(dropped), head: headText(head), faults: check.faults };
    }
  }

  /** Records past `from` up to `to`, either way. */
  async *#walk(range: {
    readonly from: number;
    readonly to: number;
    readonly isForward: boolean;
  }): AsyncGenerator<ChainedRecord | Unreadable> {
    const { from, isForward, to } = range;
    const [first, last] = [segmentOf(from + 1), segmentOf(to)];
    for (let step = 0; step <= last - first; step += 1) {
      const pages = await this.#store.list(segmentPages(isForward ? first + step : last - step));
      const items = pages.flatMap(([key, page]) => readPage(key, page));
      for (const item of isForward ? items : items.reverse()) {
        const sequence = 'first' in item ? item.first : item.record.sequence;
        if (sequence > from && sequence <= to) yield item;
      }
    }
  }

  #filter({ device, since, subject }: AuditQuery): (record: AuditRecord) => boolean {
    const hashed = subject === undefined ? undefined : this.#trail.subjects.of(subject.issuer, subject.subject);
    return (record) =>
      (device === undefined || record.device === device) &&
      (since === undefined || record.at >= since) &&
      (hashed === undefined || record.subject === hashed);
  }

  async #checkEvidence({ evidence, sequence }: AuditRecord, check: ChainCheck): Promise<void> {
    if (evidence === undefined) return;
    const answer = await this.#store.read(evidenceKey(segmentOf(sequence), evidence));
    if (answer !== undefined) check.evidence(evidence, answer);
  }

  /** Answers with the bytes that this brought. */
  async #collect({ evidence, sequence }: AuditRecord, into: Map<string, string>): Promise<number> {
    if (evidence === undefined || into.has(evidence)) return 0;
    const bytes = await this.#store.read(evidenceKey(segmentOf(sequence), evidence));
    if (bytes === undefined) return 0;
    into.set(evidence, fromUtf8(bytes));
    return bytes.length;
  }
}

function readPage(key: string, page: Uint8Array): readonly (ChainedRecord | Unreadable)[] {
  try {
    return decodePage(page);
  } catch (error) {
    if (!isCoded(error, 'store_corrupt')) throw error;
    return [{ first: firstOfKey(key) }];
  }
}
