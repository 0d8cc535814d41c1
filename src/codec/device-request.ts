/**
 * How a connected device and the hub protect what they say to each other where the medium does not, CoAP and MQTT
 * (docs/protocol.md, "Connected devices"): the request is a COSE_Mac0 under the device's introspect key, the answer a
 * COSE_Encrypt0 under its session key. Both are bound to the device and to a nonce that it made for this one request. A nonce
 * of the hub goes back and forth in their protected headers: in the request it shows that the request was made of late,
 * in the answer there is the one for the next request. It is no secret, so it is authenticated and not encrypted.
 */
import { fromUtf8, utf8 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { type CborMap, encodeCbor } from './cbor.ts';
import { makeEncrypt0, openEncrypt0 } from './cose/encrypt0.ts';
import type { CoseKey } from './cose/key.ts';
import { makeMac0, verifyMac0 } from './cose/mac0.ts';
import { type CoseMessage, parseMessage } from './cose/message.ts';
import { COSE_HEADER, DEVICE_EXCHANGE_HEADER, SIGNED_REQUEST_HEADER } from './iana.ts';

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
  /** What the device had been given; undefined where it had none. */
  readonly hubNonce: Uint8Array | undefined;
  /** @throws {LatchkeyError} `cose_algorithm_refused`, `cose_verification_failed` */
  open(key: CoseKey): Uint8Array;
}

/** @throws {LatchkeyError} `request_invalid` for a nonce of another size; `cose_algorithm_refused` for a key that does not MAC */
export function makeDeviceRequest(
  options: DeviceContext & {
    readonly key: CoseKey;
    readonly payload: Uint8Array;
    readonly hubNonce: Uint8Array | undefined;
  },
): Uint8Array {
  const { device, hubNonce, key, nonce, payload } = options;
  if (nonce.length !== DEVICE_NONCE_BYTES) throw new LatchkeyError('request_invalid', 'nonce of another size');
  return makeMac0({
    payload,
    key,
    externalAad: requestAad(options),
    ...(hubNonce === undefined ? {} : { protectedHeader: new Map([[DEVICE_EXCHANGE_HEADER.hubNonce, hubNonce]]) }),
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
    hubNonce: hubNonceOf(message.protectedHeader),
    open: (key) => verifyMac0(message, { key, externalAad: requestAad(context) }).payload,
  };
}

/**
 * @param options.iv 13 random bytes
 * @param options.hubNonce for the next request of the device
 * @throws {LatchkeyError} `cose_algorithm_refused` for a key that does not encrypt; `cose_invalid` for an IV of another size
 */
export function makeDeviceAnswer(
  options: DeviceContext & {
    readonly key: CoseKey;
    readonly iv: Uint8Array;
    readonly payload: Uint8Array;
    readonly hubNonce: Uint8Array;
  },
): Uint8Array {
  const { hubNonce, iv, key, payload } = options;
  const protectedHeader = new Map([[DEVICE_EXCHANGE_HEADER.hubNonce, hubNonce]]);
  return makeEncrypt0({ plaintext: payload, key, nonce: iv, protectedHeader, externalAad: answerAad(options) });
}

export interface OpenedAnswer {
  readonly payload: Uint8Array;
  /** For the next request. */
  readonly hubNonce: Uint8Array | undefined;
}

/** @throws {LatchkeyError} `cbor_*`, `cose_*` for anything that is not the hub's answer to this request */
export function openDeviceAnswer(bytes: Uint8Array, options: DeviceContext & { readonly key: CoseKey }): OpenedAnswer {
  const { payload, protectedHeader } = openEncrypt0(bytes, { key: options.key, externalAad: answerAad(options) });
  return { payload, hubNonce: hubNonceOf(protectedHeader) };
}

/** A device keeps it as it is and hands it back: its length is the hub's affair. */
function hubNonceOf(protectedHeader: CborMap): Uint8Array | undefined {
  const nonce = protectedHeader.get(DEVICE_EXCHANGE_HEADER.hubNonce);
  if (nonce !== undefined && !(nonce instanceof Uint8Array)) {
    throw new LatchkeyError('cose_invalid', 'the nonce of the hub is no byte string');
  }
  return nonce;
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
