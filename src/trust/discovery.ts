import { parseStrictJsonObject } from '../codec/strict-json.ts';
import { LatchkeyError } from '../core/errors.ts';
import { type IssuerPolicy, mayHoldKeys } from './issuer-policy.ts';

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

/**
 * The address of the key set, from a metadata document (RFC 8414 §3.2).
 * @throws {LatchkeyError} `metadata_invalid`: not JSON, of another issuer (§3.3), or no jwks_uri that is acceptable
 */
export function jwksAddress(metadata: Uint8Array, policy: Pick<IssuerPolicy, 'issuer' | 'source'>): string {
  const { issuer: named, jwks_uri: address } = parseStrictJsonObject(metadata, { code: 'metadata_invalid' });
  // A server that speaks for another issuer would have its keys believed in that one's name.
  if (named !== policy.issuer) throw new LatchkeyError('metadata_invalid', 'it names another issuer');
  if (typeof address !== 'string') throw new LatchkeyError('metadata_invalid', 'no jwks_uri');
  if (!mayHoldKeys(address, policy)) {
    throw new LatchkeyError('metadata_invalid', 'jwks_uri is not https, or in a network on this side');
  }
  return address;
}
