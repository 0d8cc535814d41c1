/** The authorization servers: their keys, what they are asked about tokens, and how tokens of theirs are verified. */
import { connectAuthorizationServer, INTROSPECTION_CONNECTIONS } from '../../drivers/as/authorization-server.ts';
import { systemRandom, systemTimers } from '../../drivers/system-time.ts';
import type { Config } from '../config/schema.ts';
import { readCertificate, readSecret } from '../config/setting-files.ts';
import type { Secret } from '../core/secret.ts';
import type { VerifiedToken } from '../core/verified-token.ts';
import type { Device } from '../devices/device.ts';
import type { Registry } from '../devices/registry.ts';
import { clientAuthentication } from '../pop/introspection/client-authentication.ts';
import { Introspector } from '../pop/introspection/introspector.ts';
import type { Log } from '../ports/log.ts';
import type { DeviceNames } from '../trust/addressee.ts';
import { DecryptionTurns } from '../trust/decryption-turns.ts';
import { type Issuer, Issuers } from '../trust/issuers.ts';
import { readSignedClaims, type SignedClaims } from '../trust/signed-claims.ts';
import { type VerifyJwtOptions, verifyJwt } from '../trust/verify-jwt.ts';
import { policyOf } from './settings.ts';
import type { State } from './state.ts';

type IssuerSettings = Config['issuers'][number];

/** @param onChange called when an issuer has other keys than before */
export function openIssuers(
  config: Config,
  { store, clock }: State,
  log: Log,
  onChange: (issuer: string) => void,
): Issuers {
  const settings = new Map(config.issuers.map((issuer) => [issuer.issuer, issuer]));
  return new Issuers({
    policies: config.issuers.map(policyOf),
    connect: ({ issuer }) =>
      connectAuthorizationServer({
        ...authorityOf(issuer, settings.get(issuer)?.caFile),
        heard: (date) => clock.heard(issuer, date),
      }),
    store,
    clock,
    timers: systemTimers,
    random: systemRandom,
    log,
    onChange,
  });
}

function authorityOf(issuer: string, file: string | undefined): { readonly ca?: string } {
  return file === undefined ? {} : { ca: readCertificate(`ca_file of ${issuer}`, file) };
}

/** How a JWT for this device is verified, whichever way it comes. The peer is the device itself where no other one is known. */
export function verifierOf(config: Config, { clock, hubKeys, registry }: State, issuers: Issuers) {
  const { whenUnsure } = config.clock;
  const configured = config.issuers.map(({ issuer }) => issuer);
  const names = namesOf(registry);
  const turns = new DecryptionTurns();
  return (jwt: string, device: Device, peer?: string): Promise<VerifiedToken> =>
    verifyJwt(jwt, {
      issuers: issuersFor(device, issuers),
      decryption: {
        issuers: device.issuers ?? configured,
        keys: hubKeys,
        inTurn: (decrypt) => turns.take(peer ?? device.id, decrypt),
      },
      audience: device.audience,
      device: { id: device.id, audience: device.audience, names },
      time: clock.now(),
      whenUnsure,
      withoutClock: device.profile.clock === 'none',
      witness: (issuedAt) => clock.witness(issuedAt),
    });
}

/** How a JWT of an unknown form is read, whose issuer is asked about each token. */
export function signedClaimsReader(config: Config, { clock, registry }: State, issuers: Issuers) {
  const { whenUnsure } = config.clock;
  const names = namesOf(registry);
  const asked = new Set(
    config.issuers.filter(({ introspection }) => introspection === 'always').map(({ issuer }) => issuer),
  );
  return (jwt: string, device: Device): Promise<SignedClaims | undefined> => {
    const taken = issuersFor(device, issuers);
    return readSignedClaims(jwt, {
      issuers: { find: (issuer) => (asked.has(issuer) ? taken.find(issuer) : undefined) },
      device: { id: device.id, audience: device.audience, names },
      time: clock.now(),
      whenUnsure,
    });
  };
}

