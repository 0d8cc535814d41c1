import { inspect } from 'node:util';
import { decodeJwt } from 'jose';
import { afterEach, describe, expect, test } from 'vitest';
import { followRedirects } from '../../src/cli/demo/browser.ts';
import type { RefreshToken } from '../../src/client/access-token.ts';
import { AuthorizationServer } from '../../src/client/authorization-server.ts';
import { DpopKey } from '../../src/client/dpop-key.ts';
import { Secret } from '../../src/core/secret.ts';
import {
  type DemoAuthorizationServer,
  startAuthorizationServer,
  TUBE_AUDIENCE,
} from '../fixtures/authorization-server.ts';
import { json } from './scripted-hub.ts';
import { scriptedServer, TOKEN } from './scripted-server.ts';

const REDIRECT = 'http://127.0.0.1:49152/callback';
const started: DemoAuthorizationServer[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((as) => as.close()));
});

/** A person logged in at a real server, by a public client. */
async function logIn(rotatesRefreshTokens: boolean) {
  const as = await startAuthorizationServer({
    rotatesRefreshTokens,
    clients: [{ id: 'app', redirectUris: ['http://127.0.0.1/callback'], refreshes: true }],
  });
  started.push(as);
  const authentication = { method: 'none' } as const;
  const server = await AuthorizationServer.discover({ issuer: as.issuer, clientId: 'app', authentication });
  const request = { scope: 'read', resource: TUBE_AUDIENCE, key: await DpopKey.generate() };
  const pending = await server.startAuthorizationCode({ ...request, redirectUri: REDIRECT });
  const token = await server.finishAuthorizationCode(pending, await followRedirects(pending.url, '/callback'));
  if (token.refreshToken === undefined) throw new Error('no refresh token came');
  return { server, request, token, refreshToken: token.refreshToken };
}

describe('a refresh token of a real server', () => {
  test('brings the next access token, for the same device, bound to the same key', async () => {
    const { server, token, refreshToken, request } = await logIn(false);
    const next = await server.refresh(refreshToken);
    expect(next.value.expose()).not.toBe(token.value.expose());
    expect(next).toMatchObject({ scheme: 'DPoP', key: request.key, expiresIn: 600 });
    expect(decodeJwt(next.value.expose())).toMatchObject({
      sub: 'doctor',
      aud: TUBE_AUDIENCE,
      scope: 'read',
      cnf: { jkt: request.key.thumbprint },
    });
  });

  test('serves again where the server gives no new one', async () => {
    const { server, refreshToken } = await logIn(false);
    const second = await server.refresh(refreshToken);
    expect(second.refreshToken?.value.expose()).toBe(refreshToken.value.expose());
    await expect(server.refresh(second.refreshToken)).resolves.toBeDefined();
  });

  test('gives way to the new one of a server that rotates them', async () => {
    const { server, refreshToken } = await logIn(true);
    const second = await server.refresh(refreshToken);
    expect(second.refreshToken?.value.expose()).not.toBe(refreshToken.value.expose());
    await expect(server.refresh(second.refreshToken)).resolves.toBeDefined();
  });

  test('that was used before is refused, with all that came of it', async () => {
    const { server, refreshToken } = await logIn(true);
    const { refreshToken: second } = await server.refresh(refreshToken);
    const refused = { code: 'client_token_refused', oauthError: 'invalid_grant', status: 400 };
    await expect(server.refresh(refreshToken)).rejects.toMatchObject(refused);
    await expect(server.refresh(second)).rejects.toMatchObject(refused);
  });

  test('is bound to the key', async () => {
    const { server, refreshToken } = await logIn(false);
    const stolen: RefreshToken = {
      value: refreshToken.value,
      request: { ...refreshToken.request, key: await DpopKey.generate() },
    };
    await expect(server.refresh(stolen)).rejects.toMatchObject({ code: 'client_token_refused' });
  });

  test('is kept over a restart by its value', async () => {
    const { server, refreshToken, request } = await logIn(false);
    const kept = refreshToken.value.expose();
    await expect(server.refresh({ value: new Secret(kept), request })).resolves.toBeDefined();
  });

  test('is worth nothing once it was revoked', async () => {
    const { server, refreshToken } = await logIn(false);
    await server.revoke(refreshToken);
    await expect(server.refresh(refreshToken)).rejects.toMatchObject({ oauthError: 'invalid_grant' });
  });
});

test('a refresh token does not print', async () => {
  const { server } = await scriptedServer([() => json(200, { ...TOKEN, refresh_token: 'refresh-canary' })]);
  const token = await server.clientCredentials({ scope: 'read' });
  expect(token.refreshToken?.value.expose()).toBe('refresh-canary');
  expect(inspect(token, { depth: 9, showHidden: true }) + JSON.stringify(token)).not.toContain('canary');
});

test('the next token is asked for the resource and the nonce, not for the scope or the audience', async () => {
  const { server, asked } = await scriptedServer([() => json(200, TOKEN)]);
  const request = { scope: 'read write', resource: 'coap://tube-1', audience: 'tubes', cnonce: Uint8Array.of(1, 2) };
  await server.refresh({ value: new Secret('rt-1'), request });
  expect(Object.fromEntries(asked()[0] ?? [])).toEqual({
    grant_type: 'refresh_token',
    refresh_token: 'rt-1',
    resource: 'coap://tube-1',
    cnonce: 'AQI',
    client_id: 'ekg-17',
    client_secret: 'secret-of-canary',
  });
});

test('the revocation says which kind of token it is', async () => {
  const { server, asked } = await scriptedServer([() => json(200, {}), () => json(200, {})]);
  await server.revoke({ value: new Secret('rt-1'), request: { scope: 'read' } });
  expect(asked()[0]?.get('token_type_hint')).toBe('refresh_token');
});
