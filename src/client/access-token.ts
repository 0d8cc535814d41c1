import type { CoseKey } from '../codec/cose/key.ts';
import { LatchkeyError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { DpopKey } from './dpop-key.ts';

/** An access token and the key that it is bound to. */
export type AccessToken = DpopToken | BearerToken;

/** Bound by `cnf.jkt` (RFC 9449 §6). */
export interface DpopToken {
  readonly scheme: 'DPoP';
  readonly value: Secret<string>;
  readonly key: DpopKey;
  /** Seconds from when the authorization server answered, if it said so. */
  readonly expiresIn: number | undefined;
  /** As granted, where the authorization server says that it differs from what was asked. */
  readonly scope: string | undefined;
}

/** Bound by a key inside `cnf` (`jwk`, `jwe`, `kid`), which the client holds as well. */
export interface BearerToken {
  readonly scheme: 'Bearer';
  readonly value: Secret<string>;
  /** A signing key, or the HMAC key that device and client share; undefined where the client only delivers. */
  readonly key: CoseKey | undefined;
  readonly expiresIn: number | undefined;
  readonly scope: string | undefined;
}

/** A token that came some other way than through this library. */
export function bearerToken(value: string, key?: CoseKey): BearerToken {
  return { scheme: 'Bearer', value: new Secret(value), key, expiresIn: undefined, scope: undefined };
}

export function dpopToken(value: string, key: DpopKey): DpopToken {
  return { scheme: 'DPoP', value: new Secret(value), key, expiresIn: undefined, scope: undefined };
}

/** The key for requests to the device. @throws {LatchkeyError} `client_key_missing` */
export function requestKey(token: AccessToken): CoseKey {
  if (token.scheme === 'DPoP') return token.key.coseKey;
  if (token.key === undefined) throw new LatchkeyError('client_key_missing');
  return token.key;
}
