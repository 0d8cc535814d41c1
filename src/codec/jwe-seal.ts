/** Compact JWE (RFC 7516), making: to a public key, ECDH-ES directly with A128GCM (RFC 7518 §4.6, §5.3). */
import { createCipheriv, type KeyObject } from 'node:crypto';
import { base64url, utf8 } from '../core/bytes.ts';
import type { JsonObject } from '../core/json.ts';
import { concatKdf } from './concat-kdf.ts';
import { agree } from './key-agreement.ts';

const CONTENT_ENCRYPTION = 'A128GCM';

/**
 * @param options.header members beside `alg`, `enc` and `epk`
 * @param options.iv 12 bytes. The content key is of this one message, so any will do
 * @throws {LatchkeyError} `session_key_unsupported` for a recipient that is not EC P-256
 */
export function sealJwe(options: {
  readonly plaintext: Uint8Array;
  readonly recipient: KeyObject;
  readonly header: JsonObject;
  readonly iv: Uint8Array;
}): string {
  const { ephemeralJwk, secret } = agree(options.recipient);
  const header: JsonObject = { alg: 'ECDH-ES', enc: CONTENT_ENCRYPTION, ...options.header, epk: ephemeralJwk };
  const protectedText = base64url(utf8(JSON.stringify(header)));
  const contentKey = concatKdf(secret, CONTENT_ENCRYPTION);
  const cipher = createCipheriv('aes-128-gcm', contentKey, options.iv, { authTagLength: 16 });
  cipher.setAAD(utf8(protectedText));
  const ciphertext = cipher.update(options.plaintext);
  cipher.final();
  secret.fill(0);
  contentKey.fill(0);
  return `${protectedText}..${base64url(options.iv)}.${base64url(ciphertext)}.${base64url(cipher.getAuthTag())}`;
}
