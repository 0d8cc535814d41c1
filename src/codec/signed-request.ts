/**
 * What client, hub and device say to each other under the key of a token (docs/protocol.md, "Signed requests"): requests
 * under the client's `cnf` key, answers and receipts under the device's own. Each is a COSE message whose external_aad
 * ties it to one nonce, one token, one device and one resource, none of which travels twice.
 */
import { base64url, equal, fromBase64url, sha256 } from '../core/bytes.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { type CborMap, type CborValue, encodeCbor } from './cbor.ts';
import { kindOf } from './cose/algorithm.ts';
import type { CoseKey } from './cose/key.ts';
import { makeMac0, openMac0, verifyMac0 } from './cose/mac0.ts';
import { type CoseHeaders, type OpenedCose, parseMessage, readCose } from './cose/message.ts';
import { makeSign1, verifySign1 } from './cose/sign1.ts';
import { COSE_HEADER, SIGNED_REQUEST_HEADER } from './iana.ts';

export const TOKEN_HASH_BYTES = 8;
export const CHALLENGE_NONCE_BYTES = 16;
/** What a client puts into each request, so that no answer of the past fits it. */
export const CLIENT_NONCE_BYTES = 8;
/** What the hub puts into each attempt at a delivery, so that no receipt of the past fits it. */
export const RECEIPT_NONCE_BYTES = 8;

interface RequestTarget {
  /** The client's key: public or private as the side needs, or the shared secret of a symmetric `cnf`. */
  readonly key: CoseKey;
  readonly audience: string;
  /** CoAP method code, GET = 1 (RFC 7252 §12.1.1). */
  readonly method: number;
  /** Uri-Path segments, decoded. None may hold a slash: the joined path would stand for two resources. */
  readonly path: readonly string[];
}

interface AnswerContext {
  /** The device's answer key. */
  readonly key: CoseKey;
  /** The signed request that is answered, as it was sent: it names token, challenge and client, and no two are alike. */
  readonly request: Uint8Array;
  readonly audience: string;
  /** CoAP response code as one byte: 2.05 is 0x45. */
  readonly code: number;
}

interface ReceiptContext {
  /** The device's answer key. */
  readonly key: CoseKey;
  readonly tokenHash: Uint8Array;
  readonly audience: string;
  /** The hub's nonce of this attempt, 8 bytes. */
  readonly nonce: Uint8Array;
  /** Of a refusal: its CoAP response code as one byte. */
  readonly refusal?: number | undefined;
}

export interface Content {
  readonly payload: Uint8Array;
  /** CoAP content format of the payload inside. */
  readonly contentFormat: number | undefined;
}

/** How requests name a token: the first 8 bytes of SHA-256 over the CWT as delivered. */
export function tokenHash(cwt: Uint8Array): Uint8Array {
  return new Uint8Array(sha256(cwt).subarray(0, TOKEN_HASH_BYTES));
}

/**
 * A request under the client's key: Sign1 for an ES256 or EdDSA key, Mac0 for a shared one. `nonce` is the device's
 * challenge, 16 bytes; `clientNonce` is 8 random bytes of the client's own.
 * @throws {LatchkeyError} `request_invalid` for a path segment with a slash, or a nonce or hash of another size
 */
export function makeSignedRequest(
  options: RequestTarget & {
    readonly payload: Uint8Array;
    readonly nonce: Uint8Array;
    readonly clientNonce: Uint8Array;
    readonly tokenHash: Uint8Array;
    readonly contentFormat?: number | undefined;
  },
): Uint8Array {
  const { key, payload, nonce, clientNonce, contentFormat } = options;
  if (
    nonce.length !== CHALLENGE_NONCE_BYTES ||
    clientNonce.length !== CLIENT_NONCE_BYTES ||
    options.tokenHash.length !== TOKEN_HASH_BYTES
  ) {
    throw new LatchkeyError('request_invalid', 'nonce or token hash of another size');
  }
  const make = kindOf(key.algorithm) === 'mac0' ? makeMac0 : makeSign1;
  return make({
    payload,
    key,
    externalAad: requestAad(options, nonce, options.tokenHash),
    protectedHeader: new Map<number, CborValue>([
      ...(contentFormat === undefined ? [] : [[COSE_HEADER.contentType, contentFormat] as const]),
      [SIGNED_REQUEST_HEADER.clientNonce, clientNonce],
    ]),
    unprotectedHeader: new Map([
      [COSE_HEADER.kid, options.tokenHash],
      [SIGNED_REQUEST_HEADER.nonce, nonce],
    ]),
  });
}

/**
 * The token and the challenge that a request names; nothing is verified.
 * @throws {LatchkeyError} `cbor_*`, `cose_*`
 */
export function readSignedRequest(bytes: Uint8Array): {
  readonly kind: 'sign1' | 'mac0';
  readonly tokenHash: Uint8Array;
  readonly nonce: Uint8Array;
} {
  const headers = readCose(bytes);
  const { kind } = headers;
  if (kind === 'encrypt0') throw new LatchkeyError('cose_invalid', 'neither Sign1 nor Mac0');
  return { kind, ...names(headers) };
}

/**
 * Verifies a request and answers with what is inside. That its nonce is an outstanding challenge and its token one that
 * is held is for the caller to check, over `readSignedRequest`.
 * @throws {LatchkeyError} `cbor_*`, `cose_*`, `request_invalid`
 */
