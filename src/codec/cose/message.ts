/**
 * What COSE_Sign1, COSE_Mac0 and COSE_Encrypt0 share (RFC 9052 §2 to §5): the tagged array, the two header maps and the
 * rules over them, and the structure that gets signed, MACed or authenticated.
 */
import { allocate, EMPTY, utf8 } from '../../core/bytes.ts';
import type { WrapAlgorithm } from '../../core/device-profile.ts';
import { LatchkeyError } from '../../core/errors.ts';
import { type CborMap, type CborValue, decodeCbor, encodeCbor, isCborArray, isCborMap, isCborTag } from '../cbor.ts';
import { byteStringLength, putByteString } from '../cbor-head.ts';
import * as MAJOR from '../cbor-major.ts';
import { CBOR_TAG, COSE_ALGORITHM, COSE_HEADER } from '../iana.ts';
import { algorithmOf, type CoseKind } from './algorithm.ts';
import type { CoseKey } from './key.ts';

/** A verified message. */
export interface OpenedCose {
  readonly payload: Uint8Array;
  readonly protectedHeader: CborMap;
  /** Anybody on the way can have written these. */
  readonly unprotectedHeader: CborMap;
}

/** A message as it stands, nothing verified. */
export interface CoseHeaders {
  readonly kind: CoseKind;
  readonly protectedHeader: CborMap;
  readonly unprotectedHeader: CborMap;
}

export interface CoseMessage extends CoseHeaders {
  /** The protected header as it came: the bytes that were signed. */
  readonly protectedBytes: Uint8Array;
  /** Payload, or for Encrypt0 the ciphertext with its tag. */
  readonly content: Uint8Array;
  /** Signature or MAC; empty for Encrypt0. */
  readonly proof: Uint8Array;
}

/** One key, or a way from the message's `kid` to a key. */
export type KeySource = CoseKey | ((keyId: Uint8Array | undefined) => CoseKey | undefined);

export interface OpenOptions {
  readonly key: KeySource;
  readonly externalAad?: Uint8Array;
}

export interface MakeOptions {
  readonly key: CoseKey;
  readonly externalAad?: Uint8Array;
  /** More protected headers; `alg` is written without being asked. */
  readonly protectedHeader?: CborMap;
  /** More unprotected headers; `kid` is the key's unless it is given here. */
  readonly unprotectedHeader?: CborMap;
  /** Whether the CBOR tag of the kind goes in front (the default). */
  readonly tagged?: boolean;
}

/** Major types in their place in an initial byte. */
const TEXT_MAJOR = MAJOR.TEXT << 5;
const ARRAY_MAJOR = MAJOR.ARRAY << 5;
const TAG_MAJOR = MAJOR.TAG << 5;

const TAG: Readonly<Record<CoseKind, number>> = {
  sign1: CBOR_TAG.sign1,
  mac0: CBOR_TAG.mac0,
  encrypt0: CBOR_TAG.encrypt0,
};
const KIND_BY_TAG: ReadonlyMap<number, CoseKind> = new Map(
  (Object.keys(TAG) as CoseKind[]).map((kind) => [TAG[kind], kind]),
);
/** Array head and context string of each structure; the two lengths below 24 each fit their head. */
const STRUCTURE_PREFIX: Readonly<Record<CoseKind, Uint8Array>> = {
  sign1: structurePrefix(4, 'Signature1'),
  mac0: structurePrefix(4, 'MAC0'),
  encrypt0: structurePrefix(3, 'Encrypt0'),
};
/** Headers that are understood here, so that `crit` may name them (RFC 9052 §3.1). */
const UNDERSTOOD: ReadonlySet<CborValue> = new Set<CborValue>([
  COSE_HEADER.alg,
  COSE_HEADER.crit,
  COSE_HEADER.contentType,
  COSE_HEADER.kid,
  COSE_HEADER.iv,
]);
const NO_HEADERS: CborMap = new Map();
/** The unprotected header with nothing but the `kid`, by key: most messages have this one. */
const keyIdOnly = new WeakMap<CoseKey, Uint8Array>();
const ALGORITHM_ONLY = new Map<WrapAlgorithm, Uint8Array>(
  (Object.keys(COSE_ALGORITHM) as WrapAlgorithm[]).map((algorithm) => [
    algorithm,
    encodeCbor(new Map([[COSE_HEADER.alg, COSE_ALGORITHM[algorithm]]])),
  ]),
);

