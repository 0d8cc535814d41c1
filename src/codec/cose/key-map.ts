/** COSE_Key (RFC 9052 §7, RFC 9053 §7) as a CBOR map: from and to JWK, and its thumbprint (RFC 9679). */
import { base64url, fromUtf8, sha256 } from '../../core/bytes.ts';
import { LatchkeyError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import { type CborKey, type CborMap, type CborValue, encodeCbor, isCborArray } from '../cbor.ts';
import { COSE_ALGORITHM, COSE_CURVE, COSE_KEY, COSE_KEY_TYPE } from '../iana.ts';
import { isOfSmallOrder } from '../small-order.ts';
import { algorithmOf } from './algorithm.ts';
import { algorithmFromJwk, bytesFromJwk, keyIdFromJwk } from './jwk-members.ts';
import { isOnP256 } from './p256.ts';

const COORDINATE_BYTES = 32;
/** JWK `key_ops` by COSE `key_ops` (RFC 9052 §7.1, table 5); MAC create and verify are `sign` and `verify` in JOSE. */
const KEY_OPERATIONS: ReadonlyMap<CborValue, string> = new Map<CborValue, string>([
  [1, 'sign'],
  [2, 'verify'],
  [3, 'encrypt'],
  [4, 'decrypt'],
  [5, 'wrapKey'],
  [6, 'unwrapKey'],
  [7, 'deriveKey'],
  [8, 'deriveBits'],
  [9, 'sign'],
  [10, 'verify'],
]);

/**
 * The COSE_Key for a JWK. Of an EC or OKP key only the public part, y in full, and neither `kid` nor `alg`: the curve
 * implies the algorithm, and every byte travels to a device. A shared secret keeps `kid` and `alg`, since without `alg`
 * nobody could tell what it is for.
 * @throws {LatchkeyError} `jwk_invalid`; `cose_key_invalid` for a point that is not on the curve or of small order
 */
export function coseKeyFromJwk(jwk: JsonObject): CborMap {
  if (jwk.kty === 'EC' && jwk.crv === 'P-256') {
    const x = bytesFromJwk(jwk, 'x', COORDINATE_BYTES);
    const y = bytesFromJwk(jwk, 'y', COORDINATE_BYTES);
    if (!isOnP256(x, y)) throw invalid('the point is not on the curve');
    return ec2(x, y);
  }
  if (jwk.kty === 'OKP' && jwk.crv === 'Ed25519') return okp(bytesFromJwk(jwk, 'x', COORDINATE_BYTES));
  if (jwk.kty === 'oct') {
    const map = new Map<CborKey, CborValue>([[COSE_KEY.kty, COSE_KEY_TYPE.Symmetric]]);
    const keyId = keyIdFromJwk(jwk);
    if (keyId !== undefined) map.set(COSE_KEY.kid, keyId);
    const algorithm = algorithmFromJwk(jwk);
    if (algorithm !== undefined) map.set(COSE_KEY.alg, COSE_ALGORITHM[algorithm]);
    map.set(COSE_KEY.k, bytesFromJwk(jwk, 'k'));
    return map;
  }
  throw new LatchkeyError('jwk_invalid', 'kty and crv are none that Latchkey supports');
}

/**
 * The JWK for a COSE_Key from outside: a public key or a shared secret. The answer for the latter is a secret.
 * A `kid` that is no UTF-8 text has no JWK form and is left out.
 * @throws {LatchkeyError} `cose_key_invalid` for missing or foreign parameters, a private key, a compressed point, or one
 *   that is not on the curve or of small order
 */
export function jwkFromCoseKey(map: CborMap): JsonObject {
  return { ...keyMembers(map), ...commonMembers(map) };
}

/**
 * Thumbprint over the required parameters alone (RFC 9679 §4), SHA-256, 32 bytes.
 * @throws {LatchkeyError} `cose_key_invalid`
 */
export function coseThumbprint(map: CborMap): Uint8Array {
  return new Uint8Array(sha256(encodeCbor(requiredParameters(map))));
}

function requiredParameters(map: CborMap): CborMap {
  const type = map.get(COSE_KEY.kty);
  const curve = map.get(COSE_KEY.crv);
  if (type === COSE_KEY_TYPE.EC2 && curve === COSE_CURVE['P-256']) {
    const x = bytes(map, COSE_KEY.x, 'x');
    const y = bytes(map, COSE_KEY.y, 'y');
    if (!isOnP256(x, y)) throw invalid('the point is not on the curve');
    return ec2(x, y);
  }
  if (type === COSE_KEY_TYPE.OKP && curve === COSE_CURVE.Ed25519) {
    const x = bytes(map, COSE_KEY.x, 'x');
    if (x.length !== COORDINATE_BYTES) throw invalid('x of another size');
    return okp(x);
  }
  if (type === COSE_KEY_TYPE.Symmetric) {
    return new Map<CborKey, CborValue>([
      [COSE_KEY.kty, type],
      [COSE_KEY.k, bytes(map, COSE_KEY.k, 'k')],
    ]);
  }
  throw invalid('kty and crv are none that Latchkey supports');
}

function keyMembers(map: CborMap): JsonObject {
  const required = requiredParameters(map);
  const type = required.get(COSE_KEY.kty);
  if (type === COSE_KEY_TYPE.Symmetric) return { kty: 'oct', k: base64url(bytes(required, COSE_KEY.k, 'k')) };
  // RFC 8747 §3.2: what confirms a key holds its public part.
  if (map.has(COSE_KEY.d)) throw invalid('a private key');
  const x = base64url(bytes(required, COSE_KEY.x, 'x'));
  if (type === COSE_KEY_TYPE.OKP) return { kty: 'OKP', crv: 'Ed25519', x };
  return { kty: 'EC', crv: 'P-256', x, y: base64url(bytes(required, COSE_KEY.y, 'y')) };
}

function commonMembers(map: CborMap): JsonObject {
  return { ...keyIdMember(map.get(COSE_KEY.kid)), ...algorithmMember(map), ...operationsMember(map) };
}

function keyIdMember(keyId: CborValue | undefined): JsonObject {
  if (keyId === undefined) return {};
  if (!(keyId instanceof Uint8Array)) throw invalid('kid is no byte string');
  try {
    return { kid: fromUtf8(keyId) };
  } catch {
    // Any bytes may stand in a COSE kid; these cannot in a JWK's.
    return {};
  }
}

function algorithmMember(map: CborMap): JsonObject {
  if (!map.has(COSE_KEY.alg)) return {};
  const algorithm = algorithmOf(map.get(COSE_KEY.alg));
  if (algorithm === undefined) throw invalid('alg is none that Latchkey supports');
  return { alg: algorithm };
}

function operationsMember(map: CborMap): JsonObject {
  const operations = map.get(COSE_KEY.keyOps);
  if (operations === undefined) return {};
  if (!isCborArray(operations) || operations.length === 0) throw invalid('key_ops is no array with operations');
  return { key_ops: operations.map((operation) => KEY_OPERATIONS.get(operation) ?? 'unknown') };
}

function ec2(x: Uint8Array, y: Uint8Array): CborMap {
  return new Map<CborKey, CborValue>()
    .set(COSE_KEY.kty, COSE_KEY_TYPE.EC2)
    .set(COSE_KEY.crv, COSE_CURVE['P-256'])
    .set(COSE_KEY.x, x)
    .set(COSE_KEY.y, y);
}

function okp(x: Uint8Array): CborMap {
  if (isOfSmallOrder(x)) throw invalid('a point of small order');
  return new Map<CborKey, CborValue>()
    .set(COSE_KEY.kty, COSE_KEY_TYPE.OKP)
    .set(COSE_KEY.crv, COSE_CURVE.Ed25519)
    .set(COSE_KEY.x, x);
}

function bytes(map: CborMap, label: number, name: string): Uint8Array {
  const value = map.get(label);
  if (!(value instanceof Uint8Array)) throw invalid(`${name} is missing or no byte string`);
  return value;
}

function invalid(detail: string): LatchkeyError {
  return new LatchkeyError('cose_key_invalid', detail);
}
