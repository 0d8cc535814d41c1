/**
 * How a connected device and the hub protect what they say to each other where the medium does not, CoAP and MQTT
 * (docs/protocol.md, "Connected devices"): the request is a COSE_Mac0 under the device's introspect key, the answer a
 * COSE_Encrypt0 under its session key. Both are bound to the device and to a nonce that it made for this one request.
 */
import { fromUtf8, utf8 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { encodeCbor } from './cbor.ts';
import { makeEncrypt0, openEncrypt0 } from './cose/encrypt0.ts';
import type { CoseKey } from './cose/key.ts';
import { makeMac0, verifyMac0 } from './cose/mac0.ts';
import { type CoseMessage, parseMessage } from './cose/message.ts';
import { COSE_HEADER, SIGNED_REQUEST_HEADER } from './iana.ts';

export const DEVICE_NONCE_BYTES = 12;
/** Device ids are at most 63 bytes long. */
const MAX_DEVICE_BYTES = 63;

interface DeviceContext {
  readonly device: string;
  /** 12 bytes, made by the device for one request. */
  readonly nonce: Uint8Array;
}

/** A request taken apart; nothing is verified until `open` is called. */
export interface DeviceRequest extends DeviceContext {
  /** @throws {LatchkeyError} `cose_algorithm_refused`, `cose_verification_failed` */
  open(key: CoseKey): Uint8Array;
}

/** @throws {LatchkeyError} `request_invalid` for a nonce of another size; `cose_algorithm_refused` for a key that does not MAC */
export function makeDeviceRequest(
  options: DeviceContext & { readonly key: CoseKey; readonly payload: Uint8Array },
): Uint8Array {
  const { device, key, nonce, payload } = options;
  if (nonce.length !== DEVICE_NONCE_BYTES) throw new LatchkeyError('request_invalid', 'nonce of another size');
  return makeMac0({
    payload,
    key,
    externalAad: requestAad(options),
    unprotectedHeader: new Map([
      [COSE_HEADER.kid, utf8(device)],
      [SIGNED_REQUEST_HEADER.nonce, nonce],
    ]),
  });
}

/** @throws {LatchkeyError} `cbor_*`, `cose_invalid`, `cose_critical_unknown`, `utf8_invalid` */
export function readDeviceRequest(bytes: Uint8Array): DeviceRequest {
  const message = parseMessage(bytes, 'mac0');
  const context = contextOf(message);
  return {
    ...context,
    open: (key) => verifyMac0(message, { key, externalAad: requestAad(context) }).payload,
  };
}

/**
 * @param options.iv 13 random bytes
 * @throws {LatchkeyError} `cose_algorithm_refused` for a key that does not encrypt; `cose_invalid` for an IV of another size
 */
export function makeDeviceAnswer(
  options: DeviceContext & { readonly key: CoseKey; readonly iv: Uint8Array; readonly payload: Uint8Array },
): Uint8Array {
  const { iv, key, payload } = options;
  return makeEncrypt0({ plaintext: payload, key, nonce: iv, externalAad: answerAad(options) });
}

/** @throws {LatchkeyError} `cbor_*`, `cose_*` for anything that is not the hub's answer to this request */
export function openDeviceAnswer(bytes: Uint8Array, options: DeviceContext & { readonly key: CoseKey }): Uint8Array {
  return openEncrypt0(bytes, { key: options.key, externalAad: answerAad(options) }).payload;
}

function contextOf({ unprotectedHeader }: CoseMessage): DeviceContext {
  const keyId = unprotectedHeader.get(COSE_HEADER.kid);
  const nonce = unprotectedHeader.get(SIGNED_REQUEST_HEADER.nonce);
  if (!(keyId instanceof Uint8Array) || keyId.length === 0 || keyId.length > MAX_DEVICE_BYTES) {
    throw new LatchkeyError('cose_invalid', 'no kid of its size');
  }
  if (!(nonce instanceof Uint8Array) || nonce.length !== DEVICE_NONCE_BYTES) {
    throw new LatchkeyError('cose_invalid', 'no nonce of its size');
  }
  return { device: fromUtf8(keyId), nonce };
}

function requestAad({ device, nonce }: DeviceContext): Uint8Array {
  return encodeCbor(['latchkey-introspect-1', device, nonce]);
}

function answerAad({ device, nonce }: DeviceContext): Uint8Array {
  return encodeCbor(['latchkey-introspect-answer-1', device, nonce]);
}
