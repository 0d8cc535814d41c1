/**
 * The keys of the hub that `cnf.jwe` is encrypted to (RFC 7800 §3.3): one for each issuer. An issuer that puts a JWE of
 * another one into its own token would otherwise have the hub decrypt it. Pure but for the making of keys.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';

/** Of one issuer: the key that is published, and the one before it, which still opens what was encrypted to it. */
interface KeysOfIssuer {
  readonly current: JsonObject;
  readonly older: JsonObject | undefined;
}

export type JweKeys = ReadonlyMap<string, KeysOfIssuer>;

export type MakeKey = () => JsonObject;

/** The same with a key for each of `issuers`; the very same map where nothing is missing. */
export function withKeysFor(keys: JweKeys, issuers: readonly string[], make: MakeKey): JweKeys {
  const missing = issuers.filter((issuer) => !keys.has(issuer));
  if (missing.length === 0) return keys;
  return new Map([...keys, ...missing.map((issuer) => [issuer, { current: make(), older: undefined }] as const)]);
}

/**
 * A new key for each of `issuers`. The key before it stays until the next rotation, since an issuer reads what is
 * published when it likes. Older ones go, and so do those of issuers that are not among `issuers`.
 */
export function rotatedKeys(keys: JweKeys, issuers: readonly string[], make: MakeKey): JweKeys {
  return new Map(issuers.map((issuer) => [issuer, { current: make(), older: keys.get(issuer)?.current }] as const));
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
