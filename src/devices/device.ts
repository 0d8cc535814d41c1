/** A registered device and its form on disk. */
import { PROVISION_NONCE_BYTES, type ProvisionNonces } from '../codec/provisioning.ts';
import { base64url, fromBase64url, fromUtf8, utf8 } from '../core/bytes.ts';
import { isDeviceId } from '../core/device-id.ts';
import type { DeviceProfile } from '../core/device-profile.ts';
import { LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';
import { RecentMap } from '../core/recent-map.ts';
import { Secret } from '../core/secret.ts';
import { profileFromJson, profileToJson } from './profile.ts';

/** Root keys are 256 bits: HMAC 256 wants no less, and every derived key is cut from it. */
export const ROOT_KEY_BYTES = 32;

const THUMBPRINT_BYTES = 32;

/** How a device is found by radio. Its address is no identity: it may change by the quarter hour, and anybody can use it. */
export interface BleIdentity {
  /** The local name that it advertises. */
  readonly name: string;
}

/** A pairing that the device has not confirmed yet: what the order to take it into use names. */
interface UnfinishedPairing {
  readonly nonces: ProvisionNonces;
  /** Id of the request that began it, as in the log. */
  readonly request: string;
}

export interface Device {
  readonly id: string;
  /** What people call it; nothing else goes by it. */
  readonly name?: string | undefined;
  /** The `aud` value that names this device, in the JWT as in the CWT. */
  readonly audience: string;
  /** Name of the line that it is on. With neither line nor `ble` it is a connected device, which asks the hub itself. */
  readonly line: string | undefined;
  readonly ble?: BleIdentity | undefined;
  readonly profile: DeviceProfile;
  /** The profile of the configuration that it was registered with. It has a copy: later changes there do not reach it. */
  readonly profileName?: string | undefined;
  /** Whether it was paired, and not given a trust file. A record of an earlier version does not say. */
  readonly paired?: boolean | undefined;
  /** Issuers whose tokens are taken for it; undefined for every configured one. */
  readonly issuers: readonly string[] | undefined;
  /** SHA-256 over the DER of the certificate that it shows in TLS, where it has one. 32 bytes. */
  readonly certificate?: Uint8Array | undefined;
  /** Never used itself: every use derives its own key (codec/device-keys.ts). */
  readonly rootKey: Secret<Uint8Array>;
  readonly trustVersion: number;
  /** NumericDate, whole seconds. */
  readonly addedAt: number;
  /** Until the device has said that it uses what it was sent. */
  readonly pairing?: UnfinishedPairing | undefined;
}

const LINE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const MAX_AUDIENCE_BYTES = 255;
const MAX_NAME_LENGTH = 63;
/** What a local name has room for in a scan response of 31 bytes: Bluetooth Core 5.2, volume 3, part C §11. */
const MAX_BLE_NAME_BYTES = 29;
/** Control, format and unassigned characters, and line breaks of any script: what can drive a terminal. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/u;

/** Whether tokens are delivered to it: over a line, or by radio. */
export function takesTokens({ line, ble }: { readonly line?: unknown; readonly ble?: unknown }): boolean {
  return line !== undefined || ble !== undefined;
}

/** @throws {LatchkeyError} `device_invalid` naming what does not fit */
export function checkDeviceNames(device: {
  readonly id: string;
  readonly audience: string;
  readonly name?: string | undefined;
  readonly line?: string | undefined;
  readonly ble?: BleIdentity | undefined;
}): void {
  if (!isDeviceId(device.id))
    throw new LatchkeyError('device_invalid', 'id: 1 to 63 of a-z 0-9 . _ -, not starting with a mark');
  if (device.name !== undefined) checkName(device.name);
  if (device.line !== undefined && !LINE.test(device.line))
    throw new LatchkeyError('device_invalid', 'line: 1 to 63 of letters, digits, . _ -');
  if (device.ble !== undefined) {
    const { name } = device.ble;
    if (device.line !== undefined) throw new LatchkeyError('device_invalid', 'ble: it is on a line already');
    const bytes = utf8(name).length;
    if (bytes === 0 || bytes > MAX_BLE_NAME_BYTES || UNPRINTABLE.test(name))
      throw new LatchkeyError(
        'device_invalid',
        `ble: the name that it advertises has 1 to ${MAX_BLE_NAME_BYTES} bytes`,
      );
  }
  const length = utf8(device.audience).length;
  if (length === 0 || length > MAX_AUDIENCE_BYTES)
    throw new LatchkeyError('device_invalid', 'audience: 1 to 255 bytes');
}

/** @throws {LatchkeyError} `device_invalid` for a name that a terminal or a table does not bear */
export function checkName(name: string): void {
  if (name.trim() !== name || name === '' || name.length > MAX_NAME_LENGTH || UNPRINTABLE.test(name))
    throw new LatchkeyError('device_invalid', `name: 1 to ${MAX_NAME_LENGTH} characters that can be printed`);
}

export function encodeDevice(device: Device): Uint8Array {
  const json: JsonObject = {
    id: device.id,
    audience: device.audience,
    ...(device.name === undefined ? {} : { name: device.name }),
    ...(device.line === undefined ? {} : { line: device.line }),
    ...(device.ble === undefined ? {} : { ble: { name: device.ble.name } }),
    profile: profileToJson(device.profile),
    ...(device.profileName === undefined ? {} : { profile_name: device.profileName }),
    ...(device.paired === undefined ? {} : { paired: device.paired }),
    ...(device.issuers === undefined ? {} : { issuers: device.issuers }),
    ...(device.certificate === undefined ? {} : { certificate: base64url(device.certificate) }),
    root_key: base64url(device.rootKey.expose()),
    trust_version: device.trustVersion,
    added_at: device.addedAt,
    ...(device.pairing === undefined ? {} : { pairing: pairingJson(device.pairing) }),
  };
  return utf8(JSON.stringify(json));
}

/**
 * @param migrated hears what is not as it was written any more
 * @throws {LatchkeyError} `store_corrupt` for anything that `encodeDevice` does not write
 */
export function decodeDevice(
  bytes: Uint8Array,
  migrated: (code: 'device_bearer_ended', id: string) => void = () => undefined,
): Device {
  try {
    const json: unknown = JSON.parse(fromUtf8(bytes));
    if (!isJsonObject(json)) throw new TypeError('not an object');
    const isBearer = takesTokens(json) && isJsonObject(json.profile) && json.profile.bearer === true;
    const device: Device = {
      id: text(json.id),
      audience: text(json.audience),
      name: json.name === undefined ? undefined : text(json.name),
      line: json.line === undefined ? undefined : text(json.line),
      ble: json.ble === undefined ? undefined : bleFrom(json.ble),
      profile: profileOf(isBearer ? withoutBearer(json.profile) : json.profile, takesTokens(json)),
      profileName: json.profile_name === undefined ? undefined : text(json.profile_name),
      paired: typeof json.paired === 'boolean' ? json.paired : undefined,
      issuers: json.issuers === undefined ? undefined : list(json.issuers).map(text),
      certificate: json.certificate === undefined ? undefined : new Uint8Array(fromBase64url(text(json.certificate))),
      rootKey: new Secret(fromBase64url(text(json.root_key))),
      trustVersion: integer(json.trust_version),
      addedAt: integer(json.added_at),
      pairing: json.pairing === undefined ? undefined : pairingFrom(json.pairing),
    };
    checkDeviceNames(device);
    if (device.certificate !== undefined && device.certificate.length !== THUMBPRINT_BYTES)
      throw new TypeError('certificate thumbprint of another length');
    if (device.rootKey.expose().length !== ROOT_KEY_BYTES) throw new TypeError('root key of another length');
    if (isBearer) migrated('device_bearer_ended', device.id);
    return device;
  } catch (error) {
    // The cause may quote the record, and the record holds the root key: only its kind is kept.
    throw new LatchkeyError('store_corrupt', `device record (${error instanceof LatchkeyError ? error.code : 'form'})`);
  }
}

/** An earlier version had offline devices for bearer tokens. Devices themselves refused such tokens. */
function withoutBearer(profile: JsonValue | undefined): JsonValue | undefined {
  return isJsonObject(profile) ? { ...profile, bearer: false } : profile;
}

/** Profiles that were read of late, by their text: most devices of a hub share a few, and then one copy of each. */
const profilesRead = new RecentMap<string, DeviceProfile>(LIMITS.profilesRead);

function profileOf(value: JsonValue | undefined, takesTokens: boolean): DeviceProfile {
  const name = `${takesTokens} ${JSON.stringify(value)}`;
  const known = profilesRead.get(name) ?? profileFromJson(value, { takesTokens });
  profilesRead.set(name, known);
  return known;
}

function pairingJson({ nonces, request }: UnfinishedPairing): JsonObject {
  return { hub: base64url(nonces.hub), device: base64url(nonces.device), request };
}

function pairingFrom(value: JsonValue): UnfinishedPairing {
  if (!isJsonObject(value)) throw new TypeError('not an object');
  const bytes = (name: string) => new Uint8Array(fromBase64url(text(value[name])));
  const nonces = { hub: bytes('hub'), device: bytes('device') };
  if (nonces.hub.length !== PROVISION_NONCE_BYTES || nonces.device.length !== PROVISION_NONCE_BYTES)
    throw new TypeError('nonce of another length');
  return { nonces, request: text(value.request) };
}

function bleFrom(value: JsonValue): BleIdentity {
  if (!isJsonObject(value)) throw new TypeError('not an object');
  return { name: text(value.name) };
}

function text(value: JsonValue | undefined): string {
  if (typeof value !== 'string') throw new TypeError('not text');
  return value;
}

function integer(value: JsonValue | undefined): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw new TypeError('not an integer');
  return value;
}

function list(value: JsonValue): readonly JsonValue[] {
  if (!Array.isArray(value)) throw new TypeError('not a list');
  return value as readonly JsonValue[];
}
