/** CBOR Web Tokens (RFC 8392): claims inside one or two layers of COSE, as a device profile's wrap says. */
import { concat, equal } from '../core/bytes.ts';
import type { Wrap } from '../core/device-profile.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { algorithmOf, type CoseKind, kindOf } from './cose/algorithm.ts';
import { decryptEncrypt0, makeEncrypt0 } from './cose/encrypt0.ts';
import type { CoseKey } from './cose/key.ts';
import { makeMac0, verifyMac0 } from './cose/mac0.ts';
import { type CoseMessage, keyIdOf, type OpenedCose, type OpenOptions, parseMessage } from './cose/message.ts';
import { makeSign1, verifySign1 } from './cose/sign1.ts';
import { type CwtClaims, decodeClaims, encodeClaims } from './cwt-claims.ts';
import { CBOR_TAG, COSE_HEADER } from './iana.ts';

export { type CwtClaims, type CwtConfirmation, decodeClaims, encodeClaims } from './cwt-claims.ts';

export interface CwtKeys {
  /** Signs or MACs: the only layer, or the inner one. */
  readonly authentication?: CoseKey;
  /** Encrypts: the only layer, or the outer one. */
  readonly encryption?: CoseKey;
}

export interface MakeCwtOptions {
  readonly wrap: Wrap;
  readonly keys: CwtKeys;
  /** Whether CBOR tag 61 goes in front (RFC 8392 §6). */
  readonly cwtTag: boolean;
  /** A nonce that was never used with the encryption key: 13 bytes for AES-CCM-16-64-128, 12 for A128GCM. */
  readonly nonce: () => Uint8Array;
}

export interface OpenCwtOptions {
  /** Every key that a layer may be protected with. */
  readonly keys: readonly CoseKey[];
  /** The only wrap that is accepted. Whoever judges a token pins it, or a token with a layer less would do. */
  readonly expected?: Wrap;
}

export interface OpenedCwt {
  readonly claims: CwtClaims;
  readonly wrap: Wrap;
  /** The `kid` of each layer, the outermost first; undefined where it names none. */
  readonly kids: readonly (Uint8Array | undefined)[];
}

/** Tag 61 as encoded: 0xd8 announces a tag of one byte. */
const CWT_TAG = Uint8Array.of(0xd8, CBOR_TAG.cwt);
const OPEN: Readonly<Record<CoseKind, (message: CoseMessage, options: OpenOptions) => OpenedCose>> = {
  sign1: verifySign1,
  mac0: verifyMac0,
  encrypt0: decryptEncrypt0,
};

/** The layers of each wrap from the inside out. */
const LAYERS: Readonly<Record<Wrap, readonly CoseKind[]>> = {
  sign1: ['sign1'],
  mac0: ['mac0'],
  encrypt0: ['encrypt0'],
  'sign1+encrypt0': ['sign1', 'encrypt0'],
  'mac0+encrypt0': ['mac0', 'encrypt0'],
};

/**
 * A CWT over claims; the COSE tags are always there.
 * @throws {LatchkeyError} `profile_invalid` where the keys do not fit the wrap; `cwt_invalid` for claims out of range
 */
export function makeCwt(claims: CwtClaims, options: MakeCwtOptions): Uint8Array {
  let message = encodeClaims(claims);
  for (const kind of LAYERS[options.wrap]) message = protect(message, kind, options);
  return options.cwtTag ? concat(CWT_TAG, message) : message;
}

/**
 * Verifies every layer and reads the claims. Says nothing about their meaning: times, audience and scope are for the
 * caller to judge.
 * @throws {LatchkeyError} `cbor_*`, `cose_*`, `cwt_invalid`
 */
export function openCwt(bytes: Uint8Array, options: OpenCwtOptions): OpenedCwt {
  const tagged = bytes.length >= CWT_TAG.length && equal(bytes.subarray(0, CWT_TAG.length), CWT_TAG);
  const outer = openLayer(tagged ? bytes.subarray(CWT_TAG.length) : bytes, options.keys);
  const opened = [outer];
  if (outer.kind === 'encrypt0' && startsWithCoseTag(outer.payload))
    opened.unshift(openLayer(outer.payload, options.keys));
  const wrap = opened.map(({ kind }) => kind).join('+');
  if (!isWrap(wrap)) throw new LatchkeyError('cwt_invalid', 'layers nested in a way that has no use');
  if (options.expected !== undefined && wrap !== options.expected) {
    throw new LatchkeyError('cwt_invalid', `wrapped as ${wrap} where only ${options.expected} is taken`);
  }
  const [innermost = outer] = opened;
  return { claims: decodeClaims(innermost.payload), wrap, kids: opened.map(({ keyId }) => keyId).reverse() };
}

function isWrap(text: string): text is Wrap {
  return (
    text === 'sign1' || text === 'mac0' || text === 'encrypt0' || text === 'sign1+encrypt0' || text === 'mac0+encrypt0'
  );
}

function protect(payload: Uint8Array, kind: CoseKind, { keys, nonce }: MakeCwtOptions): Uint8Array {
  const key = kind === 'encrypt0' ? keys.encryption : keys.authentication;
  if (key === undefined || kindOf(key.algorithm) !== kind)
    throw new LatchkeyError('profile_invalid', `no key for ${kind}`);
  switch (kind) {
    case 'sign1':
      return makeSign1({ payload, key });
    case 'mac0':
      return makeMac0({ payload, key });
    case 'encrypt0':
      return makeEncrypt0({ plaintext: payload, key, nonce: nonce() });
  }
}

interface OpenedLayer {
  readonly kind: CoseKind;
  readonly payload: Uint8Array;
  readonly keyId: Uint8Array | undefined;
}

function openLayer(bytes: Uint8Array, keys: readonly CoseKey[]): OpenedLayer {
  const message = parseMessage(bytes);
  const { kind } = message;
  const keyId = keyIdOf(message);
  const named = keys.filter((key) => keyId === undefined || key.keyId === undefined || equal(keyId, key.keyId));
  if (named.length === 0) throw new LatchkeyError('cose_key_unknown');
  const algorithm = algorithmOf(message.protectedHeader.get(COSE_HEADER.alg));
  const fitting = named.filter((key) => key.algorithm === algorithm);
  // Without a kid, or with keys that have none, several may fit: as many attempts as keys were provisioned, at most.
  for (const [index, key] of fitting.entries()) {
    try {
      return { kind, payload: OPEN[kind](message, { key }).payload, keyId };
    } catch (error) {
      if (!isCoded(error, 'cose_verification_failed') || index === fitting.length - 1) throw error;
    }
  }
  throw new LatchkeyError('cose_algorithm_refused');
}

/** RFC 8392 §7.2: a tag in front of the content says that another layer is inside. */
function startsWithCoseTag(bytes: Uint8Array): boolean {
  return ((bytes[0] ?? 0) & 0xe0) === 0xc0;
}
