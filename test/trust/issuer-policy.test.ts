import { describe, expect, test } from 'vitest';
import { metadataAddresses } from '../../src/trust/discovery.ts';
import { type IssuerPolicy, isAcceptableAddress, issuerPolicy, plainType } from '../../src/trust/issuer-policy.ts';
import { codeOf } from '../fixtures/code-of.ts';

const ISSUER = 'https://as.example';

test('a policy has safe defaults', () => {
  expect(issuerPolicy({ issuer: ISSUER, source: { kind: 'discovery' } })).toEqual({
    issuer: ISSUER,
    source: { kind: 'discovery' },
    algorithms: ['ES256', 'EdDSA', 'PS256', 'RS256'],
    tokenTypes: ['at+jwt'],
    untyped: false,
    offlineLimit: 2_592_000,
    leeway: 60,
    requireRfc9068: false,
    refresh: { least: 60, most: 86_400 },
    unknownKeyCooldown: 30,
  });
});

describe('an address that keys may come from', () => {
  test.each([
    'https://as.example',
    'https://as.example:8443/realms/a?x=1',
    'http://127.0.0.1:3000/jwks',
    'http://127.8.9.10/',
    'http://127.1/',
    'http://[::1]:3000',
    'http://localhost:3000',
    'http://LOCALHOST',
  ])('%s', (address) => {
    expect(isAcceptableAddress(address)).toBe(true);
  });
});

describe('an address that they may not come from', () => {
  test.each([
    'http://as.example',
    'http://10.0.0.1',
    'http://128.0.0.1',
    'http://127.0.0.1.evil.example',
    'http://localhost.evil.example',
    'http://0.0.0.0',
    'http://[::2]',
    'http://[::ffff:127.0.0.1]',
    'ftp://as.example',
    'file:///etc/passwd',
    'data:application/json,{}',
    'https://user@as.example',
    'https://user:pass@as.example',
    'https://as.example/#x',
    '//as.example',
    'as.example',
    '',
  ])('%s', (address) => {
    expect(isAcceptableAddress(address)).toBe(false);
  });
});

describe('a policy is refused', () => {
  const discovery = { issuer: ISSUER, source: { kind: 'discovery' } } as const;
  const cases: readonly (readonly [string, Pick<IssuerPolicy, 'issuer' | 'source'> & Partial<IssuerPolicy>])[] = [
    ['with an issuer over plain http', { ...discovery, issuer: 'http://as.example' }],
    ['with an issuer that is no address', { ...discovery, issuer: 'as' }],
    ['with an issuer that has a query', { ...discovery, issuer: `${ISSUER}?tenant=1` }],
    ['with metadata over plain http', { issuer: ISSUER, source: { kind: 'discovery', url: 'http://as.example/m' } }],
    ['with keys over plain http', { issuer: ISSUER, source: { kind: 'jwks', url: 'http://as.example/jwks' } }],
    ['without algorithms', { ...discovery, algorithms: [] }],
    ['with refresh bounds the wrong way round', { ...discovery, refresh: { least: 2, most: 1 } }],
  ];
  test.each(cases)('%s', (_name, settings) => {
    expect(codeOf(() => issuerPolicy(settings))).toBe('config_invalid');
  });
});

test('an issuer whose keys are in a file may be any name', () => {
  expect(codeOf(() => issuerPolicy({ issuer: 'urn:clinic', source: { kind: 'file', jwks: {} } }))).toBe('none');
});

test.each([
  ['https://as.example', '/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'],
  ['https://as.example/', '/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'],
  ['https://as.example/a/b', '/.well-known/oauth-authorization-server/a/b', '/a/b/.well-known/openid-configuration'],
  ['https://as.example/a/', '/.well-known/oauth-authorization-server/a', '/a/.well-known/openid-configuration'],
])('the metadata of %s', (issuer, oauth, openid) => {
  expect(metadataAddresses(issuer)).toEqual([`https://as.example${oauth}`, `https://as.example${openid}`]);
});

test('a type is compared without application/ and in small letters', () => {
  expect(plainType('Application/AT+JWT')).toBe('at+jwt');
  expect(plainType('JWT')).toBe('jwt');
});
