/**
 * GET /time on the hub (docs/protocol.md, "Time"): a device asks with its id and a nonce of its own, and the hub answers
 * with the present under a key that only the two have. The nonce makes an answer of the past fit no later question.
 */
import { base64url, fromBase64url, utf8 } from '../core/bytes.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import type { CoseKey } from './cose/key.ts';
import { makeMac0, openMac0 } from './cose/mac0.ts';

export const TIME_NONCE_BYTES = 8;
/** Device ids are at most 63 bytes long. */
const MAX_DEVICE_BYTES = 63;

export interface TimeQuestion {
  readonly device: string;
  /** 8 bytes, made by the device for this one question. */
  readonly nonce: Uint8Array;
}

/** The question as Uri-Query segments: `d=` and the id, `n=` and the nonce in base64url. */
export function timeQuery({ device, nonce }: TimeQuestion): readonly string[] {
  return [`d=${device}`, `n=${base64url(nonce)}`];
}

/** @throws {LatchkeyError} `request_invalid` for anything but the two segments in that order */
export function readTimeQuery(query: readonly string[]): TimeQuestion {
  const [named, chosen, ...others] = query;
  if (named?.startsWith('d=') !== true || chosen?.startsWith('n=') !== true || others.length > 0)
    throw new LatchkeyError('request_invalid', 'the query is not d= and n=');
  const device = named.slice(2);
  if (device === '' || utf8(device).length > MAX_DEVICE_BYTES) throw new LatchkeyError('request_invalid', 'd');
  return { device, nonce: readNonce(chosen.slice(2)) };
}

function readNonce(text: string): Uint8Array {
  try {
    const nonce = fromBase64url(text);
    if (nonce.length === TIME_NONCE_BYTES) return nonce;
  } catch (error) {
    if (!isCoded(error, 'base64url_invalid')) throw error;
  }
  throw new LatchkeyError('request_invalid', 'n');
}

/**
 * @param options.time NumericDate, whole seconds
 * @throws {LatchkeyError} `cose_algorithm_refused` for a key that does not MAC
 */
export function makeTimeAnswer(options: TimeQuestion & { readonly key: CoseKey; readonly time: number }): Uint8Array {
  return makeMac0({ payload: encodeCbor(options.time), key: options.key, externalAad: aad(options) });
}

/**
 * NumericDate, whole seconds.
 * @throws {LatchkeyError} `cbor_*`, `cose_*` for anything that is not the hub's answer to this question
 */
export function openTimeAnswer(bytes: Uint8Array, options: TimeQuestion & { readonly key: CoseKey }): number {
  const { payload } = openMac0(bytes, { key: options.key, externalAad: aad(options) });
  const time = decodeCbor(payload);
  if (typeof time !== 'number' || !Number.isSafeInteger(time) || time < 0)
    throw new LatchkeyError('cose_invalid', 'the time is no whole number');
  return time;
}

function aad({ device, nonce }: TimeQuestion): Uint8Array {
  return encodeCbor(['latchkey-time-1', device, nonce]);
}
