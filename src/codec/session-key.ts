/**
 * The key that the hub makes for a connected device and its client (docs/protocol.md, "Session keys"), as each of them gets
 * it. A copy says until when it is good and names the token and the client key that it belongs to; device and audience
 * are bound to it by what the copy is encrypted with.
 */
import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { base64url, EMPTY, fromUtf8, utf8 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { type CborValue, decodeCbor, encodeCbor, isCborMap } from './cbor.ts';
import { makeEncrypt0, openEncrypt0 } from './cose/encrypt0.ts';
import type { CoseKey } from './cose/key.ts';
import { COSE_ALGORITHM, COSE_KEY, COSE_KEY_TYPE, SESSION_KEY } from './iana.ts';

/** What messages under the key are protected with (codec/session-message.ts). */
export const SESSION_ALGORITHM = 'AES-CCM-16-64-128';
export const SESSION_SECRET_BYTES = 16;
export const TOKEN_HASH_BYTES = 16;
export const CLIENT_THUMBPRINT_BYTES = 32;
const KEY_ID_BYTES = 6;

export interface SessionKeyFacts {
  /** Names the key in both copies. */
  readonly keyId: string;
  /** NumericDate, whole seconds. */
  readonly expiresAt: number;
  /** The first 16 bytes of SHA-256 over the token. */
  readonly tokenHash: Uint8Array;
  /** Of the key that the client proved: RFC 7638, 32 bytes; for a secret that it shares with the AS, derived from it. */
  readonly clientThumbprint: Uint8Array;
}

/** A session key, ready for use. */
export interface SessionKey extends SessionKeyFacts {
  readonly key: CoseKey;
}

/** Which device a copy is for. */
export interface DeviceContext {
  /** The device's key for use `session` (codec/device-keys.ts). */
  readonly key: CoseKey;
  readonly device: string;
  readonly audience: string;
}

export function sessionKey(secret: Uint8Array, facts: SessionKeyFacts): SessionKey {
  const key = { algorithm: SESSION_ALGORITHM, keyId: utf8(facts.keyId), key: createSecretKey(secret) } as const;
  return { ...facts, key };
}

export function tokenHashOf(tokenDigest: Uint8Array): Uint8Array {
  return new Uint8Array(tokenDigest.subarray(0, TOKEN_HASH_BYTES));
}

/** A name for a key, of so many random bytes that a device with a few keys never meets one twice. */
export function sessionKeyId(bytes: (length: number) => Uint8Array): string {
  return base64url(bytes(KEY_ID_BYTES));
}

/**
 * The device's copy. @param secret 16 bytes; the caller overwrites them
 * @param nonce 13 bytes, never used twice with the device's key
 */
export function sealForDevice(
  secret: Uint8Array,
  facts: SessionKeyFacts,
  { key, device, audience, nonce }: DeviceContext & { readonly nonce: Uint8Array },
): Uint8Array {
  const plaintext = encodeSessionKey(secret, facts);
  const sealed = makeEncrypt0({ plaintext, key, nonce, externalAad: deviceAad(device, audience) });
  plaintext.fill(0);
  return sealed;
}

/**
 * The device's copy, opened by the device.
 * @throws {LatchkeyError} `cbor_*`, `cose_*`, `session_key_invalid`
 */
export function openForDevice(bytes: Uint8Array, { key, device, audience }: DeviceContext): SessionKey {
  const { payload } = openEncrypt0(bytes, { key, externalAad: deviceAad(device, audience) });
  return decodeSessionKey(payload);
}

/** The external_aad of a CBOR client's copy. */
export function clientAad({ tokenHash }: Pick<SessionKeyFacts, 'tokenHash'>, audience: string): Uint8Array {
  return encodeCbor(['latchkey-session-client-1', tokenHash, audience]);
}

/** The plaintext of a COSE copy: a map with the key as a COSE_Key. Overwrite it once it is encrypted. */
export function encodeSessionKey(secret: Uint8Array, facts: SessionKeyFacts): Uint8Array {
  const key = new Map<number, CborValue>([
    [COSE_KEY.kty, COSE_KEY_TYPE.Symmetric],
    [COSE_KEY.kid, utf8(facts.keyId)],
    [COSE_KEY.alg, COSE_ALGORITHM[SESSION_ALGORITHM]],
    [COSE_KEY.k, secret],
  ]);
  return encodeCbor(
    new Map<number, CborValue>([
      [SESSION_KEY.key, key],
      [SESSION_KEY.expiresAt, facts.expiresAt],
      [SESSION_KEY.tokenHash, facts.tokenHash],
      [SESSION_KEY.clientThumbprint, facts.clientThumbprint],
    ]),
  );
}

/** @throws {LatchkeyError} `cbor_*`, `session_key_invalid` */
export function decodeSessionKey(plaintext: Uint8Array): SessionKey {
  const map = decodeCbor(plaintext);
  plaintext.fill(0);
  if (!isCborMap(map)) throw invalid('not a map');
  const key = map.get(SESSION_KEY.key);
  if (!isCborMap(key)) throw invalid('no key');
  if (key.get(COSE_KEY.kty) !== COSE_KEY_TYPE.Symmetric) throw invalid('kty');
  if (key.get(COSE_KEY.alg) !== COSE_ALGORITHM[SESSION_ALGORITHM]) throw invalid('alg');
  const keyId = key.get(COSE_KEY.kid);
  if (!(keyId instanceof Uint8Array)) throw invalid('kid');
  const expiresAt = map.get(SESSION_KEY.expiresAt);
  if (typeof expiresAt !== 'number') throw invalid('exp');
  const facts = {
    keyId: fromUtf8(keyId),
    expiresAt,
    tokenHash: bytes(map.get(SESSION_KEY.tokenHash), TOKEN_HASH_BYTES, 'token hash'),
    clientThumbprint: bytes(map.get(SESSION_KEY.clientThumbprint), CLIENT_THUMBPRINT_BYTES, 'client thumbprint'),
  };
  return sessionKey(bytes(key.get(COSE_KEY.k), SESSION_SECRET_BYTES, 'k'), facts);
}

/**
 * The session key where client and AS share a secret, which the AS gave the hub (RFC 9200 §5.9): hub and client derive it,
 * each for itself, from the secret and the device's nonce of the proof, so that no two proofs lead to one key.
 * HKDF-SHA-256 (RFC 5869), salt: the nonce, info: `["latchkey-session-1", token hash, audience]` as CBOR; 16 bytes are
 * the key, 6 more, in base64url, its name.
 * @param shared the `cnf` key
 */
export function deriveSessionSecret(
  shared: KeyObject,
  options: { readonly nonce: Uint8Array; readonly tokenHash: Uint8Array; readonly audience: string },
): { readonly secret: Uint8Array; readonly keyId: string } {
  const info = encodeCbor(['latchkey-session-1', options.tokenHash, options.audience]);
  const okm = new Uint8Array(hkdfSync('sha256', shared, options.nonce, info, SESSION_SECRET_BYTES + KEY_ID_BYTES));
  return { secret: okm.subarray(0, SESSION_SECRET_BYTES), keyId: base64url(okm.subarray(SESSION_SECRET_BYTES)) };
}

/**
 * A name for a secret that client and AS share, 32 bytes. A hash of it (RFC 7638 §7) would let whoever sees it try guesses
 * at a weak one just as well; HKDF only keeps this from being the thumbprint of the same key elsewhere.
 */
export function secretThumbprint(shared: KeyObject): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', shared, EMPTY, 'latchkey-thumbprint-1', CLIENT_THUMBPRINT_BYTES));
}

function deviceAad(device: string, audience: string): Uint8Array {
  return encodeCbor(['latchkey-session-1', device, audience]);
}

function bytes(value: CborValue | undefined, length: number, name: string): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length !== length) throw invalid(name);
  return value;
}

function invalid(detail: string): LatchkeyError {
  return new LatchkeyError('session_key_invalid', detail);
}
