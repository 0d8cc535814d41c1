/**
 * Compact JWE (RFC 7516), opening: `cnf.jwe` of RFC 7800 §3.3, and a client's copy of a session key. Three ways to the
 * content key, ECDH-ES+A128KW, ECDH-ES and dir, and one cipher, A128GCM. Synchronous over node:crypto like the rest of the
 * way of a token.
 */
import { createDecipheriv, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto';
import { concat, fromBase64url, utf8 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';
import { concatKdf } from './concat-kdf.ts';
import type { JweKey } from './jwe-key.ts';
import { parseStrictJsonObject } from './strict-json.ts';

const IV_BYTES = 12;
const TAG_BYTES = 16;
/** A 16 byte key, wrapped (RFC 3394 §2.2.1). */
const WRAPPED_KEY_BYTES = 24;
/** RFC 3394 §2.2.3.1 */
const KEY_WRAP_IV = new Uint8Array(8).fill(0xa6);
/** PartyUInfo and PartyVInfo are names (RFC 7518 §4.6.1.2). */
const PARTY_INFO_BYTES = 128;

interface ParsedJwe {
  readonly header: JsonObject;
  /** The first part as it stood: the additional authenticated data (RFC 7516 §5.1 step 14). */
  readonly protectedText: string;
  readonly encryptedKey: Uint8Array;
  readonly iv: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly tag: Uint8Array;
}

/** What was inside, and the header, which the sender authenticated with it. */
export interface OpenedJwe {
  readonly plaintext: Uint8Array;
  readonly header: JsonObject;
}

/** The plaintext alone. @throws {LatchkeyError} as `openJweWithHeader` */
export function openJwe(compact: string, keys: readonly JweKey[]): Uint8Array {
  return openJweWithHeader(compact, keys).plaintext;
}

/**
 * Opens a JWE with the key that its `kid` names; one without `kid` with any key of its algorithm.
 * @param isForeign whether a `kid` names a key that is held for other senders, and used for none of this one
 * @throws {LatchkeyError} `jwe_invalid` for a form or an algorithm that is not taken, `jwe_decryption_failed` for all that
 * happens after keys are involved: the sender learns no more than that; `jwe_foreign`
 */
export function openJweWithHeader(
  compact: string,
  keys: readonly JweKey[],
  isForeign: (keyId: string) => boolean = () => false,
): OpenedJwe {
  const jwe = parseJwe(compact, keys);
  const { header } = jwe;
  const { alg, kid } = header;
  if (typeof kid === 'string' && isForeign(kid)) throw new LatchkeyError('jwe_foreign', 'kid');
  for (const candidate of keys) {
    if (candidate.algorithm !== alg || (kid !== undefined && candidate.keyId !== kid)) continue;
    const contentKey = alg === 'dir' ? candidate.key : agreedContentKey(jwe, candidate.key);
    const plaintext = contentKey === undefined ? undefined : decrypt(jwe, contentKey);
    if (plaintext !== undefined) return { plaintext, header };
  }
  throw new LatchkeyError('jwe_decryption_failed');
}

function parseJwe(compact: string, keys: readonly JweKey[]): ParsedJwe {
  if (compact.length > LIMITS.jweBytes) throw invalid(`more than ${LIMITS.jweBytes} bytes`);
  const parts = compact.split('.');
  const [protectedText, encryptedKey, iv, ciphertext, tag] = parts;
  if (
    parts.length !== 5 ||
    protectedText === undefined ||
    encryptedKey === undefined ||
    iv === undefined ||
    ciphertext === undefined ||
    tag === undefined
  ) {
    throw invalid('not five parts');
  }
  const jwe: ParsedJwe = {
    header: parseHeader(protectedText, keys),
    protectedText,
    encryptedKey: part(encryptedKey),
    iv: part(iv),
    ciphertext: part(ciphertext),
    tag: part(tag),
  };
  if (jwe.iv.length !== IV_BYTES || jwe.tag.length !== TAG_BYTES) throw invalid('iv or tag of another length');
  const keyBytes = jwe.header.alg === 'ECDH-ES+A128KW' ? WRAPPED_KEY_BYTES : 0;
  if (jwe.encryptedKey.length !== keyBytes) throw invalid('encrypted key of another length');
  return jwe;
}

function parseHeader(protectedText: string, keys: readonly JweKey[]): JsonObject {
  const header = parseStrictJsonObject(part(protectedText), { code: 'jwe_invalid' });
  // Direct agreement is for clients alone: the hub takes none, and has no key for it.
  const direct = header.alg === 'ECDH-ES' && keys.some(({ algorithm }) => algorithm === 'ECDH-ES');
  if (header.alg !== 'ECDH-ES+A128KW' && header.alg !== 'dir' && !direct) throw invalid('alg');
  if (header.enc !== 'A128GCM') throw invalid('enc');
  // No extension is known here (RFC 7516 §4.1.13), and compressed text would tell its length apart (RFC 8725 §3.6).
  if (header.crit !== undefined || header.zip !== undefined) throw invalid('crit or zip');
  if (header.kid !== undefined && typeof header.kid !== 'string') throw invalid('kid');
  return header;
}

/**
 * RFC 7518 §4.6: agreement with the sender's ephemeral key, then Concat KDF, whose result is the content key itself or
 * unwraps it. Undefined if any of it fails.
 */
function agreedContentKey(jwe: ParsedJwe, privateKey: KeyObject): Uint8Array | undefined {
  const { epk, apu, apv } = jwe.header;
  if (!isJsonObject(epk) || epk.d !== undefined) throw invalid('epk');
  const parties = [partyInfo(apu), partyInfo(apv)] as const;
  try {
    // createPublicKey refuses a point off its curve, diffieHellman one of another curve than the key's.
    const { kty, crv, x, y } = epk;
    const jwk = (kty === 'EC' ? { kty, crv, x, y } : { kty, crv, x }) as JsonObject;
    const secret = diffieHellman({ privateKey, publicKey: createPublicKey({ key: jwk, format: 'jwk' }) });
    if (jwe.header.alg === 'ECDH-ES') return concatKdf(secret, 'A128GCM', parties);
    const decipher = createDecipheriv('id-aes128-wrap', concatKdf(secret, 'ECDH-ES+A128KW', parties), KEY_WRAP_IV);
    return concat(decipher.update(jwe.encryptedKey), decipher.final());
  } catch {
    // One answer for a foreign curve, a bad point and a wrapped key that does not check (RFC 7516 §11.5).
    return undefined;
  }
}

function decrypt(jwe: ParsedJwe, key: KeyObject | Uint8Array): Uint8Array | undefined {
  try {
    const decipher = createDecipheriv('aes-128-gcm', key, jwe.iv, { authTagLength: TAG_BYTES });
    decipher.setAAD(utf8(jwe.protectedText));
    decipher.setAuthTag(jwe.tag);
    return concat(decipher.update(jwe.ciphertext), decipher.final());
  } catch {
    // `final` throws where the tag does not verify; the caller answers for every key at once.
    return undefined;
  }
}

function partyInfo(value: JsonValue | undefined): Uint8Array {
  if (value === undefined) return new Uint8Array(0);
  if (typeof value !== 'string') throw invalid('apu or apv');
  const bytes = part(value);
  if (bytes.length > PARTY_INFO_BYTES) throw invalid('apu or apv is too long');
  return bytes;
}

function part(text: string): Uint8Array {
  try {
    return fromBase64url(text);
  } catch (error) {
    throw new LatchkeyError('jwe_invalid', 'a part is not base64url', { cause: error });
  }
}

function invalid(what: string): LatchkeyError {
  return new LatchkeyError('jwe_invalid', what);
}
