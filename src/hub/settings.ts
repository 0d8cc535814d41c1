/** What the configuration means to the parts that hub.ts puts together. */
import type { HttpServerOptions } from '../../drivers/http/server.ts';
import type { Config } from '../config/schema.ts';
import { readKeySet } from '../config/setting-files.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { JWT_ALGORITHMS, type JwtAlgorithm, jwtAlgorithm } from '../core/jwt-algorithms.ts';
import { LIMITS } from '../core/limits.ts';
import { permissionRows, readPermission } from '../core/permission.ts';
import { DEFAULT_SCOPE_PATTERN, readScopePattern } from '../core/scope-pattern.ts';
import type { NamedProfile } from '../devices/named-profile.ts';
import { profileFromJson } from '../devices/profile.ts';
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
    confirmationKid: settings.confirmationKid,
    bind: settings.bind,
    ...sharedAudienceOf(settings),
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

/** The rules of the configuration see to it that what `device_by` needs is there. */
function sharedAudienceOf(settings: Config['issuers'][number]): Pick<IssuerPolicy, 'sharedAudience'> {
  const { authorizationDetailsType: type, deviceBy, deviceClaim: claim, scopePattern, sharedAudience } = settings;
  const pattern = readScopePattern(scopePattern ?? DEFAULT_SCOPE_PATTERN);
  const namings = {
    scope: pattern === undefined ? undefined : ({ by: 'scope', pattern } as const),
    claim: claim === undefined ? undefined : ({ by: 'claim', claim } as const),
    authorization_details: type === undefined ? undefined : ({ by: 'authorization_details', type } as const),
  };
  const naming = deviceBy === undefined ? undefined : namings[deviceBy];
  return sharedAudience === undefined || naming === undefined
    ? {}
    : { sharedAudience: { audience: sharedAudience, naming } };
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

/** @throws {LatchkeyError} `config_invalid` for a profile that no device can have */
export function profilesOf({ profiles }: Config): NamedProfile[] {
  return profiles.map((settings) => {
    const { anyIssuer, audience, issuers, name } = settings;
    try {
      const members = membersOf(settings);
      const profile = profileFromJson(members);
      return { name, audience, issuers: anyIssuer ? 'any' : issuers, members, profile };
    } catch (error) {
      throw new LatchkeyError('config_invalid', `profiles "${name}": ${coded(error).detail}`, { cause: error });
    }
  });
}

function membersOf(settings: Config['profiles'][number]): JsonObject {
  const { algorithm, allow, claims, clock, ctiBytes, cwtTag, encryption, maxTokenBytes, receipt, scopeForm, wrap } =
    settings;
  const permissions = permissionRows(
    allow.map((text) => {
      const permission = readPermission(text);
      if ('fault' in permission) throw new LatchkeyError('device_invalid', `allow: ${permission.fault}`);
      return permission;
    }),
  );
  return {
    permissions,
    scopes: Object.keys(permissions),
    wrap,
    ...(algorithm === undefined ? {} : { authentication: algorithm }),
    encryption,
    claims,
    scopeForm,
    maxTokenBytes,
    ctiBytes,
    cwtTag,
    receipt: receipt ? 'mac0' : 'none',
    clock: clock ? 'own' : 'none',
  };
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

/** An installer stands beside the device and waits: no request of a pairing takes longer than this. Milliseconds. */
const LONGEST_PAIRING_REQUEST = 15_000;

/** Milliseconds for one request to a device that an operator waits for. */
export function pairingTimeout({ delivery }: Config): number {
  return Math.min(delivery.attemptTimeout, LONGEST_PAIRING_REQUEST);
}
