/**
 * Compact JWE (RFC 7516), decryption, by jose: `cnf.jwe` of RFC 7800 §3.3, access tokens that are encrypted as a whole, and a
 * client's copy of a session key. What is decided without a key is decided here, before jose sees the text: its size, its
 * form, a strict header, and the table of algorithms. jose is imported when the first JWE comes.
 */
import { fromBase64url } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';
import {
  CONTENT_ENCRYPTION,
  type ContentEncryption,
  isContentEncryption,
  isKeyManagement,
  KEY_MANAGEMENT,
  type KeyManagement,
} from './jwe-algorithms.ts';
import type { JweKey } from './jwe-key.ts';
import { parseStrictJsonObject } from './strict-json.ts';

const KEY_WRAP_BYTES = 8;
/** PartyUInfo and PartyVInfo are names (RFC 7518 §4.6.1.2). */
const PARTY_INFO_BYTES = 128;

/** A JWE whose form is good. Nothing of it is authenticated yet. */
export interface CompactJwe {
  readonly compact: string;
  readonly header: JsonObject;
  readonly algorithm: KeyManagement;
  readonly encryption: ContentEncryption;
  readonly keyId: string | undefined;
}

/** @throws {LatchkeyError} as `parseJwe` and `decryptJwe` */
export async function openJwe(compact: string, keys: readonly JweKey[]): Promise<Uint8Array> {
  return decryptJwe(parseJwe(compact), keys);
}

/** @throws {LatchkeyError} `jwe_invalid` for a form or an algorithm that is not accepted */
export function parseJwe(compact: string, maxBytes: number = LIMITS.jweBytes): CompactJwe {
  if (compact.length > maxBytes) throw invalid(`more than ${maxBytes} bytes`);
  const parts = compact.split('.');
  if (parts.length !== 5) throw invalid('not five parts');
  const [protectedText = '', encryptedKey = '', iv = '', ciphertext = '', tag = ''] = parts;
  const jwe = { compact, ...readHeader(protectedText) };
  const lengths = CONTENT_ENCRYPTION[jwe.encryption];
  part(ciphertext);
  if (part(iv).length !== lengths.iv || part(tag).length !== lengths.tag) throw invalid('iv or tag of another length');
  const keyBytes = part(encryptedKey).length;
  const { encryptedKey: form } = KEY_MANAGEMENT[jwe.algorithm];
  // How long the modulus is depends on the key: jose sees to it.
  if (form !== 'modulus' && keyBytes !== (form === 'none' ? 0 : lengths.key + KEY_WRAP_BYTES))
    throw invalid('encrypted key of another length');
  return jwe;
}

/**
 * Decrypts with the key that `kid` names; without `kid` with each key of its type.
 * @throws {LatchkeyError} `jwe_decryption_failed`, for all that may go wrong here: a point that is not on its curve, a key that
 *   does not unwrap and a tag that does not verify look alike to the sender (RFC 7516 §11.5)
 */
export async function decryptJwe(jwe: CompactJwe, keys: readonly JweKey[]): Promise<Uint8Array> {
  const { algorithm, compact, encryption, keyId } = jwe;
  const { keyType } = KEY_MANAGEMENT[algorithm];
  const candidates = keys.filter((key) => key.keyType === keyType && (keyId === undefined || key.keyId === keyId));
  if (candidates.length === 0) throw new LatchkeyError('jwe_decryption_failed');
  const { compactDecrypt } = await import('jose');
  const allowed = { keyManagementAlgorithms: [algorithm], contentEncryptionAlgorithms: [encryption] };
  for (const { key } of candidates) {
    try {
      return (await compactDecrypt(compact, key, { ...allowed, maxDecompressedLength: 0 })).plaintext;
    } catch {
      // Which step it was must not show. Where RSA-OAEP or the key unwrapping fails, jose goes on with a random content key.
    }
  }
  throw new LatchkeyError('jwe_decryption_failed');
}

function readHeader(protectedText: string): Omit<CompactJwe, 'compact'> {
  const header = parseStrictJsonObject(part(protectedText), { code: 'jwe_invalid' });
  const { alg, crit, enc, epk, kid, zip } = header;
  if (!isKeyManagement(alg)) throw invalid('alg');
  if (!isContentEncryption(enc)) throw invalid('enc');
  // No extension is known here (RFC 7516 §4.1.13). Compressed text would tell its length apart (RFC 8725 §3.6), and grow.
  if (crit !== undefined || zip !== undefined) throw invalid('crit or zip');
  if (kid !== undefined && typeof kid !== 'string') throw invalid('kid');
  if (KEY_MANAGEMENT[alg].keyType === 'EC') {
    if (!isJsonObject(epk) || epk.kty !== 'EC' || epk.d !== undefined) throw invalid('epk');
    demandPartyInfo(header.apu);
    demandPartyInfo(header.apv);
  }
  return { header, algorithm: alg, encryption: enc, keyId: kid };
}

function demandPartyInfo(value: JsonValue | undefined): void {
  if (value === undefined) return;
  if (typeof value !== 'string') throw invalid('apu or apv');
  if (part(value).length > PARTY_INFO_BYTES) throw invalid('apu or apv is too long');
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