export function openSignedRequest(bytes: Uint8Array, options: RequestTarget): Content {
  const { key } = options;
  const kind = kindOf(key.algorithm) === 'mac0' ? 'mac0' : 'sign1';
  const message = parseMessage(bytes, kind);
  const named = names(message);
  const verify = kind === 'mac0' ? verifyMac0 : verifySign1;
  const opened = verify(message, { key, externalAad: requestAad(options, named.nonce, named.tokenHash) });
  const clientNonce = opened.protectedHeader.get(SIGNED_REQUEST_HEADER.clientNonce);
  if (!(clientNonce instanceof Uint8Array) || clientNonce.length !== CLIENT_NONCE_BYTES) {
    throw new LatchkeyError('cose_invalid', 'no nonce of the client');
  }
  return content(opened);
}

/** The device's answer to a signed request. @throws {LatchkeyError} `cose_algorithm_refused` for a key that does not MAC */
export function makeAnswer(
  options: AnswerContext & { readonly payload: Uint8Array; readonly contentFormat?: number | undefined },
): Uint8Array {
  const { payload, key } = options;
  return makeMac0({ payload, key, externalAad: answerAad(options), ...protectedContentFormat(options.contentFormat) });
}

/** @throws {LatchkeyError} `cbor_*`, `cose_*`; `device_answer_invalid` for a content type as text under a good MAC */
export function openAnswer(bytes: Uint8Array, options: AnswerContext): Content {
  const opened = openMac0(bytes, { key: options.key, externalAad: answerAad(options) });
  try {
    return content(opened);
  } catch (error) {
    throw new LatchkeyError('device_answer_invalid', 'content type', { cause: error });
  }
}

/** The device's word that it took a token, or refused it. @throws {LatchkeyError} `cose_algorithm_refused` for a key that does not MAC */
export function makeReceipt(options: ReceiptContext): Uint8Array {
  return makeMac0({ payload: options.tokenHash, key: options.key, externalAad: receiptAad(options) });
}

/** @throws {LatchkeyError} `cbor_*`, `cose_*`; `device_answer_invalid` for another content under a good MAC */
export function openReceipt(bytes: Uint8Array, options: ReceiptContext): void {
  const { payload } = openMac0(bytes, { key: options.key, externalAad: receiptAad(options) });
  if (!equal(payload, options.tokenHash))
    throw new LatchkeyError('device_answer_invalid', 'the receipt names another token');
}

/** The hub's nonce as a Uri-Query of a delivery: `n=` and base64url. */
export function receiptQuery(nonce: Uint8Array): string {
  return `n=${base64url(nonce)}`;
}

/** The nonce in the queries of a delivery; undefined where there is none, or anything besides. */
export function readReceiptQuery(query: readonly string[]): Uint8Array | undefined {
  const [only, ...others] = query;
  if (only === undefined || others.length > 0 || !only.startsWith('n=')) return undefined;
  try {
    const nonce = fromBase64url(only.slice(2));
    return nonce.length === RECEIPT_NONCE_BYTES ? nonce : undefined;
  } catch (error) {
    if (isCoded(error, 'base64url_invalid')) return undefined;
    throw error;
  }
}

function names({ unprotectedHeader }: CoseHeaders): { readonly tokenHash: Uint8Array; readonly nonce: Uint8Array } {
  const hash = unprotectedHeader.get(COSE_HEADER.kid);
  const nonce = unprotectedHeader.get(SIGNED_REQUEST_HEADER.nonce);
  if (!(hash instanceof Uint8Array) || hash.length !== TOKEN_HASH_BYTES) {
    throw new LatchkeyError('cose_invalid', 'no token hash of its size');
  }
  if (!(nonce instanceof Uint8Array) || nonce.length !== CHALLENGE_NONCE_BYTES) {
    throw new LatchkeyError('cose_invalid', 'no nonce of its size');
  }
  return { tokenHash: hash, nonce };
}

function requestAad({ audience, method, path }: RequestTarget, nonce: Uint8Array, hash: Uint8Array): Uint8Array {
  if (path.some((segment) => segment.includes('/')))
    throw new LatchkeyError('request_invalid', 'slash in a path segment');
  return encodeCbor(['latchkey-pop-1', nonce, hash, audience, method, `/${path.join('/')}`]);
}

function answerAad({ request, audience, code }: AnswerContext): Uint8Array {
  return encodeCbor(['latchkey-answer-1', sha256(request), audience, code]);
}

function receiptAad({ nonce, tokenHash: hash, audience, refusal }: ReceiptContext): Uint8Array {
  if (refusal !== undefined) return encodeCbor(['latchkey-refusal-1', nonce, hash, audience, refusal]);
  return encodeCbor(['latchkey-receipt-1', nonce, hash, audience]);
}

function protectedContentFormat(format: number | undefined): { readonly protectedHeader?: CborMap } {
  return format === undefined ? {} : { protectedHeader: new Map([[COSE_HEADER.contentType, format]]) };
}

function content({ payload, protectedHeader }: OpenedCose): Content {
  const format = protectedHeader.get(COSE_HEADER.contentType);
  if (format !== undefined && typeof format !== 'number')
    throw new LatchkeyError('cose_invalid', 'content type as text');
  return { payload, contentFormat: format };
}
