/**
 * CBOR diagnostic notation (RFC 8949 §8) of COSE messages and CWTs, with the names of labels as comments. Keys,
 * signatures and ciphertext are elided (`...` and their size): what is printed ends up in tickets and chats.
 */
import {
  type CborMap,
  type CborTag,
  type CborValue,
  decodeCbor,
  isCborArray,
  isCborMap,
  isCborTag,
} from '../codec/cbor.ts';
import { hex } from '../core/bytes.ts';
import { isCoded } from '../core/errors.ts';
import { printable } from '../core/printable.ts';
import { MESSAGE, type Meaning, partMeaning, TAG_NAMES, UNKNOWN } from './token-meaning.ts';

/** The token in diagnostic notation, indented. */
export function diagnostic(token: CborValue): string {
  return write(token, MESSAGE, '');
}

function write(value: CborValue, meaning: Meaning, indent: string): string {
  if (meaning.elided !== undefined && mayHideSomething(value)) {
    return `...${comment(value instanceof Uint8Array ? `${meaning.elided}, ${value.length} bytes` : meaning.elided)}`;
  }
  const remark = meaning.remark?.(value);
  return `${writeBare(value, meaning, indent)}${remark === undefined ? '' : comment(remark)}`;
}

/** A number or a truth value under an unknown label is shown: it helps, and is no key. */
function mayHideSomething(value: CborValue): boolean {
  return typeof value === 'string' || (typeof value === 'object' && value !== null);
}

function writeBare(value: CborValue, meaning: Meaning, indent: string): string {
  if (typeof value === 'string') return quoted(value);
  if (value instanceof Uint8Array) return writeBytes(value, meaning, indent);
  if (isCborMap(value)) return writeMap(value, meaning, indent);
  if (isCborArray(value)) return writeArray(value, meaning, indent);
  if (typeof value === 'object' && value !== null && isCborTag(value)) return writeTag(value, meaning, indent);
  return String(value);
}

function writeMap(map: CborMap, meaning: Meaning, indent: string): string {
  const inner = `${indent}  `;
  const lines = [...map].map(([label, value]) => {
    const shown = typeof label === 'string' ? quoted(label) : label;
    return `${inner}${name(meaning.names?.get(label))}${shown}: ${write(value, meaning.under?.(label, value) ?? UNKNOWN, inner)}`;
  });
  return lines.length === 0 ? '{}' : `{\n${lines.join(',\n')}\n${indent}}`;
}

function writeArray(items: readonly CborValue[], meaning: Meaning, indent: string): string {
  const inner = `${indent}  `;
  const isMessage = meaning.isMessage === true && (items.length === 3 || items.length === 4);
  const lines = items.map((value, index) => {
    if (!isMessage) return `${inner}${write(value, meaning.under?.(index, value) ?? UNKNOWN, inner)}`;
    const [part, partIs] = partMeaning(index, items.length);
    return `${inner}${name(part)}${write(value, partIs, inner)}`;
  });
  return lines.length === 0 ? '[]' : `[\n${lines.join(',\n')}\n${indent}]`;
}

function writeTag({ tag, value }: CborTag, meaning: Meaning, indent: string): string {
  const known = TAG_NAMES.get(tag);
  return `${name(known)}${tag}(${write(value, known === undefined ? meaning : MESSAGE, indent)})`;
}

/** A byte string; CBOR inside it (headers, claims, a token in a token) is shown as such. */
function writeBytes(bytes: Uint8Array, meaning: Meaning, indent: string): string {
  const inside = meaning.embedded === undefined || bytes.length === 0 ? undefined : decodeOrUndefined(bytes);
  if (inside === undefined) return meaning.embedded === undefined ? `h'${hex(bytes)}'` : unreadable(bytes);
  const isToken = typeof inside === 'object' && inside !== null && isCborTag(inside);
  return `<<${write(inside, isToken ? MESSAGE : (meaning.embedded ?? UNKNOWN), indent)}>>`;
}

/** A payload that is no CBOR may be anything, a key too. */
function unreadable(bytes: Uint8Array): string {
  return bytes.length === 0 ? "h''" : `...${comment(`not CBOR, ${bytes.length} bytes`)}`;
}

function decodeOrUndefined(bytes: Uint8Array): CborValue | undefined {
  try {
    return decodeCbor(bytes);
  } catch (error) {
    if (isCoded(error)) return undefined;
    throw error;
  }
}

function quoted(text: string): string {
  return printable(JSON.stringify(text));
}

function name(known: string | undefined): string {
  return known === undefined ? '' : `/ ${known} / `;
}

/** A slash would end the comment (RFC 8949 §8). */
function comment(text: string): string {
  return ` / ${printable(text).replaceAll('/', '-')} /`;
}
