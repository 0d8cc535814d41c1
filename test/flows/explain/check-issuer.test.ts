/** What `latchkey issuers check` makes of the metadata and the keys of real servers. */
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { DIALECT_NAMES } from '../../../src/core/dialect-names.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { JWT_ALGORITHMS } from '../../../src/core/jwt-algorithms.ts';
import { checkIssuer, type FetchedIssuer } from '../../../src/flows/explain/check-issuer.ts';
import { issuerSection } from '../../../src/flows/explain/issuer-section.ts';
import { RECIPE_HEADINGS } from '../../../src/flows/explain/recipes.ts';
import { policyOf } from '../../../src/hub/settings.ts';
import { readMetadata } from '../../../src/trust/discovery.ts';
import { KeyRing } from '../../../src/trust/key-ring.ts';
import { signingKey } from '../../fixtures/jwt-signing.ts';
import { RECIPES } from '../../trust/shapes/recipes.ts';
import { RECORDED } from './recorded-metadata.ts';

const ec = signingKey('P-256', 'ec-1', { alg: 'ES256' }).jwk;
const rsa = signingKey('RSA 2048', 'rsa-1', { alg: 'RS256', use: 'sig' }).jwk;
const { kid: _kid, ...nameless } = ec;

/** As a real fetch finds it: the addresses of the metadata are judged by the hub's own reader. */
function fetched(metadata: JsonObject, keys: readonly JsonObject[] = [ec], asked?: string): FetchedIssuer {
  const issuer = String(metadata.issuer);
  const jwks = { keys: [...keys] };
  const { introspection, jwksUri } = readMetadata(Buffer.from(JSON.stringify(metadata)), {
    issuer,
    source: { kind: 'discovery' },
  });
  return {
    asked: asked ?? issuer,
    issuer,
    metadataAddress: `${issuer}/.well-known/openid-configuration`,
    jwksUri,
    metadata,
    jwks,
    ring: new KeyRing(jwks, JWT_ALGORITHMS),
    introspection,
  };
}

function sectionOf(found: FetchedIssuer): string {
  return issuerSection(checkIssuer(found), found).join('\n');
}

function loaded(toml: string) {
  return parseConfig(toml, { file: 'test.toml', folder: '/', environment: { HOME: '/' } });
}

const names = (found: FetchedIssuer) => checkIssuer(found).findings.map(({ finding }) => finding);

