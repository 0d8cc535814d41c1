/** The claims of a CWT (RFC 8392 §3.1, RFC 8747 §3, RFC 9200 §5.10), typed and range-checked in both directions. */
import { LatchkeyError } from '../core/errors.ts';
import {
  type CborKey,
  type CborMap,
  type CborValue,
  decodeCbor,
  EncodedCbor,
  encodeMembers,
  isCborArray,
  isCborMap,
} from './cbor.ts';
import { CONFIRMATION, CWT_CLAIM } from './iana.ts';

export interface CwtClaims {
  readonly issuer?: string | undefined;
  readonly subject?: string | undefined;
  readonly audience?: string | undefined;
  /** Whole NumericDate seconds, as the two below: devices have no floats. */
  readonly expiresAt?: number | undefined;
  readonly notBefore?: number | undefined;
  readonly issuedAt?: number | undefined;
  readonly cwtId?: Uint8Array | undefined;
  readonly confirmation?: CwtConfirmation | undefined;
  readonly scope?: string | Uint8Array | undefined;
  readonly aceProfile?: number | undefined;
  readonly cnonce?: Uint8Array | undefined;
  /** Seconds that the token lives after the device first saw it (RFC 9200 §5.10.3). */
  readonly expiresIn?: number | undefined;
}

export type CwtConfirmation =
  | { readonly method: 'COSE_Key'; readonly key: CborMap }
  /** `message` is the COSE_Encrypt0 array of RFC 8747 §3.3, without a tag. */
  | { readonly method: 'Encrypted_COSE_Key'; readonly message: CborValue }
  | { readonly method: 'kid'; readonly keyId: Uint8Array }
  /** SHA-256 thumbprint of a COSE_Key (RFC 9679 §5.6). */
  | { readonly method: 'ckt'; readonly thumbprint: Uint8Array };

const THUMBPRINT_BYTES = 32;

/** In ascending order, and in that of the values in `encodeClaims`. */
const LABELS: readonly number[] = [
  CWT_CLAIM.iss,
  CWT_CLAIM.sub,
  CWT_CLAIM.aud,
  CWT_CLAIM.exp,
  CWT_CLAIM.nbf,
  CWT_CLAIM.iat,
  CWT_CLAIM.cti,
  CWT_CLAIM.cnf,
  CWT_CLAIM.scope,
  CWT_CLAIM.ace_profile,
  CWT_CLAIM.cnonce,
  CWT_CLAIM.exi,
];

/**
 * The deterministic claims map.
 * @throws {LatchkeyError} `cwt_invalid` for a value that `decodeClaims` would refuse
 */
export function encodeClaims(claims: CwtClaims): Uint8Array {
  const { confirmation } = claims;
  return encodeMembers(LABELS, [
    claims.issuer,
    claims.subject,
    claims.audience,
    wholeNumber(claims.expiresAt, 'exp'),
    wholeNumber(claims.notBefore, 'nbf'),
    wholeNumber(claims.issuedAt, 'iat'),
    claims.cwtId,
    confirmation === undefined ? undefined : encodedConfirmation(confirmation),
    claims.scope,
    wholeNumber(claims.aceProfile, 'ace_profile'),
    claims.cnonce,
    wholeNumber(claims.expiresIn, 'exi'),
  ]);
}

/**
 * Claims out of their map. Claims that are not known are passed over (RFC 8392 §3); those that are must have their type:
 * dates are whole, not negative and exact, `aud` is one audience, `cnf` has one method.
 * @throws {LatchkeyError} `cbor_*`, `cwt_invalid`
 */
export function decodeClaims(bytes: Uint8Array): CwtClaims {
  const map = decodeCbor(bytes);
  if (!isCborMap(map)) throw invalid('claims are no map');
  return readClaims(map);
}

