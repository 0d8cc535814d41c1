import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { type SignatureVerifier, signatureVerifier } from '../codec/jws-signature.ts';
import { isOfSmallOrder, isOfSmallOrder448 } from '../codec/small-order.ts';
import { fromBase64url } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { algorithmsNamed, factsOf, JWT_ALGORITHMS, type JwtAlgorithm } from '../core/jwt-algorithms.ts';
import { LIMITS } from '../core/limits.ts';

/** A public key of an issuer, imported once, with a verifier for each algorithm that the key may serve. */
export interface VerificationKey {
  readonly keyId: string | undefined;
  readonly verifiers: ReadonlyMap<JwtAlgorithm, SignatureVerifier>;
}

/** NIST SP 800-131A and RFC 7518 §3.3: nothing shorter. The upper bound keeps one verification below a millisecond. */
const RSA_BITS = { least: 2048, most: 8192 } as const;

/** Members that only a private or secret key has (RFC 7518 §6.2.2, §6.3.2, §6.4). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const;

/**
 * Imports a JWK as a key that checks signatures, for those of `allowed` that its kty, crv, alg, use and key_ops permit
 * (RFC 7517 §4; RFC 8725 §3.1: a key serves what it was made for).
 * @throws {LatchkeyError} `jwk_invalid`: not a key that can be used here; the detail says why, without key material
 */
export function importVerificationKey(jwk: JsonValue, allowed: readonly JwtAlgorithm[]): VerificationKey {
  if (!isJsonObject(jwk)) refuse('not an object');
  const { kid } = jwk;
  if (kid !== undefined && typeof kid !== 'string') refuse('kid is no text');
  if (kid !== undefined && kid.length > LIMITS.keyIdLength) refuse(`a kid of ${kid.length} characters`);
  for (const name of PRIVATE_MEMBERS) {
    // Whoever can read the set could sign with such a key, so a signature under it proves nothing.
    if (jwk[name] !== undefined) refuse('a private or secret key, published');
  }
  judgeUse(jwk);
  const served = servedAlgorithms(jwk);
  const algorithms = served.filter((algorithm) => allowed.includes(algorithm));
  if (served.length === 0) refuse('of a kind that no algorithm is known for');
  if (algorithms.length === 0) refuse(`for ${served.join(' or ')}, which is not among the algorithms of the issuer`);
  const key = importPublic(jwk);
  return {
    keyId: kid,
    verifiers: new Map(algorithms.map((algorithm) => [algorithm, signatureVerifier(algorithm, key)])),
  };
}

/** RFC 7517 §4.2 and §4.3: what is said to be for something else is not used to check signatures. */
function judgeUse({ use, key_ops: operations }: JsonObject): void {
  if (use !== undefined && use !== 'sig') refuse('its use is not sig');
  if (operations === undefined) return;
  if (!Array.isArray(operations) || !operations.includes('verify')) refuse('its key_ops lack verify');
}

function servedAlgorithms({ kty, crv, alg }: JsonObject): readonly JwtAlgorithm[] {
  const kind = crv === undefined ? `${kty}` : `${kty} ${crv}`;
  const possible = JWT_ALGORITHMS.filter((algorithm) => factsOf(algorithm).key === kind);
  if (alg === undefined) return possible;
  const named = typeof alg === 'string' ? algorithmsNamed(alg) : [];
  return possible.filter((algorithm) => named.includes(algorithm));
}

function importPublic(jwk: JsonObject): KeyObject {
  const { kty, crv, x, y, n, e } = jwk;
  let key: KeyObject;
  try {
    // Only the public members, so that nothing else of a document from outside reaches the parser. It refuses points
    // that are not on the curve.
    key = createPublicKey({ format: 'jwk', key: { kty, crv, x, y, n, e } as JsonWebKey });
  } catch (cause) {
    throw new LatchkeyError('jwk_invalid', 'its members are missing or of the wrong form', { cause });
  }
  if (key.asymmetricKeyType === 'rsa') judgeRsa(key);
  if (isEdwardsOfSmallOrder(key)) refuse('an Edwards key of small order, under which a signature proves nothing');
  return key;
}

/** Node took `x` in its full length by now. It is lenient about padding, so the bytes are those of its own export. */
function isEdwardsOfSmallOrder(key: KeyObject): boolean {
  const isOf = { ed25519: isOfSmallOrder, ed448: isOfSmallOrder448 }[String(key.asymmetricKeyType)];
  return isOf?.(fromBase64url(String(key.export({ format: 'jwk' }).x))) === true;
}

function judgeRsa(key: KeyObject): void {
  const { modulusLength: bits = 0, publicExponent: exponent = 0n } = key.asymmetricKeyDetails ?? {};
  if (bits < RSA_BITS.least || bits > RSA_BITS.most) refuse(`an RSA key of ${bits} bits`);
  // With an exponent of 1 the signature is the padded hash itself, which everybody can write down.
  if (exponent < 3n || exponent % 2n === 0n) refuse('an RSA key with a public exponent that protects nothing');
}

function refuse(reason: string): never {
  throw new LatchkeyError('jwk_invalid', reason);
}
