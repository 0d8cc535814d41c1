/**
 * The gate in front of the CBOR decoder. Everything from outside passes here first, so that the decoder sees only a
 * small, unambiguous part of RFC 8949: what two parsers could read in two ways is refused.
 *
 * One pass, no copies. A declared length is held against the bytes that are left before anything relies on it.
 */
import { isUtf8 } from 'node:buffer';
import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { ARRAY, BYTES, MAP, NEGATIVE, TAG, TEXT, UNSIGNED } from './cbor-major.ts';
import { CBOR_TAG } from './iana.ts';

/** False, true and null: additional information of major type 7 (RFC 8949 §3.3). */
const FIRST_SIMPLE = 20;
const LAST_SIMPLE = 22;

const SHORT_TEXT = 32;

/** A byte order mark (U+FEFF) in UTF-8. */
const MARK = [0xef, 0xbb, 0xbf] as const;

const DEFAULT_TAGS: ReadonlySet<number> = new Set(Object.values(CBOR_TAG));

export interface ScanOptions {
  /** Tags that may occur. The default is 16, 17, 18 and 61. */
  readonly tags?: ReadonlySet<number>;
  /** Takes one or more items in a row (RFC 8742) instead of exactly one. */
  readonly sequence?: boolean;
}

interface Scan {
  readonly bytes: Uint8Array;
  readonly tags: ReadonlySet<number>;
  position: number;
  items: number;
  /** The additional information's value of the head just read; exact up to 2^53, which is all that lengths need. */
  argument: number;
  /** Whether an integer of 64 bits occurs: those decode to BigInt and may need to become numbers. */
  wide: boolean;
  /** Whether a text of more than 32 bytes begins with U+FEFF. */
  marked: boolean;
}

/** What the decoder has to know of an input that passed. */
export interface Scanned {
  /** Whether an integer of more than 32 bits occurs. */
  readonly wide: boolean;
  /** Whether a text of more than 32 bytes begins with U+FEFF. */
  readonly marked: boolean;
}

/**
 * Accepts exactly one item (or a sequence) of: depth up to 16; lengths that fit the input; definite lengths;
 * shortest-form integers and lengths; integer keys of up to 32 bits or text keys, none twice in a map; valid UTF-8; no
 * floats, no undefined; known tags only; no trailing bytes; sizes within `LIMITS`.
 * @throws {LatchkeyError} `cbor_too_large`, `cbor_too_deep`, `cbor_invalid`
 */
export function scanCbor(bytes: Uint8Array, options: ScanOptions = {}): Scanned {
  if (bytes.length > LIMITS.cborBytes) throw new LatchkeyError('cbor_too_large', `${bytes.length} bytes`);
  const tags = options.tags ?? DEFAULT_TAGS;
  const scan: Scan = { bytes, tags, position: 0, items: 0, argument: 0, wide: false, marked: false };
  do {
    scanItem(scan, 0);
  } while (options.sequence === true && scan.position < bytes.length);
  if (scan.position !== bytes.length) throw refused(scan, 'trailing bytes');
  return scan;
}

function scanItem(scan: Scan, depth: number): void {
  scan.items += 1;
  if (scan.items > LIMITS.cborItems) throw new LatchkeyError('cbor_too_large', `more than ${LIMITS.cborItems} items`);
  const major = readHead(scan);
  const argument = scan.argument;
  switch (major) {
    case UNSIGNED:
    case NEGATIVE:
      return;
    case BYTES:
      skip(scan, argument);
      return;
    case TEXT:
      scanText(scan, argument);
      return;
    case ARRAY:
      announce(scan, argument, depth);
      for (let index = 0; index < argument; index++) scanItem(scan, depth + 1);
      return;
    case MAP:
      scanMap(scan, argument, depth);
      return;
    case TAG:
      if (!scan.tags.has(argument)) throw refused(scan, `tag ${argument}`);
      announce(scan, 1, depth);
      scanItem(scan, depth + 1);
      return;
    default:
      if (argument < FIRST_SIMPLE || argument > LAST_SIMPLE) throw refused(scan, 'float or simple value');
  }
}

