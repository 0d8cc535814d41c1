/** Where the chain begins and ends, and what it takes up: the one entry beside the pages, written with each of them. */
import { fromUtf8, utf8 } from '../core/bytes.ts';
import { isCoded } from '../core/errors.ts';
import { isJsonObject, type JsonValue } from '../core/json.ts';
import type { AuditHead } from '../ports/audit.ts';
import type { Store, StoreChange } from '../ports/store.ts';
import { ALL_PAGES, decodePage, firstOfKey } from './audit-page.ts';
import { AUDIT_HASH_BYTES, type ChainedRecord, headFromText, headText } from './audit-record.ts';

const HEAD = 'audit/head';

export interface RingState {
  readonly head: AuditHead;
  /** What the oldest record that is kept follows on. */
  readonly dropped: AuditHead;
  readonly bytes: number;
  readonly evidenceBytes: number;
  /** No older segment has evidence. */
  readonly evidenceFrom: number;
}

/** Undefined for none, and for one that cannot be read. */
export async function readState(store: Store): Promise<RingState | undefined> {
  return decodeState(await store.read(HEAD));
}

export function writeState(state: RingState): StoreChange {
  return { put: HEAD, value: encodeState(state) };
}

/** Undefined for a page that cannot be read: the reader sees the gap that it leaves. */
export function readPage(page: Uint8Array): readonly ChainedRecord[] | undefined {
  try {
    return decodePage(page);
  } catch (error) {
    if (isCoded(error, 'store_corrupt')) return undefined;
    throw error;
  }
}

/** From the pages alone, where the entry beside them is gone or damaged; undefined where there are no pages either. */
export async function stateOfPages(store: Store): Promise<RingState | undefined> {
  const pages = await store.list(ALL_PAGES);
  const readable = pages.flatMap(([, page]) => readPage(page) ?? []);
  const [first, last] = [readable[0], readable.at(-1)];
  const newest = pages.at(-1);
  if (newest === undefined) return undefined;
  // What the first record follows on is not known any more, and that shows when the chain is verified.
  const unknown = new Uint8Array(AUDIT_HASH_BYTES);
  const end = Math.max(last?.record.sequence ?? 0, Number.isNaN(firstOfKey(newest[0])) ? 0 : firstOfKey(newest[0]));
  return {
    head: { sequence: end, hash: last?.hash ?? unknown },
    dropped: { sequence: first === undefined ? end : first.record.sequence - 1, hash: unknown },
    bytes: pages.reduce((sum, [key, page]) => sum + key.length + page.length, 0),
    evidenceBytes: 0,
    evidenceFrom: 0,
  };
}

function encodeState({ bytes, dropped, evidenceBytes, evidenceFrom, head }: RingState): Uint8Array {
  return utf8(
    JSON.stringify({
      head: headText(head),
      dropped: headText(dropped),
      bytes,
      evidence_bytes: evidenceBytes,
      evidence_from: evidenceFrom,
    }),
  );
}

function decodeState(value: Uint8Array | undefined): RingState | undefined {
  if (value === undefined) return undefined;
  try {
    const json: unknown = JSON.parse(fromUtf8(value));
    if (!isJsonObject(json)) return undefined;
    const { head, dropped } = json;
    if (typeof head !== 'string' || typeof dropped !== 'string') return undefined;
    return {
      head: headFromText(head),
      dropped: headFromText(dropped),
      bytes: count(json.bytes),
      evidenceBytes: count(json.evidence_bytes),
      evidenceFrom: count(json.evidence_from),
    };
  } catch (error) {
    if (error instanceof SyntaxError || isCoded(error)) return undefined;
    throw error;
  }
}

function count(value: JsonValue | undefined): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}
