/** The members of what a device trusts (codec/device-trust-map.ts), each checked for its form and its bounds. */
import { base64url, utf8 } from '../core/bytes.ts';
import type { DeviceProfile, WrapAlgorithm } from '../core/device-profile.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { LIMITS } from '../core/limits.ts';
import { RecentMap } from '../core/recent-map.ts';
import { type CborKey, type CborMap, type CborValue, encodeCbor, isCborArray, isCborMap } from './cbor.ts';
import { algorithmOf, kindOf } from './cose/algorithm.ts';
import { algorithmFromJwk, keyIdFromJwk } from './cose/jwk-members.ts';
import { coseKeyFromJwk, importJwk, jwkFromCoseKey } from './cose/key.ts';
import { COSE_ALGORITHM, COSE_KEY, DEVICE_TRUST } from './iana.ts';

type Member = keyof typeof DEVICE_TRUST;

/** An authorization server and public keys of its own as JWKs. */
export interface NamedKeys {
  readonly issuer: string;
  readonly keys: readonly JsonObject[];
}

const DEVICE_ID = /^[a-z0-9][a-z0-9._-]{0,62}$/;
/** RFC 6749 §3.3, and no longer than profiles allow. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]{1,64}$/;
const MOST_AUDIENCE_BYTES = 255;
/** All seven methods of CoAP: bits 0 to 6. */
const ALL_METHODS = 0x7f;

/** Public keys that were read of late, by their encoding: all devices of a hub trust the same few, and to check one is slow. */
const keysRead = new RecentMap<string, JsonObject>(LIMITS.publicKeysRead);
/** The other way round, for as long as a JWK is in use. */
const keysMade = new WeakMap<JsonObject, CborMap>();

/** The COSE_Key of a public JWK, with its alg, and with its kid where it has one. */
export function publicKeyMap(jwk: JsonObject): CborMap {
  const known = keysMade.get(jwk) ?? makePublicKeyMap(jwk);
  keysMade.set(jwk, known);
  return known;
}

function makePublicKeyMap(jwk: JsonObject): CborMap {
  const keyId = keyIdFromJwk(jwk);
  const algorithm = algorithmFromJwk(jwk);
  if (jwk.kty === 'oct') throw invalid('keys', 'a secret among them');
  return new Map<CborKey, CborValue>([
    ...coseKeyFromJwk(jwk),
    ...(keyId === undefined ? [] : [[COSE_KEY.kid, keyId] as const]),
    ...(algorithm === undefined ? [] : [[COSE_KEY.alg, COSE_ALGORITHM[algorithm]] as const]),
  ]);
}

/** Public keys that sign, each with its alg, no kid twice. */
export function keysMember(value: CborValue | undefined, name: string, most: number): readonly JsonObject[] {
  if (!isCborArray(value) || value.length > most) throw invalid(name, `no array of up to ${most}`);
  const keys = value.map((key) => publicKey(key, name));
  requireDistinct(
    keys.flatMap(({ kid }) => kid ?? []),
    `${name}: kid`,
  );
  return keys;
}

export function issuersMember(map: CborMap): readonly NamedKeys[] {
  const value = map.get(DEVICE_TRUST.issuers);
  if (!isCborArray(value) || value.length > LIMITS.trustedIssuers)
    throw invalid('issuers', `no array of up to ${LIMITS.trustedIssuers}`);
  const issuers = value.map((row) => {
    const [issuer, keys, ...rest] = isCborArray(row) ? row : [];
    if (typeof issuer !== 'string' || rest.length > 0) throw invalid('issuers', 'a row is an issuer and its keys');
    requireLength(issuer, LIMITS.trustedIssuerBytes, 'issuers');
    return { issuer, keys: keysMember(keys, 'issuers', LIMITS.trustedIssuerKeys) };
  });
  requireDistinct(
    issuers.map(({ issuer }) => issuer),
    'issuers',
  );
  return issuers;
}

