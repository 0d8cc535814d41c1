/** A fresh key for a connected device and the client that has just proven itself. */

import { nonceLength } from '../codec/cose/algorithm.ts';
import { makeEncryptTo } from '../codec/cose/encrypt-to.ts';
import type { CoseKey } from '../codec/cose/key.ts';
import { sealJwe } from '../codec/jwe-seal.ts';
import { encodeSessionJwk } from '../codec/session-jwk.ts';
import {
  clientAad,
  deriveSessionSecret,
  encodeSessionKey,
  SESSION_SECRET_BYTES,
  type SessionKeyFacts,
  sealForDevice,
  sessionKeyId,
  tokenHashOf,
} from '../codec/session-key.ts';
import { fromBase64url } from '../core/bytes.ts';
import type { Random } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { SessionKeyCopies } from '../core/introspection.ts';
import type { HolderKey, ProvenHolder } from './judge-proof.ts';

export interface SessionKeyRequest {
  readonly holder: ProvenHolder;
  /** SHA-256 over the token. 32 bytes. */
  readonly tokenDigest: Uint8Array;
  readonly device: string;
  readonly audience: string;
  /** NumericDate, whole seconds: not after the token's own end. */
  readonly expiresAt: number;
  /** The device's key for use `session`. */
  readonly deviceKey: CoseKey;
  readonly clientFormat: 'jose' | 'cose';
  readonly random: Random;
}

/** A128GCM takes 12 bytes, in JOSE as in COSE. */
const CLIENT_NONCE_BYTES = 12;

/**
 * Makes a 128-bit key and seals one copy for the device, one for the client. A client that shares a secret with the AS
 * (RFC 9200 §5.9) gets none: the session key comes out of that secret. What the hub held of the key is overwritten before
 * this returns. The device's copy is under a key that the hub keeps, so whoever has that and a recorded answer has the key.
 * @throws {LatchkeyError} `session_key_unsupported` where nothing can be encrypted to the client: a key of Ed25519, a
 *   certificate, or no key
 */
export function mintSessionKey(request: SessionKeyRequest): SessionKeyCopies {
  const { holder, random } = request;
  const { key, thumbprint } = holder;
  if (key === undefined || thumbprint === undefined) throw new LatchkeyError('session_key_unsupported', holder.kind);
  const tokenHash = tokenHashOf(request.tokenDigest);
  const { secret, keyId } = secretFor(key, tokenHash, request);
  const facts: SessionKeyFacts = {
    keyId,
    expiresAt: request.expiresAt,
    tokenHash,
    clientThumbprint: fromBase64url(thumbprint),
  };
  try {
    const nonce = random.bytes(nonceLength(request.deviceKey.algorithm));
    const { device, audience, deviceKey } = request;
    return {
      keyId,
      expiresAt: request.expiresAt,
      forClient: key.kind === 'shared' ? undefined : sealForClient(secret, facts, key, request),
      forDevice: sealForDevice(secret, facts, { key: deviceKey, device, audience, nonce }),
    };
  } finally {
    secret.fill(0);
  }
}

function secretFor(
  key: HolderKey,
  tokenHash: Uint8Array,
  { audience, random }: SessionKeyRequest,
): { readonly secret: Uint8Array; readonly keyId: string } {
  if (key.kind === 'shared') return deriveSessionSecret(key.key, { nonce: key.nonce, tokenHash, audience });
  return { secret: random.bytes(SESSION_SECRET_BYTES), keyId: sessionKeyId((length) => random.bytes(length)) };
}

function sealForClient(
  secret: Uint8Array,
  facts: SessionKeyFacts,
  { key: recipient }: Extract<HolderKey, { readonly kind: 'public' }>,
  { audience, clientFormat, random }: SessionKeyRequest,
): string | Uint8Array {
  const nonce = random.bytes(CLIENT_NONCE_BYTES);
  const jose = clientFormat === 'jose';
  const plaintext = jose ? encodeSessionJwk(secret, facts, audience) : encodeSessionKey(secret, facts);
  try {
    return jose
      ? sealJwe({ plaintext, recipient, header: { cty: 'jwk+json' }, iv: nonce })
      : makeEncryptTo({ plaintext, recipient, nonce, externalAad: clientAad(facts, audience) });
  } finally {
    plaintext.fill(0);
  }
}
