import { createPublicKey, generateKeyPairSync, type KeyObject, webcrypto } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import type { JWK } from 'oidc-provider';
import { afterEach, describe, expect, test } from 'vitest';
import { AuthorizationServer } from '../../src/client/authorization-server.ts';
import type { ClientAuthentication } from '../../src/client/client-authentication.ts';
import { Secret } from '../../src/core/secret.ts';
import {
  type DemoAuthorizationServer,
  startAuthorizationServer,
  TUBE_AUDIENCE,
} from '../fixtures/authorization-server.ts';
import { json, scriptedHub } from './scripted-hub.ts';
import { ISSUER, METADATA, TOKEN } from './scripted-server.ts';

/** What one token request holds beside the grant. */
async function shown(authentication: ClientAuthentication, clientId = 'ekg-17', metadata = {}) {
  const { asked, environment } = scriptedHub(
    () => json(200, { ...METADATA, ...metadata }),
    () => json(200, TOKEN),
  );
  const server = await AuthorizationServer.discover({ issuer: ISSUER, clientId, authentication, environment });
  await server.clientCredentials({ scope: 'read' });
  const parameters = new URLSearchParams(Buffer.from(asked[1]?.body ?? []).toString());
  const basic = asked[1]?.headers.get('authorization')?.replace('Basic ', '');
  return { parameters, basic: basic === undefined ? undefined : Buffer.from(basic, 'base64').toString() };
}

describe('client_secret_basic', () => {
  const basicOf = async (secret: string, clientId?: string) =>
    (await shown({ method: 'client_secret_basic', secret: new Secret(secret) }, clientId)).basic;

  test('leaves the characters alone that random secrets are made of: some servers decode nothing', async () => {
    expect(await basicOf('aZ0-9_b.c*d', 'ekg-17')).toBe('ekg-17:aZ0-9_b.c*d');
  });

  test('encodes all else as RFC 6749 appendix B has it', async () => {
    expect(await basicOf(' %&+£€', 'a:b')).toBe('a%3Ab:+%25%26%2B%C2%A3%E2%82%AC');
  });

  test('does not send the secret in the body too', async () => {
    const { parameters } = await shown({ method: 'client_secret_basic', secret: new Secret('s') });
    expect(parameters.has('client_secret')).toBe(false);
  });
});

test('client_secret_post sends the secret as it is, in the body alone', async () => {
  const { parameters, basic } = await shown({ method: 'client_secret_post', secret: new Secret('s-1+%') });
  expect(Object.fromEntries(parameters)).toMatchObject({ client_id: 'ekg-17', client_secret: 's-1+%' });
  expect(basic).toBeUndefined();
});

