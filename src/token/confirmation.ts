/** `cnf` of a JWT (RFC 7800) as `cnf` of a CWT (RFC 8747): the key that the client proves possession of. */
import { type CborMap, decodeCbor, encodeCbor } from '../codec/cbor.ts';
import { confirmationMethod } from '../codec/confirmation-method.ts';
import { makeEncrypt0 } from '../codec/cose/encrypt0.ts';
import { type CoseKey, importJwk } from '../codec/cose/key.ts';
import { coseKeyFromJwk } from '../codec/cose/key-map.ts';
import type { CwtConfirmation } from '../codec/cwt.ts';
import { openJweWithHeader } from '../codec/jwe.ts';
import type { JweKey } from '../codec/jwe-key.ts';
import { jwkThumbprint } from '../codec/jwk-thumbprint.ts';
import { parseStrictJsonObject } from '../codec/strict-json.ts';
import { detached, utf8 } from '../core/bytes.ts';
import type { DeviceProfile, WrapAlgorithm } from '../core/device-profile.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { RecentMap } from '../core/recent-map.ts';
import type { VerifiedToken } from '../core/verified-token.ts';

export interface ConfirmationContext {
  readonly profile: Pick<DeviceProfile, 'wrap'>;
  /** Public key that the presenter proved possession of, for `cnf.jkt`. */
  readonly proofKey: JsonObject | undefined;
  /** Whether a token without `cnf` is bound to that key. */
  readonly bindsToPresenter: boolean;
  /** Keys that `cnf.jwe` of the issuer may be encrypted to. */
  readonly hubKeys: readonly JweKey[];
  /** Whether a `kid` names a key of the hub that is for `cnf.jwe` of another issuer. */
  readonly isForeignKey: (keyId: string) => boolean;
  /** Claims of the token that a JWE may replicate in its header. */
  readonly claims: ReplicatedClaims;
  /** Key that a symmetric confirmation key is encrypted for the device with. */
  readonly encryption: CoseKey | undefined;
  readonly nonce: (algorithm: CoseKey['algorithm']) => Uint8Array;
}

type ReplicatedClaims = Pick<VerifiedToken, 'issuer' | 'subject' | 'statedAudience'>;

/** A device remembers a `kid` for each token; RFC 7800 sets no limit. */
const MAX_KEY_ID_BYTES = 64;

const DEFAULT_SYMMETRIC: WrapAlgorithm = 'HMAC 256/256';

interface PublicKey {
  readonly kty: JsonValue;
  readonly crv: JsonValue;
  readonly y: JsonValue | undefined;
  readonly key: CborMap;
}

/** COSE_Keys of public keys seen, by their `x`: whether a client's point is on its curve is asked once. */
const publicKeys = new RecentMap<JsonValue, PublicKey>(2_048);

/**
 * @throws {LatchkeyError} `confirmation_missing` for a token without `cnf`, unless it is bound to the key of its first presenter;
 * `confirmation_invalid`, `confirmation_unsupported`; `proof_missing` and `proof_key_mismatch` for `jkt`; `jwe_*` for
 * `jwe`; `profile_invalid` where the device has no key that a symmetric one could be encrypted with
 */
export function translateConfirmation(
  confirmation: JsonObject | undefined,
  context: ConfirmationContext,
): CwtConfirmation {
  if (confirmation === undefined) {
    if (!context.bindsToPresenter) throw new LatchkeyError('confirmation_missing');
    if (context.proofKey === undefined) throw new LatchkeyError('proof_missing');
    return { method: 'COSE_Key', key: publicCoseKey(context.proofKey) };
  }
  const method = confirmationMethod(confirmation);
  const value = confirmation[method] as JsonValue;
  switch (method) {
    case 'jwk':
      if (!isJsonObject(value)) throw invalid('jwk is not an object');
      return { method: 'COSE_Key', key: publicCoseKey(value) };
    case 'jkt':
      return { method: 'COSE_Key', key: shownKey(value, context.proofKey) };
    case 'kid':
      return { method: 'kid', keyId: keyIdBytes(value) };
    case 'jwe':
      return symmetricKey(value, context);
    case 'jku':
    case 'x5t#S256':
      // A device follows no address and speaks no TLS.
      throw new LatchkeyError('confirmation_unsupported', method);
  }
}

/**
 * A COSE_Key with what the proof needs and no more: a token's `kid`, `alg` or `use` would cost the device bytes.
 * RFC 7800 §3.2 allows a symmetric `jwk` only in an encrypted JWT, and this one is signed and readable.
 */
