/** Clients that show tokens to connected devices: their keys, and a fresh proof for each visit. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { systemRandom } from '../drivers/system-time.ts';
import { type CoseKey, importJwk } from '../src/codec/cose/key.ts';
import { jwkThumbprint } from '../src/codec/jwk-thumbprint.ts';
import { makeRelayProof } from '../src/codec/relay-proof.ts';
import { base64url, sha256 } from '../src/core/bytes.ts';
import type { IntrospectionQuestion, PresentedProof } from '../src/core/introspection.ts';
import type { JsonObject } from '../src/core/json.ts';
import { Secret } from '../src/core/secret.ts';
import { audienceOf } from './scripted-issuer.ts';

export type ProofKind = 'dpop' | 'cose';

export interface ClientKey {
  readonly privateKey: KeyObject;
  readonly coseKey: CoseKey;
  readonly publicJwk: JsonObject;
  readonly thumbprint: string;
  /** Part of a DPoP proof that is the same in all of them. */
  readonly dpopHeader: string;
}

export interface Visit {
  readonly kind: ProofKind;
  readonly key: ClientKey;
  readonly device: string;
  readonly token: string;
  readonly wantsSessionKey: boolean;
}

export function makeClientKey(): ClientKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicJwk = publicKey.export({ format: 'jwk' }) as JsonObject;
  return {
    privateKey,
    publicJwk,
    coseKey: importJwk(privateKey.export({ format: 'jwk' }) as JsonObject),
    thumbprint: jwkThumbprint(publicJwk),
    dpopHeader: jsonPart({ typ: 'dpop+jwt', alg: 'ES256', jwk: publicJwk }),
  };
}

/** What the device asks the hub: the token, and a proof that was made this moment. */
export function ask(visit: Visit): IntrospectionQuestion {
  const { kind, token, wantsSessionKey } = visit;
  const proof = kind === 'dpop' ? dpopProof(visit) : coseProof(visit);
  return { token: new Secret(token), proof, wantsSessionKey, clientFormat: kind === 'dpop' ? 'jose' : 'cose' };
}

function dpopProof({ device, key, token }: Visit): PresentedProof {
  const uri = `${audienceOf(device)}/recordings`;
  const claims = {
    jti: base64url(systemRandom.bytes(16)),
    htm: 'GET',
    htu: uri,
    iat: Math.floor(Date.now() / 1_000),
    ath: base64url(sha256(token)),
  };
  const input = `${key.dpopHeader}.${jsonPart(claims)}`;
  const signature = sign('sha256', Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  const proof = new Secret(`${input}.${base64url(signature)}`);
  return { kind: 'dpop', proof, method: 'GET', uri, nonce: undefined };
}

function coseProof({ device, key, token }: Visit): PresentedProof {
  const nonce = systemRandom.bytes(16);
  const audience = audienceOf(device);
  const message = makeRelayProof({
    key: key.coseKey,
    show: key.publicJwk,
    nonce,
    audience,
    tokenDigest: sha256(token),
  });
  return { kind: 'cose', message, nonce };
}

function jsonPart(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
