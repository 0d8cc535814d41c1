/** What settings must satisfy together. */
import { MACS, SIGNATURES } from '../core/device-profile.ts';
import type { Problem } from './problems.ts';
import type { Settings } from './schema.ts';
import type { KeyPath } from './toml-positions.ts';
import { isFetchable, isLoopback } from './values.ts';

function problem(path: KeyPath, words: string): Problem {
  return { code: 'config_invalid', path, words };
}

function* httpRules({ http }: Settings): Generator<Problem> {
  const hasCertificate = http.tls_cert_file !== undefined;
  if (hasCertificate !== (http.tls_key_file !== undefined)) {
    const [given, lacking] = hasCertificate ? ['tls_cert_file', 'tls_key_file'] : ['tls_key_file', 'tls_cert_file'];
    yield problem(['http', given], `http.${given} needs http.${lacking}`);
  }
  if (!isLoopback(http.listen.host) && !hasCertificate && !http.behind_proxy) {
    yield problem(
      ['http', 'listen'],
      'http.listen is reachable from other machines but has no TLS: tokens could be read on the way. Set http.tls_cert_file and http.tls_key_file, or http.behind_proxy = true if a proxy in front has TLS',
    );
  }
  const isWildcard = http.listen.host === '0.0.0.0' || /^[0:]+$/.test(http.listen.host);
  if (isWildcard && http.public_url === undefined) {
    yield problem(
      ['http', 'listen'],
      'http.listen is a wildcard, so http.public_url must say by which address clients know the hub: DPoP proofs are made for it',
    );
  }
}

function* issuerRules({ issuers }: Settings): Generator<Problem> {
  const seen = new Set<string>();
  for (const [index, issuer] of issuers.entries()) {
    const here = `issuers[${index}]`;
    if (seen.has(issuer.issuer)) yield problem(['issuers', index, 'issuer'], `${here}.issuer was given before`);
    seen.add(issuer.issuer);
    const sources = (['discovery_url', 'jwks_url', 'jwks_file'] as const).filter((name) => issuer[name] !== undefined);
    if (sources[1] !== undefined) {
      yield problem(['issuers', index, sources[1]], `${here} may have one of ${sources.join(' and ')}, not both`);
    }
    if (issuer.jwks_file !== undefined && issuer.ca_file !== undefined && issuer.client_id === undefined) {
      yield problem(['issuers', index, 'ca_file'], `${here}.ca_file has no use with jwks_file: nothing is fetched`);
    }
    if (!isFetchable(issuer.issuer) && issuer.jwks_url === undefined && issuer.jwks_file === undefined) {
      yield problem(
        ['issuers', index, 'issuer'],
        `${here}.issuer must be an https address; one over http needs jwks_url or jwks_file, so that nothing is fetched from it`,
      );
    }
    yield* introspectionRules(issuer, index);
    yield* deviceNamingRules(issuer, index);
    if (issuer.refresh_min > issuer.refresh_max) {
      yield problem(['issuers', index, 'refresh_min'], `${here}.refresh_min must not be longer than refresh_max`);
    }
    if (issuer.refresh_max > issuer.offline_limit) {
      yield problem(['issuers', index, 'refresh_max'], `${here}.refresh_max must not be longer than offline_limit`);
    }
  }
}

/** Settings that one value of `device_by` alone reads, and whether it can do without. */
const NAMING_SETTINGS = [
  ['scope_pattern', 'scope', false],
  ['device_claim', 'claim', true],
  ['authorization_details_type', 'authorization_details', true],
] as const;

function* deviceNamingRules(issuer: Issuer, index: number): Generator<Problem> {
  const here = `issuers[${index}]`;
  const { device_by: by, shared_audience: shared } = issuer;
  if ((by === undefined) !== (shared === undefined)) {
    const [given, lacking] = by === undefined ? ['shared_audience', 'device_by'] : ['device_by', 'shared_audience'];
    yield problem(['issuers', index, given], `${here}.${given} needs ${lacking}`);
  }
  for (const [name, value, isNeeded] of NAMING_SETTINGS) {
    const isThere = issuer[name] !== undefined;
    if (isThere && by !== value)
      yield problem(['issuers', index, name], `${here}.${name} needs device_by = "${value}"`);
    if (!isThere && by === value && isNeeded)
      yield problem(['issuers', index, 'device_by'], `${here}.device_by = "${value}" needs ${name}`);
  }
}

/** Files that each way of client authentication needs; all others have no use with it. */
const CLIENT_FILES = {
  client_secret_basic: ['client_secret_file'],
  client_secret_post: ['client_secret_file'],
  private_key_jwt: ['client_key_file'],
  tls_client_auth: ['client_cert_file', 'client_key_file'],
  self_signed_tls_client_auth: ['client_cert_file', 'client_key_file'],
} as const satisfies Record<Issuer['client_auth'], readonly (keyof Issuer)[]>;

type Issuer = Settings['issuers'][number];

/** Settings that mean nothing where the hub is no client of the issuer. */
const CLIENT_SETTINGS = [
  'client_secret_file',
  'client_key_file',
  'client_cert_file',
  'client_key_id',
  'introspection_url',
  'assume_audience',
  'opaque_prefixes',
] as const;

