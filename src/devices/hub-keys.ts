/**
 * The hub's own keys: made on its first start, kept in the store, each for one algorithm (RFC 9052 §7). A signing key that
 * was replaced stays for as long as a device trusts no newer one, and is taken off the medium then.
 */
import { generateKeyPairSync } from 'node:crypto';
import { importJwk } from '../codec/cose/key.ts';
import { importJweKey, type JweKey } from '../codec/jwe-key.ts';
import { jwkThumbprint } from '../codec/jwk-thumbprint.ts';
import { fromUtf8, utf8 } from '../core/bytes.ts';
import type { WrapAlgorithm } from '../core/device-profile.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';
import { Secret } from '../core/secret.ts';
import type { Store } from '../ports/store.ts';
import type { HubSigningKeys, SigningKey } from './device-trust.ts';

const PREFIX = 'hub/';
const RECORD = `${PREFIX}keys`;

/** Characters of the thumbprint that a `kid` keeps: it only tells the hub's keys apart, and it travels in every token. */
const KEY_ID_LENGTH = 8;

interface KeySet {
  readonly ES256: JsonObject;
  readonly EdDSA: JsonObject;
  /** Opens `cnf.jwe` of tokens (RFC 7800 §3.3). */
  readonly decryption: JsonObject;
  /** Signing keys that were replaced, the newest first. */
  readonly older: readonly JsonObject[];
  /** Whether keys that were dropped may still be in the files. */
  readonly hasRemains: boolean;
}

export class HubKeys implements HubSigningKeys {
  readonly #store: Store;
  #jwks: Secret<KeySet>;
  /** Under their kid. */
  readonly #imported = new Map<string, SigningKey>();
  #decryption: readonly JweKey[] | undefined;

  private constructor(store: Store, jwks: KeySet) {
    this.#store = store;
    this.#jwks = new Secret(jwks);
  }

  /** @throws {LatchkeyError} `store_corrupt`: without its keys the hub must not go on under new ones */
  static async load(store: Store): Promise<HubKeys> {
    const record = await store.read(RECORD);
    if (record !== undefined) {
      const keys = new HubKeys(store, decode(record));
      // The run before may have ended between dropping a key and taking it off the medium.
      if (keys.#jwks.expose().hasRemains) await keys.#forget();
      return keys;
    }
    const keys = new HubKeys(store, {
      ...newSigningKeys(),
      decryption: { ...generate('P-256'), alg: 'ECDH-ES+A128KW', use: 'enc' },
      older: [],
      hasRemains: false,
    });
    await keys.#write(keys.#jwks.expose());
    return keys;
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
    const { ES256, EdDSA, older, ...rest } = this.#jwks.expose();
    const replaced = [ES256, EdDSA, ...older];
    if (replaced.length > LIMITS.olderHubKeys) throw new LatchkeyError('hub_keys_in_use', `${older.length} are kept`);
    await this.#write({ ...rest, ...newSigningKeys(), older: replaced });
  }

  /** Drops the older keys that nobody needs any more, from the medium too. Answers with the `kid`s of those that went. */
  async retire(isNeeded: (keyId: string) => boolean): Promise<readonly string[]> {
    const jwks = this.#jwks.expose();
    const dropped = jwks.older.map(keyIdOf).filter((keyId) => !isNeeded(keyId));
    if (dropped.length === 0) return [];
    await this.#write({
      ...jwks,
      older: jwks.older.filter((jwk) => !dropped.includes(keyIdOf(jwk))),
      hasRemains: true,
    });
    for (const keyId of dropped) this.#imported.delete(keyId);
    await this.#forget();
    return dropped;
  }

  /** Imported when the first JWE comes: most hubs never see one. */
  decryptionKeys(): readonly JweKey[] {
    this.#decryption ??= [importJweKey(this.#jwks.expose().decryption)];
    return this.#decryption;
  }

  /** JWK Set (RFC 7517 §5) of what others need: the key to encrypt `cnf.jwe` to. */
  publicJwks(): JsonObject {
    return { keys: [publicPart(this.#jwks.expose().decryption)] };
  }

  #import(jwk: JsonObject): SigningKey {
    const keyId = keyIdOf(jwk);
    const known = this.#imported.get(keyId) ?? { keyId, key: importJwk(jwk), publicJwk: publicPart(jwk) };
    this.#imported.set(keyId, known);
    return known;
  }

  async #write(jwks: KeySet): Promise<void> {
    await this.#store.write([{ put: RECORD, value: encode(jwks) }]);
    this.#jwks = new Secret(jwks);
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

function generate(curve: 'P-256' | 'Ed25519'): JsonObject {
  const { privateKey } =
    curve === 'P-256' ? generateKeyPairSync('ec', { namedCurve: curve }) : generateKeyPairSync('ed25519');
  const jwk = privateKey.export({ format: 'jwk' }) as JsonObject;
  return { ...jwk, kid: jwkThumbprint(jwk).slice(0, KEY_ID_LENGTH) };
}

function publicPart(jwk: JsonObject): JsonObject {
  const { d, ...rest } = jwk;
  return rest;
}

function keyIdOf({ kid }: JsonObject): string {
  return String(kid);
}

function encode({ older, hasRemains, ...jwks }: KeySet): Uint8Array {
  // A store of an earlier version looks like this where nothing was ever replaced.
  const more = { ...(older.length === 0 ? {} : { older }), ...(hasRemains ? { remains: true } : {}) };
  return utf8(JSON.stringify({ ...jwks, ...more }));
}

function decode(record: Uint8Array): KeySet {
  try {
    const value: unknown = JSON.parse(fromUtf8(record));
    if (!isJsonObject(value)) throw new TypeError('not an object');
    const { ES256, EdDSA, decryption, older = [], remains = false } = value;
    if (!isJsonObject(ES256) || !isJsonObject(EdDSA) || !isJsonObject(decryption)) throw new TypeError('not keys');
    if (!Array.isArray(older) || !older.every(isJsonObject)) throw new TypeError('not keys');
    for (const jwk of older) if (jwk.alg !== 'ES256' && jwk.alg !== 'EdDSA') throw new TypeError('not a signing key');
    return { ES256, EdDSA, decryption, older, hasRemains: remains === true };
  } catch (error) {
    // What a parser says quotes what it read, and that holds keys: only its kind is kept.
    throw new LatchkeyError('store_corrupt', `hub keys (${coded(error).code})`);
  }
}