function publicCoseKey(jwk: JsonObject): CborMap {
  if (jwk.d !== undefined || jwk.k !== undefined) throw invalid('jwk is not a public key');
  const { kty, crv, x, y } = jwk;
  const known = x === undefined ? undefined : publicKeys.get(x);
  if (known !== undefined && known.y === y && known.kty === kty && known.crv === crv) return known.key;
  try {
    const key = coseKeyFromJwk((kty === 'EC' ? { kty, crv, x, y } : { kty, crv, x }) as JsonObject);
    const kept = { kty: own(kty), crv: own(crv), y: y === undefined ? y : own(y), key };
    publicKeys.set(own(x), kept);
    return key;
  } catch (error) {
    throw new LatchkeyError('confirmation_invalid', 'jwk is neither EC P-256 nor OKP Ed25519', { cause: error });
  }
}

/** A member as it may be kept. Those of a key that was good are ASCII. */
function own(member: JsonValue | undefined): JsonValue {
  return typeof member === 'string' ? detached(member) : (member ?? null);
}

/**
 * `jkt` names a key that the token does not hold. A device wants the key, or the thumbprint of its COSE_Key (`ckt`, RFC
 * 9679), which comes from the key and not from the JWK thumbprint. So the presenter has to show it.
 */
function shownKey(thumbprint: JsonValue, proofKey: JsonObject | undefined): CborMap {
  if (typeof thumbprint !== 'string') throw invalid('jkt is not text');
  if (proofKey === undefined) throw new LatchkeyError('proof_missing');
  if (jwkThumbprint(proofKey) !== thumbprint) throw new LatchkeyError('proof_key_mismatch');
  return publicCoseKey(proofKey);
}

function keyIdBytes(value: JsonValue): Uint8Array {
  const keyId = typeof value === 'string' ? utf8(value) : undefined;
  if (keyId === undefined || keyId.length === 0 || keyId.length > MAX_KEY_ID_BYTES) {
    throw invalid(`kid is not text of 1 to ${MAX_KEY_ID_BYTES} bytes`);
  }
  return keyId;
}

/** RFC 7800 §3.3: a symmetric JWK, encrypted to the hub, that goes on encrypted to the device (RFC 8747 §3.3). */
function symmetricKey(value: JsonValue, context: ConfirmationContext): CwtConfirmation {
  if (typeof value !== 'string') throw invalid('jwe is not text');
  const { plaintext, header } = openJweWithHeader(value, context.hubKeys, context.isForeignKey);
  demandReplicated(header, context.claims);
  const key = readSymmetricKey(plaintext);
  // RFC 8747 §3.2: inside an encrypted CWT the key may stand as it is.
  if (context.profile.wrap.endsWith('encrypt0')) return { method: 'COSE_Key', key };
  const { encryption } = context;
  if (encryption === undefined) {
    throw new LatchkeyError(
      'profile_invalid',
      'the token holds an encrypted key, and the device has no encryption key',
    );
  }
  const message = makeEncrypt0({
    plaintext: encodeCbor(key),
    key: encryption,
    nonce: context.nonce(encryption.algorithm),
    tagged: false,
  });
  return { method: 'Encrypted_COSE_Key', message: decodeCbor(message) };
}

/**
 * RFC 7519 §5.3: claims that are replicated as header parameters must be those of the token. The JWE is encrypted apart
 * from the JWT around it, so this is what ties the one to the other.
 */
function demandReplicated(
  { iss, sub, aud }: JsonObject,
  { issuer, subject, statedAudience: audience }: ReplicatedClaims,
): void {
  if (iss !== undefined && iss !== issuer) throw new LatchkeyError('jwe_foreign', 'iss');
  if (sub !== undefined && sub !== subject) throw new LatchkeyError('jwe_foreign', 'sub');
  const named = Array.isArray(aud) ? aud : [aud];
  const isSame = named.length === audience.length && named.every((name, index) => name === audience[index]);
  if (aud !== undefined && !isSame) throw new LatchkeyError('jwe_foreign', 'aud');
}

/**
 * The key with the algorithm that it serves. A JWK may leave that open; here the key then serves HMAC 256/256, what JOSE
 * calls HS256, since a device could not tell and would have to refuse it (RFC 9052 §7).
 */
function readSymmetricKey(plaintext: Uint8Array): CborMap {
  try {
    const { kty, k, kid, alg = DEFAULT_SYMMETRIC } = parseStrictJsonObject(plaintext, { code: 'jwk_invalid' });
    if (kty !== 'oct') throw new LatchkeyError('jwk_invalid', 'not a symmetric JWK');
    const jwk = { kty, k, alg, ...(kid === undefined ? {} : { kid }) } as JsonObject;
    // Imported only to check it: an algorithm that is supported, and as many bytes as it needs.
    importJwk(jwk);
    return coseKeyFromJwk(jwk);
  } catch (error) {
    throw new LatchkeyError('confirmation_invalid', `jwe does not hold a symmetric JWK (${coded(error).code})`);
  }
}

function invalid(what: string): LatchkeyError {
  return new LatchkeyError('confirmation_invalid', what);
}
