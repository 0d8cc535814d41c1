/**
 * The symmetric key of a token that came encrypted: the one step of a translation that waits for another thread. It is done
 * before `translate`, and only for tokens that hold such a key.
 */
import type { CborMap } from '../codec/cbor.ts';
import { confirmationMethod } from '../codec/confirmation-method.ts';
import { importJwk } from '../codec/cose/key.ts';
import { coseKeyFromJwk } from '../codec/cose/key-map.ts';
import { decryptJwe, parseJwe } from '../codec/jwe.ts';
import type { DecryptionKeys } from '../codec/jwe-key.ts';
import { parseStrictJsonObject } from '../codec/strict-json.ts';
import type { WrapAlgorithm } from '../core/device-profile.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject } from '../core/json.ts';
import { demandReplicated } from '../core/replicated-claims.ts';
import { Secret } from '../core/secret.ts';
import type { TokenFacts } from '../core/verified-token.ts';

/** A symmetric key as a COSE_Key. */
export type ConfirmationKey = Secret<CborMap>;

type BoundToken = Pick<TokenFacts, 'issuer' | 'subject' | 'statedAudience' | 'confirmation' | 'envelope'>;

const DEFAULT_SYMMETRIC: WrapAlgorithm = 'HMAC 256/256';

/**
 * The key in `cnf.jwe` (RFC 7800 §3.3), or in `cnf.jwk` of a token that is encrypted as a whole (§3.2). Undefined for a token
 * that holds neither.
 * @throws {LatchkeyError} `jwe_invalid`, `jwe_decryption_failed`, `jwe_foreign`; `confirmation_invalid` and
 *   `confirmation_unsupported`
 */
export async function openConfirmationKey(
  token: BoundToken,
  hubKeys: DecryptionKeys,
): Promise<ConfirmationKey | undefined> {
  const { confirmation, envelope } = token;
  if (confirmation === undefined || (confirmation.jwe === undefined && envelope === undefined)) return undefined;
  const method = confirmationMethod(confirmation);
  const { jwe, jwk } = confirmation;
  if (method === 'jwk' && isJsonObject(jwk) && jwk.kty === 'oct') return symmetricKey(method, () => jwk);
  if (method !== 'jwe') return undefined;
  if (typeof jwe !== 'string') throw new LatchkeyError('confirmation_invalid', 'jwe is not text');
  const plaintext = await decrypted(jwe, token, hubKeys);
  try {
    return symmetricKey(method, () => parseStrictJsonObject(plaintext, { code: 'jwk_invalid' }));
  } finally {
    plaintext.fill(0);
  }
}

async function decrypted(text: string, token: BoundToken, hubKeys: DecryptionKeys): Promise<Uint8Array> {
  const jwe = parseJwe(text);
  const owner = jwe.keyId === undefined ? undefined : hubKeys.issuerOfKey(jwe.keyId);
  if (owner !== undefined && owner !== token.issuer) throw new LatchkeyError('jwe_foreign', 'kid');
  const plaintext = await decryptJwe(jwe, hubKeys.decryptionKeys(token.issuer));
  demandReplicated(jwe.header, token);
  return plaintext;
}

/**
 * The key with the algorithm that it serves. A JWK may leave that open; here the key then serves HMAC 256/256, what JOSE
 * calls HS256, since a device could not tell and would have to refuse it (RFC 9052 §7).
 */
function symmetricKey(method: 'jwe' | 'jwk', read: () => JsonObject): ConfirmationKey {
  try {
    const { kty, k, kid, alg = DEFAULT_SYMMETRIC } = read();
    if (kty !== 'oct') throw new LatchkeyError('jwk_invalid', 'not a symmetric JWK');
    const jwk = { kty, k, alg, ...(kid === undefined ? {} : { kid }) } as JsonObject;
    // Imported only to verify that the algorithm is known, and that the key has as many bytes as it needs.
    importJwk(jwk);
    return new Secret(coseKeyFromJwk(jwk));
  } catch (error) {
    throw new LatchkeyError('confirmation_invalid', `${method} does not hold a symmetric JWK (${coded(error).code})`);
  }
}
