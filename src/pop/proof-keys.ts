/** Public keys of proofs: judged, imported once and kept. */
import { createPublicKey } from 'node:crypto';
import type { CborMap } from '../codec/cbor.ts';
import { type CoseKey, jwkFromCoseKey } from '../codec/cose/key.ts';
import { COSE_CURVE, COSE_KEY, COSE_KEY_TYPE } from '../codec/iana.ts';
import { jwkThumbprint } from '../codec/jwk-thumbprint.ts';
import { type SignatureVerifier, signatureVerifier } from '../codec/jws-signature.ts';
import { isOfSmallOrder } from '../codec/small-order.ts';
import { detached, fromBase64url } from '../core/bytes.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { RecentMap } from '../core/recent-map.ts';

/** Keys kept at once: one for each client that is at work. A key that fell out costs one import. */
const KEYS_KEPT = 1_024;

/** Longer headers, in characters, are read each time, so that what is kept stays small. One with a P-256 key has 250. */
const HEADER_LENGTH = 512;

/** Members that only private and symmetric keys have (RFC 7518 §6, RFC 8037 §2). */
const PRIVATE_MEMBERS = ['d', 'k', 'p', 'q', 'dp', 'dq', 'qi', 'oth'];

export interface ProofKey {
  /** RFC 7638, SHA-256, base64url: what `cnf.jkt` holds. */
  readonly thumbprint: string;
  /** The key with its required members alone. */
  readonly jwk: JsonObject;
  /** For the one algorithm that this kind of key serves. */
  readonly verifier: SignatureVerifier;
  /** The same for COSE. */
  readonly coseKey: CoseKey;
}

export class ProofKeys {
  readonly #kept = new RecentMap<string, ProofKey>(KEYS_KEPT);
  readonly #keptCose = new RecentMap<string, ProofKey>(KEYS_KEPT);
  readonly #keptHeaders = new RecentMap<string, ProofKey>(KEYS_KEPT);

  /**
   * The key of a proof, or of a token's `cnf`. The bytes of an imported key stay the same for one thumbprint, so a key that is
   * kept needs no second check.
   * @throws {LatchkeyError} `proof_malformed` for a key that is private, symmetric, of another kind, of small order or off its curve
   */
  find(jwk: JsonObject): ProofKey {
    if (PRIVATE_MEMBERS.some((member) => Object.hasOwn(jwk, member))) {
      throw new LatchkeyError('proof_malformed', 'the key is private or symmetric (RFC 9449 section 4.2)');
    }
    const thumbprint = thumbprintOf(jwk);
    const kept = this.#kept.get(thumbprint);
    if (kept !== undefined) return kept;
    const found: ProofKey = { thumbprint, ...importKey(jwk) };
    this.#kept.set(thumbprint, found);
    return found;
  }

  /**
   * The key of a DPoP proof by the text of its header, which is the same in all proofs that a client makes: the header is
   * read and judged once.
   * @param header first part of the proof, base64url
   * @param read reads and judges a header that is not known
   */
  ofHeader(header: string, read: () => ProofKey): ProofKey {
    const kept = this.#keptHeaders.get(header);
    if (kept !== undefined) return kept;
    const found = read();
    if (header.length <= HEADER_LENGTH) this.#keptHeaders.set(detached(header), found);
    return found;
  }

  /**
   * The same for a COSE_Key (RFC 9052 §7). One that is kept is found by its bare coordinates: most proofs of a client come
   * with the very key of the one before.
   * @throws {LatchkeyError} `proof_malformed`
   */
  findCose(map: CborMap): ProofKey {
    const name = coordinatesOf(map);
    const kept = name === undefined ? undefined : this.#keptCose.get(name);
    if (kept !== undefined) return kept;
    const found = this.find(jwkOf(map));
    if (name !== undefined) this.#keptCose.set(name, found);
    return found;
  }
}

/** x and y of a key that has nothing but the required parameters, as a text; undefined for any other one. */
function coordinatesOf(map: CborMap): string | undefined {
  const x = map.get(COSE_KEY.x);
  const y = map.get(COSE_KEY.y);
  const bare = map.size === 4 && map.get(COSE_KEY.kty) === COSE_KEY_TYPE.EC2;
  if (!bare || map.get(COSE_KEY.crv) !== COSE_CURVE['P-256']) return undefined;
  if (!(x instanceof Uint8Array) || !(y instanceof Uint8Array) || x.length !== y.length) return undefined;
  return Buffer.concat([x, y]).toString('latin1');
}

function jwkOf(map: CborMap): JsonObject {
  try {
    return jwkFromCoseKey(map);
  } catch (error) {
    throw new LatchkeyError('proof_malformed', coded(error).detail ?? coded(error).code, { cause: error });
  }
}

function thumbprintOf(jwk: JsonObject): string {
  try {
    return jwkThumbprint(jwk);
  } catch (error) {
    throw new LatchkeyError('proof_malformed', 'the key is neither EC P-256 nor OKP Ed25519', { cause: error });
  }
}

function importKey(members: JsonObject): Omit<ProofKey, 'thumbprint'> {
  const { kty, crv, x, y } = members;
  const jwk = (kty === 'EC' ? { kty, crv, x, y } : { kty, crv, x }) as JsonObject;
  // The thumbprint was made first: `x` is 32 bytes of base64url.
  if (kty === 'OKP' && isOfSmallOrder(fromBase64url(String(x)))) {
    throw new LatchkeyError('proof_malformed', 'the key is a point of small order');
  }
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    const algorithm = kty === 'EC' ? 'ES256' : 'EdDSA';
    return { jwk, verifier: signatureVerifier(algorithm, key), coseKey: { algorithm, keyId: undefined, key } };
  } catch (error) {
    throw new LatchkeyError('proof_malformed', 'the key is not a point of its curve', { cause: error });
  }
}
