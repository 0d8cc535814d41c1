/** What the configuration means to the parts that hub.ts puts together. */
import type { HttpServerOptions } from '../../drivers/http/server.ts';
import type { Config } from '../config/schema.ts';
import { readKeySet } from '../config/setting-files.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { JWT_ALGORITHMS, type JwtAlgorithm, jwtAlgorithm } from '../core/jwt-algorithms.ts';
import { LIMITS } from '../core/limits.ts';
import { type IssuerPolicy, issuerPolicy } from '../trust/issuer-policy.ts';
import { KeyRing } from '../trust/key-ring.ts';

export function policyOf(settings: Config['issuers'][number]): IssuerPolicy {
  const { issuer, discoveryUrl, jwksUrl, jwksFile } = settings;
  return issuerPolicy({
    issuer,
    source:
      jwksFile !== undefined
        ? { kind: 'file', jwks: usableKeys(settings, jwksFile) }
        : jwksUrl !== undefined
          ? { kind: 'jwks', url: jwksUrl }
          : { kind: 'discovery', ...(discoveryUrl === undefined ? {} : { url: discoveryUrl }) },
    algorithms: allowedAlgorithms(settings),
    dialect: settings.dialect,
    tokenTypes: settings.tokenTypes,
    scopeClaims: settings.scopeClaims,
    audienceClaims: settings.audienceClaims,
    clientClaims: settings.clientClaims,
    requiredClaims: settings.requiredClaims,
    ignoredHeaders: settings.ignoredHeaders,
    requireRfc9068: settings.requireRfc9068,
    exiWithoutExp: settings.exiWithoutExp,
    offlineLimit: settings.offlineLimit,
    leeway: settings.leeway,
    refresh: { least: settings.refreshMin, most: settings.refreshMax },
    unknownKeyCooldown: settings.unknownKidCooldown,
  });
}

/** Ed25519 has two names in the file. */
function allowedAlgorithms({ algorithms }: Config['issuers'][number]): readonly JwtAlgorithm[] {
  return JWT_ALGORITHMS.filter((one) => algorithms.some((name) => jwtAlgorithm(name) === one));
}

function usableKeys(settings: Config['issuers'][number], file: string): JsonObject {
  const { issuer } = settings;
  const setting = `jwks_file of ${issuer}`;
  const jwks = readKeySet(setting, file);
  try {
    new KeyRing(jwks, allowedAlgorithms(settings));
  } catch (error) {
    throw new LatchkeyError('jwks_invalid', `${setting}: ${file}: ${coded(error).detail}`, { cause: error });
  }
  return jwks;
}

/** Where the keys of an issuer come from, for people: the file, or the address that is asked first. */
export function keyAddressOf({ issuer, jwksFile, jwksUrl, discoveryUrl }: Config['issuers'][number]): string {
  return jwksFile ?? jwksUrl ?? discoveryUrl ?? issuer;
}

/** Behind a proxy every client has the proxy's address: there only the proxy can tell who takes too much. */
export function connectionsOf({ http }: Config): HttpServerOptions['connections'] {
  const overall = LIMITS.httpConnections;
  return { overall, perNetwork: http.behindProxy ? overall : LIMITS.httpConnectionsPerNetwork };
}

/** Somebody stands beside the device and waits: no request of a pairing takes longer than this. Milliseconds. */
const LONGEST_PAIRING_REQUEST = 15_000;

/** Milliseconds for one request to a device that an operator waits for. */
export function pairingTimeout({ delivery }: Config): number {
  return Math.min(delivery.attemptTimeout, LONGEST_PAIRING_REQUEST);
}
