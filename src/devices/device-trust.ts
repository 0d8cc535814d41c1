/**
 * What a device is given to trust, and the keys that the hub uses towards it: two sides of one derivation. The root key
 * itself stays in the hub's store; the device gets the derived keys, each for one algorithm (RFC 9052 §7).
 */
import type { CoseKey } from '../codec/cose/key.ts';
import { type DeviceKeyUse, deriveDeviceKey } from '../codec/device-keys.ts';
import type { DeviceTrust } from '../codec/device-trust-map.ts';
import { writeTrustFile } from '../codec/trust-file.ts';
import type { WrapAlgorithm } from '../core/device-profile.ts';
import type { JsonObject } from '../core/json.ts';
import type { Secret } from '../core/secret.ts';
import type { Device } from './device.ts';

export interface SigningKey {
  readonly keyId: string;
  readonly key: CoseKey;
  readonly publicJwk: JsonObject;
}

/** The hub's own signing keys by algorithm: what devices with a `sign1` wrap trust. */
export interface HubSigningKeys {
  /** The newest. @throws {LatchkeyError} `profile_invalid` for an algorithm that is not a signature */
  signingKey(algorithm: WrapAlgorithm): SigningKey;
  /** All that are kept, the newest first; none for an algorithm that is not a signature. */
  signingKeys(algorithm: WrapAlgorithm): readonly SigningKey[];
}

/** Receipts and answers are authenticated with this algorithm whatever the wrap: 8 bytes of MAC suit every link. */
const ANSWER_ALGORITHM: WrapAlgorithm = 'HMAC 256/64';
/** Of the hub's word for the time, which comes rarely and is as short. */
const TIME_ALGORITHM: WrapAlgorithm = 'HMAC 256/64';
/** What a device trusts is decided by this MAC, for years: it is not cut short. */
const BUNDLE_ALGORITHM: WrapAlgorithm = 'HMAC 256/256';

interface Derived {
  readonly jwk: Secret<JsonObject>;
  readonly key: CoseKey;
}

/** Derivations are cached with the root key: HKDF and a key import cost more than the MAC they serve. */
const cache = new WeakMap<Secret<Uint8Array>, Map<string, Derived>>();

/** The device's key for one use, derived once. */
export function derivedKey(device: Device, use: DeviceKeyUse, algorithm: WrapAlgorithm): Derived {
  const known = cache.get(device.rootKey) ?? new Map<string, Derived>();
  cache.set(device.rootKey, known);
  const name = `${use} ${algorithm}`;
  const found = known.get(name) ?? deriveDeviceKey(device.rootKey, use, algorithm);
  known.set(name, found);
  return found;
}

/** The key under which the device authenticates receipts and answers. */
export function answerKey(device: Device): CoseKey {
  return derivedKey(device, 'answer', ANSWER_ALGORITHM).key;
}

/** The key under which the hub tells the device the time. */
export function timeKey(device: Device): CoseKey {
  return derivedKey(device, 'time', TIME_ALGORITHM).key;
}

/** The key that trust bundles are MACed with for a device that does not check signatures. */
export function bundleMacKey(device: Device): CoseKey {
  return derivedKey(device, 'trust-bundle', BUNDLE_ALGORITHM).key;
}

/** The keys that a token for this device is wrapped with; `encryption` also seals a `cnf` key (RFC 8747 §3.3). */
export function wrapKeys(
  device: Device,
  hub: HubSigningKeys,
): { readonly authentication?: CoseKey; readonly encryption: CoseKey } {
  const { wrap, authentication, encryption } = device.profile;
  return {
    encryption: derivedKey(device, 'token-encryption', encryption).key,
    ...(wrap === 'encrypt0'
      ? {}
      : {
          authentication: wrap.startsWith('sign1')
            ? hub.signingKey(authentication).key
            : derivedKey(device, 'token-mac', authentication).key,
        }),
  };
}

/**
 * The trust file of a device. Holds its secret keys: write it with mode 0600, hand it to the device, delete it.
 * @param issuers authorization servers that it takes tokens of, with their public JWKs as far as they are known
 */
export function trustFileOf(device: Device, hub: HubSigningKeys, issuers: DeviceTrust['issuers']): string {
  const { profile } = device;
  const authenticationJwk = profile.wrap.startsWith('sign1')
    ? hub.signingKey(profile.authentication).publicJwk
    : derivedKey(device, 'token-mac', profile.authentication).jwk.expose();
  return writeTrustFile({
    version: device.trustVersion,
    device: device.id,
    audience: device.audience,
    wrap: profile.wrap,
    cwtTag: profile.cwtTag,
    scopeForm: profile.scopeForm,
    maxTokenBytes: profile.maxTokenBytes,
    keys: [
      ...(profile.wrap === 'encrypt0' ? [] : [authenticationJwk]),
      derivedKey(device, 'token-encryption', profile.encryption).jwk.expose(),
    ],
    confirmationKeys: [],
    answerKey: derivedKey(device, 'answer', ANSWER_ALGORITHM).jwk.expose(),
    timeKey: derivedKey(device, 'time', TIME_ALGORITHM).jwk.expose(),
    ...(profile.wrap.startsWith('sign1')
      ? {}
      : { bundleKey: derivedKey(device, 'trust-bundle', BUNDLE_ALGORITHM).jwk.expose() }),
    receipt: profile.receipt,
    issuers,
    permissions: permissionsOf(profile),
  });
}

/**
 * The same without its secrets, as it travels when the device is paired and in trust bundles.
 * @param options.issuers authorization servers that the device takes tokens of, with their public JWKs
 * @param options.time NumericDate, whole seconds; undefined while the hub is not sure of it
 */
export function trustOf(
  device: Device,
  hub: HubSigningKeys,
  { issuers, time }: Pick<DeviceTrust, 'issuers' | 'time'>,
): DeviceTrust {
  const { authentication, cwtTag, encryption, maxTokenBytes, receipt, scopeForm, wrap } = device.profile;
  return {
    version: device.trustVersion,
    device: device.id,
    audience: device.audience,
    time,
    wrap,
    cwtTag,
    scopeForm,
    maxTokenBytes,
    receipt,
    hubKeys: wrap.startsWith('sign1') ? hub.signingKeys(authentication).slice(0, 1).map(publicJwkOf) : [],
    issuers,
    permissions: permissionsOf(device.profile),
    authentication: wrap === 'encrypt0' ? undefined : authentication,
    encryption,
  };
}

function publicJwkOf({ publicJwk }: SigningKey): JsonObject {
  return publicJwk;
}

/** A scope without permissions is one that the device knows and that permits nothing. */
function permissionsOf({ permissions, scopes }: Device['profile']): DeviceTrust['permissions'] {
  return { ...Object.fromEntries(scopes.map((scope) => [scope, []])), ...permissions };
}
