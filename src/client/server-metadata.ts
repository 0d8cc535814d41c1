/** Where an authorization server says what it offers, and whether it is the one that was meant. */
import type { ServerMetadata } from 'openid-client';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { printable } from '../core/printable.ts';
import { isSafeAddress } from './arguments.ts';
import type { ClientEnvironment } from './environment.ts';
import { exchange } from './http.ts';
import { readJson } from './hub-answer.ts';

const REQUEST_DEADLINE = 30_000;
const ENDPOINTS = [
  'authorization_endpoint',
  'token_endpoint',
  'revocation_endpoint',
  'device_authorization_endpoint',
] as const;

/**
 * In the order of the hub (src/trust/discovery.ts): RFC 8414 §3.1 puts the well-known path between host and the issuer's
 * path; OpenID Connect Discovery §4 appends it.
 */
function addressesOf({ origin, pathname }: URL): readonly string[] {
  const path = pathname.replace(/\/$/, '');
  return [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ];
}

/**
 * Reads the metadata at the first address that has some of this issuer.
 * @param address where alone to look, for a server that keeps them elsewhere
 * @throws {LatchkeyError} `client_unreachable`; `client_answer_invalid`, also for metadata of another issuer
 */
export async function readServerMetadata(
  issuer: URL,
  environment: ClientEnvironment,
  address?: URL,
): Promise<ServerMetadata> {
  const failures: string[] = [];
  for (const place of address === undefined ? addressesOf(issuer) : [address.href]) {
    // A server that is not there is not there at the other address either: what `exchange` throws ends it.
    const answer = await exchange(
      { method: 'GET', url: new URL(place), headers: { accept: 'application/json' }, deadline: REQUEST_DEADLINE },
      environment,
    );
    try {
      if (answer.status !== 200) throw invalid(`status ${answer.status}`);
      return metadataOf(readJson(answer), issuer);
    } catch (error) {
      if (!(error instanceof LatchkeyError)) throw error;
      failures.push(`${place}: ${error.detail ?? error.code}`);
    }
  }
  throw invalid(failures.join('; '));
}

/** RFC 8414 §3.3: a server that speaks for another issuer could have the client's secret sent to itself. */
function metadataOf(json: JsonObject, issuer: URL): ServerMetadata {
  const { issuer: named } = json;
  if (typeof named !== 'string' || !URL.canParse(named)) throw invalid('it names no issuer');
  if (new URL(named).href !== issuer.href)
    throw invalid(`it names the issuer ${printable(named.slice(0, 200))}, expected ${issuer.href}`);
  for (const name of ENDPOINTS) {
    const endpoint = json[name];
    if (endpoint === undefined) continue;
    if (typeof endpoint !== 'string' || !URL.canParse(endpoint) || !isSafeAddress(new URL(endpoint)))
      throw invalid(`its ${name} is no https address`);
  }
  return { ...json, issuer: named };
}

function invalid(detail: string): LatchkeyError {
  return new LatchkeyError('client_answer_invalid', detail);
}
