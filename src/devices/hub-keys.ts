/**
 * The hub's own keys: made on its first start, kept in the store, each for one algorithm (RFC 9052 §7). A signing key that
 * was replaced stays for as long as a device trusts no newer one, and is taken off the medium then. A key that issuers
 * encrypt to belongs to one of them, and stays until the rotation after the one that replaced it.
 */
import { generateKeyPair, generateKeyPairSync } from 'node:crypto';
import { promisify } from 'node:util';
import { importJwk } from '../codec/cose/key.ts';
import type { JweKeyType } from '../codec/jwe-algorithms.ts';
import { type DecryptionKeys, importJweKey, type JweKey } from '../codec/jwe-key.ts';
import { jwkThumbprint } from '../codec/jwk-thumbprint.ts';
import { base64url, fromUtf8, sha256, utf8 } from '../core/bytes.ts';
import type { WrapAlgorithm } from '../core/device-profile.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';
import { Secret } from '../core/secret.ts';
import type { Store } from '../ports/store.ts';
import type { HubSigningKeys, SigningKey } from './device-trust.ts';
import {
  decodeJweKeys,
  encodeJweKeys,
  hasDropped,
  issuersWithoutKey,
  type JweKeys,
  type NewKeys,
  rotatedKeys,
  withNewKeys,
} from './jwe-keys.ts';

const PREFIX = 'hub/';
const RECORD = `${PREFIX}keys`;

/** Characters of the thumbprint that a `kid` keeps: it only tells the hub's keys apart, and it travels in every token. */
const KEY_ID_LENGTH = 8;

/** RFC 7518 §4.3 has 2048 at least. A longer modulus costs the hub more for each JWE that any client may send it. */
const RSA_BITS = 2_048;

type KeyTypes = ReadonlyMap<string, JweKeyType>;

interface KeySet {
  readonly ES256: JsonObject;
  readonly EdDSA: JsonObject;
  /** Decrypt `cnf.jwe` (RFC 7800 §3.3) and tokens that are encrypted as a whole. */
  readonly jwe: JweKeys;
  /** The key for `cnf.jwe` that an earlier version published for all issuers; kept until one issuer takes it over. */
  readonly shared: JsonObject | undefined;
  /** Signing keys that were replaced, the newest first. */
  readonly older: readonly JsonObject[];
  /** Whether keys that were dropped may still be in the files. */
  readonly hasRemains: boolean;
}

export class HubKeys implements HubSigningKeys, DecryptionKeys {
  readonly #store: Store;
  #jwks: Secret<KeySet>;
  /** Under their kid. */
  readonly #imported = new Map<string, SigningKey>();
  /** Issuers of the configuration. */
  #issuers: readonly string[] = [];
  readonly #keyTypes: KeyTypes;
  /** By issuer; imported when the first JWE comes: most hubs never see one. */
  readonly #decryption = new Map<string, readonly JweKey[]>();

  private constructor(store: Store, jwks: KeySet, keyTypes: KeyTypes) {
    this.#store = store;
    this.#keyTypes = keyTypes;
    this.#jwks = new Secret(jwks);
  }

