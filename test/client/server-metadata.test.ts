import { describe, expect, test } from 'vitest';
import { AuthorizationServer } from '../../src/client/authorization-server.ts';
import { json, type Script, scriptedHub } from './scripted-hub.ts';

const RFC8414 = 'https://as.example/.well-known/oauth-authorization-server';
const OPENID = 'https://as.example/.well-known/openid-configuration';
const metadata = (issuer = 'https://as.example', more = {}) =>
  json(200, { issuer, token_endpoint: 'https://as.example/token', ...more });

function discover(options: { readonly issuer?: string; readonly metadataUrl?: string }, ...script: Script) {
  const { asked, environment } = scriptedHub(...script);
  const discovering = AuthorizationServer.discover({
    issuer: 'https://as.example',
    clientId: 'ekg-17',
    authentication: { method: 'none' },
    environment,
    ...options,
  });
  return { discovering, addresses: () => asked.map(({ url }) => url) };
}

test('the address of RFC 8414 is asked first, and is enough', async () => {
  const { discovering, addresses } = discover({}, () => metadata());
  await discovering;
  expect(addresses()).toEqual([RFC8414]);
});

test.each([
  ['has nothing', () => new Response('<h1>Not found</h1>', { status: 404 })],
  ['redirects', () => new Response(null, { status: 302, headers: { location: 'https://evil.example' } })],
  ['fails', () => new Response('oops', { status: 500 })],
  ['has a page', () => new Response('<html></html>', { headers: { 'content-type': 'text/html' } })],
  ['has the metadata of another issuer', () => metadata('https://other.example')],
])('where that one %s, the address of OpenID Connect is asked', async (_, first) => {
  const { discovering, addresses } = discover({}, first, () => metadata());
  await discovering;
  expect(addresses()).toEqual([RFC8414, OPENID]);
});

test.each(['https://as.example/realms/ward', 'https://as.example/realms/ward/'])(
  'the path of the issuer %s is where each specification puts it',
  async (issuer) => {
    const { discovering, addresses } = discover(
      { issuer },
      () => json(404, {}),
      () => metadata(issuer),
    );
    await discovering;
    expect(addresses()).toEqual([
      'https://as.example/.well-known/oauth-authorization-server/realms/ward',
      'https://as.example/realms/ward/.well-known/openid-configuration',
    ]);
  },
);

test('a slash after the host makes no other issuer', async () => {
  const { discovering } = discover({}, () => metadata('https://as.example/'));
  await expect(discovering).resolves.toBeDefined();
});

test('metadata that is kept elsewhere is read there alone', async () => {
  const { discovering, addresses } = discover({ metadataUrl: 'https://as.example/policy/metadata' }, () => metadata());
  await discovering;
  expect(addresses()).toEqual(['https://as.example/policy/metadata']);
});

describe('refused is', () => {
  test('metadata of another issuer, which is named', async () => {
    const { discovering } = discover(
      {},
      () => metadata('https://other.example'),
      () => metadata('https://other.example'),
    );
    await expect(discovering).rejects.toMatchObject({
      code: 'client_answer_invalid',
      detail: expect.stringContaining('it names the issuer https://other.example, expected https://as.example/'),
    });
  });

  test('metadata of another issuer at an address that was named', async () => {
    const { discovering } = discover({ metadataUrl: 'https://as.example/m' }, () => metadata('https://other.example'));
    await expect(discovering).rejects.toMatchObject({ code: 'client_answer_invalid' });
  });

  test.each(['token_endpoint', 'authorization_endpoint', 'revocation_endpoint', 'device_authorization_endpoint'])(
    'a %s without TLS',
    async (name) => {
      const insecure = () => metadata('https://as.example', { [name]: 'http://as.example/x' });
      const { discovering } = discover({}, insecure, insecure);
      await expect(discovering).rejects.toMatchObject({
        code: 'client_answer_invalid',
        detail: expect.stringContaining(name),
      });
    },
  );

  test('a server that has no metadata, with both answers', async () => {
    const { discovering } = discover(
      {},
      () => json(404, {}),
      () => new Response('<h1>Login</h1>', { status: 403 }),
    );
    await expect(discovering).rejects.toMatchObject({
      code: 'client_answer_invalid',
      detail: `${RFC8414}: status 404; ${OPENID}: status 403`,
    });
  });

  test('a server that is not there, without a second question', async () => {
    const { discovering, addresses } = discover({}, () => {
      throw new TypeError('fetch failed', { cause: Object.assign(new Error(), { code: 'ENOTFOUND' }) });
    });
    await expect(discovering).rejects.toMatchObject({ code: 'client_unreachable' });
    expect(addresses()).toEqual([RFC8414]);
  });
});

test.each([
  ['startAuthorizationCode', 'authorization_endpoint'],
  ['startDeviceAuthorization', 'device_authorization_endpoint'],
] as const)('%s says that the server has no %s', async (begin, name) => {
  const { discovering } = discover({}, () => metadata());
  const server = await discovering;
  const request = { scope: 'read', redirectUri: 'https://app.example/callback' };
  await expect(server[begin](request)).rejects.toMatchObject({
    code: 'client_answer_invalid',
    detail: `the metadata of the server names no ${name}`,
  });
});
