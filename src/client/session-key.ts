import { openEncryptTo } from '../codec/cose/encrypt-to.ts';
import { openJwe } from '../codec/jwe.ts';
import { decodeSessionJwk } from '../codec/session-jwk.ts';
import {
  clientAad,
  decodeSessionKey,
  deriveSessionSecret,
  type SessionKey,
  secretThumbprint,
  sessionKey,
  tokenHashOf,
} from '../codec/session-key.ts';
import { equal, sha256 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { type AccessToken, requestKey } from './access-token.ts';

/** What a client knows of the session whose key it opens. */
export interface SessionContext {
  /** The token that it presented, with the key that it proved. */
  readonly token: AccessToken;
  /** The device that it presented the token to, by its `aud`. */
  readonly audience: string;
}

/**
 * Opens the client's copy of a session key, as the device handed it on: a compact JWE or a COSE_Encrypt for the key that the
 * token is bound to (EC P-256). The copy has no signature: only the device, by answering under the key, shows that
 * it holds the other one.
 * @throws {LatchkeyError} `client_key_missing`; `jwe_*`, `cbor_*`, `cose_*` for a copy that does not open;
 *   `session_key_invalid` for one of another token or device
 */
export async function openSessionKey(copy: string | Uint8Array, context: SessionContext): Promise<SessionKey> {
  const { token, audience } = context;
  const { key } = requestKey(token);
  const tokenHash = tokenHashOf(sha256(token.value.expose()));
  const session =
    typeof copy === 'string'
      ? openJwk(await openJwe(copy, [{ keyType: 'EC', keyId: undefined, key }]), audience)
      : decodeSessionKey(openEncryptTo(copy, { key, externalAad: clientAad({ tokenHash }, audience) }));
  // ECDH has tied it to the client's key.
  if (!equal(session.tokenHash, tokenHash)) throw new LatchkeyError('session_key_invalid', 'for another token');
  return session;
}

function openJwk(plaintext: Uint8Array, expected: string): SessionKey {
  const { session, audience } = decodeSessionJwk(plaintext);
  if (audience !== expected) throw new LatchkeyError('session_key_invalid', 'for another audience');
  return session;
}

/**
 * The session key of a client that shares its `cnf` key with the AS: it gets no copy, but derives the key as the hub does.
 * @param options.nonce the device's, which the client's proof was made for
 * @param options.expiresAt NumericDate, as the device was told it
 * @throws {LatchkeyError} `client_key_missing`
 */
export function deriveSessionKey(
  options: SessionContext & { readonly nonce: Uint8Array; readonly expiresAt: number },
): SessionKey {
  const { token, nonce, audience, expiresAt } = options;
  const { key } = requestKey(token);
  const tokenHash = tokenHashOf(sha256(token.value.expose()));
  const { secret, keyId } = deriveSessionSecret(key, { nonce, tokenHash, audience });
  const session = sessionKey(secret, { keyId, expiresAt, tokenHash, clientThumbprint: secretThumbprint(key) });
  secret.fill(0);
  return session;
}
