import type { KeyObject, webcrypto } from 'node:crypto';
import type { Secret } from '../core/secret.ts';

/** How a client authenticates at the authorization server. */
export type ClientAuthentication =
  | { readonly method: 'none' }
  | { readonly method: 'client_secret_basic' | 'client_secret_post'; readonly secret: Secret<string> }
  | PrivateKeyAuthentication;

/** RFC 7523: each request is signed with a key whose public part is registered at the server. */
export interface PrivateKeyAuthentication {
  readonly method: 'private_key_jwt';
  /** EC P-256, P-384 or P-521, Ed25519, or RSA; a PEM text as a `Secret`. */
  readonly key: webcrypto.CryptoKey | KeyObject | Secret<string>;
  /** `kid`, where the server knows several keys of this client. */
  readonly keyId?: string;
  /** JOSE `alg` of an RSA key. Left out: PS256, but RS256 where the server's metadata has that one and not PS256. */
  readonly algorithm?: 'PS256' | 'RS256';
  /** `aud` of the assertions: the issuer, as FAPI 2.0 has it, or the token endpoint, for servers that want that one. */
  readonly assertionAudience?: 'issuer' | 'token_endpoint';
}
