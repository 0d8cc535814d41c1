/** One record of the audit: what goes into it, its bytes, and the hash that chains it to the one before. */
import { decodeCbor, EncodedCbor, encodeMembers, isCborMap } from '../codec/cbor.ts';
import { base64url, concat, fromBase64url, sha256, utf8 } from '../core/bytes.ts';
import { certainty, type TimeBounds } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { AuditEntry, AuditHead, AuditRecord } from '../ports/audit.ts';
import type { SubjectHashes } from './subject-hashes.ts';

/** SHA-256. */
export const AUDIT_HASH_BYTES = 32;
/** Of a token: enough that no second one can be found, and it fits a line. */
const DIGEST_BYTES = 16;
/** What a device can be called (docs/errors.md, device_invalid). A peer may name any text in its place, a token even. */
const DEVICE_ID = /^[a-z0-9][a-z0-9._-]{0,62}$/;
/** Stands for such a text. */
const NO_DEVICE = '?';
/** Characters of an issuer identifier, a request id, a delivery id. */
const NAME_LENGTH = 256;

const KINDS: readonly unknown[] = [
  'deliver',
  'deliver-end',
  'relay',
  'answer',
  'pair',
  'unpair',
  'trust',
  'hub-key',
  'state',
  'clock',
  'gap',
] satisfies readonly AuditRecord['kind'][];

/** A record with its bytes and its place in the chain. */
export interface ChainedRecord {
  readonly record: AuditRecord;
  /** Deterministic CBOR of the record: a map of its members under their names. */
  readonly bytes: Uint8Array;
  /** SHA-256 over the hash of the record before, followed by `bytes`. */
  readonly hash: Uint8Array;
}

interface Moment {
  readonly sequence: number;
  readonly time: TimeBounds;
}

/** @param subjects of this hub */
export function recordOf(
  entry: AuditEntry,
  { sequence, time, subjects }: Moment & { readonly subjects: SubjectHashes },
): AuditRecord {
  const { code, count, delivery, evidence, freshness, issuer, proof, subject, token } = entry;
  return {
    sequence,
    ...present(time),
    kind: entry.kind,
    verdict: entry.verdict,
    ...(entry.device === undefined ? {} : { device: DEVICE_ID.test(entry.device) ? entry.device : NO_DEVICE }),
    request: clip(entry.request, NAME_LENGTH),
    ...(token === undefined ? {} : { token: base64url(token.subarray(0, DIGEST_BYTES)) }),
    ...(issuer === undefined ? {} : { issuer: clip(issuer, NAME_LENGTH) }),
    ...(issuer === undefined || subject === undefined ? {} : { subject: subjects.of(issuer, subject) }),
    ...(proof === undefined ? {} : { proof }),
    ...(freshness === undefined ? {} : { source: freshness.source, age: whole(freshness.age), stale: freshness.stale }),
    ...(code === undefined ? {} : { code }),
    ...(count === undefined ? {} : { count }),
    ...(delivery === undefined ? {} : { delivery: clip(delivery, NAME_LENGTH) }),
    ...(evidence === undefined ? {} : { evidence: base64url(evidence.digest) }),
  };
}

/** Stands for entries that could not be kept. */
export function gapRecord(lost: number, { sequence, time }: Moment): AuditRecord {
  return { sequence, ...present(time), kind: 'gap', lost };
}

export function chain(record: AuditRecord, previous: Uint8Array): ChainedRecord {
  const bytes = encodeRecord(record);
  return { record, bytes, hash: chainHash(previous, bytes) };
}

/** Every member there is, so that none is left out of the chain. */
const MEMBERS: Readonly<Record<keyof AuditRecord, true>> = {
  sequence: true,
  at: true,
  clock: true,
  kind: true,
  verdict: true,
  device: true,
  request: true,
  token: true,
  issuer: true,
  subject: true,
  proof: true,
  source: true,
  age: true,
  stale: true,
  code: true,
  count: true,
  delivery: true,
  evidence: true,
  lost: true,
};
/** In the order of their encodings: for ASCII names that is by length, then by character (RFC 8949 §4.2.1). */
const NAMES = (Object.keys(MEMBERS) as (keyof AuditRecord)[]).sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
const LABELS = NAMES.map((name) => new EncodedCbor(name));

/** @throws {LatchkeyError} `cbor_not_encodable` for numbers that are not whole, and text without UTF-8 form */
export function encodeRecord(record: AuditRecord): Uint8Array {
  return encodeMembers(
    LABELS,
    NAMES.map((name) => record[name]),
  );
}

export function chainHash(previous: Uint8Array, bytes: Uint8Array): Uint8Array {
  return sha256(concat(previous, bytes));
}

/** @throws {LatchkeyError} `store_corrupt` for bytes that are no record */
export function decodeRecord(bytes: Uint8Array): AuditRecord {
  let value: unknown;
  try {
    const map = decodeCbor(bytes);
    if (isCborMap(map)) value = Object.fromEntries(map);
  } catch (error) {
    throw new LatchkeyError('store_corrupt', 'audit record', { cause: error });
  }
  if (!isRecord(value)) throw new LatchkeyError('store_corrupt', 'audit record: form');
  return value;
}

/** Whether it has the members that every record has, and none beside those that the chain covers. */
export function isRecord(value: unknown): value is AuditRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { at, kind, sequence } = value as Partial<AuditRecord>;
  return (
    Number.isSafeInteger(sequence) &&
    Number.isSafeInteger(at) &&
    KINDS.includes(kind) &&
    Object.keys(value).every((name) => Object.hasOwn(MEMBERS, name)) &&
    Object.values(value).every(
      (member) => typeof member === 'string' || typeof member === 'boolean' || Number.isSafeInteger(member),
    )
  );
}

/** `<sequence>:<hash in base64url>`: how a head stands in log lines, exports and on command lines. */
export function headText({ sequence, hash }: AuditHead): string {
  return `${sequence}:${base64url(hash)}`;
}

/** @throws {LatchkeyError} `audit_head_invalid` */
export function headFromText(text: string): AuditHead {
  const [, sequence, hash] = /^(\d{1,15}):([A-Za-z0-9_-]{43})$/.exec(text) ?? [];
  if (sequence === undefined || hash === undefined) throw new LatchkeyError('audit_head_invalid');
  try {
    return { sequence: Number(sequence), hash: fromBase64url(hash) };
  } catch (error) {
    throw new LatchkeyError('audit_head_invalid', undefined, { cause: error });
  }
}

/** What a chain starts from: random, so that no two hubs' chains agree. */
export function emptyHead(random: Uint8Array): AuditHead {
  return { sequence: 0, hash: sha256(concat(utf8('latchkey-audit-1'), random)) };
}

function present(time: TimeBounds): Pick<AuditRecord, 'at' | 'clock'> {
  return { at: whole(time.earliest), clock: certainty(time) };
}

function whole(seconds: number): number {
  return Number.isFinite(seconds) ? Math.max(0, Math.floor(seconds)) : 0;
}

/** At most `length` characters that have a UTF-8 form. */
function clip(text: string, length: number): string {
  return text.slice(0, length).replace(/\p{Surrogate}/gu, '\u{fffd}');
}
