/** Scope: narrowed to what the device knows, in the form that the device reads. */
import { encodeCbor } from '../codec/cbor.ts';
import { utf8 } from '../core/bytes.ts';
import type { DeviceProfile } from '../core/device-profile.ts';
import { LatchkeyError } from '../core/errors.ts';
import { mismatch } from '../core/shown.ts';

/**
 * The scopes of a token that the device knows, each once, in the issuer's order.
 * @throws {LatchkeyError} `scope_empty` if none is left
 */
export function narrowScope(scope: readonly string[], known: readonly string[]): readonly string[] {
  const narrowed: string[] = [];
  for (const name of scope) {
    // The device's own text is what goes on: the token's may be a part of all its claims, and would keep them in memory.
    const own = known[known.indexOf(name)];
    if (own !== undefined && !narrowed.includes(own)) narrowed.push(own);
  }
  if (narrowed.length === 0) throw new LatchkeyError('scope_empty', mismatch('scope', scope.join(' '), known));
  return narrowed;
}

/**
 * A scope as the value of the CWT claim.
 * @throws {LatchkeyError} `scope_empty` where, for `aif`, none of the scopes permits anything
 */
export function encodeScope(
  scope: readonly string[],
  profile: Pick<DeviceProfile, 'scopeForm' | 'permissions'>,
): string | Uint8Array {
  switch (profile.scopeForm) {
    case 'text':
      return scope.join(' ');
    case 'bytes':
      return utf8(scope.join(' '));
    case 'aif':
      return encodeAif(scope, profile.permissions);
  }
}

/** RFC 9237 §3: one row a path; what several scopes permit on one path is put together. */
function encodeAif(scope: readonly string[], permissions: DeviceProfile['permissions']): Uint8Array {
  const rows = new Map<string, number>();
  for (const name of scope) {
    const granted = Object.hasOwn(permissions, name) ? permissions[name] : undefined;
    for (const [path, methods] of granted ?? []) rows.set(path, (rows.get(path) ?? 0) | methods);
  }
  if (rows.size === 0) {
    throw new LatchkeyError(
      'scope_empty',
      `${mismatch('scope', scope.join(' '), Object.keys(permissions))}: the profile has no permissions for it`,
    );
  }
  return encodeCbor([...rows]);
}
