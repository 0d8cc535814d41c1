import { parseStrictJsonObject } from '../codec/strict-json.ts';
import { LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonValue } from '../core/json.ts';
import { shown } from '../core/shown.ts';
import { type IssuerPolicy, mayBeNamed } from './issuer-policy.ts';

/**
 * Where the metadata of an issuer may be, in the order of asking. RFC 8414 §3.1 puts the well-known path between host
 * and the issuer's path; OpenID Connect Discovery §4 appends it. A slash at the end of the issuer is left out of both.
 */
export function metadataAddresses(issuer: string): readonly string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  return [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ];
}

/** What the hub needs of an issuer's metadata document. */
export interface IssuerMetadata {
  readonly jwksUri: string;
  readonly introspection: IntrospectionAddresses;
}

/** Where tokens are introspected (RFC 8414 §2), as far as the issuer says so with an acceptable address. */
export interface IntrospectionAddresses {
  readonly endpoint: string | undefined;
  /** For clients that authenticate by certificate; a server may keep those at an address of their own (RFC 8705 §5). */
  readonly certificateEndpoint: string | undefined;
}

/**
 * Reads a metadata document (RFC 8414 §3.2).
 * @throws {LatchkeyError} `metadata_invalid`: not JSON, of another issuer (§3.3), or no jwks_uri that is acceptable
 */
export function readMetadata(document: Uint8Array, policy: Pick<IssuerPolicy, 'issuer' | 'source'>): IssuerMetadata {
  const metadata = parseStrictJsonObject(document, { code: 'metadata_invalid' });
  const { issuer: named, jwks_uri: address, mtls_endpoint_aliases: aliases } = metadata;
  // A server that speaks for another issuer would have its keys believed in that one's name.
  if (named !== policy.issuer) {
    throw new LatchkeyError('metadata_invalid', `it names another issuer: ${shown(named)}`);
  }
  if (typeof address !== 'string') throw new LatchkeyError('metadata_invalid', 'no jwks_uri');
  if (!mayBeNamed(address, policy)) {
    throw new LatchkeyError('metadata_invalid', 'jwks_uri is not https, or in a network on this side');
  }
  // An address that tokens must not be sent to counts as none: the keys are good all the same.
  const acceptable = (value: JsonValue | undefined) =>
    typeof value === 'string' && mayBeNamed(value, policy) ? value : undefined;
  const endpoint = acceptable(metadata.introspection_endpoint);
  const alias = isJsonObject(aliases) ? acceptable(aliases.introspection_endpoint) : undefined;
  return { jwksUri: address, introspection: { endpoint, certificateEndpoint: alias ?? endpoint } };
}
