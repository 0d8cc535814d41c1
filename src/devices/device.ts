/** A registered device and its form on disk. */
import { base64url, fromBase64url, fromUtf8, utf8 } from '../core/bytes.ts';
import { isDeviceId } from '../core/device-id.ts';
import type { DeviceProfile } from '../core/device-profile.ts';
import { LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { Secret } from '../core/secret.ts';
import { profileFromJson, profileToJson } from './profile.ts';

/** Root keys are 256 bits: HMAC 256 wants no less, and every derived key is cut from it. */
export const ROOT_KEY_BYTES = 32;

const THUMBPRINT_BYTES = 32;

export interface Device {
  readonly id: string;
  /** The `aud` value that names this device, in the JWT as in the CWT. */
  readonly audience: string;
  /** Name of the line that it is on; undefined for a connected device, which asks the hub itself. */
  readonly line: string | undefined;
  readonly profile: DeviceProfile;
  /** Issuers whose tokens are taken for it; undefined for every configured one. */
  readonly issuers: readonly string[] | undefined;
  /** SHA-256 over the DER of the certificate that it shows in TLS, where it has one. 32 bytes. */
  readonly certificate?: Uint8Array | undefined;
  /** Never used itself: every use derives its own key (codec/device-keys.ts). */
  readonly rootKey: Secret<Uint8Array>;
  readonly trustVersion: number;
  /** NumericDate, whole seconds. */
  readonly addedAt: number;
}

const LINE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const MAX_AUDIENCE_BYTES = 255;

/** @throws {LatchkeyError} `device_invalid` naming what does not fit */
export function checkDeviceNames(device: {
  readonly id: string;
  readonly audience: string;
  readonly line?: string | undefined;
}): void {
  if (!isDeviceId(device.id))
    throw new LatchkeyError('device_invalid', 'id: 1 to 63 of a-z 0-9 . _ -, not starting with a mark');
  if (device.line !== undefined && !LINE.test(device.line))
    throw new LatchkeyError('device_invalid', 'line: 1 to 63 of letters, digits, . _ -');
  const length = utf8(device.audience).length;
  if (length === 0 || length > MAX_AUDIENCE_BYTES)
    throw new LatchkeyError('device_invalid', 'audience: 1 to 255 bytes');
}

export function encodeDevice(device: Device): Uint8Array {
  const json: JsonObject = {
    id: device.id,
    audience: device.audience,
    ...(device.line === undefined ? {} : { line: device.line }),
    profile: profileToJson(device.profile),
    ...(device.issuers === undefined ? {} : { issuers: device.issuers }),
    ...(device.certificate === undefined ? {} : { certificate: base64url(device.certificate) }),
    root_key: base64url(device.rootKey.expose()),
    trust_version: device.trustVersion,
    added_at: device.addedAt,
  };
  return utf8(JSON.stringify(json));
}

/** @throws {LatchkeyError} `store_corrupt` for anything that `encodeDevice` does not write */
export function decodeDevice(bytes: Uint8Array): Device {
  try {
    const json: unknown = JSON.parse(fromUtf8(bytes));
    if (!isJsonObject(json)) throw new TypeError('not an object');
    const device: Device = {
      id: text(json.id),
      audience: text(json.audience),
      line: json.line === undefined ? undefined : text(json.line),
      profile: profileFromJson(json.profile, { onLine: json.line !== undefined }),
      issuers: json.issuers === undefined ? undefined : list(json.issuers).map(text),
      certificate: json.certificate === undefined ? undefined : new Uint8Array(fromBase64url(text(json.certificate))),
      rootKey: new Secret(fromBase64url(text(json.root_key))),
      trustVersion: integer(json.trust_version),
      addedAt: integer(json.added_at),
    };
    checkDeviceNames(device);
    if (device.certificate !== undefined && device.certificate.length !== THUMBPRINT_BYTES)
      throw new TypeError('certificate thumbprint of another length');
    if (device.rootKey.expose().length !== ROOT_KEY_BYTES) throw new TypeError('root key of another length');
    return device;
  } catch (error) {
    // The cause may quote the record, and the record holds the root key: only its kind is kept.
    throw new LatchkeyError('store_corrupt', `device record (${error instanceof LatchkeyError ? error.code : 'form'})`);
  }
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
