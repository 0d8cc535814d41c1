import type { CoseKey } from '../codec/cose/key.ts';
import { LatchkeyError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { argumentError, demandText, demandToken } from './arguments.ts';
import { DpopKey } from './dpop-key.ts';
import type { TokenRequest } from './token-request.ts';

/** An access token and the key that it is bound to. */
export type AccessToken = DpopToken | BearerToken;

interface IssuedToken {
  readonly value: Secret<string>;
  /** Seconds from when the authorization server answered, if it said so. */
  readonly expiresIn: number | undefined;
  /** The same as NumericDate seconds, by the clock of this machine. */
  readonly expiresAt: number | undefined;
  /** As granted, where the authorization server says that it differs from what was asked. */
  readonly scope: string | undefined;
  /** What the next token is asked for with, where the authorization server gave one. */
  readonly refreshToken: RefreshToken | undefined;
}

/** Bound by `cnf.jkt` (RFC 9449 §6). */
export interface DpopToken extends IssuedToken {
  readonly scheme: 'DPoP';
  readonly key: DpopKey;
}

/** Bound by a key inside `cnf` (`jwk`, `jwe`, `kid`), which the client holds as well. */
export interface BearerToken extends IssuedToken {
  readonly scheme: 'Bearer';
  /** A signing key, or the HMAC key that device and client share; undefined where the client only delivers. */
  readonly key: CoseKey | undefined;
}

/** A refresh token (RFC 6749 §6), with what its access tokens are asked for. To keep over a restart: the value, as a secret. */
export interface RefreshToken {
  readonly value: Secret<string>;
  /** With the key of the first access token: a public client's refresh token is bound to it (RFC 9449 §5). */
  readonly request: TokenRequest;
}

const NOTHING_MORE = { expiresIn: undefined, expiresAt: undefined, scope: undefined, refreshToken: undefined } as const;

/**
 * A token that came some other way than through this library.
 * @throws {LatchkeyError} `client_argument_invalid`
 */
export function bearerToken(value: string, key?: CoseKey): BearerToken {
  demandText('value', value);
  return { scheme: 'Bearer', value: new Secret(value), key, ...NOTHING_MORE };
}

/** @throws {LatchkeyError} `client_argument_invalid` */
export function dpopToken(value: string, key: DpopKey): DpopToken {
  demandText('value', value);
  if (!(key instanceof DpopKey)) throw argumentError('key: not a DpopKey');
  return { scheme: 'DPoP', value: new Secret(value), key, ...NOTHING_MORE };
}

/**
 * The key for requests to the device.
 * @throws {LatchkeyError} `client_argument_invalid`; `client_key_missing`
 */
export function requestKey(token: AccessToken): CoseKey {
  demandToken('token', token);
  if (token.scheme === 'DPoP') return token.key.coseKey;
  if (token.key === undefined) throw new LatchkeyError('client_key_missing');
  return token.key;
}