  /**
   * @param issuers those of the configuration: each gets a key of its own to encrypt to
   * @param keyTypes of those that encrypt to another key than EC
   * @throws {LatchkeyError} `store_corrupt`: without its keys the hub must not go on under new ones
   */
  static async load(store: Store, issuers: readonly string[] = [], keyTypes: KeyTypes = new Map()): Promise<HubKeys> {
    const record = await store.read(RECORD);
    if (record !== undefined) {
      const keys = new HubKeys(store, decode(record), keyTypes);
      await keys.serve(issuers);
      // The run before may have ended between dropping a key and taking it off the medium.
      if (keys.#jwks.expose().hasRemains) await keys.#forget();
      return keys;
    }
    const empty = { ...newSigningKeys(), jwe: new Map(), shared: undefined, older: [], hasRemains: false };
    const keys = new HubKeys(store, empty, keyTypes);
    keys.#issuers = issuers;
    await keys.#write({ ...empty, jwe: withNewKeys(new Map(), await keys.#newJweKeys(issuers)) });
    return keys;
  }

  /** What an earlier run of the hub kept, to read alone; undefined where there was none. @throws {LatchkeyError} `store_corrupt` */
  static async find(store: Store): Promise<DecryptionKeys | undefined> {
    const record = await store.read(RECORD);
    return record === undefined ? undefined : new HubKeys(store, decode(record), new Map());
  }

  /**
   * From now on these are the issuers. A new one, or one that encrypts to another type of key, gets a key, which is
   * on the medium when this resolves. The key of one that is not among them stays until the next rotation, in case it comes back.
   */
  async serve(issuers: readonly string[]): Promise<void> {
    const { jwe, shared, ...rest } = this.#jwks.expose();
    const [only, ...others] = issuers;
    // A single issuer keeps the key that an earlier version published. Where there are several, it belongs to none.
    const taken =
      shared !== undefined && only !== undefined && others.length === 0
        ? new Map([[only, { current: shared, older: undefined }]])
        : jwe;
    const missing = issuersWithoutKey(taken, issuers, (issuer) => this.#keyTypeOf(issuer));
    const wanted = missing.length === 0 ? taken : withNewKeys(taken, await this.#newJweKeys(missing));
    const isDropped = hasDropped(taken, wanted) || (shared !== undefined && others.length > 0);
    if (wanted !== jwe || isDropped) {
      const left = only === undefined ? shared : undefined;
      await this.#write({ ...rest, jwe: wanted, shared: left, hasRemains: rest.hasRemains || isDropped });
    }
    this.#issuers = issuers;
  }

  signingKey(algorithm: WrapAlgorithm): SigningKey {
    const [newest] = this.signingKeys(algorithm);
    if (newest === undefined) throw new LatchkeyError('profile_invalid', `${algorithm} does not sign`);
    return newest;
  }

  signingKeys(algorithm: WrapAlgorithm): readonly SigningKey[] {
    if (algorithm !== 'ES256' && algorithm !== 'EdDSA') return [];
    const jwks = this.#jwks.expose();
    return [jwks[algorithm], ...jwks.older.filter(({ alg }) => alg === algorithm)].map((jwk) => this.#import(jwk));
  }

  /** Signing keys that were replaced and are kept, the newest first. */
  olderKeyIds(): readonly string[] {
    return this.#jwks.expose().older.map(keyIdOf);
  }

  /**
   * Makes new signing keys, which are on the medium when this resolves. What devices trust is for bundles to bring.
   * @throws {LatchkeyError} `hub_keys_in_use` where as many older ones as are kept are still needed
   */
  async rotate(): Promise<void> {
    // Made first: nothing else may write between the reading and the writing below.
    const made = await this.#newJweKeys(this.#issuers);
    const { ES256, EdDSA, older, jwe, ...rest } = this.#jwks.expose();
    const replaced = [ES256, EdDSA, ...older];
    if (replaced.length > LIMITS.olderHubKeys) throw new LatchkeyError('hub_keys_in_use', `${older.length} are kept`);
    const rotated = rotatedKeys(jwe, made);
    const hasRemains = rest.hasRemains || hasDropped(jwe, rotated);
    await this.#write({ ...rest, ...newSigningKeys(), jwe: rotated, older: replaced, hasRemains });
  }

  /** Drops the older keys that nobody needs any more, from the medium too. Answers with the `kid`s of those that went. */
  async retire(isNeeded: (keyId: string) => boolean): Promise<readonly string[]> {
    const jwks = this.#jwks.expose();
    const dropped = jwks.older.map(keyIdOf).filter((keyId) => !isNeeded(keyId));
    // A rotation drops keys that issuers encrypted to; they go off the medium here.
    if (dropped.length === 0 && !jwks.hasRemains) return [];
    await this.#write({
      ...jwks,
      older: jwks.older.filter((jwk) => !dropped.includes(keyIdOf(jwk))),
      hasRemains: true,
    });
    for (const keyId of dropped) this.#imported.delete(keyId);
    await this.#forget();
    return dropped;
  }

  /** Keys that this issuer may have encrypted to. */
  decryptionKeys(issuer: string): readonly JweKey[] {
    const known = this.#decryption.get(issuer);
    if (known !== undefined) return known;
    const { current, older } = this.#jwks.expose().jwe.get(issuer) ?? {};
    const keys = [current, older].filter((jwk) => jwk !== undefined).map(importJweKey);
    this.#decryption.set(issuer, keys);
    return keys;
  }

  issuerOfKey(keyId: string): string | undefined {
    for (const [issuer, { current, older }] of this.#jwks.expose().jwe)
      if (current.kid === keyId || older?.kid === keyId) return issuer;
    return undefined;
  }

  /**
   * JWK Set (RFC 7517 §5) of the key that an issuer encrypts to, `cnf.jwe` or whole tokens.
   * @param issuer may be left out where the configuration has one
   * @throws {LatchkeyError} `jwks_issuer_unknown`
   */
  publicJwks(issuer = this.#issuers.length === 1 ? this.#issuers[0] : undefined): JsonObject {
    if (issuer === undefined) throw new LatchkeyError('jwks_issuer_unknown', 'none is named');
    const current = this.#issuers.includes(issuer) ? this.#jwks.expose().jwe.get(issuer)?.current : undefined;
    if (current === undefined) throw new LatchkeyError('jwks_issuer_unknown', 'it is not configured');
    return { keys: [publicEncryptionKey(current)] };
  }

  #import(jwk: JsonObject): SigningKey {
    const keyId = keyIdOf(jwk);
    const known = this.#imported.get(keyId) ?? { keyId, key: importJwk(jwk), publicJwk: publicPart(jwk) };
    this.#imported.set(keyId, known);
    return known;
  }

  #keyTypeOf(issuer: string): JweKeyType {
    return this.#keyTypes.get(issuer) ?? 'EC';
  }

  async #newJweKeys(issuers: readonly string[]): Promise<NewKeys> {
    const made = issuers.map(async (issuer) => [issuer, await newJweKey(this.#keyTypeOf(issuer))] as const);
    return new Map(await Promise.all(made));
  }

  async #write(jwks: KeySet): Promise<void> {
    await this.#store.write([{ put: RECORD, value: encode(jwks) }]);
    this.#jwks = new Secret(jwks);
    this.#decryption.clear();
  }

  async #forget(): Promise<void> {
    await this.#store.forget(PREFIX);
    await this.#write({ ...this.#jwks.expose(), hasRemains: false });
  }
}

function newSigningKeys(): Pick<KeySet, 'ES256' | 'EdDSA'> {
  return {
    ES256: { ...generate('P-256'), alg: 'ES256', use: 'sig' },
    EdDSA: { ...generate('Ed25519'), alg: 'EdDSA', use: 'sig' },
  };
}

async function newJweKey(keyType: JweKeyType): Promise<JsonObject> {
  if (keyType === 'EC') return { ...generate('P-256'), use: 'enc' };
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: RSA_BITS });
  const jwk = privateKey.export({ format: 'jwk' }) as JsonObject;
  const { e, kty, n } = jwk;
  // RFC 7638 §3.2: the required members of an RSA key, in this order.
  const thumbprint = base64url(sha256(utf8(JSON.stringify({ e, kty, n }))));
  return { ...jwk, kid: thumbprint.slice(0, KEY_ID_LENGTH), alg: 'RSA-OAEP-256', use: 'enc' };
}

