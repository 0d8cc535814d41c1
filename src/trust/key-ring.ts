import type { SignatureVerifier } from '../codec/jws-signature.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { JWT_ALGORITHMS, type JwtAlgorithm } from '../core/jwt-algorithms.ts';
import { LIMITS } from '../core/limits.ts';
import { listed, mismatch } from '../core/shown.ts';
import { importVerificationKey, type VerificationKey } from './verification-key.ts';

/** Keys of one `kid` that are tried for one token: an issuer may have two of a name while it rotates, hardly more. */
const MOST_CANDIDATES = 4;

/** Different reasons that one error names, of a set without a usable key. */
const MOST_REASONS = 8;

/** What of a published key is worth keeping on disk: what `importVerificationKey` reads. */
const KEPT_MEMBERS = ['kty', 'kid', 'alg', 'use', 'key_ops', 'crv', 'x', 'y', 'n', 'e'] as const;

type Candidates = ReadonlyMap<JwtAlgorithm, readonly SignatureVerifier[]>;

export interface SkippedKey {
  /** Undefined also where it is too long to be repeated. */
  readonly keyId: string | undefined;
  readonly reason: string;
}

/** The usable keys of an issuer's JWK Set (RFC 7517 §5), imported. A ring never changes: a new set is a new ring. */
export class KeyRing {
  readonly keys: readonly VerificationKey[];
  /** Keys of the set that are not held and why. Unknown kinds are no fault of the set (RFC 7517 §5). */
  readonly skipped: readonly SkippedKey[];
  /** The held keys as a JWK Set for the disk, public members only. */
  readonly document: JsonObject;
  /** The held keys in the order of `keys`, public members only. */
  readonly jwks: readonly JsonObject[];
  readonly #byKeyId = new Map<string, Candidates>();
  readonly #all: Candidates;

  /**
   * @param jwks a JWK Set document
   * @param allowed algorithms that the issuer may sign with
   * @throws {LatchkeyError} `jwks_invalid`: not a JWK Set, too many keys, or none that can be used
   */
  constructor(jwks: JsonValue, allowed: readonly JwtAlgorithm[]) {
    const published = isJsonObject(jwks) ? jwks.keys : undefined;
    if (!Array.isArray(published)) throw new LatchkeyError('jwks_invalid', 'no list of keys');
    if (published.length > LIMITS.jwksKeys) throw new LatchkeyError('jwks_invalid', `${published.length} keys`);

    const keys: VerificationKey[] = [];
    const kept: JsonObject[] = [];
    const skipped: SkippedKey[] = [];
    for (const jwk of published as readonly JsonValue[]) {
      try {
        keys.push(importVerificationKey(jwk, allowed));
        kept.push(publicMembers(jwk as JsonObject));
      } catch (error) {
        skipped.push({ keyId: keyIdOf(jwk), reason: coded(error).detail ?? coded(error).code });
      }
    }
    if (keys.length === 0) {
      const reasons = [...new Set(skipped.map(({ reason }) => reason))].slice(0, MOST_REASONS).join('; ');
      throw new LatchkeyError('jwks_invalid', reasons === '' ? 'the set is empty' : `no usable key: ${reasons}`);
    }
    this.keys = keys;
    this.skipped = skipped;
    this.document = { keys: kept };
    this.jwks = kept;
    this.#all = candidatesOf(keys);
    for (const { keyId } of keys) {
      if (keyId !== undefined) this.#byKeyId.set(keyId, candidatesOf(keys.filter((key) => key.keyId === keyId)));
    }
  }

  /**
   * The verifiers that a token may be checked with. A token with a `kid` is checked with keys of that name only. One
   * without is checked with the one key that serves its algorithm; where there are several it is for the issuer to say.
   * @param algorithms what the `alg` of the token may stand for, of those that the issuer may use
   * @throws {LatchkeyError} `key_unknown`, or `jwt_algorithm_refused` when the key is held but serves another algorithm
   */
  candidates(
    keyId: string | undefined,
    algorithms: JwtAlgorithm | readonly JwtAlgorithm[],
  ): readonly SignatureVerifier[] {
    const named = keyId === undefined ? this.#all : this.#byKeyId.get(keyId);
    if (named === undefined) throw new LatchkeyError('key_unknown', mismatch('kid', keyId, [...this.#byKeyId.keys()]));
    const only = typeof algorithms === 'string' || algorithms.length > 1 ? algorithms : algorithms[0];
    const verifiers =
      typeof only === 'string'
        ? (named.get(only) ?? [])
        : (only ?? []).flatMap((algorithm) => named.get(algorithm) ?? []);
    if (verifiers.length === 0) {
      const asked = typeof algorithms === 'string' ? [algorithms] : algorithms;
      const serving = JWT_ALGORITHMS.filter((algorithm) => (named.get(algorithm)?.length ?? 0) > 0);
      throw new LatchkeyError(
        'jwt_algorithm_refused',
        `not the algorithm of the key: ${mismatch('alg', listed(asked), serving)}`,
      );
    }
    if (keyId === undefined && verifiers.length > 1) throw new LatchkeyError('key_unknown', 'no kid, several keys');
    return verifiers;
  }

  has(keyId: string): boolean {
    return this.#byKeyId.has(keyId);
  }
}

/** Made once, so that a token costs two look-ups. */
function candidatesOf(keys: readonly VerificationKey[]): Candidates {
  const serving = (algorithm: JwtAlgorithm) =>
    keys.flatMap(({ verifiers }) => verifiers.get(algorithm) ?? []).slice(0, MOST_CANDIDATES);
  return new Map(JWT_ALGORITHMS.map((algorithm) => [algorithm, serving(algorithm)]));
}

function publicMembers(jwk: JsonObject): JsonObject {
  return Object.fromEntries(
    KEPT_MEMBERS.flatMap((name) => (jwk[name] === undefined ? [] : [[name, jwk[name]] as const])),
  );
}

function keyIdOf(jwk: JsonValue): string | undefined {
  if (!isJsonObject(jwk) || typeof jwk.kid !== 'string' || jwk.kid.length > LIMITS.keyIdLength) return undefined;
  return jwk.kid;
}