/** Reads one head (RFC 8949 §3) in its shortest form; the argument goes to `scan.argument`. */
function readHead(scan: Scan): number {
  const { bytes } = scan;
  const start = scan.position;
  const initial = bytes[start];
  if (initial === undefined) throw refused(scan, 'ends early');
  const major = initial >> 5;
  const information = initial & 0x1f;
  if (information < 24) {
    scan.position = start + 1;
    scan.argument = information;
    return major;
  }
  // Major type 7 uses these for floats and for simple values that have no meaning here.
  if (information > 27 || major > TAG)
    throw refused(scan, information === 31 ? 'indefinite length' : 'reserved or float');
  const size = 1 << (information - 24);
  if (start + 1 + size > bytes.length) throw refused(scan, 'ends early');
  let argument = 0;
  for (let index = start + 1; index <= start + size; index++) argument = argument * 256 + (bytes[index] as number);
  const least = size === 1 ? 24 : 2 ** (size * 4);
  if (argument < least) throw refused(scan, 'not the shortest form');
  if (size === 8 && major <= NEGATIVE) scan.wide = true;
  scan.position = start + 1 + size;
  scan.argument = argument;
  return major;
}

function scanMap(scan: Scan, entries: number, depth: number): void {
  if (entries > LIMITS.cborMapEntries) throw new LatchkeyError('cbor_too_large', `a map of ${entries} entries`);
  announce(scan, entries * 2, depth);
  // Keys in the deterministic order need only be held against the one before. The first that is out of order brings a
  // set of all of them, by their encoded bytes: the shortest form is enforced, so equal keys have equal bytes.
  const starts: number[] = [];
  const ends: number[] = [];
  let seen: Set<string> | undefined;
  for (let index = 0; index < entries; index++) {
    const start = scan.position;
    scanKey(scan);
    const end = scan.position;
    if (seen === undefined && index > 0) {
      const order = compareKeys(scan.bytes, starts[index - 1] as number, ends[index - 1] as number, start, end);
      if (order === 0) throw refused(scan, 'key twice');
      if (order > 0) seen = new Set(starts.map((from, at) => keyText(scan.bytes, from, ends[at] as number)));
    }
    if (seen !== undefined) {
      const text = keyText(scan.bytes, start, end);
      if (seen.has(text)) throw refused(scan, 'key twice');
      seen.add(text);
    } else {
      starts.push(start);
      ends.push(end);
    }
    scanItem(scan, depth + 1);
  }
}

function scanKey(scan: Scan): void {
  scan.items += 1;
  const start = scan.position;
  const major = readHead(scan);
  if (major === TEXT) scanText(scan, scan.argument);
  else if (major > NEGATIVE || scan.position - start > 5) throw refused(scan, 'key is no text or integer of 32 bits');
}

function scanText(scan: Scan, length: number): void {
  const start = scan.position;
  skip(scan, length);
  // Names and addresses are short and ASCII: looking costs less than handing them over.
  if (length <= SHORT_TEXT && isAscii(scan.bytes, start, scan.position)) return;
  if (!isUtf8(scan.bytes.subarray(start, scan.position))) throw refused(scan, 'text is not UTF-8');
  if (length > SHORT_TEXT && MARK.every((byte, index) => scan.bytes[start + index] === byte)) scan.marked = true;
}

function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  for (let index = start; index < end; index++) {
    if ((bytes[index] as number) >= 0x80) return false;
  }
  return true;
}

function skip(scan: Scan, length: number): void {
  if (length > scan.bytes.length - scan.position) throw refused(scan, 'length goes past the end');
  scan.position += length;
}

/** Each item below takes a byte at least, so a count that cannot fit is refused before the first is looked at. */
function announce(scan: Scan, items: number, depth: number): void {
  if (depth >= LIMITS.cborDepth) throw new LatchkeyError('cbor_too_deep');
  if (items > scan.bytes.length - scan.position) throw refused(scan, 'count goes past the end');
  if (scan.items + items > LIMITS.cborItems) {
    throw new LatchkeyError('cbor_too_large', `more than ${LIMITS.cborItems} items`);
  }
}

function compareKeys(bytes: Uint8Array, aStart: number, aEnd: number, bStart: number, bEnd: number): number {
  const length = Math.min(aEnd - aStart, bEnd - bStart);
  for (let index = 0; index < length; index++) {
    const difference = (bytes[aStart + index] as number) - (bytes[bStart + index] as number);
    if (difference !== 0) return difference;
  }
  return aEnd - aStart - (bEnd - bStart);
}

function keyText(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}

function refused(scan: Scan, reason: string): LatchkeyError {
  return new LatchkeyError('cbor_invalid', `${reason} at byte ${scan.position}`);
}
