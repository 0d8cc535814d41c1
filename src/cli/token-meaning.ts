/** What the numbers in a CWT mean, for `latchkey token inspect`, and which values must not be shown. */

import { type CborValue, isCborMap } from '../codec/cbor.ts';
import {
  CBOR_TAG,
  CONFIRMATION,
  COSE_ALGORITHM,
  COSE_CURVE,
  COSE_HEADER,
  COSE_KEY,
  COSE_KEY_TYPE,
  CWT_CLAIM,
} from '../codec/iana.ts';
import { fromUtf8 } from '../core/bytes.ts';
import { isCoded } from '../core/errors.ts';

/** What stands at one place: names of labels, the meaning of what is under them, and what must not be shown. */
export interface Meaning {
  readonly names?: ReadonlyMap<CborValue, string>;
  /** Meaning of a value in this map or array. Without it the meaning is unknown, and what is unknown may be a key. */
  under?(label: CborValue, value: CborValue): Meaning;
  /** Comment behind the value itself. */
  remark?(value: CborValue): string | undefined;
  /** The byte string is CBOR itself, with this meaning. */
  readonly embedded?: Meaning;
  /** What to call the value instead of showing it. */
  readonly elided?: string;
  /** The value is a COSE message: its array has parts with names. */
  readonly isMessage?: boolean;
}

function byNumber(names: Readonly<Record<string, number>>): ReadonlyMap<CborValue, string> {
  return new Map(Object.entries(names).map(([name, number]) => [number, name]));
}

const named = (names: Readonly<Record<string, number>>): Meaning => {
  const known = byNumber(names);
  return { remark: (value) => known.get(value) };
};
const PLAIN: Meaning = { under: () => PLAIN };
export const UNKNOWN: Meaning = { elided: 'not shown: its meaning is not known' };
export const MESSAGE: Meaning = { isMessage: true };
const DATE: Meaning = { remark: (value) => (typeof value === 'number' ? isoDate(value) : undefined) };
const IDENTIFIER: Meaning = { remark: (value) => (value instanceof Uint8Array ? asText(value) : undefined) };
const ALGORITHM = named(COSE_ALGORITHM);

/** Labels −1 and below are key material unless the key type is known to use them otherwise (RFC 9053 §7). */
const PUBLIC_PARAMETERS: readonly CborValue[] = [COSE_KEY.crv, COSE_KEY.x, COSE_KEY.y];

function keyMeaning(key: CborValue): Meaning {
  const type = isCborMap(key) ? key.get(COSE_KEY.kty) : undefined;
  const isPublicType = type === COSE_KEY_TYPE.EC2 || type === COSE_KEY_TYPE.OKP;
  const { k, ...labels } = COSE_KEY;
  const names = byNumber(isPublicType ? labels : { kty: 1, kid: 2, alg: 3, k });
  return {
    names,
    under: (label) => {
      if (label === COSE_KEY.kty) return named(COSE_KEY_TYPE);
      if (label === COSE_KEY.kid) return IDENTIFIER;
      if (label === COSE_KEY.alg) return ALGORITHM;
      if (isPublicType && label === COSE_KEY.crv) return named(COSE_CURVE);
      return isPublicType && PUBLIC_PARAMETERS.includes(label) ? PLAIN : { elided: 'key material' };
    },
  };
}

const CONFIRMATION_METHODS: Meaning = {
  names: byNumber({
    COSE_Key: CONFIRMATION.coseKey,
    Encrypted_COSE_Key: CONFIRMATION.encryptedCoseKey,
    kid: CONFIRMATION.kid,
    osc: CONFIRMATION.osc,
    ckt: CONFIRMATION.ckt,
  }),
  under: (label, value) => {
    if (label === CONFIRMATION.encryptedCoseKey) return MESSAGE;
    if (label === CONFIRMATION.kid) return IDENTIFIER;
    if (label === CONFIRMATION.coseKey) return keyMeaning(value);
    return label === CONFIRMATION.ckt ? PLAIN : { elided: 'key material' };
  },
};

const DATES: readonly CborValue[] = [CWT_CLAIM.exp, CWT_CLAIM.nbf, CWT_CLAIM.iat];
const KNOWN_CLAIMS: ReadonlySet<CborValue> = new Set(Object.values(CWT_CLAIM));

const CLAIMS: Meaning = {
  names: byNumber(CWT_CLAIM),
  under: (label) => {
    if (DATES.includes(label)) return DATE;
    if (label === CWT_CLAIM.cnf) return CONFIRMATION_METHODS;
    if (label === CWT_CLAIM.scope) return IDENTIFIER;
    return KNOWN_CLAIMS.has(label) ? PLAIN : UNKNOWN;
  },
};

const HEADER: Meaning = {
  names: byNumber(COSE_HEADER),
  under: (label) => {
    if (label === COSE_HEADER.alg) return ALGORITHM;
    return label === COSE_HEADER.kid ? IDENTIFIER : PLAIN;
  },
};

export const TAG_NAMES: ReadonlyMap<number, string> = new Map([
  [CBOR_TAG.sign1, 'COSE_Sign1'],
  [CBOR_TAG.mac0, 'COSE_Mac0'],
  [CBOR_TAG.encrypt0, 'COSE_Encrypt0'],
  [CBOR_TAG.cwt, 'CWT'],
]);

const PARTS: readonly (readonly [name: string, meaning: Meaning])[] = [
  ['protected', { embedded: HEADER }],
  ['unprotected', HEADER],
  ['payload', { embedded: CLAIMS }],
  ['signature or tag', { elided: 'signature or tag' }],
];

/** The parts of a COSE message by position; an Encrypt0 has no fourth, and its third is ciphertext. */
export function partMeaning(index: number, length: number): readonly [name: string, meaning: Meaning] {
  if (length === 3 && index === 2) return ['ciphertext', { elided: 'ciphertext' }];
  return PARTS[index] ?? ['?', UNKNOWN];
}

function isoDate(seconds: number): string | undefined {
  const date = new Date(seconds * 1_000);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

/** Bytes that are readable text, such as most key identifiers and scopes. */
function asText(bytes: Uint8Array): string | undefined {
  try {
    const text = fromUtf8(bytes);
    return /^[\x20-\x7e]+$/.test(text) ? text : undefined;
  } catch (error) {
    if (isCoded(error, 'utf8_invalid')) return undefined;
    throw error;
  }
}
