/** What the hub is to a library that looks for an introspection endpoint: authorization server metadata (RFC 8414). */
import { LatchkeyError } from '../../src/core/errors.ts';
import type { HttpAnswer } from './http-answer.ts';
import type { HttpRequest, Route } from './server.ts';

export interface MetadataRoutes {
  /** Origins under which devices know this hub, each with the path of `http.public_url`. */
  readonly origins: () => readonly string[];
  /** Whether devices may show a certificate: the hub has TLS itself, and one was registered when it started. */
  readonly takesCertificates: boolean;
}

const WELL_KNOWN = '/.well-known/oauth-authorization-server';

/** What it says changes with a restart alone. */
const CACHE = 'public, max-age=3600';

/** Of the proofs that devices hand on (pop/dpop-steps.ts). EdDSA has two names (RFC 9864). */
const DPOP_ALGORITHMS = ['ES256', 'EdDSA', 'Ed25519'] as const;

export function metadataRoutes({ origins, takesCertificates }: MetadataRoutes): readonly Route[] {
  const answer = (issuer: string): HttpAnswer => ({
    status: 200,
    headers: { 'cache-control': CACHE },
    body: metadataOf(issuer, takesCertificates),
  });
  return [
    // With a path in `http.public_url` too: a proxy takes that off, from a library that appends the well-known path.
    { method: 'GET', path: WELL_KNOWN, handle: async (request) => answer(issuerOf(request, origins())) },
    {
      method: 'GET',
      path: `${WELL_KNOWN}/*`,
      handle: async (request) => {
        const issuer = issuerOf(request, origins());
        // RFC 8414 §3.1: the well-known path goes between the host and the path of the issuer.
        const [path] = request.url.split('?', 1);
        if (path !== WELL_KNOWN + new URL(issuer).pathname) throw new LatchkeyError('not_found');
        return answer(issuer);
      },
    },
  ];
}

/** The origin that was asked for, if it is one of the hub: a library compares `issuer` with it (RFC 8414 §3.3). */
function issuerOf({ headers }: HttpRequest, origins: readonly string[]): string {
  const [host] = headers.host ?? [];
  const [first = ''] = origins;
  return origins.find((origin) => new URL(origin).host === host) ?? first;
}

/**
 * The hub issues no tokens: it has no token endpoint and no authorization endpoint, takes no grant and knows no response type. RFC 8414
 * §2 requires `response_types_supported`, and takes a missing `grant_types_supported` for two grants; §3.2 wants empty lists left out.
 * The empty lists are true, and what is left out would not be. There is no `jwks_uri` either: the hub signs nothing for devices that ask.
 */
function metadataOf(issuer: string, takesCertificates: boolean) {
  return {
    issuer,
    introspection_endpoint: `${issuer}/introspect`,
    introspection_endpoint_auth_methods_supported: [
      'client_secret_basic',
      'client_secret_post',
      ...(takesCertificates ? ['self_signed_tls_client_auth'] : []),
    ],
    dpop_signing_alg_values_supported: DPOP_ALGORITHMS,
    response_types_supported: [],
    grant_types_supported: [],
  };
}
