/** A simulated tube with keys, and tokens for it, made straight with the codecs: no hub takes part. */
import { generateKeyPairSync } from 'node:crypto';
import { expect } from 'vitest';
import { encodeCbor } from '../../src/codec/cbor.ts';
import { codeText } from '../../src/codec/coap/codes.ts';
import { type CoseKey, importJwk } from '../../src/codec/cose/key.ts';
import { coseKeyFromJwk } from '../../src/codec/cose/key-map.ts';
import { type CwtClaims, makeCwt } from '../../src/codec/cwt.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../../src/codec/iana.ts';
import { makeSignedRequest, openAnswer, openReceipt, receiptQuery, tokenHash } from '../../src/codec/signed-request.ts';
import { readTrustFile, type TrustFile, writeTrustFile } from '../../src/codec/trust-file.ts';
import type { CoapRequest, CoapResponse } from '../../src/core/coap-exchange.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { DeviceEvent } from '../../src/sim/device-event.ts';
import type { TokenRefusal } from '../../src/sim/judge-token.ts';
import { SimulatedDevice, type SimulatedDeviceOptions } from '../../src/sim/simulated-device.ts';
import { FakeTime } from '../fakes/fake-time.ts';

/** What the hub would draw for each attempt. */
export const RECEIPT_NONCE = new Uint8Array(8).fill(5);
export const NOW = 1_700_000_000;
export const AUDIENCE = 'https://tube-1.devices.example';

const secret = (fill: number, length = 32) => Buffer.alloc(length, fill).toString('base64url');
const MAC_JWK = { kty: 'oct', alg: 'HMAC 256/64', kid: 'mac1', k: secret(1) } as const;
const ENCRYPTION_JWK = { kty: 'oct', alg: 'AES-CCM-16-64-128', kid: 'enc1', k: secret(2, 16) } as const;
const ANSWER_JWK = { kty: 'oct', alg: 'HMAC 256/64', kid: 'ans1', k: secret(3) } as const;
export const SHARED_JWK = { kty: 'oct', alg: 'HMAC 256/256', kid: 'shared-1', k: secret(4) } as const;

export const MAC_KEY = importJwk(MAC_JWK);
export const ENCRYPTION_KEY = importJwk(ENCRYPTION_JWK);
export const ANSWER_KEY = importJwk(ANSWER_JWK);
export const SHARED_KEY = importJwk(SHARED_JWK);
export const STRANGE_MAC_KEY = importJwk({ ...MAC_JWK, k: secret(9) });

export interface Pair {
  readonly jwk: JsonObject;
  readonly key: CoseKey;
}

export function newClient(kid?: string): Pair {
  const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }) as JsonObject;
  const named = kid === undefined ? jwk : { ...jwk, kid };
  return { jwk: named, key: importJwk(named) };
}

export function publicJwk({ jwk }: Pair): JsonObject {
  const { d: _, ...rest } = jwk;
  return rest;
}

const CLIENT = newClient();
export const HUB = newClient('hub1');

type Contents = Parameters<typeof writeTrustFile>[0];

export function trustFile(more: Partial<Contents> = {}): TrustFile {
  return readTrustFile(writeTrustFile(trustFileContents(more)));
}

export function trustFileContents(more: Partial<Contents> = {}): Contents {
  const { FETCH, PUT } = COAP_METHOD;
  const bit = (method: number) => 1 << (method - 1);
  return {
    version: 3,
    device: 'tube-1',
    audience: AUDIENCE,
    wrap: 'mac0',
    cwtTag: false,
    scopeForm: 'text',
    maxTokenBytes: 1024,
    keys: [MAC_JWK, ENCRYPTION_JWK],
    confirmationKeys: [{ ...SHARED_JWK }],
    answerKey: ANSWER_JWK,
    receipt: 'mac0',
    permissions: {
      read: [['temperature', bit(FETCH)]],
      configure: [['led', bit(FETCH) | bit(PUT)]],
      'read-only-lamp': [['led', bit(FETCH)]],
      broken: [['led', bit(FETCH) | bit(PUT) | bit(COAP_METHOD.DELETE)]],
    },
    ...more,
  };
}

