import { decodeJwt } from 'jose';
import { afterEach, expect, test } from 'vitest';
import { followRedirects } from '../../src/cli/demo/browser.ts';
import { bearerToken } from '../../src/client/access-token.ts';
import { AuthorizationServer } from '../../src/client/authorization-server.ts';
import { DpopKey } from '../../src/client/dpop-key.ts';
import { systemEnvironment } from '../../src/client/environment.ts';
import { ServerRefusal } from '../../src/client/server-refusal.ts';
import { Secret } from '../../src/core/secret.ts';
import {
  APP_CLIENT,
  type DemoAuthorizationServer,
  EKG_AUDIENCE,
  HUB_CLIENT,
  MACHINE_CLIENT,
  startAuthorizationServer,
  TUBE_AUDIENCE,
} from '../fixtures/authorization-server.ts';

const started: DemoAuthorizationServer[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((as) => as.close()));
});

async function start() {
  const as = await startAuthorizationServer();
  started.push(as);
  return as;
}

function machine(issuer: string, secret: string = MACHINE_CLIENT.secret, more: { fetch?: typeof fetch } = {}) {
  return AuthorizationServer.discover({
    issuer,
    clientId: MACHINE_CLIENT.id,
    authentication: { method: 'client_secret_basic', secret: new Secret(secret) },
    ...(more.fetch === undefined ? {} : { environment: { ...systemEnvironment, fetch: more.fetch } }),
  });
}

function app(issuer: string) {
  return AuthorizationServer.discover({ issuer, clientId: APP_CLIENT.id, authentication: { method: 'none' } });
}

const REQUEST = { scope: 'read', resource: TUBE_AUDIENCE } as const;
const REDIRECT = 'http://127.0.0.1:49152/callback';

test('client credentials give a token that is bound to the key', async () => {
  const server = await machine((await start()).issuer);
  const key = await DpopKey.generate();
  const token = await server.clientCredentials({ ...REQUEST, key });
  expect(token).toMatchObject({ scheme: 'DPoP', expiresIn: 600 });
  expect(decodeJwt(token.value.expose())).toMatchObject({ aud: TUBE_AUDIENCE, cnf: { jkt: key.thumbprint } });
});

test('without a key the token is a bearer token', async () => {
  const server = await machine((await start()).issuer);
  expect(await server.clientCredentials(REQUEST)).toMatchObject({ scheme: 'Bearer', key: undefined });
});

test('the authorization code grant with PKCE and DPoP gives a token for the person', async () => {
  const server = await app((await start()).issuer);
  const key = await DpopKey.generate();
  const pending = await server.startAuthorizationCode({ ...REQUEST, key, redirectUri: REDIRECT });
  expect(new URL(pending.url).searchParams.get('code_challenge_method')).toBe('S256');
  const callback = await followRedirects(pending.url, '/callback');
  const token = await server.finishAuthorizationCode(pending, callback);
  expect(decodeJwt(token.value.expose())).toMatchObject({ sub: 'doctor', cnf: { jkt: key.thumbprint } });
});

test('the nonce of a device without a clock goes along as cnonce (RFC 9200 section 5.8.4.4)', async () => {
  const server = await app((await start()).issuer);
  const cnonce = Uint8Array.of(1, 2, 3, 4);
  const { url } = await server.startAuthorizationCode({ ...REQUEST, cnonce, redirectUri: REDIRECT });
  expect(new URL(url).searchParams.get('cnonce')).toBe('AQIDBA');
});

test('a code that was stolen is refused with another key', async () => {
  const server = await app((await start()).issuer);
  const pending = await server.startAuthorizationCode({
    ...REQUEST,
    key: await DpopKey.generate(),
    redirectUri: REDIRECT,
  });
  const callback = await followRedirects(pending.url, '/callback');
  const thief = { ...pending, request: { ...REQUEST, key: await DpopKey.generate() } };
  await expect(server.finishAuthorizationCode(thief, callback)).rejects.toMatchObject({ code: 'client_token_refused' });
});

test('a token that was revoked is not active any more at the server', async () => {
  const as = await start();
  const server = await app(as.issuer);
  const request = { scope: 'read', resource: EKG_AUDIENCE, key: await DpopKey.generate() };
  const pending = await server.startAuthorizationCode({ ...request, redirectUri: REDIRECT });
  const token = await server.finishAuthorizationCode(pending, await followRedirects(pending.url, '/callback'));
  const isActive = () => introspect(as.issuer, token.value.expose());
  expect(await isActive()).toBe(true);
  await server.revoke(token);
  expect(await isActive()).toBe(false);
});

