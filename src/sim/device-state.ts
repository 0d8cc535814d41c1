/** What a simulated device remembers without power, as it is written to a file. It holds the root key. */
import { decodeProvisionedTrust, encodeProvisionedTrust, type ProvisionedTrust } from '../codec/device-trust-map.ts';
import { PROVISION_NONCE_BYTES, type ProvisionNonces } from '../codec/provisioning.ts';
import { base64url, fromBase64url } from '../core/bytes.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { Secret } from '../core/secret.ts';

const FORMAT = 'latchkey-device-state-1';
const ROOT_KEY_BYTES = 32;

/** What came in one exchange. The nonces tell the order to use it from that of another exchange. */
export interface ReceivedTrust extends ProvisionedTrust {
  readonly nonces: ProvisionNonces;
}

export interface DeviceState {
  /** Whether the code on the label still opens the device: until it is paired, and again after a physical reset. */
  readonly setup: 'alive' | 'dead';
  /** What the device trusts. */
  readonly trust?: ReceivedTrust | undefined;
  /** What it was sent and was not told to use yet. */
  readonly pending?: ReceivedTrust | undefined;
  /** What it gave up: an order to do so whose answer was lost is answered again. */
  readonly released?: { readonly audience: string; readonly rootKey: Secret<Uint8Array> } | undefined;
}

/** A device as it leaves the factory, and after a physical reset. */
export const FRESH_DEVICE: DeviceState = { setup: 'alive' };

/** For a file of mode 0600. */
export function encodeDeviceState({ pending, released, setup, trust }: DeviceState): string {
  const json: JsonObject = {
    format: FORMAT,
    setup,
    ...(trust === undefined ? {} : { trust: receivedJson(trust) }),
    ...(pending === undefined ? {} : { pending: receivedJson(pending) }),
    ...(released === undefined
      ? {}
      : { released: { audience: released.audience, root_key: base64url(released.rootKey.expose()) } }),
  };
  return `${JSON.stringify(json)}\n`;
}

/** @throws {LatchkeyError} `device_state_invalid`, without any of what it holds */
export function decodeDeviceState(text: string): DeviceState {
  try {
    const json: unknown = JSON.parse(text);
    if (!isJsonObject(json) || json.format !== FORMAT) throw new TypeError(`not ${FORMAT}`);
    const { pending, released, setup, trust } = json;
    if (setup !== 'alive' && setup !== 'dead') throw new TypeError('setup');
    return {
      setup,
      ...(trust === undefined ? {} : { trust: receivedFrom(trust) }),
      ...(pending === undefined ? {} : { pending: receivedFrom(pending) }),
      ...(released === undefined ? {} : { released: releasedFrom(released) }),
    };
  } catch (error) {
    // The cause may quote the file, and the file holds keys: only its kind is kept.
    throw new LatchkeyError('device_state_invalid', isCoded(error) ? error.code : 'form');
  }
}

function receivedJson(received: ReceivedTrust): JsonObject {
  const { device, hub } = received.nonces;
  return { map: base64url(encodeProvisionedTrust(received)), hub: base64url(hub), device: base64url(device) };
}

function receivedFrom(value: JsonValue): ReceivedTrust {
  if (!isJsonObject(value)) throw new TypeError('trust');
  return {
    ...decodeProvisionedTrust(bytes(value.map)),
    nonces: { hub: bytes(value.hub, PROVISION_NONCE_BYTES), device: bytes(value.device, PROVISION_NONCE_BYTES) },
  };
}

function releasedFrom(value: JsonValue): DeviceState['released'] {
  if (!isJsonObject(value) || typeof value.audience !== 'string') throw new TypeError('released');
  return { audience: value.audience, rootKey: new Secret(bytes(value.root_key, ROOT_KEY_BYTES)) };
}

function bytes(value: JsonValue | undefined, length?: number): Uint8Array {
  if (typeof value !== 'string') throw new TypeError('no text');
  const read = new Uint8Array(fromBase64url(value));
  if (length !== undefined && read.length !== length) throw new TypeError('length');
  return read;
}
