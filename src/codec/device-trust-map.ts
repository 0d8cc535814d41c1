/**
 * What a device trusts, as it gets it from the hub when it is paired and in trust bundles later: one deterministic CBOR map
 * (docs/protocol.md, "Provisioning"). Keys in it are public. The one secret is the root key, which only provisioning brings
 * and which every other key of the device is derived from (codec/device-keys.ts).
 */
import { equal } from '../core/bytes.ts';
import {
  type DeviceProfile,
  SCOPE_FORMS,
  type ScopeForm,
  WRAPS,
  type Wrap,
  type WrapAlgorithm,
} from '../core/device-profile.ts';
import { coded, isCoded, LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';
import { Secret } from '../core/secret.ts';
import { type CborMap, type CborValue, decodeCbor, encodeCbor, isCborMap } from './cbor.ts';
import { kindOf } from './cose/algorithm.ts';
import {
  algorithmMember,
  audienceMember,
  booleanMember,
  deviceMember,
  invalid,
  issuersMember,
  keysMember,
  type NamedKeys,
  oneOfMember,
  permissionsMember,
  publicKeyMap,
  wholeMember,
} from './device-trust-members.ts';
import { COSE_ALGORITHM, DEVICE_TRUST } from './iana.ts';

const RECEIPTS = ['mac0', 'none'] as const;
const LABELS: ReadonlySet<unknown> = new Set(Object.values(DEVICE_TRUST));
const ROOT_KEY_BYTES = 32;

export interface DeviceTrust {
  /** Only ever rises: what has a lower one is old. 1 to 2^32 − 1. */
  readonly version: number;
  /** The device's id at its hub. */
  readonly device: string;
  /** The `aud` that it answers to. */
  readonly audience: string;
  /** NumericDate when this was made, whole seconds; undefined where the hub was not sure of the time. */
  readonly time: number | undefined;
  /** The only wrap that it takes tokens in. */
  readonly wrap: Wrap;
  readonly cwtTag: boolean;
  readonly scopeForm: ScopeForm;
  readonly maxTokenBytes: number;
  readonly receipt: DeviceProfile['receipt'];
  /** The hub's public JWKs with kid and alg, which is `authentication`. Empty unless the wrap is one that is signed. */
  readonly hubKeys: readonly JsonObject[];
  /** Authorization servers and their public JWKs, ES256 or EdDSA, each with its alg. */
  readonly issuers: readonly NamedKeys[];
  /** For each scope rows of path and method set, bit (code − 1) for each CoAP method (RFC 9237 §3). */
  readonly permissions: DeviceProfile['permissions'];
  /** Algorithm of the Sign1 or Mac0; undefined for `encrypt0`, which has neither. */
  readonly authentication: WrapAlgorithm | undefined;
  readonly encryption: WrapAlgorithm;
}

export interface ProvisionedTrust {
  readonly trust: DeviceTrust;
  /** 32 bytes. */
  readonly rootKey: Secret<Uint8Array>;
}

/**
 * Trust as a bundle brings it: without a root key.
 * @throws {LatchkeyError} `jwk_invalid`; `device_trust_invalid` where `decodeDeviceTrust` would refuse it
 */
export function encodeDeviceTrust(trust: DeviceTrust): Uint8Array {
  const bytes = encode(trust, undefined);
  decodeDeviceTrust(bytes);
  return bytes;
}

/**
 * What it says but for version and time, to be compared with another one. Not checked: it may be more than a device can hold.
 * @throws {LatchkeyError} `jwk_invalid`
 */
export function deviceTrustContents(trust: DeviceTrust): Uint8Array {
  return encode({ ...trust, version: 1, time: undefined }, undefined);
}

/**
 * Trust as provisioning brings it. Holds the root key: encrypt it, then overwrite it.
 * @throws {LatchkeyError} as `encodeDeviceTrust`
 */
export function encodeProvisionedTrust({ trust, rootKey }: ProvisionedTrust): Uint8Array {
  const bytes = encode(trust, rootKey.expose());
  decodeProvisionedTrust(bytes);
  return bytes;
}

/**
 * Trust without a root key; one that is in it is refused.
 * @throws {LatchkeyError} `device_trust_invalid`
 */
export function decodeDeviceTrust(bytes: Uint8Array): DeviceTrust {
  const map = decode(bytes);
  if (map.has(DEVICE_TRUST.rootKey)) throw invalid('root key', 'comes with provisioning alone');
  const trust = readTrust(map);
  requireOneEncoding(bytes, encode(trust, undefined));
  return trust;
}

/**
 * Trust with its root key, which must be there.
 * @throws {LatchkeyError} `device_trust_invalid`
 */
export function decodeProvisionedTrust(bytes: Uint8Array): ProvisionedTrust {
  const map = decode(bytes);
  const rootKey = map.get(DEVICE_TRUST.rootKey);
  if (!(rootKey instanceof Uint8Array) || rootKey.length !== ROOT_KEY_BYTES)
    throw invalid('root key', `not ${ROOT_KEY_BYTES} bytes`);
  const trust = readTrust(map);
  requireOneEncoding(bytes, encode(trust, rootKey));
  return { trust, rootKey: new Secret(rootKey) };
}

function encode(trust: DeviceTrust, rootKey: Uint8Array | undefined): Uint8Array {
  const { authentication, time } = trust;
  const map = new Map<number, CborValue>([
    [DEVICE_TRUST.version, trust.version],
    [DEVICE_TRUST.device, trust.device],
    [DEVICE_TRUST.audience, trust.audience],
    [DEVICE_TRUST.wrap, trust.wrap],
    [DEVICE_TRUST.cwtTag, trust.cwtTag],
    [DEVICE_TRUST.scopeForm, trust.scopeForm],
    [DEVICE_TRUST.maxTokenBytes, trust.maxTokenBytes],
    [DEVICE_TRUST.receipt, trust.receipt],
    [DEVICE_TRUST.hubKeys, trust.hubKeys.map(publicKeyMap)],
    [DEVICE_TRUST.issuers, trust.issuers.map(({ issuer, keys }) => [issuer, keys.map(publicKeyMap)])],
    [DEVICE_TRUST.permissions, new Map(Object.entries(trust.permissions))],
    [DEVICE_TRUST.encryption, COSE_ALGORITHM[trust.encryption]],
  ]);
  if (time !== undefined) map.set(DEVICE_TRUST.time, time);
  if (authentication !== undefined) map.set(DEVICE_TRUST.authentication, COSE_ALGORITHM[authentication]);
  if (rootKey !== undefined) map.set(DEVICE_TRUST.rootKey, rootKey);
  return encodeCbor(map);
}

function decode(bytes: Uint8Array): CborMap {
  if (bytes.length > LIMITS.deviceTrustBytes) throw invalid('trust', `${bytes.length} bytes`);
  const map = item(bytes);
  if (!isCborMap(map)) throw invalid('trust', 'not a map');
  for (const label of map.keys()) if (!LABELS.has(label)) throw invalid(`label ${label}`, 'unknown');
  return map;
}

/** One code for all that is wrong inside: whoever opened a sealed message tells it from one that did not open. */
function item(bytes: Uint8Array): CborValue {
  try {
    return decodeCbor(bytes);
  } catch (error) {
    throw isCoded(error) ? invalid('trust', error.code) : coded(error);
  }
}

function readTrust(map: CborMap): DeviceTrust {
  const wrap = oneOfMember(map, 'wrap', WRAPS);
  const authentication = wrap === 'encrypt0' ? absent(map, 'authentication') : authenticationOf(map, wrap);
  const encryption = algorithmMember(map, 'encryption');
  if (kindOf(encryption) !== 'encrypt0') throw invalid('encryption', 'does not encrypt');
  return {
    version: wholeMember(map, 'version', { least: 1, most: LIMITS.deviceTrustVersion }),
    device: deviceMember(map),
    audience: audienceMember(map),
    time: map.has(DEVICE_TRUST.time)
      ? wholeMember(map, 'time', { least: 0, most: Number.MAX_SAFE_INTEGER })
      : undefined,
    wrap,
    cwtTag: booleanMember(map, 'cwtTag'),
    scopeForm: oneOfMember(map, 'scopeForm', SCOPE_FORMS),
    maxTokenBytes: wholeMember(map, 'maxTokenBytes', { least: 64, most: LIMITS.coapBodyBytes }),
    receipt: oneOfMember(map, 'receipt', RECEIPTS),
    hubKeys: hubKeysOf(map, wrap, authentication),
    issuers: issuersMember(map),
    permissions: permissionsMember(map),
    authentication,
    encryption,
  };
}

function authenticationOf(map: CborMap, wrap: Wrap): WrapAlgorithm {
  const algorithm = algorithmMember(map, 'authentication');
  if (kindOf(algorithm) !== wrap.split('+')[0]) throw invalid('authentication', `does not go with ${wrap}`);
  return algorithm;
}

/** A device that checks MACs has no use for a public key, and one that checks signatures has no other anchor. */
function hubKeysOf(map: CborMap, wrap: Wrap, authentication: WrapAlgorithm | undefined): readonly JsonObject[] {
  const keys = keysMember(map.get(DEVICE_TRUST.hubKeys), 'hub keys', LIMITS.trustedHubKeys);
  const signed = wrap.startsWith('sign1');
  if (signed !== keys.length > 0) throw invalid('hub keys', signed ? 'none' : `none belong with ${wrap}`);
  for (const { alg, kid } of keys) {
    if (alg !== authentication) throw invalid('hub keys', 'one of another algorithm than the wrap');
    if (kid === undefined) throw invalid('hub keys', 'one without kid');
  }
  return keys;
}

function absent(map: CborMap, name: keyof typeof DEVICE_TRUST): undefined {
  if (map.has(DEVICE_TRUST[name])) throw invalid(name, 'has no place with this wrap');
  return undefined;
}

/** Also refuses what nobody looked at, such as another parameter in a key. */
function requireOneEncoding(given: Uint8Array, made: Uint8Array): void {
  if (!equal(given, made)) throw new LatchkeyError('device_trust_invalid', 'not the one encoding of what it says');
}
