import { describe, expect, test } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import { metadataAddresses, readMetadata } from '../../src/trust/discovery.ts';
import { codeOf } from '../fixtures/code-of.ts';

const ISSUER = 'https://as.example/realms/ward';
const policy = { issuer: ISSUER, source: { kind: 'discovery' } } as const;
const metadata = (members: object) => utf8(JSON.stringify({ issuer: ISSUER, jwks_uri: `${ISSUER}/jwks`, ...members }));

describe('metadata is refused', () => {
  test.each<[string, Uint8Array]>([
    ['that is no JSON', utf8('<html>')],
    ['that is a list', utf8('[]')],
    ['with a member twice', utf8(`{"issuer":"${ISSUER}","issuer":"${ISSUER}","jwks_uri":"${ISSUER}/jwks"}`)],
    ['of another issuer', metadata({ issuer: 'https://evil.example' })],
    ['of the same issuer with another slash', metadata({ issuer: `${ISSUER}/` })],
    ['without an issuer', metadata({ issuer: undefined })],
    ['without jwks_uri', metadata({ jwks_uri: undefined })],
    ['whose jwks_uri is a list', metadata({ jwks_uri: [`${ISSUER}/jwks`] })],
    ['whose jwks_uri is over http', metadata({ jwks_uri: 'http://as.example/jwks' })],
    ['whose jwks_uri is on this machine', metadata({ jwks_uri: 'http://127.0.0.1/jwks' })],
    ['whose jwks_uri is in a private network', metadata({ jwks_uri: 'https://192.168.1.1/jwks' })],
    ['whose jwks_uri has a password', metadata({ jwks_uri: 'https://a:b@as.example/jwks' })],
  ])('%s', (_, document) => {
    expect(codeOf(() => readMetadata(document, policy))).toBe('metadata_invalid');
  });
});

describe('tokens are sent to no endpoint', () => {
  test.each<[string, string]>([
    ['on this machine', 'http://127.0.0.1/introspect'],
    ['in a private network', 'https://192.168.1.1/introspect'],
    ['on the link', 'https://[fe80::1]/introspect'],
  ])('%s, and the keys are good all the same', (_, address) => {
    const document = metadata({
      introspection_endpoint: address,
      mtls_endpoint_aliases: { introspection_endpoint: address },
    });
    expect(readMetadata(document, policy)).toEqual({
      jwksUri: `${ISSUER}/jwks`,
      introspection: { endpoint: undefined, certificateEndpoint: undefined },
    });
  });
});

test('the keys may be at another public host', () => {
  expect(readMetadata(metadata({ jwks_uri: 'https://keys.example/1' }), policy).jwksUri).toBe('https://keys.example/1');
});

test.each([
  ['https://as.example', '', ''],
  ['https://as.example/', '', ''],
  ['https://as.example/realms/ward', '/realms/ward', '/realms/ward'],
  ['https://as.example/realms/ward/', '/realms/ward', '/realms/ward'],
])('%s has its metadata at the places of RFC 8414 and of OpenID Connect Discovery', (issuer, after, before) => {
  expect(metadataAddresses(issuer)).toEqual([
    `https://as.example/.well-known/oauth-authorization-server${after}`,
    `https://as.example${before}/.well-known/openid-configuration`,
  ]);
});
