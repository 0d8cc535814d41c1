/** The hub's own keys: made on its first start, kept in the store, each for one algorithm (RFC 9052 §7). */
import { generateKeyPairSync } from 'node:crypto';
import { type CoseKey, importJwk } from '../codec/cose/key.ts';
import { importJweKey, type JweKey } from '../codec/jwe-key.ts';
import { jwkThumbprint } from '../codec/jwk-thumbprint.ts';
import { fromUtf8, utf8 } from '../core/bytes.ts';
import type { WrapAlgorithm } from '../core/device-profile.ts';
import { LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject } from '../core/json.ts';
import { Secret } from '../core/secret.ts';
import type { Store } from '../ports/store.ts';
import type { HubSigningKeys } from './device-trust.ts';

const RECORD = 'hub/keys';

/** Characters of the thumbprint that a `kid` keeps: it only tells the hub's keys apart, and it travels in every token. */
const KEY_ID_LENGTH = 8;

interface KeySet {
  readonly ES256: JsonObject;
  readonly EdDSA: JsonObject;
  /** Opens `cnf.jwe` of tokens (RFC 7800 §3.3). */
  readonly decryption: JsonObject;
}

export class HubKeys implements HubSigningKeys {
  readonly #jwks: Secret<KeySet>;
  readonly #signing = new Map<WrapAlgorithm, { readonly key: CoseKey; readonly publicJwk: JsonObject }>();
  #decryption: readonly JweKey[] | undefined;

  private constructor(jwks: KeySet) {
    this.#jwks = new Secret(jwks);
  }

  /** @throws {LatchkeyError} `store_corrupt`: without its keys the hub must not go on under new ones */
  static async load(store: Store): Promise<HubKeys> {
    const record = await store.read(RECORD);
    if (record !== undefined) return new HubKeys(decode(record));
    const jwks: KeySet = {
      ES256: { ...generate('P-256'), alg: 'ES256', use: 'sig' },
      EdDSA: { ...generate('Ed25519'), alg: 'EdDSA', use: 'sig' },
      decryption: { ...generate('P-256'), alg: 'ECDH-ES+A128KW', use: 'enc' },
    };
    await store.write([{ put: RECORD, value: utf8(JSON.stringify(jwks)) }]);
    return new HubKeys(jwks);
  }

  signingKey(algorithm: WrapAlgorithm): { readonly key: CoseKey; readonly publicJwk: JsonObject } {
    const known = this.#signing.get(algorithm);
    if (known !== undefined) return known;
    if (algorithm !== 'ES256' && algorithm !== 'EdDSA')
      throw new LatchkeyError('profile_invalid', `${algorithm} does not sign`);
    const jwk = this.#jwks.expose()[algorithm];
    const made = { key: importJwk(jwk), publicJwk: publicPart(jwk) };
    this.#signing.set(algorithm, made);
    return made;
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

function decode(record: Uint8Array): KeySet {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(record));
  } catch {
    // The parser's message quotes what it read, and that holds keys.
    throw new LatchkeyError('store_corrupt', 'hub keys');
  }
  if (!isJsonObject(value)) throw new LatchkeyError('store_corrupt', 'hub keys');
  const { ES256, EdDSA, decryption } = value;
  if (!isJsonObject(ES256) || !isJsonObject(EdDSA) || !isJsonObject(decryption))
    throw new LatchkeyError('store_corrupt', 'hub keys');
  return { ES256, EdDSA, decryption };
}
