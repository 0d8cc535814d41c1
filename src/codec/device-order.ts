/**
 * What a hub orders a device to do with its trust (docs/protocol.md, "Provisioning"): take what was provisioned into use,
 * give it up, show itself. COSE_Mac0 under the key of use `commit` of the root key that the order is about, so it is an
 * order of the hub that made that root key, to the one device that has it.
 */
import { EMPTY, sha256 } from '../core/bytes.ts';
import type { WrapAlgorithm } from '../core/device-profile.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import { type CborMap, type CborValue, decodeCbor, encodeCbor, isCborMap } from './cbor.ts';
import type { CoseKey } from './cose/key.ts';
import { makeMac0, openMac0 } from './cose/mac0.ts';
import { deriveDeviceKey } from './device-keys.ts';
import { DEVICE_OPERATION, DEVICE_ORDER } from './iana.ts';
import { PROVISION_NONCE_BYTES, type ProvisionNonces } from './provisioning.ts';

export type DeviceOrder =
  | {
      /** Take into use what came in the exchange with these nonces. The same again is answered again. */
      readonly operation: 'commit';
      readonly version: number;
      readonly nonces: ProvisionNonces;
    }
  | {
      /**
       * Give up what is trusted; or blink, or whatever shows a person which device it is. The device's nonce is one that it
       * gave for this: an order that was recorded or held back is worth nothing later.
       */
      readonly operation: 'unpair' | 'identify';
      readonly nonces: ProvisionNonces;
    };

export interface OrderContext {
  /** The device's key of use `commit`. */
  readonly key: CoseKey;
  readonly audience: string;
}

const ALGORITHM: WrapAlgorithm = 'HMAC 256/64';
const { deviceNonce, hubNonce, operation, version } = DEVICE_ORDER;

/** The key of use `commit` of a root key. */
export function orderKey(rootKey: Secret<Uint8Array>): CoseKey {
  return deriveDeviceKey(rootKey, 'commit', ALGORITHM).key;
}

export function makeOrder(order: DeviceOrder, context: OrderContext): Uint8Array {
  const payload = encodeCbor(membersOf(order));
  return makeMac0({ payload, key: context.key, externalAad: orderAad(context) });
}

/** @throws {LatchkeyError} `cbor_*`, `cose_*`, `provisioning_invalid` */
export function openOrder(message: Uint8Array, context: OrderContext): DeviceOrder {
  const { payload } = openMac0(message, { key: context.key, externalAad: orderAad(context) });
  const map = decodeCbor(payload);
  if (!isCborMap(map)) throw invalid('not a map');
  return orderOf(map);
}

/** The device's word that it did what it was told, with nothing in it: what it answers is in the MAC. */
export function makeOrderAnswer(order: Uint8Array, context: OrderContext): Uint8Array {
  return makeMac0({ payload: EMPTY, key: context.key, externalAad: answerAad(order, context) });
}

/** Returns where the device did it. @throws {LatchkeyError} `cbor_*`, `cose_*`, `provisioning_invalid` */
export function checkOrderAnswer(answer: Uint8Array, order: Uint8Array, context: OrderContext): void {
  const { payload } = openMac0(answer, { key: context.key, externalAad: answerAad(order, context) });
  if (payload.length > 0) throw invalid('an answer that says something');
}

function membersOf(order: DeviceOrder): Map<number, CborValue> {
  const members = new Map<number, CborValue>([[operation, DEVICE_OPERATION[order.operation]]]);
  if (order.operation === 'commit') members.set(version, order.version);
  members.set(hubNonce, order.nonces.hub);
  members.set(deviceNonce, order.nonces.device);
  return members;
}

function orderOf(map: CborMap): DeviceOrder {
  switch (map.get(operation)) {
    case DEVICE_OPERATION.commit:
      return { operation: 'commit', version: versionIn(map), nonces: noncesIn(map, 4) };
    case DEVICE_OPERATION.unpair:
      return { operation: 'unpair', nonces: noncesIn(map, 3) };
    case DEVICE_OPERATION.identify:
      return { operation: 'identify', nonces: noncesIn(map, 3) };
    default:
      throw invalid('operation');
  }
}

function noncesIn(map: CborMap, size: number): ProvisionNonces {
  requireSize(map, size);
  return { hub: nonceIn(map, hubNonce), device: nonceIn(map, deviceNonce) };
}

function nonceIn(map: CborMap, label: number): Uint8Array {
  const nonce = map.get(label);
  if (!(nonce instanceof Uint8Array) || nonce.length !== PROVISION_NONCE_BYTES) throw invalid('nonce');
  return nonce;
}

function versionIn(map: CborMap): number {
  const value = map.get(version);
  if (typeof value !== 'number' || value < 1) throw invalid('version');
  return value;
}

function requireSize(map: CborMap, size: number): void {
  if (map.size !== size) throw invalid('more than belongs in it');
}

function orderAad({ audience }: OrderContext): Uint8Array {
  return encodeCbor(['latchkey-order-1', audience]);
}

function answerAad(order: Uint8Array, { audience }: OrderContext): Uint8Array {
  return encodeCbor(['latchkey-order-answer-1', sha256(order), audience]);
}

function invalid(detail: string): LatchkeyError {
  return new LatchkeyError('provisioning_invalid', detail);
}