describe('the metadata of real servers', () => {
  test.each(RECORDED)('$name', ({ asked, dialect, findings, metadata, settings }) => {
    const found = fetched(metadata, [ec], asked);
    const check = checkIssuer(found);
    expect(check.dialect).toBe(dialect);
    expect(check.settings).toEqual({ issuer: metadata.issuer, ...settings });
    expect(check.findings.map(({ finding }) => finding)).toEqual(findings);
    const [issuer] = loaded(sectionOf(found)).issuers;
    expect(issuer).toMatchObject({
      issuer: check.issuer,
      dialect: dialect ?? 'rfc9068',
      bind: settings.bind ?? 'token',
    });
    expect(issuer === undefined ? undefined : policyOf(issuer).issuer).toBe(check.issuer);
  });

  test('are of every server that has a dialect', () => {
    const known = new Set(RECORDED.flatMap(({ dialect }) => dialect ?? []));
    expect([...known, 'rfc9068'].toSorted()).toEqual([...DIALECT_NAMES].toSorted());
    for (const { source } of RECORDED) expect(source).toMatch(/^https:|^github\.com\//);
  });

  test('each finding says what does not work, and what to do', () => {
    for (const { asked, metadata } of RECORDED) {
      for (const { fix, says } of checkIssuer(fetched(metadata, [ec], asked)).findings) {
        expect([says, fix]).toEqual([expect.stringMatching(/\.$/), expect.stringMatching(/\.$/)]);
      }
    }
  });
});

test.each(RECIPES)('the recipe $heading is named by its heading', ({ heading, issuers }) => {
  expect(issuers.map(({ dialect }) => RECIPE_HEADINGS[dialect])).toEqual(issuers.map(() => heading));
});

const AS = {
  issuer: 'https://as.example',
  jwks_uri: 'https://as.example/jwks',
  introspection_endpoint: 'https://as.example/introspect',
  dpop_signing_alg_values_supported: ['ES256'],
};

describe('keys', () => {
  test.each<[string, readonly JsonObject[], readonly string[]]>([
    ['of RSA alone stay at the hub', [rsa], ['keys_stay_here']],
    ['without kid are named', [nameless as JsonObject], ['keys_without_id']],
    ['of one kid are named', [ec, { ...signingKey('P-256', 'ec-1').jwk }], ['keys_same_id']],
    [
      'that the hub cannot use are named',
      [ec, { kty: 'EC', crv: 'secp256k1', kid: 'k', alg: 'ES256K' }],
      ['keys_unused'],
    ],
    ['that are short are named', [ec, signingKey('RSA 1024', 'short').jwk], ['keys_unused']],
    ['to encrypt with are no fault', [ec, { ...rsa, kid: 'enc', use: 'enc' }], []],
    ['with a P-384 curve need a setting', [ec, signingKey('P-384', 'ec-2').jwk], ['algorithms_added']],
  ])('%s', (_, keys, findings) => {
    const found = fetched(AS, keys);
    expect(names(found)).toEqual(['server_unknown', ...findings]);
    const [issuer] = loaded(sectionOf(found)).issuers;
    if (issuer === undefined) throw new Error('no issuer');
    // Every key that the hub can use at all serves under the section.
    expect(new KeyRing({ keys: [...keys] }, policyOf(issuer).algorithms).keys).toHaveLength(found.ring.keys.length);
  });

  test('are listed with what they serve, or why not', () => {
    const { keys } = checkIssuer(fetched(AS, [ec, { ...rsa, kid: 'enc', use: 'enc' }]));
    expect(keys).toEqual([
      { kid: 'ec-1', kind: 'EC P-256', algorithms: ['ES256'], unused: undefined },
      { kid: 'enc', kind: 'RSA', algorithms: [], unused: 'its use is not sig' },
    ]);
  });
});

describe('what does not work', () => {
  const known = { ...AS, issuer: 'https://as.example/realms/w' };

  test.each<[string, JsonObject, readonly string[]]>([
    [
      'DPoP with algorithms of RSA alone',
      { dpop_signing_alg_values_supported: ['RS256', 'PS256'] },
      ['dpop_algorithms'],
    ],
    ['DPoP named with an empty list', { dpop_signing_alg_values_supported: [] }, ['no_dpop']],
    ['DPoP named in a wrong form', { dpop_signing_alg_values_supported: 'ES256' }, ['no_dpop']],
    [
      'an introspection endpoint in a private network',
      { introspection_endpoint: 'https://10.0.0.1/i' },
      ['introspection_address'],
    ],
    [
      'an introspection endpoint over http',
      { introspection_endpoint: 'http://as.example/i' },
      ['introspection_address'],
    ],
    [
      'clients by a shared secret in a JWT alone',
      { introspection_endpoint_auth_methods_supported: ['client_secret_jwt'] },
      ['introspection_client'],
    ],
  ])('%s', (_, members, findings) => {
    expect(names(fetched({ ...known, ...members }))).toEqual(findings);
  });

  test('a server that names another host as the issuer of its access tokens is not believed', () => {
    const { findings, issuer } = checkIssuer(
      fetched({ ...AS, access_token_issuer: 'https://login.microsoftonline.com/adfs' }),
    );
    expect(issuer).toBe(AS.issuer);
    expect(findings.map(({ finding }) => finding)).not.toContain('issuer_of_tokens');
  });
});

describe('how the hub becomes a client', () => {
  test.each<[string, readonly string[] | undefined, string]>([
    ['by a secret where nothing is said', undefined, 'client_secret_basic'],
    ['by a secret in the form', ['client_secret_post', 'none'], 'client_secret_post'],
    ['by a key', ['private_key_jwt'], 'private_key_jwt'],
    ['by a certificate', ['self_signed_tls_client_auth'], 'self_signed_tls_client_auth'],
  ])('%s: the comments become settings that load', (_, methods, method) => {
    const toml = sectionOf(
      fetched({
        ...AS,
        ...(methods === undefined ? {} : { introspection_endpoint_auth_methods_supported: [...methods] }),
      }),
    );
    const uncommented = toml.replace(/^# (client_\w+|introspection_url) = /gm, '$1 = ');
    expect(loaded(uncommented).issuers[0]).toMatchObject({ clientId: 'latchkey-hub', clientAuth: method });
  });

  test('of a server without discovery too', () => {
    const adfs = { ...AS, access_token_issuer: 'http://as.example/trust' };
    const uncommented = sectionOf(fetched(adfs)).replace(/^# (client_\w+|introspection_url) = /gm, '$1 = ');
    expect(loaded(uncommented).issuers[0]).toMatchObject({
      issuer: 'http://as.example/trust',
      jwksUrl: AS.jwks_uri,
      introspectionUrl: AS.introspection_endpoint,
    });
  });
});

test('what a hostile server names stays in its comment', () => {
  const hostile = 'x\r\n[[issuers]]\nissuer = "https://evil.example"\u001b[2J\u202e"';
  const found = fetched({ ...AS, dpop_signing_alg_values_supported: [hostile], introspection_endpoint: hostile }, [
    ec,
    { kty: hostile, kid: hostile },
    { ...signingKey('P-256', hostile).jwk },
  ]);
  const toml = sectionOf(found);
  expect(toml).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u);
  expect(loaded(toml).issuers.map(({ issuer }) => issuer)).toEqual([AS.issuer]);
  expect(
    toml
      .split('\n')
      .filter((line) => !line.startsWith('# '))
      .join('\n'),
  ).toBe('[[issuers]]\nissuer = "https://as.example"\ndialect = "rfc9068"');
});
