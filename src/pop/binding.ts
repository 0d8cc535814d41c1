/** What a token's confirmation (`cnf`, RFC 7800) asks its presenter to prove. */
import { createSecretKey } from 'node:crypto';
import { confirmationMethod } from '../codec/confirmation-method.ts';
import { algorithmFromJwk, bytesFromJwk } from '../codec/cose/jwk-members.ts';
import type { CoseKey } from '../codec/cose/key.ts';
import { secretThumbprint } from '../codec/session-key.ts';
import { base64url, EMPTY, fromBase64url } from '../core/bytes.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import type { ProofKey, ProofKeys } from './proof-keys.ts';

export type Binding =
  /** `jkt`, or `jwk` with a public key, which is at hand then. Without a thumbprint any key will do. */
  | { readonly kind: 'public'; readonly thumbprint: string | undefined; readonly key: ProofKey | undefined }
  /** `jwk` with a symmetric key that the AS gave client and hub. */
  | { readonly kind: 'shared'; readonly thumbprint: string; readonly key: CoseKey }
  /** `x5t#S256`: SHA-256 over a certificate, 32 bytes. */
  | { readonly kind: 'certificate'; readonly thumbprint: Uint8Array };

/** Of a token that is to be bound to the key of its presenter, whichever that is. */
export const ANY_KEY: Binding = { kind: 'public', thumbprint: undefined, key: undefined };

const THUMBPRINT_BYTES = 32;
/** RFC 9053 §3.1 wants HMAC keys as long as the hash; keys of 128 bits are what RFC 9200 shows and devices hold. */
const LEAST_SECRET_BYTES = 16;
const MOST_SECRET_BYTES = 64;

/**
 * @param options.confidential the confirmation came from the AS itself (introspection), so that a symmetric key in it is a
 *   secret. In a JWT whoever has the token could read it: RFC 7800 §3.2 wants it encrypted there
 * @throws {LatchkeyError} `confirmation_invalid`, `confirmation_unsupported`
 */
export function bindingOf(
  confirmation: JsonObject,
  { keys, confidential }: { readonly keys: ProofKeys; readonly confidential: boolean },
): Binding {
  const method = confirmationMethod(confirmation);
  const value = confirmation[method] as JsonValue;
  switch (method) {
    case 'jkt':
      return { kind: 'public', thumbprint: base64url(digest(value, method)), key: undefined };
    case 'x5t#S256':
      return { kind: 'certificate', thumbprint: digest(value, method) };
    case 'jwk':
      if (!isJsonObject(value)) throw invalid('jwk is not an object');
      return value.kty === 'oct' ? sharedKey(value, confidential) : publicKey(value, keys);
    case 'jwe':
    case 'kid':
    case 'jku':
      // The hub holds no such key, and follows no address that a token names.
      throw new LatchkeyError('confirmation_unsupported', method);
  }
}

function publicKey(jwk: JsonObject, keys: ProofKeys): Binding {
  try {
    const key = keys.find(jwk);
    return { kind: 'public', thumbprint: key.thumbprint, key };
  } catch (error) {
    throw invalid(`jwk: ${coded(error).detail ?? coded(error).code}`);
  }
}

function sharedKey(jwk: JsonObject, confidential: boolean): Binding {
  if (!confidential) throw invalid('a symmetric jwk that every reader of the token can use');
  const { algorithm, secret } = secretOf(jwk);
  if (algorithm !== undefined && algorithm !== 'HMAC 256/256') {
    throw new LatchkeyError('confirmation_unsupported', `a key for ${algorithm}`);
  }
  if (secret.length < LEAST_SECRET_BYTES || secret.length > MOST_SECRET_BYTES) throw invalid('jwk: k of another size');
  const key = createSecretKey(secret);
  secret.fill(0);
  return {
    kind: 'shared',
    thumbprint: base64url(secretThumbprint(key)),
    key: { algorithm: 'HMAC 256/256', keyId: undefined, key },
  };
}

function secretOf(jwk: JsonObject) {
  try {
    return { algorithm: algorithmFromJwk(jwk), secret: bytesFromJwk(jwk, 'k') };
  } catch (error) {
    throw invalid(`jwk: ${coded(error).detail ?? coded(error).code}`);
  }
}

function digest(value: JsonValue, name: string): Uint8Array {
  try {
    const bytes = typeof value === 'string' ? fromBase64url(value) : EMPTY;
    if (bytes.length === THUMBPRINT_BYTES) return bytes;
  } catch (error) {
    throw new LatchkeyError('confirmation_invalid', `${name} is not base64url`, { cause: error });
  }
  throw invalid(`${name} is not SHA-256 in base64url`);
}

function invalid(detail: string): LatchkeyError {
  return new LatchkeyError('confirmation_invalid', detail);
}