/**
 * Takes a message apart and holds it against RFC 9052; nothing is verified. Without `kind` the tag must be there and
 * says it; with `kind` a tag may be missing, but not be another one.
 * @throws {LatchkeyError} `cbor_*`, `cose_invalid`, `cose_critical_unknown`
 */
export function parseMessage(bytes: Uint8Array, kind?: CoseKind): CoseMessage {
  let value = decodeCbor(bytes);
  let actual = kind;
  if (isCborTag(value)) {
    actual = KIND_BY_TAG.get(value.tag);
    if (actual === undefined || (kind !== undefined && actual !== kind)) throw invalid(`tag ${value.tag}`);
    value = value.value;
  }
  if (actual === undefined) throw invalid('no tag');
  if (!isCborArray(value) || value.length !== (actual === 'encrypt0' ? 3 : 4))
    throw invalid('not an array of its size');
  const [protectedBytes, unprotectedHeader, content, proof] = value;
  if (!(protectedBytes instanceof Uint8Array)) throw invalid('protected header is no byte string');
  if (!isCborMap(unprotectedHeader)) throw invalid('unprotected header is no map');
  // A payload that travels elsewhere (nil) has no use in a token or a signed request.
  if (!(content instanceof Uint8Array)) throw invalid('content is no byte string');
  if (actual !== 'encrypt0' && !(proof instanceof Uint8Array)) throw invalid('signature or tag is no byte string');
  const protectedHeader = decodeProtected(protectedBytes);
  checkHeaders(protectedHeader, unprotectedHeader);
  return {
    kind: actual,
    protectedHeader,
    unprotectedHeader,
    protectedBytes,
    content,
    proof: proof instanceof Uint8Array ? proof : EMPTY,
  };
}

/**
 * Kind and headers of a tagged message, without verifying anything.
 * @throws {LatchkeyError} `cbor_*`, `cose_invalid`, `cose_critical_unknown`
 */
export function readCose(bytes: Uint8Array): CoseHeaders {
  const { kind, protectedHeader, unprotectedHeader } = parseMessage(bytes);
  return { kind, protectedHeader, unprotectedHeader };
}

/** The `kid` of a message, wherever it stands. */
export function keyIdOf({ protectedHeader, unprotectedHeader }: CoseHeaders): Uint8Array | undefined {
  const keyId = protectedHeader.get(COSE_HEADER.kid) ?? unprotectedHeader.get(COSE_HEADER.kid);
  return keyId instanceof Uint8Array ? keyId : undefined;
}

/**
 * The key for a message, of the very algorithm that the protected header names (RFC 9052 §3.1 wants `alg` authenticated
 * where that can be done, so one in the unprotected header does not count).
 * @throws {LatchkeyError} `cose_key_unknown`, `cose_algorithm_refused`
 */
export function keyFor(message: CoseMessage, source: KeySource): CoseKey {
  const key = typeof source === 'function' ? source(keyIdOf(message)) : source;
  if (key === undefined) throw new LatchkeyError('cose_key_unknown');
  if (algorithmOf(message.protectedHeader.get(COSE_HEADER.alg)) !== key.algorithm) {
    throw new LatchkeyError('cose_algorithm_refused');
  }
  return key;
}

/** The protected header of a message that is made: `alg`, and what the caller adds. */
export function protectedBytesFor(algorithm: WrapAlgorithm, added: CborMap | undefined): Uint8Array {
  const bare = ALGORITHM_ONLY.get(algorithm);
  if (bare !== undefined && (added === undefined || added.size === 0)) return bare;
  return encodeCbor(new Map([...(added ?? NO_HEADERS), [COSE_HEADER.alg, COSE_ALGORITHM[algorithm]]]));
}

/** The unprotected header of a message that is made: the caller's, the nonce, and the key's `kid`. */
export function unprotectedBytesFor(key: CoseKey, nonce?: Uint8Array, added?: CborMap): Uint8Array {
  const bare = nonce === undefined && (added === undefined || added.size === 0);
  const known = bare ? keyIdOnly.get(key) : undefined;
  if (known !== undefined) return known;
  const header = new Map<number | string, CborValue>();
  if (key.keyId !== undefined) header.set(COSE_HEADER.kid, key.keyId);
  if (nonce !== undefined) header.set(COSE_HEADER.iv, nonce);
  for (const [label, value] of added ?? NO_HEADERS) header.set(label, value);
  const bytes = encodeCbor(header);
  if (bare) keyIdOnly.set(key, bytes);
  return bytes;
}

