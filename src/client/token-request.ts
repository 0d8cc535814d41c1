import { base64url } from '../core/bytes.ts';
import { argumentError, demandBytes, demandObject, demandText } from './arguments.ts';
import { DpopKey } from './dpop-key.ts';

/** What an access token is asked for. */
export interface TokenRequest {
  /** Scope tokens separated by a space. */
  readonly scope: string;
  /** Resource indicator (RFC 8707): the device's audience, for servers that know it. */
  readonly resource?: string;
  /** `audience` parameter, for servers that want this one instead (Auth0, Ory Hydra). */
  readonly audience?: string;
  /** Nonce of a device without a clock, from `HubRefusal.creationHints` (RFC 9200 §5.8.4.4). */
  readonly cnonce?: Uint8Array;
  /** Binds the token to this key (RFC 9449). Left out, a bearer token is asked for. */
  readonly key?: DpopKey;
}

/** @throws {LatchkeyError} `client_argument_invalid` */
export function demandTokenRequest(request: TokenRequest): void {
  demandObject('request', request);
  demandText('scope', request.scope);
  for (const name of ['resource', 'audience'] as const)
    if (request[name] !== undefined) demandText(name, request[name]);
  if (request.cnonce !== undefined) demandBytes('cnonce', request.cnonce);
  if (request.key !== undefined && !(request.key instanceof DpopKey)) throw argumentError('key: not a DpopKey');
}

/** Parameters of an authorization or token request that begins a grant. */
export function requestParameters(request: TokenRequest): Record<string, string> {
  const { scope, audience } = request;
  return { scope, ...(audience === undefined ? {} : { audience }), ...followingParameters(request) };
}

/**
 * Parameters of a token request that goes on with a grant. The scope is that of the grant (RFC 6749 §6); which resource the
 * token is for has to be said each time (RFC 8707 §2.2).
 */
export function followingParameters({ resource, cnonce }: TokenRequest): Record<string, string> {
  return {
    ...(resource === undefined ? {} : { resource }),
    ...(cnonce === undefined ? {} : { cnonce: base64url(cnonce) }),
  };
}
