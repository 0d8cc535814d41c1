/**
 * What LevelDB's MANIFEST says of a database: which tables it has, and from which log on its newest entries are. Read here
 * because LevelDB deletes files that its MANIFEST does not name, so damage has to show before it opens them.
 *
 * Form: doc/log_format.md and db/version_edit.cc of LevelDB 1.20. Records in blocks of 32 KiB, each with a masked CRC-32C,
 * a length (2 bytes, little-endian) and a type; in them numbers as varints.
 */

const BLOCK_BYTES = 32_768;
const HEADER_BYTES = 7;
const LEVELS = 7;

export interface Manifest {
  /** Tables that are in force, by number, with their size in bytes. */
  readonly tables: ReadonlyMap<number, number>;
  /** The oldest log that still counts; undefined where no record says so. */
  readonly log: number | undefined;
  /** Bytes at the end that are no record: an edit that a power cut tore, or damage. */
  readonly isTorn: boolean;
}

/** Undefined where a record in the middle is damaged, or says what LevelDB does not write. */
export function readManifest(file: Uint8Array): Manifest | undefined {
  const { isDamaged, isTorn, records } = recordsOf(file);
  if (isDamaged) return undefined;
  const tables = new Map<number, number>();
  let log: number | undefined;
  let hasNext = false;
  let hasSequence = false;
  for (const record of records) {
    const edit = readEdit(record);
    if (edit === undefined) return undefined;
    for (const number of edit.removed) tables.delete(number);
    for (const [number, size] of edit.added) tables.set(number, size);
    log = edit.log ?? log;
    hasNext ||= edit.hasNext;
    hasSequence ||= edit.hasSequence;
  }
  if (!hasNext || !hasSequence) return undefined;
  return { tables, log, isTorn };
}

interface Records {
  readonly records: readonly Uint8Array[];
  readonly isTorn: boolean;
  /** Something whole stands behind what is not: that was no power cut. */
  readonly isDamaged: boolean;
}

function recordsOf(file: Uint8Array): Records {
  const records: Uint8Array[] = [];
  let parts: Uint8Array[] = [];
  let at = 0;
  while (at < file.length) {
    const left = BLOCK_BYTES - (at % BLOCK_BYTES);
    if (left < HEADER_BYTES) {
      at += left;
      continue;
    }
    const fragment = fragmentAt(file, at);
    if (fragment === undefined) return { records, isTorn: true, isDamaged: hasRecordAfter(file, at) };
    parts.push(fragment.data);
    if (fragment.isLast) {
      records.push(Buffer.concat(parts));
      parts = [];
    }
    at += HEADER_BYTES + fragment.data.length;
  }
  return { records, isTorn: parts.length > 0, isDamaged: false };
}

function fragmentAt(file: Uint8Array, at: number): { readonly data: Uint8Array; readonly isLast: boolean } | undefined {
  if (at + HEADER_BYTES > file.length) return undefined;
  const view = new DataView(file.buffer, file.byteOffset + at);
  const length = view.getUint16(4, true);
  const type = view.getUint8(6);
  if (type < 1 || type > 4 || at + HEADER_BYTES + length > file.length) return undefined;
  const checked = file.subarray(at + 6, at + HEADER_BYTES + length);
  if (masked(crc32c(checked)) !== view.getUint32(0, true)) return undefined;
  return { data: checked.subarray(1), isLast: type === 1 || type === 4 };
}

function hasRecordAfter(file: Uint8Array, from: number): boolean {
  for (let at = from + 1; at + HEADER_BYTES < file.length; at += 1) if (fragmentAt(file, at) !== undefined) return true;
  return false;
}

interface Edit {
  readonly added: [number: number, size: number][];
  readonly removed: number[];
  log: number | undefined;
  hasNext: boolean;
  hasSequence: boolean;
}

function readEdit(record: Uint8Array): Edit | undefined {
  const edit: Edit = { added: [], removed: [], log: undefined, hasNext: false, hasSequence: false };
  const reader = new VarintReader(record);
  while (!reader.isAtEnd) {
    switch (reader.number()) {
      case 1:
        reader.skipText();
        break;
      case 2:
        edit.log = reader.number();
        break;
      case 3:
        reader.number();
        edit.hasNext = true;
        break;
      case 4:
        reader.number();
        edit.hasSequence = true;
        break;
      case 5:
        reader.level();
        reader.skipText();
        break;
      case 6:
        reader.level();
        edit.removed.push(reader.number());
        break;
      case 7: {
        reader.level();
        edit.added.push([reader.number(), reader.number()]);
        reader.skipText();
        reader.skipText();
        break;
      }
      case 9:
        reader.number();
        break;
      default:
        return undefined;
    }
    if (reader.hasFailed) return undefined;
  }
  return edit;
}

class VarintReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  hasFailed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length || this.hasFailed;
  }

  /** Of up to 64 bits; numbers of files and sizes stay far below 2⁵³. */
  number(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) break;
      this.#at += 1;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    this.hasFailed = true;
    return 0;
  }

  level(): void {
    if (this.number() >= LEVELS) this.hasFailed = true;
  }

  skipText(): void {
    const length = this.number();
    this.#at += length;
    if (this.#at > this.#bytes.length) this.hasFailed = true;
  }
}

/** CRC-32C (RFC 3720, appendix B.4), reflected. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = (value & 1) === 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value >>> 0;
});

function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** LevelDB stores CRCs rotated and shifted, since a CRC over bytes that hold CRCs says little (util/crc32c.h). */
function masked(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
