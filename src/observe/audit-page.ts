/** How records lie in the store: those that were written together are one page, and 256 numbers are one segment. */
import { concat } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { AUDIT_HASH_BYTES, type ChainedRecord, decodeRecord } from './audit-record.ts';

/** What is dropped, is dropped by whole segments. */
export const SEGMENT_RECORDS = 256;

const PAGES = 'audit/page/';
const EVIDENCE = 'audit/evidence/';
/** Numbers in keys have this many digits, so that the store's order is theirs. */
const DIGITS = 15;
/** A page is a row of: length of the record (2 bytes, big-endian), the record, its hash. */
const LENGTH_BYTES = 2;

export function segmentOf(sequence: number): number {
  return Math.floor(sequence / SEGMENT_RECORDS);
}

/** Where all pages lie. */
export const ALL_PAGES = PAGES;

export function segmentPages(segment: number): string {
  return `${PAGES}${digits(segment)}/`;
}

export function pageKey(first: number): string {
  return segmentPages(segmentOf(first)) + digits(first);
}

/** Number of the first record of the page that lies under `key`; NaN where the key is none of ours. */
export function firstOfKey(key: string): number {
  return Number.parseInt(key.slice(-DIGITS), 10);
}

export function segmentEvidence(segment: number): string {
  return `${EVIDENCE}${digits(segment)}/`;
}

/** @param digest SHA-256 over the evidence, base64url */
export function evidenceKey(segment: number, digest: string): string {
  return segmentEvidence(segment) + digest;
}

export function encodePage(records: readonly Pick<ChainedRecord, 'bytes' | 'hash'>[]): Uint8Array {
  return concat(
    ...records.flatMap(({ bytes, hash }) => [Uint8Array.of(bytes.length >> 8, bytes.length & 0xff), bytes, hash]),
  );
}

/** @throws {LatchkeyError} `store_corrupt` for anything that `encodePage` does not write */
export function decodePage(page: Uint8Array): readonly ChainedRecord[] {
  const records: ChainedRecord[] = [];
  let position = 0;
  const take = (length: number): Uint8Array => {
    if (position + length > page.length) throw new LatchkeyError('store_corrupt', 'audit page: length');
    position += length;
    return page.subarray(position - length, position);
  };
  while (position < page.length) {
    const [high = 0, low = 0] = take(LENGTH_BYTES);
    const bytes = take((high << 8) | low);
    records.push({ record: decodeRecord(bytes), bytes, hash: take(AUDIT_HASH_BYTES) });
  }
  if (records.length === 0) throw new LatchkeyError('store_corrupt', 'audit page: empty');
  return records;
}

function digits(number: number): string {
  return String(number).padStart(DIGITS, '0');
}
