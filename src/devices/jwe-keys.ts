/**
 * The keys of the hub that issuers encrypt to, `cnf.jwe` (RFC 7800 §3.3) and whole tokens: one for each issuer. An issuer that
 * puts a JWE of another one into its own token would otherwise have the hub decrypt it.
 */
import type { JweKeyType } from '../codec/jwe-algorithms.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';

/** Of one issuer: the key that is published, and the one before it, which still opens what was encrypted to it. */
interface KeysOfIssuer {
  readonly current: JsonObject;
  readonly older: JsonObject | undefined;
}

export type JweKeys = ReadonlyMap<string, KeysOfIssuer>;

/** Keys that were made beforehand, by issuer: an RSA key takes a second on a small board. */
export type NewKeys = ReadonlyMap<string, JsonObject>;

export type KeyTypeOf = (issuer: string) => JweKeyType;

/** Those of `issuers` that have no key of the type that is configured for them. */
export function issuersWithoutKey(keys: JweKeys, issuers: readonly string[], typeOf: KeyTypeOf): readonly string[] {
  return issuers.filter((issuer) => keys.get(issuer)?.current.kty !== typeOf(issuer));
}

/** A new key for each of `made`. The key before it stays until the next rotation: an issuer reads what is published when it likes. */
export function withNewKeys(keys: JweKeys, made: NewKeys): JweKeys {
  return new Map([...keys, ...rotatedKeys(keys, made)]);
}

/** The same, with nothing left of issuers that are not in `made`. */
export function rotatedKeys(keys: JweKeys, made: NewKeys): JweKeys {
  return new Map(
    [...made].map(([issuer, current]) => [issuer, { current, older: keys.get(issuer)?.current }] as const),
  );
}

/** Whether `after` lacks a key that is in `before`. */
export function hasDropped(before: JweKeys, after: JweKeys): boolean {
  const names = (keys: JweKeys) =>
    [...keys.values()].flatMap(({ current, older }) => [current.kid, ...(older === undefined ? [] : [older.kid])]);
  const kept = new Set(names(after));
  return names(before).some((keyId) => !kept.has(keyId));
}

export function encodeJweKeys(keys: JweKeys): JsonValue {
  return [...keys].map(([issuer, { current, older }]) => ({
    issuer,
    current,
    ...(older === undefined ? {} : { older }),
  }));
}

/** @throws {TypeError} for what `encodeJweKeys` did not make */
export function decodeJweKeys(value: JsonValue): JweKeys {
  if (!Array.isArray(value)) throw new TypeError('not a list of keys');
  return new Map(
    value.map((entry) => {
      if (!isJsonObject(entry)) throw new TypeError('not the keys of an issuer');
      const { issuer, current, older } = entry;
      if (typeof issuer !== 'string' || !isJsonObject(current)) throw new TypeError('not the keys of an issuer');
      if (older !== undefined && !isJsonObject(older)) throw new TypeError('not a key');
      return [issuer, { current, older }] as const;
    }),
  );
}
