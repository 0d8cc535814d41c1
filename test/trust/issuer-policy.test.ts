import { describe, expect, test } from 'vitest';
import { metadataAddresses } from '../../src/trust/discovery.ts';
import {
  type IssuerPolicy,
  isAcceptableAddress,
  issuerPolicy,
  mayBeNamed,
  plainType,
} from '../../src/trust/issuer-policy.ts';
import { codeOf } from '../fixtures/code-of.ts';

const ISSUER = 'https://as.example';

test('a policy has safe defaults', () => {
  expect(issuerPolicy({ issuer: ISSUER, source: { kind: 'discovery' } })).toEqual({
    issuer: ISSUER,
    source: { kind: 'discovery' },
    algorithms: ['ES256', 'EdDSA', 'PS256', 'RS256'],
    dialect: 'rfc9068',
    tokenTypes: ['at+jwt'],
    scopeClaims: ['scope', 'scp'],
    audienceClaims: ['aud'],
    clientClaims: ['client_id'],
    requiredClaims: [],
    ignoredHeaders: [],
    offlineLimit: 2_592_000,
    leeway: 60,
    requireRfc9068: false,
    exiWithoutExp: false,
    confirmationKid: 'key-id',
    bind: 'token',
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

describe('an address that metadata may name', () => {
  const discovery = (issuer: string, url?: string): Pick<IssuerPolicy, 'issuer' | 'source'> => ({
    issuer,
    source: { kind: 'discovery', ...(url === undefined ? {} : { url }) },
  });

  test.each([
    [ISSUER, 'https://as.example/jwks'],
    [ISSUER, 'https://keys.other.example/jwks'],
    [ISSUER, 'https://198.51.100.7/jwks'],
    [ISSUER, 'https://[2001:db8::1]/jwks'],
    ['https://10.0.0.5', 'https://10.0.0.6/jwks'],
    ['https://10.0.0.5', 'https://as.example/jwks'],
    ['http://127.0.0.1:3000', 'http://127.0.0.1:3001/jwks'],
    ['http://localhost:3000', 'http://[::1]:3000/jwks'],
    ['http://127.0.0.1:3000', 'https://as.example/jwks'],
  ])('for %s: %s', (issuer, address) => {
    expect(mayBeNamed(address, discovery(issuer))).toBe(true);
  });

  test.each([
    [ISSUER, 'http://127.0.0.1:631/admin?op=delete'],
    [ISSUER, 'http://localhost:9/'],
    [ISSUER, 'http://as.example/jwks'],
    [ISSUER, 'https://localhost/jwks'],
    [ISSUER, 'https://db.localhost./jwks'],
    [ISSUER, 'https://127.1.2.3/jwks'],
    [ISSUER, 'https://2130706433/jwks'],
    [ISSUER, 'https://0.0.0.0/jwks'],
    [ISSUER, 'https://10.1.2.3/jwks'],
    [ISSUER, 'https://100.64.0.1/jwks'],
    [ISSUER, 'https://169.254.169.254/latest'],
    [ISSUER, 'https://172.31.0.1/jwks'],
    [ISSUER, 'https://192.168.1.1/jwks'],
    [ISSUER, 'https://198.19.0.1/jwks'],
    [ISSUER, 'https://224.0.0.1/jwks'],
    [ISSUER, 'https://[::1]/jwks'],
    [ISSUER, 'https://[::]/jwks'],
    [ISSUER, 'https://[::ffff:10.0.0.1]/jwks'],
    [ISSUER, 'https://[fe80::1]/jwks'],
    [ISSUER, 'https://[fd00::1]/jwks'],
    ['https://10.0.0.5', 'http://127.0.0.1/jwks'],
    ['https://localhost', 'http://127.0.0.1/jwks'],
  ])('but not, for %s: %s', (issuer, address) => {
    expect(mayBeNamed(address, discovery(issuer))).toBe(false);
  });

  test('is judged by where the metadata came from, if the operator chose another place', () => {
    expect(mayBeNamed('http://127.0.0.1/jwks', discovery(ISSUER, 'http://127.0.0.1/metadata'))).toBe(true);
    expect(mayBeNamed('http://127.0.0.1/jwks', discovery('http://127.0.0.1', `${ISSUER}/metadata`))).toBe(false);
  });

  test('is not asked for where the operator gave that of the keys', () => {
    const policy = { issuer: ISSUER, source: { kind: 'jwks', url: 'https://10.0.0.5/jwks' } } as const;
    expect(mayBeNamed('https://10.0.0.5/jwks', policy)).toBe(true);
    expect(mayBeNamed('https://as.example/jwks', policy)).toBe(false);
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
