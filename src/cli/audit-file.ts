/**
 * The export of an audit: JSON lines. The first names the format and what the first record follows on, then come records,
 * each with its hash, and signed answers behind the record that names them; the last one is the head.
 */
import { fromBase64url, fromUtf8 } from '../core/bytes.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';
import { ChainCheck } from '../observe/audit-chain.ts';
import { encodeRecord, headFromText, headText, isRecord } from '../observe/audit-record.ts';
import type { Admin, AuditVerification } from '../ports/admin.ts';

const FORMAT = 'latchkey-audit-1';
const LINE_END = 10;

/**
 * The lines, oldest record first.
 * @throws {LatchkeyError} `audit_changed` where the hub dropped records before they were read
 */
export async function* exportLines(
  admin: Pick<Admin, 'audit'>,
  { evidence }: { readonly evidence: boolean },
): AsyncGenerator<JsonObject> {
  let head: string | undefined;
  for (let after = 0; ; ) {
    const page = await admin.audit({ after, limit: LIMITS.auditAnswerRecords, evidence });
    const dropped = Number(page.dropped.slice(0, page.dropped.indexOf(':')));
    if (head === undefined) {
      head = page.dropped;
      yield { format: FORMAT, dropped: head };
    } else if (dropped > after) throw new LatchkeyError('audit_changed');
    const told = new Set<string>();
    for (const record of page.records) {
      yield { ...record };
      head = `${record.sequence}:${record.hash}`;
      const answer = record.evidence === undefined ? undefined : page.evidence[record.evidence];
      if (record.evidence === undefined || answer === undefined || told.has(record.evidence)) continue;
      told.add(record.evidence);
      yield { evidence: record.evidence, answer };
    }
    if (page.through <= after || page.records.length === 0) break;
    after = page.through;
  }
  yield { head };
}

/** @throws {LatchkeyError} `audit_file_invalid`, `audit_head_invalid` */
export function verifyExport(file: Uint8Array, pin?: string): AuditVerification {
  const lines = linesOf(file);
  const first = lines.next().value;
  if (first?.format !== FORMAT || typeof first.dropped !== 'string') throw invalid('line 1');
  const check = new ChainCheck(headFromText(first.dropped), pin === undefined ? undefined : headFromText(pin));
  for (const line of lines) {
    if (typeof line.head === 'string') {
      if (lines.next().done !== true) throw invalid('something stands behind the head');
      check.finish(headFromText(line.head));
      return { records: check.records, dropped: first.dropped, head: headText(check.head), faults: check.faults };
    }
    const { answer, hash, ...record } = line;
    if (typeof answer === 'string' && typeof record.evidence === 'string') check.evidence(record.evidence, answer);
    else if (typeof hash === 'string' && isRecord(record)) check.next(chained(record, hash));
    else throw invalid(`behind record ${check.head.sequence}`);
  }
  throw invalid('the head is missing at its end');
}

function chained(record: Parameters<typeof encodeRecord>[0], hash: string) {
  try {
    return { record, bytes: encodeRecord(record), hash: fromBase64url(hash) };
  } catch (error) {
    if (isCoded(error)) throw invalid(`record ${record.sequence}`);
    throw error;
  }
}

function* linesOf(file: Uint8Array): Generator<JsonObject> {
  for (let start = 0; start < file.length; ) {
    const found = file.indexOf(LINE_END, start);
    const end = found < 0 ? file.length : found;
    if (end - start > LIMITS.auditLineBytes) throw invalid('a line is too long');
    yield parse(file.subarray(start, end));
    start = end + 1;
  }
}

function parse(line: Uint8Array): JsonObject {
  try {
    const value: unknown = JSON.parse(fromUtf8(line));
    if (isJsonObject(value)) return value;
  } catch (error) {
    throw new LatchkeyError('audit_file_invalid', 'a line is not JSON', { cause: error });
  }
  throw invalid('a line is no object');
}

function invalid(detail: string): LatchkeyError {
  return new LatchkeyError('audit_file_invalid', detail);
}