test('a token that was revoked before is revoked (RFC 7009 section 2.2)', async () => {
  const server = await app((await start()).issuer);
  await expect(server.revoke(bearerToken('unknown'))).resolves.toBeUndefined();
});

test('a server that cannot be reached revokes nothing', async () => {
  const as = await start();
  const server = await app(as.issuer);
  await started.pop()?.close();
  await expect(server.revoke(bearerToken('unknown'))).rejects.toMatchObject({ code: 'client_unreachable' });
});

/** What the server says to the hub. */
async function introspect(issuer: string, token: string): Promise<unknown> {
  const credentials = [HUB_CLIENT.id, HUB_CLIENT.secret].map(encodeURIComponent).join(':');
  const answer = await fetch(`${issuer}/token/introspection`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` },
    body: new URLSearchParams({ token }),
  });
  return ((await answer.json()) as { readonly active: unknown }).active;
}

test('an answer with another state is refused', async () => {
  const server = await app((await start()).issuer);
  const pending = await server.startAuthorizationCode({ ...REQUEST, redirectUri: REDIRECT });
  const callback = new URL(await followRedirects(pending.url, '/callback'));
  callback.searchParams.set('state', 'another');
  await expect(server.finishAuthorizationCode(pending, callback.href)).rejects.toMatchObject({
    code: 'client_answer_invalid',
  });
});

test('an authorization that was refused says so', async () => {
  const as = await start();
  const server = await app(as.issuer);
  const pending = await server.startAuthorizationCode({ ...REQUEST, redirectUri: REDIRECT });
  const callback = `${REDIRECT}?error=access_denied&state=${pending.state}&iss=${encodeURIComponent(as.issuer)}`;
  await expect(server.finishAuthorizationCode(pending, callback)).rejects.toMatchObject({
    code: 'client_token_refused',
    detail: 'access_denied',
  });
});

test('a wrong client secret is refused with the code of the server, and is quoted nowhere', async () => {
  const server = await machine((await start()).issuer, 'wrong-secret-of-canary');
  const error: unknown = await server.clientCredentials(REQUEST).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ServerRefusal);
  expect(error).toMatchObject({
    code: 'client_token_refused',
    detail: 'invalid_client (401)',
    oauthError: 'invalid_client',
    status: 401,
  });
  expect((error as Error).cause).toBeUndefined();
  expect((error as Error).stack).not.toContain('canary');
});

test('a resource that the server does not know is refused', async () => {
  const server = await machine((await start()).issuer);
  await expect(
    server.clientCredentials({ scope: 'read', resource: 'https://elsewhere.example' }),
  ).rejects.toMatchObject({
    code: 'client_token_refused',
    detail: 'invalid_target (400)',
  });
});

test('a server that answers a DPoP request with a bearer token is refused', async () => {
  const as = await start();
  const unbinding: typeof fetch = async (input, init) => {
    const answer = await fetch(input, init);
    if (!String(input).endsWith('/token')) return answer;
    const body = { ...((await answer.json()) as object), token_type: 'Bearer' };
    return new Response(JSON.stringify(body), { headers: { 'content-type': 'application/json' } });
  };
  const server = await machine(as.issuer, MACHINE_CLIENT.secret, { fetch: unbinding });
  const asking = server.clientCredentials({ ...REQUEST, key: await DpopKey.generate() });
  await expect(asking).rejects.toMatchObject({ code: 'client_token_refused' });
});

test('a server that is down is unreachable', async () => {
  const as = await startAuthorizationServer();
  await as.close();
  await expect(machine(as.issuer)).rejects.toMatchObject({
    code: 'client_unreachable',
    detail: `${as.issuer}: ECONNREFUSED`,
  });
});

test('a server on plain http beyond loopback is refused', async () => {
  const asked: string[] = [];
  const spy: typeof fetch = async (input) => {
    asked.push(String(input));
    return new Response('{}');
  };
  await expect(machine('http://as.example', MACHINE_CLIENT.secret, { fetch: spy })).rejects.toMatchObject({
    code: 'client_address_insecure',
  });
  expect(asked).toEqual([]);
});