/**
 * Sig_structure, MAC_structure or, without a payload, Enc_structure (RFC 9052 §4.4, §6.3, §5.3), put together in place:
 * the hot path of every token.
 */
export function toBeProtected(
  kind: CoseKind,
  protectedBytes: Uint8Array,
  externalAad: Uint8Array = EMPTY,
  payload?: Uint8Array,
): Uint8Array {
  const prefix = STRUCTURE_PREFIX[kind];
  const length =
    prefix.length +
    byteStringLength(protectedBytes) +
    byteStringLength(externalAad) +
    (payload === undefined ? 0 : byteStringLength(payload));
  const out = allocate(length);
  out.set(prefix);
  const offset = putByteString(out, putByteString(out, prefix.length, protectedBytes), externalAad);
  if (payload !== undefined) putByteString(out, offset, payload);
  return out;
}

/** The encoded message: tag, array, and its parts. Encrypt0 has no proof. */
export function assemble(
  kind: CoseKind,
  parts: readonly [protectedBytes: Uint8Array, unprotectedBytes: Uint8Array, content: Uint8Array, proof?: Uint8Array],
  tagged = true,
): Uint8Array {
  const [protectedBytes, unprotectedBytes, content, proof] = parts;
  const start = tagged ? 2 : 1;
  const length =
    start +
    byteStringLength(protectedBytes) +
    unprotectedBytes.length +
    byteStringLength(content) +
    (proof === undefined ? 0 : byteStringLength(proof));
  const out = allocate(length);
  // The three tags are below 24, so each is one byte; so is the head of the array.
  if (tagged) out[0] = TAG_MAJOR | TAG[kind];
  out[start - 1] = ARRAY_MAJOR | (proof === undefined ? 3 : 4);
  let offset = putByteString(out, start, protectedBytes);
  out.set(unprotectedBytes, offset);
  offset = putByteString(out, offset + unprotectedBytes.length, content);
  if (proof !== undefined) putByteString(out, offset, proof);
  return out;
}

function structurePrefix(items: number, context: string): Uint8Array {
  return Uint8Array.of(ARRAY_MAJOR | items, TEXT_MAJOR | context.length, ...utf8(context));
}

function decodeProtected(bytes: Uint8Array): CborMap {
  if (bytes.length === 0) return NO_HEADERS;
  const value = decodeCbor(bytes);
  if (!isCborMap(value)) throw invalid('protected header is no map');
  return value;
}

function checkHeaders(protectedHeader: CborMap, unprotectedHeader: CborMap): void {
  for (const label of unprotectedHeader.keys()) {
    if (protectedHeader.has(label)) throw invalid(`header ${label} in both maps`);
  }
  for (const map of [protectedHeader, unprotectedHeader]) {
    checkType(map.get(COSE_HEADER.kid), (value) => value instanceof Uint8Array, 'kid');
    checkType(map.get(COSE_HEADER.iv), (value) => value instanceof Uint8Array, 'IV');
    checkType(map.get(COSE_HEADER.contentType), isContentType, 'content type');
    // A Partial IV needs a context that no token has.
    if (map.has(COSE_HEADER.partialIv)) throw invalid('Partial IV');
  }
  if (unprotectedHeader.has(COSE_HEADER.crit)) throw invalid('crit is not protected');
  checkCritical(protectedHeader);
}

/** RFC 9052 §3.1: not empty, labels that are in the protected header, and all of them understood. */
function checkCritical(protectedHeader: CborMap): void {
  const critical = protectedHeader.get(COSE_HEADER.crit);
  if (critical === undefined) return;
  if (!isCborArray(critical) || critical.length === 0) throw invalid('crit is no array with labels');
  for (const label of critical) {
    if (typeof label !== 'number' && typeof label !== 'string') throw invalid('crit has something that is no label');
    if (!UNDERSTOOD.has(label)) throw new LatchkeyError('cose_critical_unknown', `header ${label}`);
    if (!protectedHeader.has(label)) throw invalid(`crit names header ${label}, which is not protected`);
  }
}

function isContentType(value: CborValue): boolean {
  return typeof value === 'string' || (typeof value === 'number' && value >= 0);
}

function checkType(value: CborValue | undefined, matches: (value: CborValue) => boolean, name: string): void {
  if (value !== undefined && !matches(value)) throw invalid(`${name} of another type`);
}

function invalid(detail: string): LatchkeyError {
  return new LatchkeyError('cose_invalid', detail);
}
