/**
 * The algorithms of JWE (RFC 7518 §4.1, §5.1) that the hub accepts: what is not in these tables is refused before a key is
 * touched. Left out on purpose: RSA1_5 (Bleichenbacher), PBES2 (the sender chooses how long the hub works), and every
 * algorithm with a key that hub and issuer share, `dir` among them: the hub shares none.
 */

export type JweKeyType = 'EC' | 'RSA';

interface KeyManagementRules {
  readonly keyType: JweKeyType;
  /**
   * What the second part of the JWE is: nothing, the content key under AES Key Wrap (8 bytes longer, RFC 3394 §2.2.1), or
   * as long as the modulus.
   */
  readonly encryptedKey: 'none' | 'wrapped' | 'modulus';
}

export const KEY_MANAGEMENT = {
  'ECDH-ES': { keyType: 'EC', encryptedKey: 'none' },
  'ECDH-ES+A128KW': { keyType: 'EC', encryptedKey: 'wrapped' },
  'ECDH-ES+A256KW': { keyType: 'EC', encryptedKey: 'wrapped' },
  'RSA-OAEP-256': { keyType: 'RSA', encryptedKey: 'modulus' },
} as const satisfies Readonly<Record<string, KeyManagementRules>>;

/** Lengths in bytes. */
export const CONTENT_ENCRYPTION = {
  A128GCM: { key: 16, iv: 12, tag: 16 },
  A256GCM: { key: 32, iv: 12, tag: 16 },
  'A128CBC-HS256': { key: 32, iv: 16, tag: 16 },
} as const;

export type KeyManagement = keyof typeof KEY_MANAGEMENT;
export type ContentEncryption = keyof typeof CONTENT_ENCRYPTION;

export function isKeyManagement(name: unknown): name is KeyManagement {
  return typeof name === 'string' && Object.hasOwn(KEY_MANAGEMENT, name);
}

export function isContentEncryption(name: unknown): name is ContentEncryption {
  return typeof name === 'string' && Object.hasOwn(CONTENT_ENCRYPTION, name);
}
