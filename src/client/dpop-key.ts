import { KeyObject, type webcrypto } from 'node:crypto';
import { inspect } from 'node:util';
import { exportJWK, generateKeyPair, importJWK } from 'jose';
import type { CoseKey } from '../codec/cose/key.ts';
import { jwkThumbprint } from '../codec/jwk-thumbprint.ts';
import { LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject } from '../core/json.ts';
import { argumentError } from './arguments.ts';

/** JOSE `alg` of the proofs, which is the COSE name of the signed requests as well. */
export type DpopAlgorithm = 'ES256' | 'EdDSA';

export interface KeyPair {
  readonly publicKey: webcrypto.CryptoKey;
  readonly privateKey: webcrypto.CryptoKey;
}

/**
 * The client's own key. The authorization server binds the token to it (`cnf.jkt`, RFC 9449 §6.1), the hub sees it in the
 * DPoP proof, and the device checks signed requests with it. It does not print, and `generate` makes one that cannot be
 * exported.
 */
export class DpopKey {
  readonly algorithm: DpopAlgorithm;
  readonly publicJwk: JsonObject;
  /** RFC 7638, base64url: what `cnf.jkt` says. */
  readonly thumbprint: string;
  readonly #pair: KeyPair;

  private constructor(algorithm: DpopAlgorithm, pair: KeyPair, publicJwk: JsonObject) {
    this.algorithm = algorithm;
    this.publicJwk = publicJwk;
    this.thumbprint = jwkThumbprint(publicJwk);
    this.#pair = pair;
  }

  /**
   * A key that lives as long as this process. A device keeps a few tokens, and counts them by key: a client that runs more
   * than once keeps its key (`fromJwk`).
   * @throws {LatchkeyError} `client_argument_invalid`
   */
  static async generate(algorithm: DpopAlgorithm = 'ES256'): Promise<DpopKey> {
    if (algorithm !== 'ES256' && algorithm !== 'EdDSA') throw argumentError('algorithm: neither ES256 nor EdDSA');
    const pair = await generateKeyPair(algorithm, algorithm === 'EdDSA' ? { crv: 'Ed25519' } : {});
    return new DpopKey(algorithm, pair, await publicPart(pair.publicKey));
  }

  /**
   * From a private JWK, EC P-256 or OKP Ed25519, for clients that keep their key over a restart.
   * @throws {LatchkeyError} `client_argument_invalid` for what is no JSON object; `jwk_invalid`
   */
  static async fromJwk(jwk: JsonObject): Promise<DpopKey> {
    if (!isJsonObject(jwk)) throw argumentError('jwk: not a JSON object; parse text first');
    const algorithm = jwk.kty === 'OKP' ? 'EdDSA' : 'ES256';
    const { d, ...rest } = jwk;
    if (typeof d !== 'string') throw new LatchkeyError('jwk_invalid', 'no private key');
    const publicJwk = { ...rest };
    try {
      const [privateKey, publicKey] = await Promise.all([importJWK(jwk, algorithm), importJWK(publicJwk, algorithm)]);
      if (privateKey instanceof Uint8Array || publicKey instanceof Uint8Array) {
        throw new LatchkeyError('jwk_invalid', 'a symmetric key');
      }
      return new DpopKey(algorithm, { publicKey, privateKey }, await publicPart(publicKey));
    } catch (error) {
      // jose's message may quote the JWK, which is private here.
      throw error instanceof LatchkeyError ? error : new LatchkeyError('jwk_invalid', 'not importable');
    }
  }

  get pair(): KeyPair {
    return this.#pair;
  }

  /** The same key for signed requests. */
  get coseKey(): CoseKey {
    return { algorithm: this.algorithm, keyId: undefined, key: KeyObject.from(this.#pair.privateKey) };
  }

  toJSON(): string {
    return `[key ${this.thumbprint}]`;
  }

  [inspect.custom](): string {
    return `[key ${this.thumbprint}]`;
  }
}

async function publicPart(key: webcrypto.CryptoKey): Promise<JsonObject> {
  const { kty, crv, x, y } = await exportJWK(key);
  return y === undefined
    ? { kty: kty ?? '', crv: crv ?? '', x: x ?? '' }
    : { kty: kty ?? '', crv: crv ?? '', x: x ?? '', y };
}
