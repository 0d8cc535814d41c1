/**
 * The keys of one device, derived from its root key, which is never used itself: one key for each use and algorithm
 * (RFC 9052 §7), so that what is learnt about one says nothing about another.
 */
import { hkdfSync } from 'node:crypto';
import { base64url } from '../core/bytes.ts';
import type { WrapAlgorithm } from '../core/device-profile.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { Secret } from '../core/secret.ts';
import { secretLength } from './cose/algorithm.ts';
import { type CoseKey, importJwk } from './cose/key.ts';

/** `introspect`, `session` and `http-secret` are for connected devices (docs/protocol.md, "Connected devices"). */
export type DeviceKeyUse =
  | 'token-mac'
  | 'token-encryption'
  | 'answer'
  | 'commit'
  | 'time'
  | 'trust-bundle'
  | 'introspect'
  | 'session'
  | 'http-secret';

/** 128 bits: what the setup code of a device holds. */
const MIN_ROOT_BYTES = 16;
/** Three bytes are four characters of base64url: enough to tell a device's few keys apart, little to carry. */
const KEY_ID_BYTES = 3;

/**
 * HKDF-SHA-256 (RFC 5869) without a salt, with the info `latchkey-<use>-1 <algorithm>`; the key's `kid` comes from the info
 * `latchkey-kid-1 <use> <algorithm>`, so both sides know it without being told.
 * @throws {LatchkeyError} `cose_algorithm_refused` for a signature algorithm; `device_invalid` for a root key under 16 bytes
 */
export function deriveDeviceKey(
  root: Secret<Uint8Array>,
  use: DeviceKeyUse,
  algorithm: WrapAlgorithm,
): { readonly jwk: Secret<JsonObject>; readonly key: CoseKey } {
  if (root.expose().length < MIN_ROOT_BYTES) throw new LatchkeyError('device_invalid', 'the root key is too short');
  const jwk: JsonObject = {
    kty: 'oct',
    kid: base64url(expand(root, `latchkey-kid-1 ${use} ${algorithm}`, KEY_ID_BYTES)),
    alg: algorithm,
    k: base64url(expand(root, `latchkey-${use}-1 ${algorithm}`, secretLength(algorithm))),
  };
  return { jwk: new Secret(jwk), key: importJwk(jwk) };
}

function expand(root: Secret<Uint8Array>, info: string, length: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', root.expose(), new Uint8Array(0), info, length));
}
