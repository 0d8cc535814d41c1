/** What the hub knows of the trust of one device, and its form on disk. Holds no secret: bundles cross the open link. */
import { type DeviceTrust, decodeDeviceTrust, encodeDeviceTrust } from '../codec/device-trust-map.ts';
import { base64url, fromBase64url, fromUtf8, utf8 } from '../core/bytes.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';

/** A bundle that was made and not confirmed yet. The same bytes are sent until it is, or another one takes its place. */
export interface PendingBundle {
  readonly trust: DeviceTrust;
  readonly message: Uint8Array;
  /** NumericDate, whole seconds: since when the device has been waiting for something newer than it holds. */
  readonly since: number;
}

export interface TrustRecord {
  /** What the device holds for certain: it came with provisioning, or in a bundle that the device confirmed. */
  readonly held: DeviceTrust;
  /** NumericDate, whole seconds, of that. */
  readonly heldSince: number;
  /** The highest version that was ever made for it, or that it claimed to hold: the next one is above. */
  readonly highest: number;
  readonly pending: PendingBundle | undefined;
}

export function encodeTrustRecord({ held, heldSince, highest, pending }: TrustRecord): Uint8Array {
  const json: JsonObject = {
    held: base64url(encodeDeviceTrust(held)),
    held_since: heldSince,
    highest,
    ...(pending === undefined
      ? {}
      : {
          pending: {
            trust: base64url(encodeDeviceTrust(pending.trust)),
            message: base64url(pending.message),
            since: pending.since,
          },
        }),
  };
  return utf8(JSON.stringify(json));
}

/** @throws {LatchkeyError} `store_corrupt` for anything that `encodeTrustRecord` does not write */
export function decodeTrustRecord(bytes: Uint8Array): TrustRecord {
  try {
    const json: unknown = JSON.parse(fromUtf8(bytes));
    if (!isJsonObject(json)) throw new TypeError('not an object');
    const { held, held_since: heldSince, highest, pending } = json;
    return {
      held: trust(held),
      heldSince: whole(heldSince),
      highest: whole(highest),
      pending: pending === undefined ? undefined : pendingOf(pending),
    };
  } catch (error) {
    throw new LatchkeyError('store_corrupt', `trust record (${coded(error).code})`);
  }
}

function pendingOf(value: JsonValue): PendingBundle {
  if (!isJsonObject(value)) throw new TypeError('not an object');
  return { trust: trust(value.trust), message: bytes(value.message), since: whole(value.since) };
}

function trust(value: JsonValue | undefined): DeviceTrust {
  return decodeDeviceTrust(bytes(value));
}

function bytes(value: JsonValue | undefined): Uint8Array {
  if (typeof value !== 'string') throw new TypeError('not text');
  return fromBase64url(value);
}

function whole(value: JsonValue | undefined): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new TypeError('not a whole number');
  return value;
}
