/** Ephemeral-static ECDH on P-256, the sender's side: what JWE and COSE build on alike (RFC 7518 §4.6, RFC 9053 §6.3). */
import { createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';

export interface Agreement {
  /** The sender's public key for this one message, as a JWK with its required members. */
  readonly ephemeralJwk: JsonObject;
  /** x of the shared point, 32 bytes big-endian. Derive from it, then overwrite it. */
  readonly secret: Uint8Array;
}

/**
 * @param recipient public key; anything but EC P-256 is refused, an Ed25519 key too: it signs and agrees on nothing
 * @param ephemeral private key for this message; a fresh one unless a test wants the very bytes of an example
 * @throws {LatchkeyError} `session_key_unsupported`
 */
export function agree(recipient: KeyObject, ephemeral: KeyObject = fresh()): Agreement {
  if (recipient.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new LatchkeyError('session_key_unsupported');
  const { kty, crv, x, y } = createPublicKey(ephemeral).export({ format: 'jwk' });
  return {
    ephemeralJwk: { kty, crv, x, y } as JsonObject,
    secret: diffieHellman({ privateKey: ephemeral, publicKey: recipient }),
  };
}

function fresh(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}
