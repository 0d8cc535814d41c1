/** Clients with keys, the proofs that they make, and all that a judge is handed. */
import { createHash, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { importJWK, type JWK, SignJWT } from 'jose';
import { type CoseKey, importJwk } from '../../src/codec/cose/key.ts';
import { jwkThumbprint } from '../../src/codec/jwk-thumbprint.ts';
import { makeRelayProof } from '../../src/codec/relay-proof.ts';
import type { PresentedProof } from '../../src/core/introspection.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { Secret } from '../../src/core/secret.ts';
import { DurableReplayWindow } from '../../src/pop/durable-replay-window.ts';
import type { ProofContext } from '../../src/pop/judge-proof.ts';
import { ProofKeys } from '../../src/pop/proof-keys.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';

export const NOW = 1_700_000_000;
export const WINDOW = 60;
export const TOKEN = 'reference-into-the-memory-of-the-AS';
export const TOKEN_DIGEST = new Uint8Array(createHash('sha256').update(TOKEN).digest());
export const AUDIENCE = 'https://ekg-1.example';
const URI = 'https://ekg-1.example/recordings';
export const NONCE = Uint8Array.from({ length: 16 }, (_, index) => index);

export interface Client {
  readonly algorithm: 'ES256' | 'EdDSA';
  readonly privateJwk: JsonObject;
  readonly publicJwk: JsonObject;
  readonly key: CoseKey;
  readonly thumbprint: string;
}

export function makeClient(algorithm: Client['algorithm'] = 'ES256'): Client {
  const { privateKey, publicKey } =
    algorithm === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  const privateJwk = privateKey.export({ format: 'jwk' }) as JsonObject;
  const publicJwk = publicKey.export({ format: 'jwk' }) as JsonObject;
  return { algorithm, privateJwk, publicJwk, key: importJwk(privateJwk), thumbprint: jwkThumbprint(publicJwk) };
}

export interface SharedKey {
  readonly jwk: JsonObject;
  readonly key: CoseKey;
}

/** A secret that client and AS share. */
export function makeSharedKey(): SharedKey {
  const jwk: JsonObject = { kty: 'oct', k: randomBytes(32).toString('base64url') };
  return { jwk, key: importJwk(jwk, 'HMAC 256/256') };
}

export async function openWindow(
  options: { readonly store?: FaultyStore; readonly bootId?: string; readonly limit?: number } = {},
): Promise<DurableReplayWindow> {
  const { store = new FaultyStore(), bootId = 'boot-1', ...limit } = options;
  return DurableReplayWindow.open({ store, bootId, monotonic: 0, window: WINDOW, ...limit });
}

export function proofContext(
  replay: DurableReplayWindow,
  confirmation: JsonObject | undefined,
  changes: Partial<ProofContext> = {},
): ProofContext {
  return {
    confirmation,
    confidential: true,
    tokenDigest: TOKEN_DIGEST,
    device: 'ekg-1',
    audience: AUDIENCE,
    time: { earliest: NOW, latest: NOW },
    monotonic: 0,
    window: WINDOW,
    replay,
    keys: new ProofKeys(),
    bearer: false,
    ...changes,
  };
}

export interface DpopParts {
  readonly signedBy?: Client;
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
}

/** The compact proof, made by jose; good, but for what is given. `undefined` leaves a member out. */
export async function makeDpop(by: Client, parts: DpopParts = {}): Promise<string> {
  const ath = createHash('sha256').update(TOKEN).digest('base64url');
  const { privateJwk, algorithm } = parts.signedBy ?? by;
  return new SignJWT({ htm: 'GET', htu: URI, iat: NOW, jti: randomUUID(), ath, ...parts.claims })
    .setProtectedHeader({ typ: 'dpop+jwt', alg: by.algorithm, jwk: by.publicJwk as JWK, ...parts.header })
    .sign(await importJWK(privateJwk as JWK, algorithm));
}

export function presentDpop(
  proof: string,
  changes: Partial<Extract<PresentedProof, { kind: 'dpop' }>> = {},
): Extract<PresentedProof, { kind: 'dpop' }> {
  return { kind: 'dpop', proof: new Secret(proof), method: 'GET', uri: URI, nonce: undefined, ...changes };
}

export function presentCose(
  key: CoseKey,
  options: {
    readonly show?: JsonObject;
    readonly nonce?: Uint8Array;
    readonly tokenDigest?: Uint8Array;
    readonly audience?: string;
  } = {},
): Extract<PresentedProof, { kind: 'cose' }> {
  const message = makeRelayProof({ key, nonce: NONCE, tokenDigest: TOKEN_DIGEST, audience: AUDIENCE, ...options });
  return { kind: 'cose', message, nonce: options.nonce ?? NONCE };
}
