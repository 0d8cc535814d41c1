import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { decodeProtectedHeader, jwtVerify } from 'jose';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import {
  type ClientAuthenticationSettings,
  clientAuthentication,
} from '../../../src/pop/introspection/client-authentication.ts';
import { FakeTime } from '../../fakes/fake-time.ts';
import { codeOf } from '../../fixtures/code-of.ts';

const ISSUER = 'https://as.example/realms/ward';
const time = new FakeTime();
const present = () => ({ time: time.now(), random: time });

function credentials(settings: ClientAuthenticationSettings) {
  return clientAuthentication(settings, ISSUER).credentials(present());
}

describe('client_secret_basic', () => {
  const method = 'client_secret_basic';

  test('encodes id and secret as a form does, then both as base64 (RFC 6749 §2.3.1)', () => {
    const secret = new Secret('p@ss word:+%é');
    const { authorization, parameters } = credentials({ method, clientId: 'hub:1', secret });
    const [scheme, pair = ''] = authorization?.split(' ') ?? [];
    expect(scheme).toBe('Basic');
    expect(Buffer.from(pair, 'base64').toString()).toBe('hub%3A1:p%40ss+word%3A%2B%25%C3%A9');
    expect(parameters).toBe('');
  });

  test('leaves out the line break at the end of the file', () => {
    const [one, other] = ['s3cret', 's3cret\n'].map((text) =>
      credentials({ method, clientId: 'hub', secret: new Secret(text) }),
    );
    expect(one).toEqual(other);
  });

  test.each([
    ['no secret', undefined],
    ['an empty file', new Secret(' \n')],
  ])('with %s is refused', (_, secret) => {
    expect(codeOf(() => credentials({ method, clientId: 'hub', ...(secret === undefined ? {} : { secret }) }))).toBe(
      'config_invalid',
    );
  });

  test('prints no secret', () => {
    const authentication = clientAuthentication({ method, clientId: 'hub', secret: new Secret('s3cret') }, ISSUER);
    expect(JSON.stringify(authentication)).not.toContain('s3cret');
  });
});

describe('client_secret_post', () => {
  const method = 'client_secret_post';

  test('puts id and secret into the form, encoded, and nothing into the header', () => {
    const secret = new Secret('p@ss word:+&%é\n');
    const { authorization, parameters } = credentials({ method, clientId: 'hub:1', secret });
    expect(authorization).toBeUndefined();
    expect([...new URLSearchParams(parameters.slice(1))]).toEqual([
      ['client_id', 'hub:1'],
      ['client_secret', 'p@ss word:+&%é'],
    ]);
  });

  test('without a secret is refused', () => {
    expect(codeOf(() => credentials({ method, clientId: 'hub' }))).toBe('config_invalid');
  });

  test('prints no secret', () => {
    const authentication = clientAuthentication({ method, clientId: 'hub', secret: new Secret('s3cret') }, ISSUER);
    expect(JSON.stringify(authentication)).not.toContain('s3cret');
  });
});

describe('private_key_jwt', () => {
  const method = 'private_key_jwt';
  const pem = (key: KeyObject) => new Secret(key.export({ type: 'pkcs8', format: 'pem' }).toString());

  const pairs = {
    ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    EdDSA: generateKeyPairSync('ed25519'),
    PS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  };

  test.each(['ES256', 'EdDSA', 'PS256'] as const)('signs an assertion for the issuer alone, with %s', async (alg) => {
    const { privateKey, publicKey } = pairs[alg];
    const { authorization, parameters } = credentials({ method, clientId: 'hub', key: pem(privateKey), keyId: 'k1' });
    expect(authorization).toBeUndefined();
    const form = new URLSearchParams(parameters);
    expect(form.get('client_assertion_type')).toBe('urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
    const assertion = form.get('client_assertion') ?? '';
    expect(decodeProtectedHeader(assertion)).toEqual({ alg, typ: 'JWT', kid: 'k1' });
    const now = time.now().earliest;
    const { payload } = await jwtVerify(assertion, publicKey, { currentDate: new Date(now * 1_000) });
    expect(payload).toEqual({
      iss: 'hub',
      sub: 'hub',
      aud: ISSUER,
      jti: expect.stringMatching(/^[\w-]{22}$/),
      iat: now,
      exp: now + 60,
    });
  });

  test('signs another one for every request', () => {
    const authentication = clientAuthentication({ method, clientId: 'hub', key: pem(pairs.ES256.privateKey) }, ISSUER);
    const [one, other] = [authentication.credentials(present()), authentication.credentials(present())];
    expect(one.parameters).not.toBe(other.parameters);
  });

  test.each([
    ['no key', undefined],
    ['a file that is no key', new Secret('-----BEGIN PRIVATE KEY-----\ncanary\n')],
    ['a public key', new Secret(pairs.ES256.publicKey.export({ type: 'spki', format: 'pem' }).toString())],
    ['a key on another curve', pem(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey)],
    ['a short RSA key', pem(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey)],
  ])('with %s is refused', (_, key) => {
    expect(codeOf(() => credentials({ method, clientId: 'hub', ...(key === undefined ? {} : { key }) }))).toBe(
      'config_invalid',
    );
  });
});

test.each(['tls_client_auth', 'self_signed_tls_client_auth'] as const)(
  '%s names the client (RFC 8705 §2)',
  (method) => {
    expect(credentials({ method, clientId: 'hub 1' })).toEqual({ parameters: '&client_id=hub+1' });
  },
);