describe('private_key_jwt', () => {
  const pem = (key: KeyObject, type: 'pkcs8' | 'sec1' | 'pkcs1' = 'pkcs8') =>
    new Secret(key.export({ type, format: 'pem' } as { type: 'pkcs8'; format: 'pem' }).toString());
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const assertion = async (
    authentication: Omit<Extract<ClientAuthentication, { method: 'private_key_jwt' }>, 'method'>,
    metadata = {},
  ) => {
    const { parameters } = await shown({ method: 'private_key_jwt', ...authentication }, 'ekg-17', metadata);
    expect(parameters.get('client_assertion_type')).toBe('urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
    return parameters.get('client_assertion') ?? '';
  };

  test.each([
    ['EC P-256 in PEM', pem(p256), 'ES256', p256],
    ['EC P-256 in the PEM of SEC 1', pem(p256, 'sec1'), 'ES256', p256],
    ['EC P-256 as a KeyObject', p256, 'ES256', p256],
    ...(['P-384', 'P-521'] as const).map((namedCurve) => {
      const key = generateKeyPairSync('ec', { namedCurve }).privateKey;
      return [`EC ${namedCurve}`, pem(key), namedCurve === 'P-384' ? 'ES384' : 'ES512', key] as const;
    }),
    ...[generateKeyPairSync('ed25519').privateKey].map((key) => ['Ed25519', pem(key), 'EdDSA', key] as const),
    ['RSA in the PEM of PKCS #1', pem(rsa, 'pkcs1'), 'PS256', rsa],
  ] as const)('signs with %s', async (_, key, algorithm, original) => {
    const jwt = await assertion({ key, keyId: 'k-1' });
    const { protectedHeader, payload } = await jwtVerify(jwt, createPublicKey(original), {
      currentDate: new Date(1.7e12),
    });
    expect(protectedHeader).toEqual({ alg: algorithm, typ: 'JWT', kid: 'k-1' });
    expect(payload).toMatchObject({ iss: 'ekg-17', sub: 'ekg-17', aud: ISSUER, iat: 1.7e9, exp: 1.7e9 + 60 });
  });

  test.each([
    ['RSA-PSS', 'PS256'],
    ['RSASSA-PKCS1-v1_5', 'RS256'],
  ])('signs with a CryptoKey of %s that cannot be exported', async (name, algorithm) => {
    const parameters = { name, hash: 'SHA-256', modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) };
    const pair = (await webcrypto.subtle.generateKey(parameters, false, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
    const jwt = await assertion({ key: pair.privateKey });
    expect(decodeProtectedHeader(jwt)).toEqual({ alg: algorithm, typ: 'JWT' });
  });

  test.each([
    [
      'the server has RS256 alone',
      {},
      { token_endpoint_auth_signing_alg_values_supported: ['RS256', 'ES256'] },
      'RS256',
    ],
    ['the server has both', {}, { token_endpoint_auth_signing_alg_values_supported: ['RS256', 'PS256'] }, 'PS256'],
    ['the caller says so', { algorithm: 'RS256' as const }, {}, 'RS256'],
  ])('with an RSA key, where %s, signs as it should', async (_, settings, metadata, algorithm) => {
    expect(decodeProtectedHeader(await assertion({ key: rsa, ...settings }, metadata)).alg).toBe(algorithm);
  });

  test('is for the token endpoint where the caller says that the server wants this', async () => {
    const jwt = await assertion({ key: p256, assertionAudience: 'token_endpoint' });
    expect(decodeJwt(jwt).aud).toBe(`${ISSUER}/token`);
  });

  test('is made anew for each request', async () => {
    const [first, second] = [await assertion({ key: p256 }), await assertion({ key: p256 })];
    expect(decodeJwt(first).jti).toBeTypeOf('string');
    // The scripted randomness begins anew with each server: only the signature differs.
    expect(first).not.toBe(second);
  });

  test.each([
    ['no PEM', new Secret('secret-of-canary'), 'authentication.key: not a private key in PEM without a passphrase'],
    ['text', 'secret-of-canary', 'authentication.key: text; hand it in as new Secret(text)'],
    ['a public key', createPublicKey(p256), 'authentication.key: not a private key'],
    ['nothing', undefined, 'authentication.key: not an object'],
    [
      'a short RSA key',
      generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey,
      'authentication.key: neither EC, Ed25519 nor RSA from 2048 bits',
    ],
    [
      'X25519',
      generateKeyPairSync('x25519').privateKey,
      'authentication.key: neither EC, Ed25519 nor RSA from 2048 bits',
    ],
  ])('refuses %s', async (_, key, detail) => {
    const signing = assertion({ key: key as Secret<string> });
    await expect(signing).rejects.toMatchObject({ code: 'client_argument_invalid', detail });
  });
});

describe('a real server', () => {
  const started: DemoAuthorizationServer[] = [];
  afterEach(async () => {
    await Promise.all(started.splice(0).map((as) => as.close()));
  });

  const key = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const publicJwk = { ...key.publicKey.export({ format: 'jwk' }), kid: 'k-1', alg: 'PS256', use: 'sig' } as JWK;

  test.each([
    [
      'client_secret_basic',
      'basic',
      { method: 'client_secret_basic', secret: new Secret('a:secret+with/ 32 characters-%_') },
    ],
    [
      'client_secret_post',
      'post',
      { method: 'client_secret_post', secret: new Secret('a:secret+with/ 32 characters-%_') },
    ],
    ['private_key_jwt', 'signing', { method: 'private_key_jwt', key: key.privateKey, keyId: 'k-1' }],
  ] as const)('accepts %s', async (_, clientId, authentication) => {
    const as = await startAuthorizationServer({
      clients: [
        { id: 'basic', secret: 'a:secret+with/ 32 characters-%_' },
        { id: 'post', secret: 'a:secret+with/ 32 characters-%_', secretMethod: 'client_secret_post' },
        { id: 'signing', keys: [publicJwk] },
      ],
    });
    started.push(as);
    const server = await AuthorizationServer.discover({ issuer: as.issuer, clientId, authentication });
    const token = await server.clientCredentials({ scope: 'read', resource: TUBE_AUDIENCE });
    expect(decodeJwt(token.value.expose())).toMatchObject({ client_id: clientId });
  });
});