function* introspectionRules(issuer: Issuer, index: number): Generator<Problem> {
  const here = `issuers[${index}]`;
  const { client_auth: method } = issuer;
  if (issuer.client_id === undefined) {
    if (issuer.introspection === 'always') {
      yield problem(['issuers', index, 'introspection'], `${here}.introspection = "always" needs client_id`);
    }
    for (const name of CLIENT_SETTINGS) {
      if (issuer[name] !== undefined) yield problem(['issuers', index, name], `${here}.${name} needs client_id`);
    }
    return;
  }
  const needed: readonly string[] = CLIENT_FILES[method];
  for (const name of ['client_secret_file', 'client_key_file', 'client_cert_file'] as const) {
    const isNeeded = needed.includes(name);
    if (isNeeded === (issuer[name] !== undefined)) continue;
    const words = isNeeded
      ? `${here}.client_auth = "${method}" needs ${name}`
      : `${here}.${name} has no use with ${method}`;
    yield problem(['issuers', index, isNeeded ? 'client_id' : name], words);
  }
  if (issuer.client_key_id !== undefined && method !== 'private_key_jwt') {
    yield problem(['issuers', index, 'client_key_id'], `${here}.client_key_id has no use with ${method}`);
  }
  const isDiscovered = issuer.jwks_url === undefined && issuer.jwks_file === undefined;
  if (!isDiscovered && issuer.introspection_url === undefined) {
    yield problem(
      ['issuers', index, 'client_id'],
      `${here} needs introspection_url: with jwks_url or jwks_file nothing is discovered`,
    );
  }
}

function* lineRules({ lines }: Settings): Generator<Problem> {
  for (const member of ['name', 'path'] as const) {
    const seen = new Set<string>();
    for (const [index, line] of lines.entries()) {
      if (seen.has(line[member])) yield problem(['lines', index, member], `lines[${index}].${member} was given before`);
      seen.add(line[member]);
    }
  }
}

function* mqttRules({ mqtt }: Settings): Generator<Problem> {
  if (mqtt.url !== undefined && mqtt.embedded) {
    yield problem(['mqtt', 'embedded'], 'mqtt may have one of url and embedded, not both');
  }
  if ((mqtt.cert_file === undefined) !== (mqtt.key_file === undefined)) {
    const [given, lacking] = mqtt.key_file === undefined ? ['cert_file', 'key_file'] : ['key_file', 'cert_file'];
    yield problem(['mqtt', given], `mqtt.${given} needs mqtt.${lacking}`);
  }
  if (mqtt.password_file !== undefined && mqtt.username === undefined) {
    yield problem(['mqtt', 'password_file'], 'mqtt.password_file needs mqtt.username');
  }
  if (mqtt.url !== undefined && new URL(mqtt.url).protocol === 'mqtt:') {
    const useless = (['ca_file', 'cert_file'] as const).find((name) => mqtt[name] !== undefined);
    if (useless !== undefined)
      yield problem(['mqtt', useless], `mqtt.${useless} has no use without mqtts:// in mqtt.url`);
    if (!isLoopback(new URL(mqtt.url).hostname) && !mqtt.unencrypted) {
      yield problem(
        ['mqtt', 'url'],
        'mqtt.url is beyond this machine and has no TLS: tokens could be read on the way. Use mqtts://, or mqtt.unencrypted = true if something else keeps them',
      );
    }
  }
  if (mqtt.embedded && !isLoopback(mqtt.embedded_listen.host) && !mqtt.embedded_exposed) {
    yield problem(
      ['mqtt', 'embedded_listen'],
      'mqtt.embedded_listen is reachable from other machines and has no TLS: passwords and tokens could be read on the way. Use another broker with TLS, or mqtt.embedded_exposed = true',
    );
  }
}

function* profileRules({ issuers, profiles }: Settings): Generator<Problem> {
  const configured = new Set(issuers.map(({ issuer }) => issuer));
  const seen = new Set<string>();
  for (const [index, { algorithm, any_issuer, audience, issuers: named = [], name, wrap }] of profiles.entries()) {
    const here = `profiles[${index}]`;
    if (seen.has(name)) yield problem(['profiles', index, 'name'], `${here}.name was given before`);
    seen.add(name);
    const known: readonly string[] = wrap === 'encrypt0' ? [] : wrap.startsWith('sign1') ? SIGNATURES : MACS;
    if (algorithm !== undefined && !known.includes(algorithm)) {
      const words = known.length === 0 ? 'has neither signature nor MAC' : `goes with ${known.join(' and ')}`;
      yield problem(['profiles', index, 'algorithm'], `${here}.algorithm does not fit: ${wrap} ${words}`);
    }
    // Two devices with one audience would both take a token that is meant for one of them.
    if (audience.split('{id}').length !== 2)
      yield problem(['profiles', index, 'audience'], `${here}.audience must have {id} in it, once`);
    if (any_issuer && named.length > 0)
      yield problem(['profiles', index, 'any_issuer'], `${here} may have one of issuers and any_issuer, not both`);
    const foreign = named.findIndex((each) => !configured.has(each));
    if (foreign !== -1)
      yield problem(['profiles', index, 'issuers'], `${here}.issuers[${foreign}] is none of [[issuers]]`);
  }
}

export function brokenRules(settings: Settings): Problem[] {
  return [
    ...httpRules(settings),
    ...issuerRules(settings),
    ...lineRules(settings),
    ...profileRules(settings),
    ...mqttRules(settings),
  ];
}
