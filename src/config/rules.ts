/** What settings must satisfy together. */
import type { Problem } from './problems.ts';
import type { Settings } from './schema.ts';
import type { KeyPath } from './toml-positions.ts';
import { isLoopback } from './values.ts';

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
    if (issuer.jwks_file !== undefined && issuer.ca_file !== undefined) {
      yield problem(['issuers', index, 'ca_file'], `${here}.ca_file has no use with jwks_file: nothing is fetched`);
    }
    if (issuer.refresh_min > issuer.refresh_max) {
      yield problem(['issuers', index, 'refresh_min'], `${here}.refresh_min must not be longer than refresh_max`);
    }
    if (issuer.refresh_max > issuer.offline_limit) {
      yield problem(['issuers', index, 'refresh_max'], `${here}.refresh_max must not be longer than offline_limit`);
    }
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

export function brokenRules(settings: Settings): Problem[] {
  return [...httpRules(settings), ...issuerRules(settings), ...lineRules(settings)];
}
