/**
 * A JOSE client's copy of a session key: the plaintext of its JWE. A JWK (RFC 7517 §7: `cty` is `jwk+json`) with more
 * members, which readers of JWK ignore: `exp`, `aud` (the device's), `token_hash`, and `jkt` of the client's key.
 */
import { base64url, utf8 } from '../core/bytes.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { bytesFromJwk, textFromJwk } from './cose/jwk-members.ts';
import {
  CLIENT_THUMBPRINT_BYTES,
  SESSION_ALGORITHM,
  SESSION_SECRET_BYTES,
  type SessionKey,
  type SessionKeyFacts,
  sessionKey,
  TOKEN_HASH_BYTES,
} from './session-key.ts';
import { parseStrictJsonObject } from './strict-json.ts';

const ALPHABET = utf8('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');
/** Characters of the key in base64url, and where they begin: after `{"k":"`. */
const KEY_CHARACTERS = 22;
const KEY_START = 6;

/** Overwrite the answer once it is encrypted: the key never was a string here, which nobody could overwrite. */
export function encodeSessionJwk(secret: Uint8Array, facts: SessionKeyFacts, audience: string): Uint8Array {
  const jwk: JsonObject = {
    k: 'A'.repeat(KEY_CHARACTERS),
    kty: 'oct',
    kid: facts.keyId,
    alg: SESSION_ALGORITHM,
    exp: facts.expiresAt,
    aud: audience,
    token_hash: base64url(facts.tokenHash),
    jkt: base64url(facts.clientThumbprint),
  };
  const bytes = utf8(JSON.stringify(jwk));
  writeBase64url(secret, bytes.subarray(KEY_START, KEY_START + KEY_CHARACTERS));
  return bytes;
}

/** @throws {LatchkeyError} `session_key_invalid` */
export function decodeSessionJwk(plaintext: Uint8Array): { readonly session: SessionKey; readonly audience: string } {
  const jwk = parseStrictJsonObject(plaintext, { code: 'session_key_invalid' });
  plaintext.fill(0);
  if (jwk.kty !== 'oct' || jwk.alg !== SESSION_ALGORITHM) throw invalid('kty or alg');
  if (typeof jwk.exp !== 'number') throw invalid('exp');
  try {
    const facts: SessionKeyFacts = {
      keyId: textFromJwk(jwk, 'kid'),
      expiresAt: jwk.exp,
      tokenHash: bytesFromJwk(jwk, 'token_hash', TOKEN_HASH_BYTES),
      clientThumbprint: bytesFromJwk(jwk, 'jkt', CLIENT_THUMBPRINT_BYTES),
    };
    return {
      session: sessionKey(bytesFromJwk(jwk, 'k', SESSION_SECRET_BYTES), facts),
      audience: textFromJwk(jwk, 'aud'),
    };
  } catch (error) {
    // Codes `jwk_*` speak of keys that somebody chose; this one came from the hub.
    throw invalid(coded(error).detail ?? coded(error).code);
  }
}

/** RFC 4648 §5 without padding: six bits a character, the last one filled up with zeros. */
function writeBase64url(bytes: Uint8Array, out: Uint8Array): void {
  for (let index = 0; index < out.length; index += 1) {
    const bit = index * 6;
    const pair = ((bytes[bit >> 3] ?? 0) << 8) | (bytes[(bit >> 3) + 1] ?? 0);
    out[index] = ALPHABET[(pair >> (10 - (bit & 7))) & 63] ?? 0;
  }
}

function invalid(detail: string): LatchkeyError {
  return new LatchkeyError('session_key_invalid', detail);
}
