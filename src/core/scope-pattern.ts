/** Scopes that name a device: `{device}/{scope}`, of which `tube-1/read` is one. */
import { isDeviceId } from './device-id.ts';

export interface ScopePattern {
  readonly prefix: string;
  readonly separator: string;
  readonly suffix: string;
  readonly deviceFirst: boolean;
}

export const DEFAULT_SCOPE_PATTERN = '{device}/{scope}';

export interface NamedScope {
  /** Has the form of a device id; whether there is such a device is another question. */
  readonly device: string;
  readonly scope: string;
}

/** What stands around the two names is of the characters of scopes (RFC 6749 §3.3), braces left out. */
const PATTERN =
  /^([\x21\x23-\x5b\x5d-\x7a\x7c\x7e]*)\{(device|scope)\}([\x21\x23-\x5b\x5d-\x7a\x7c\x7e]+)\{(device|scope)\}([\x21\x23-\x5b\x5d-\x7a\x7c\x7e]*)$/;

/** Characters that ids of devices have. */
const OF_IDS = /^[a-z0-9._-]*$/;

/**
 * Undefined for text that is no pattern. Between the names stands a character that no device id has. Without it `tube-1-read`
 * could mean two devices, and a token for one of them would reach the other.
 */
export function readScopePattern(text: string): ScopePattern | undefined {
  const [, prefix = '', first, separator = '', second, suffix = ''] = PATTERN.exec(text) ?? [];
  if (first === second || OF_IDS.test(separator)) return undefined;
  return { prefix, separator, suffix, deviceFirst: first === 'device' };
}

/** The device and the scope in one name of a token's scope; undefined where it does not fit the pattern. */
export function namedScope(
  text: string,
  { prefix, separator, suffix, deviceFirst }: ScopePattern,
): NamedScope | undefined {
  if (text.length < prefix.length + suffix.length || !text.startsWith(prefix) || !text.endsWith(suffix))
    return undefined;
  const named = text.slice(prefix.length, text.length - suffix.length);
  // An id has none of one of the separator's characters, so at most one place leaves an id on its side.
  const at = deviceFirst ? named.indexOf(separator) : named.lastIndexOf(separator);
  if (at < 0) return undefined;
  const [before, after] = [named.slice(0, at), named.slice(at + separator.length)];
  const [device, scope] = deviceFirst ? [before, after] : [after, before];
  return isDeviceId(device) && scope !== '' ? { device, scope } : undefined;
}
