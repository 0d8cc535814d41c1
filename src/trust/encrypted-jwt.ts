/** Access tokens that are encrypted as a whole for the hub (RFC 7519 §5.2, §7.2): a signed JWT inside a JWE. */
import { type CompactJwe, decryptJwe, parseJwe } from '../codec/jwe.ts';
import type { DecryptionKeys } from '../codec/jwe-key.ts';
import { tokenForm } from '../codec/token-form.ts';
import { fromUtf8, sha256, utf8 } from '../core/bytes.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';
import type { TokenFacts } from '../core/verified-token.ts';

/** How tokens of these issuers are decrypted. */
export interface TokenDecryption {
  /** Those that a token may be of: the configured ones, or those that the device takes. */
  readonly issuers: readonly string[];
  readonly keys: DecryptionKeys;
}

/** A signed JWT out of a JWE. The signature is still to be verified. */
export interface DecryptedJwt {
  readonly jwt: string;
  /** Whose key it was encrypted to: its `iss` must be the same. */
  readonly issuer: string;
  /** Of the JWE: claims in it must be those of the token. */
  readonly header: JsonObject;
  readonly envelope: NonNullable<TokenFacts['envelope']>;
}

/**
 * @throws {LatchkeyError} `jwt_too_large`, `jwe_invalid`, `token_encrypted` for one that is for another recipient,
 *   `jwt_issuer_unknown`, `jwe_decryption_failed`, `jwt_malformed` for what holds no JWT
 */
export async function decryptJwt(token: string, { issuers, keys }: TokenDecryption): Promise<DecryptedJwt> {
  if (token.length > LIMITS.jwtBytes) throw new LatchkeyError('jwt_too_large', `${token.length} bytes`);
  const jwe = parseJwe(token, LIMITS.jwtBytes);
  demandNested(jwe);
  const issuer = recipientOf(jwe, { issuers, keys });
  const plaintext = await decryptJwe(jwe, keys.decryptionKeys(issuer));
  const envelope = { digest: sha256(utf8(token)), bytes: token.length };
  return { jwt: textOf(plaintext), issuer, header: jwe.header, envelope };
}

/**
 * RFC 7519 §5.2 demands `cty: JWT` of a nested token. One without it is accepted, since not every server writes it: what is
 * inside must be a signed JWT in any case.
 */
function demandNested({ header: { cty } }: CompactJwe): void {
  if (cty === undefined || (typeof cty === 'string' && /^(?:application\/)?(?:at\+)?jwt$/i.test(cty))) return;
  throw new LatchkeyError('jwe_invalid', 'cty is not JWT');
}

/**
 * The issuer whose key a token is encrypted to: by `kid`, by the replicated `iss`, or the only one. To try the keys of all of
 * them would let any client make the hub work once for each.
 */
function recipientOf({ header, keyId }: CompactJwe, { issuers, keys }: TokenDecryption): string {
  const [only, ...others] = issuers;
  const single = others.length === 0 ? only : undefined;
  const issuer = keyId !== undefined ? keys.issuerOfKey(keyId) : typeof header.iss === 'string' ? header.iss : single;
  if (issuer === undefined) throw new LatchkeyError('token_encrypted', keyId === undefined ? 'no kid' : 'kid');
  if (!issuers.includes(issuer)) throw new LatchkeyError('jwt_issuer_unknown');
  return issuer;
}

/** Signed, then encrypted: claims without a signature, or a second JWE, are no access token. */
function textOf(plaintext: Uint8Array): string {
  try {
    const text = fromUtf8(plaintext);
    if (tokenForm(text) === 'signed') return text;
  } catch (error) {
    if (!isCoded(error, 'utf8_invalid')) throw error;
  }
  throw new LatchkeyError('jwt_malformed', 'no signed JWT in the JWE');
}