export function claims(more: Partial<CwtClaims> = {}): CwtClaims {
  return {
    audience: AUDIENCE,
    expiresAt: NOW + 600,
    issuedAt: NOW - 5,
    cwtId: new Uint8Array(16).fill(7),
    scope: 'read',
    confirmation: { method: 'COSE_Key', key: coseKeyFromJwk(publicJwk(CLIENT)) },
    ...more,
  };
}

export function macToken(more: Partial<CwtClaims> = {}, key = MAC_KEY): Uint8Array {
  return makeCwt(claims(more), {
    wrap: 'mac0',
    keys: { authentication: key },
    cwtTag: false,
    nonce: () => new Uint8Array(13),
  });
}

export interface Tube {
  readonly device: SimulatedDevice;
  readonly time: FakeTime;
  readonly events: DeviceEvent[];
  readonly ask: (request: CoapRequest) => Promise<CoapResponse>;
  readonly give: (token: Uint8Array, contentFormat?: number) => Promise<CoapResponse>;
}

export function tube(options: Partial<SimulatedDeviceOptions> = {}): Tube {
  const time = new FakeTime({ now: NOW });
  const events: DeviceEvent[] = [];
  const device = new SimulatedDevice({
    trust: trustFile(),
    clock: time,
    random: time,
    onEvent: (event) => events.push(event),
    ...options,
  });
  return {
    device,
    time,
    events,
    ask: device.handler,
    give: (payload, contentFormat = CONTENT_FORMAT.cwt) =>
      device.handler({
        method: COAP_METHOD.POST,
        path: ['authz-info'],
        query: [receiptQuery(RECEIPT_NONCE)],
        contentFormat,
        payload,
      }),
  };
}

export async function challenge({ ask }: Tube, token: Uint8Array): Promise<Uint8Array> {
  const answer = await ask({ method: COAP_METHOD.POST, path: ['challenge'], payload: tokenHash(token) });
  return answer.payload;
}

export interface Signed {
  readonly token: Uint8Array;
  readonly nonce: Uint8Array;
  readonly method?: number;
  readonly path?: readonly string[];
  readonly payload?: Uint8Array;
  readonly contentFormat?: number;
  readonly key?: CoseKey;
  readonly audience?: string;
}

export function signed(options: Signed): CoapRequest & { readonly payload: Uint8Array } {
  const { token, nonce, method = COAP_METHOD.FETCH, path = ['temperature'], key = CLIENT.key } = options;
  const payload = makeSignedRequest({
    payload: options.payload ?? new Uint8Array(0),
    key,
    nonce,
    clientNonce: new Uint8Array(8).fill(1),
    tokenHash: tokenHash(token),
    audience: options.audience ?? AUDIENCE,
    method,
    path,
    contentFormat: options.contentFormat,
  });
  const contentFormat = key.key.type === 'secret' ? CONTENT_FORMAT.coseMac0 : CONTENT_FORMAT.coseSign1;
  return { method, path, contentFormat, payload };
}

/** What the device put under its MAC. */
export function opened(answer: CoapResponse, request: { readonly payload: Uint8Array }) {
  return openAnswer(answer.payload, {
    key: ANSWER_KEY,
    request: request.payload,
    audience: AUDIENCE,
    code: answer.code,
  });
}

/** Every copy of `bytes` with one bit turned. */
export function* bitFlips(bytes: Uint8Array): Generator<{ readonly bit: number; readonly flipped: Uint8Array }> {
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = Uint8Array.from(bytes);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    yield { bit, flipped };
  }
}

export const aif = (...rows: readonly (readonly [string, number])[]) => encodeCbor(rows);

/** A bare code, or one with who refuses beside it: never why. */
export async function expectTokenRefusal(
  given: Tube,
  token: Uint8Array,
  code: string,
  reason: TokenRefusal,
): Promise<void> {
  const answer = await given.give(token);
  expect(codeText(answer.code)).toBe(code);
  if (answer.payload.length > 0) {
    const context = { key: ANSWER_KEY, tokenHash: tokenHash(token), audience: AUDIENCE, nonce: RECEIPT_NONCE };
    openReceipt(answer.payload, { ...context, refusal: answer.code });
  }
  expect(given.events.at(-1)).toMatchObject({ event: 'token_refused', code, reason });
  expect(given.device.acceptedTokens).toBe(0);
  expect(given.device.tokens()).toEqual([]);
}