function generate(curve: 'P-256' | 'Ed25519'): JsonObject {
  const { privateKey } =
    curve === 'P-256' ? generateKeyPairSync('ec', { namedCurve: curve }) : generateKeyPairSync('ed25519');
  const jwk = privateKey.export({ format: 'jwk' }) as JsonObject;
  return { ...jwk, kid: jwkThumbprint(jwk).slice(0, KEY_ID_LENGTH) };
}

/** An EC key has no `alg`: it serves three. What an earlier version wrote there would have servers refuse the others. */
function publicEncryptionKey({ kty, kid, crv, x, y, n, e }: JsonObject): JsonObject {
  const key = kty === 'RSA' ? { kty, n, e, alg: 'RSA-OAEP-256' } : { kty, crv, x, y };
  return { ...key, kid, use: 'enc' } as JsonObject;
}

function publicPart(jwk: JsonObject): JsonObject {
  const { d, ...rest } = jwk;
  return rest;
}

function keyIdOf({ kid }: JsonObject): string {
  return String(kid);
}

function encode({ ES256, EdDSA, jwe, shared, older, hasRemains }: KeySet): Uint8Array {
  return utf8(
    JSON.stringify({
      ES256,
      EdDSA,
      jwe: encodeJweKeys(jwe),
      ...(shared === undefined ? {} : { decryption: shared }),
      ...(older.length === 0 ? {} : { older }),
      ...(hasRemains ? { remains: true } : {}),
    }),
  );
}

function decode(record: Uint8Array): KeySet {
  try {
    const value: unknown = JSON.parse(fromUtf8(record));
    if (!isJsonObject(value)) throw new TypeError('not an object');
    const { ES256, EdDSA, decryption: shared, jwe, older = [], remains = false } = value;
    if (!isJsonObject(ES256) || !isJsonObject(EdDSA)) throw new TypeError('not keys');
    // An earlier version had one key for all issuers, as `decryption`, and no `jwe`.
    if (shared === undefined ? jwe === undefined : !isJsonObject(shared)) throw new TypeError('no key for cnf.jwe');
    if (!Array.isArray(older) || !older.every(isJsonObject)) throw new TypeError('not keys');
    for (const jwk of older) if (jwk.alg !== 'ES256' && jwk.alg !== 'EdDSA') throw new TypeError('not a signing key');
    const keys = { ES256, EdDSA, jwe: decodeJweKeys(jwe ?? []), older, hasRemains: remains === true };
    return { ...keys, shared: shared as JsonObject | undefined };
  } catch (error) {
    // What a parser says quotes what it read, and that holds keys: only its kind is kept.
    throw new LatchkeyError('store_corrupt', `hub keys (${coded(error).code})`);
  }
}