export function permissionsMember(map: CborMap): DeviceProfile['permissions'] {
  const value = map.get(DEVICE_TRUST.permissions);
  if (!isCborMap(value)) throw invalid('permissions', 'no map');
  if (value.size === 0 || value.size > LIMITS.deviceScopes)
    throw invalid('permissions', `not 1 to ${LIMITS.deviceScopes} scopes`);
  const permissions = Array.from(value, ([scope, rows]) => {
    if (typeof scope !== 'string' || !SCOPE.test(scope)) throw invalid('permissions', 'no scope token');
    if (!isCborArray(rows) || rows.length > LIMITS.permissionRows)
      throw invalid('permissions', `no array of up to ${LIMITS.permissionRows} rows`);
    return [scope, rows.map(permission)] as const;
  });
  // Defines members rather than setting them: a scope may be called `__proto__`.
  return Object.freeze(Object.fromEntries(permissions));
}

export function wholeMember(
  map: CborMap,
  name: Member,
  { least, most }: { readonly least: number; readonly most: number },
): number {
  const value = map.get(DEVICE_TRUST[name]);
  if (typeof value !== 'number' || value < least || value > most) throw invalid(name, `not ${least} to ${most}`);
  return value;
}

export function booleanMember(map: CborMap, name: Member): boolean {
  const value = map.get(DEVICE_TRUST[name]);
  if (typeof value !== 'boolean') throw invalid(name, 'neither true nor false');
  return value;
}

export function oneOfMember<T extends string>(map: CborMap, name: Member, choices: readonly T[]): T {
  const value = map.get(DEVICE_TRUST[name]);
  const choice = choices.find((known) => known === value);
  if (choice === undefined) throw invalid(name, `none of ${choices.join(', ')}`);
  return choice;
}

export function algorithmMember(map: CborMap, name: Member): WrapAlgorithm {
  const algorithm = algorithmOf(map.get(DEVICE_TRUST[name]));
  if (algorithm === undefined) throw invalid(name, 'none that Latchkey supports');
  return algorithm;
}

export function deviceMember(map: CborMap): string {
  const id = map.get(DEVICE_TRUST.device);
  if (typeof id !== 'string' || !DEVICE_ID.test(id)) throw invalid('device', 'no device id');
  return id;
}

export function audienceMember(map: CborMap): string {
  const audience = map.get(DEVICE_TRUST.audience);
  if (typeof audience !== 'string') throw invalid('audience', 'no text');
  requireLength(audience, MOST_AUDIENCE_BYTES, 'audience');
  return audience;
}

export function invalid(member: string, what: string): LatchkeyError {
  return new LatchkeyError('device_trust_invalid', `${member}: ${what}`);
}

function publicKey(value: CborValue, name: string): JsonObject {
  if (!isCborMap(value)) throw invalid(name, 'a key that is no map');
  const bytes = base64url(encodeCbor(value));
  const known = keysRead.get(bytes) ?? checkedPublicKey(value, name);
  keysRead.set(bytes, known);
  return known;
}

function checkedPublicKey(value: CborMap, name: string): JsonObject {
  try {
    const jwk = jwkFromCoseKey(value);
    if (kindOf(importJwk(jwk).algorithm) !== 'sign1') throw invalid(name, 'a secret among them');
    if (jwk.alg === undefined) throw invalid(name, 'a key without alg');
    if (typeof jwk.kid === 'string') requireLength(jwk.kid, LIMITS.keyIdLength, `${name}: kid`);
    return Object.freeze(jwk);
  } catch (error) {
    if (!isCoded(error) || error.code === 'device_trust_invalid') throw error;
    throw invalid(name, error.detail ?? error.code);
  }
}

function permission(row: CborValue): readonly [path: string, methods: number] {
  const [path, methods, ...rest] = isCborArray(row) ? row : [];
  if (typeof path !== 'string' || rest.length > 0) throw invalid('permissions', 'a row is a path and a method set');
  requireLength(path, LIMITS.permissionPathBytes, 'permissions');
  if (typeof methods !== 'number' || methods < 1 || methods > ALL_METHODS)
    throw invalid('permissions', `a method set is 1 to ${ALL_METHODS}`);
  return [path, methods];
}

function requireLength(text: string, most: number, name: string): void {
  const { length } = utf8(text);
  if (length === 0 || length > most) throw invalid(name, `not 1 to ${most} bytes`);
}

function requireDistinct(names: readonly unknown[], name: string): void {
  if (new Set(names).size !== names.length) throw invalid(name, 'one twice');
}