function readClaims(map: CborMap): CwtClaims {
  const confirmation = map.get(CWT_CLAIM.cnf);
  return {
    issuer: text(map, 'iss'),
    subject: text(map, 'sub'),
    audience: text(map, 'aud'),
    expiresAt: whole(map, 'exp'),
    notBefore: whole(map, 'nbf'),
    issuedAt: whole(map, 'iat'),
    cwtId: bytes(map, 'cti'),
    confirmation: confirmation === undefined ? undefined : readConfirmation(confirmation),
    scope: textOrBytes(map, 'scope'),
    aceProfile: whole(map, 'ace_profile'),
    cnonce: bytes(map, 'cnonce'),
    expiresIn: whole(map, 'exi'),
  };
}

/** A client has one key for all of its tokens. */
const confirmedKeys = new WeakMap<CborMap, EncodedCbor>();

function encodedConfirmation(confirmation: CwtConfirmation): CborMap | EncodedCbor {
  if (confirmation.method !== 'COSE_Key') return confirmationMap(confirmation);
  const known = confirmedKeys.get(confirmation.key);
  if (known !== undefined) return known;
  const encoded = new EncodedCbor(confirmationMap(confirmation));
  confirmedKeys.set(confirmation.key, encoded);
  return encoded;
}

function confirmationMap(confirmation: CwtConfirmation): CborMap {
  const map = new Map<CborKey, CborValue>();
  switch (confirmation.method) {
    case 'COSE_Key':
      return map.set(CONFIRMATION.coseKey, confirmation.key);
    case 'Encrypted_COSE_Key':
      return map.set(CONFIRMATION.encryptedCoseKey, confirmation.message);
    case 'kid':
      return map.set(CONFIRMATION.kid, confirmation.keyId);
    case 'ckt':
      if (confirmation.thumbprint.length !== THUMBPRINT_BYTES) throw invalid('ckt is of another size');
      return map.set(CONFIRMATION.ckt, confirmation.thumbprint);
  }
}

/** RFC 8747 §3.1: at most one method; a second one could confirm another key. */
function readConfirmation(value: CborValue): CwtConfirmation {
  if (!isCborMap(value) || value.size !== 1) throw invalid('cnf has no or several methods');
  const [entry] = value;
  const [method, content] = entry ?? [];
  if (method === CONFIRMATION.coseKey && isCborMap(content)) return { method: 'COSE_Key', key: content };
  if (method === CONFIRMATION.encryptedCoseKey && isCborArray(content) && content.length === 3) {
    return { method: 'Encrypted_COSE_Key', message: content };
  }
  if (method === CONFIRMATION.kid && content instanceof Uint8Array) return { method: 'kid', keyId: content };
  if (method === CONFIRMATION.ckt && content instanceof Uint8Array && content.length === THUMBPRINT_BYTES) {
    return { method: 'ckt', thumbprint: content };
  }
  throw invalid('cnf is of an unknown method or another type');
}

type ClaimName = keyof typeof CWT_CLAIM;

function text(map: CborMap, name: ClaimName): string | undefined {
  const value = map.get(CWT_CLAIM[name]);
  if (value !== undefined && typeof value !== 'string') throw invalid(`${name} is no text`);
  return value;
}

function whole(map: CborMap, name: ClaimName): number | undefined {
  return wholeNumber(map.get(CWT_CLAIM[name]), name);
}

function wholeNumber(value: CborValue | undefined, name: ClaimName): number | undefined {
  if (value !== undefined && (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)) {
    throw invalid(`${name} is no whole number from 0 to 2^53 - 1`);
  }
  return value;
}

function bytes(map: CborMap, name: ClaimName): Uint8Array | undefined {
  const value = map.get(CWT_CLAIM[name]);
  if (value !== undefined && !(value instanceof Uint8Array)) throw invalid(`${name} is no byte string`);
  return value;
}

function textOrBytes(map: CborMap, name: ClaimName): string | Uint8Array | undefined {
  const value = map.get(CWT_CLAIM[name]);
  if (value !== undefined && typeof value !== 'string' && !(value instanceof Uint8Array)) {
    throw invalid(`${name} is neither text nor a byte string`);
  }
  return value;
}

function invalid(detail: string): LatchkeyError {
  return new LatchkeyError('cwt_invalid', detail);
}
