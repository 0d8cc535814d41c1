/** One delivery and its form on disk. */
import { base64url, fromBase64url, fromUtf8, utf8 } from '../core/bytes.ts';
import type { ClockCertainty } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { Secret } from '../core/secret.ts';

const DELIVERY_STATES = ['queued', 'delivered', 'refused', 'expired', 'cancelled'] as const;

interface DeliveryOrigin {
  readonly issuer: string;
  readonly subject: string | undefined;
  /** SHA-256 over the JWT, or its first 16 bytes. */
  readonly digest: Uint8Array;
}

export interface Delivery {
  /** 128 random bits, hexadecimal: who knows it may ask about it. */
  readonly id: string;
  /** Order of arrival; a device gets its tokens in this order. */
  readonly sequence: number;
  readonly device: string;
  readonly audience: string;
  readonly state: (typeof DELIVERY_STATES)[number];
  /** The translated token while it waits; forgotten once the delivery has ended. */
  readonly cwt: Secret<Uint8Array> | undefined;
  /** `kid` of the hub key that it is signed with, where it is; a delivery of an earlier version does not say. */
  readonly hubKey?: string | undefined;
  readonly tokenHash: Uint8Array;
  readonly cti: Uint8Array;
  /** NumericDate, whole seconds, as the device reads it. */
  readonly expiresAt: number;
  /** Seconds that the token lives from when it comes, on a device without a clock. */
  readonly expiresIn?: number | undefined;
  readonly scope: string;
  readonly jwtBytes: number;
  readonly cwtBytes: number;
  readonly keysAge: number;
  readonly clock: ClockCertainty;
  /** The id of the request that brought it, for the log. */
  readonly request: string;
  /** Of the JWT that it was translated from, for the audit, while it waits; a delivery of an earlier version has none. */
  readonly origin?: DeliveryOrigin | undefined;
  /** CoAP code of the device's answer, such as "2.01". */
  readonly deviceCode: string | undefined;
  /** Code of the catalogue that says why it ended without success. */
  readonly code: string | undefined;
  /** Whether the device's receipt was checked with its key. */
  readonly receipt: boolean;
}

export function hasEnded(delivery: Delivery): boolean {
  return delivery.state !== 'queued';
}

export function encodeDelivery(delivery: Delivery): Uint8Array {
  const json: JsonObject = {
    id: delivery.id,
    sequence: delivery.sequence,
    device: delivery.device,
    audience: delivery.audience,
    state: delivery.state,
    ...(delivery.cwt === undefined ? {} : { cwt: base64url(delivery.cwt.expose()) }),
    ...(delivery.hubKey === undefined ? {} : { hub_key: delivery.hubKey }),
    token_hash: base64url(delivery.tokenHash),
    cti: base64url(delivery.cti),
    expires_at: delivery.expiresAt,
    ...(delivery.expiresIn === undefined ? {} : { expires_in: delivery.expiresIn }),
    scope: delivery.scope,
    jwt_bytes: delivery.jwtBytes,
    cwt_bytes: delivery.cwtBytes,
    keys_age: delivery.keysAge,
    clock: delivery.clock,
    request: delivery.request,
    ...(delivery.origin === undefined ? {} : { origin: originJson(delivery.origin) }),
    ...(delivery.deviceCode === undefined ? {} : { device_code: delivery.deviceCode }),
    ...(delivery.code === undefined ? {} : { code: delivery.code }),
    receipt: delivery.receipt,
  };
  return utf8(JSON.stringify(json));
}

/** @throws {LatchkeyError} `store_corrupt` for anything that `encodeDelivery` does not write */
export function decodeDelivery(bytes: Uint8Array): Delivery {
  try {
    const json: unknown = JSON.parse(fromUtf8(bytes));
    if (!isJsonObject(json)) throw new TypeError('not an object');
    const state = DELIVERY_STATES.find((known) => known === json.state);
    if (state === undefined) throw new TypeError('no such state');
    const delivery: Delivery = {
      id: text(json.id),
      sequence: number(json.sequence),
      device: text(json.device),
      audience: text(json.audience),
      state,
      cwt: json.cwt === undefined ? undefined : new Secret(fromBase64url(text(json.cwt))),
      hubKey: json.hub_key === undefined ? undefined : text(json.hub_key),
      tokenHash: fromBase64url(text(json.token_hash)),
      cti: fromBase64url(text(json.cti)),
      expiresAt: number(json.expires_at),
      expiresIn: json.expires_in === undefined ? undefined : number(json.expires_in),
      scope: text(json.scope),
      jwtBytes: number(json.jwt_bytes),
      cwtBytes: number(json.cwt_bytes),
      keysAge: number(json.keys_age),
      clock: json.clock === 'sure' ? 'sure' : 'unsure',
      request: text(json.request),
      origin: isJsonObject(json.origin) ? originOf(json.origin) : undefined,
      deviceCode: json.device_code === undefined ? undefined : text(json.device_code),
      code: json.code === undefined ? undefined : text(json.code),
      receipt: json.receipt === true,
    };
    if (state === 'queued' && delivery.cwt === undefined) throw new TypeError('queued without its token');
    return delivery;
  } catch (error) {
    // The cause may quote the record, and the record holds a token: only its kind is kept.
    throw new LatchkeyError(
      'store_corrupt',
      `delivery record (${error instanceof LatchkeyError ? error.code : 'form'})`,
    );
  }
}

function originJson({ digest, issuer, subject }: DeliveryOrigin): JsonObject {
  return { issuer, ...(subject === undefined ? {} : { subject }), digest: base64url(digest) };
}

function originOf({ digest, issuer, subject }: JsonObject): DeliveryOrigin {
  return {
    issuer: text(issuer),
    subject: subject === undefined ? undefined : text(subject),
    digest: fromBase64url(text(digest)),
  };
}

function text(value: JsonValue | undefined): string {
  if (typeof value !== 'string') throw new TypeError('not text');
  return value;
}

function number(value: JsonValue | undefined): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new TypeError('not a number');
  return value;
}