/** The devices that a token can name. */
export function namesOf(registry: Registry): DeviceNames {
  return {
    has: (id) => registry.find(id) !== undefined,
    withAudience: (audience) => registry.byAudience(audience)?.id,
  };
}

/** A token of an issuer that the device does not take is not looked at, so it moves nothing, the time floor included. */
function issuersFor({ issuers: taken }: Device, issuers: Issuers): VerifyJwtOptions['issuers'] {
  return {
    find: (issuer) => (taken?.includes(issuer) === false ? undefined : issuers.find(issuer)),
    names: () => taken ?? issuers.list().map(({ policy }) => policy.issuer),
  };
}

/** One for each issuer that is to be asked about tokens, over connections of its own. Nothing is asked yet. */
export function openIntrospectors(config: Config, state: State, issuers: Issuers, log: Log): readonly Introspector[] {
  return config.issuers.flatMap((settings) => {
    const issuer = issuers.find(settings.issuer);
    const { clientId, introspection } = settings;
    if (issuer === undefined || clientId === undefined || introspection === 'never') return [];
    return [openIntrospector(settings, clientId, issuer, { config, state, log })];
  });
}

/** The operator names one address, for whatever way of authentication. */
function atUrl(url: string) {
  return { endpoint: url, certificateEndpoint: url };
}

function openIntrospector(
  settings: IssuerSettings,
  clientId: string,
  { keys }: Issuer,
  { config, log, state }: { readonly config: Config; readonly state: State; readonly log: Log },
): Introspector {
  const { introspectionUrl: url, issuer } = settings;
  return new Introspector({
    issuer,
    as: connectAuthorizationServer({
      ...authorityOf(issuer, settings.caFile),
      ...clientCertificateOf(settings),
      connections: INTROSPECTION_CONNECTIONS,
      heard: (date) => state.clock.heard(issuer, date),
    }),
    ...(url === undefined
      ? { addresses: () => keys.introspection(), known: () => keys.knownIntrospection() }
      : { addresses: async () => atUrl(url), known: () => atUrl(url) }),
    authentication: clientAuthentication(clientOf(settings, clientId), issuer),
    signing: settings.introspectionSigned,
    verifiers: async (keyId, algorithm) => (await keys.forKeyId(keyId)).ring.candidates(keyId, algorithm),
    deadline: settings.introspectionTimeout,
    leeway: settings.leeway,
    lifetime: settings.introspectionCache,
    staleGrace: settings.staleGrace,
    whenUnsure: config.clock.whenUnsure,
    clock: state.clock,
    random: systemRandom,
    timers: systemTimers,
    witness: (issuedAt) => state.clock.witness(issuedAt),
    log,
  });
}

function clientOf(settings: IssuerSettings, clientId: string) {
  const { clientAuth: method, clientKeyFile, clientKeyId: keyId, clientSecretFile, issuer } = settings;
  return {
    method,
    clientId,
    keyId,
    ...(clientSecretFile === undefined
      ? {}
      : { secret: readSecret(`client_secret_file of ${issuer}`, clientSecretFile) }),
    ...(clientKeyFile === undefined ? {} : { key: readSecret(`client_key_file of ${issuer}`, clientKeyFile) }),
  };
}

/** What the hub shows in the TLS handshake; a key for private_key_jwt has no certificate. */
function clientCertificateOf({ clientCertFile, clientKeyFile, issuer }: IssuerSettings): {
  readonly clientCertificate?: { readonly certificate: string; readonly key: Secret<string> };
} {
  if (clientCertFile === undefined || clientKeyFile === undefined) return {};
  return {
    clientCertificate: {
      certificate: readCertificate(`client_cert_file of ${issuer}`, clientCertFile),
      key: readSecret(`client_key_file of ${issuer}`, clientKeyFile),
    },
  };
}
