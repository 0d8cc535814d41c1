import { createHash } from 'node:crypto';
import { calculateJwkThumbprint, createRemoteJWKSet, decodeJwt, exportJWK, jwtVerify } from 'jose';
import * as oauth from 'openid-client';
import { afterEach, expect, test, vi } from 'vitest';
import { followRedirects } from '../../../src/cli/demo/browser.ts';
import {
  APP_CLIENT,
  type DemoAuthorizationServer,
  issueToken,
  startAuthorizationServer,
  TUBE_AUDIENCE,
} from '../../fixtures/authorization-server.ts';

const started: DemoAuthorizationServer[] = [];
async function start(options?: Parameters<typeof startAuthorizationServer>[0]) {
  const as = await startAuthorizationServer(options);
  started.push(as);
  return as;
}
afterEach(async () => {
  await Promise.all(started.splice(0).map((as) => as.close()));
});

test('it starts without a word on the console, and leaves the console as it was', async () => {
  const said = vi.spyOn(console, 'warn');
  await start();
  expect(said).not.toHaveBeenCalled();
  expect(Reflect.get(console, 'warn')).toBe(said);
  said.mockRestore();
});

test('client credentials with DPoP give an RFC 9068 token that is bound to the key', async () => {
  const as = await start();
  const { jwt, dpopKeys } = await issueToken(as);
  const { payload, protectedHeader } = await jwtVerify(jwt, createRemoteJWKSet(new URL(`${as.issuer}/jwks`)), {
    issuer: as.issuer,
    audience: TUBE_AUDIENCE,
    typ: 'at+jwt',
  });
  expect(protectedHeader).toMatchObject({ alg: 'ES256', typ: 'at+jwt' });
  expect(payload).toMatchObject({ client_id: 'ekg-machine', sub: 'ekg-machine', scope: 'read' });
  if (dpopKeys === undefined) throw new Error('no DPoP key');
  const thumbprint = await calculateJwkThumbprint(await exportJWK(dpopKeys.publicKey));
  expect(payload.cnf).toEqual({ jkt: thumbprint });
});

test('the authorization code grant with PKCE gives a token for the account', async () => {
  const as = await start({ account: 'doctor-7' });
  const configuration = await oauth.discovery(new URL(as.issuer), APP_CLIENT.id, undefined, oauth.None(), {
    execute: [oauth.allowInsecureRequests],
  });
  const verifier = oauth.randomPKCECodeVerifier();
  const address = oauth.buildAuthorizationUrl(configuration, {
    redirect_uri: 'http://127.0.0.1:49152/callback',
    scope: 'read configure',
    resource: TUBE_AUDIENCE,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  const callback = new URL(await followRedirects(address.href, '/callback'));
  const answer = await oauth.authorizationCodeGrant(configuration, callback, { pkceCodeVerifier: verifier });
  expect(decodeJwt(answer.access_token)).toMatchObject({
    sub: 'doctor-7',
    client_id: APP_CLIENT.id,
    aud: TUBE_AUDIENCE,
    scope: 'read configure',
  });
});

test('the authorization code grant without PKCE is refused', async () => {
  const as = await start();
  const address = new URL(`${as.issuer}/auth`);
  address.search = new URLSearchParams({
    client_id: APP_CLIENT.id,
    response_type: 'code',
    redirect_uri: 'http://127.0.0.1:49152/callback',
    scope: 'read',
    resource: TUBE_AUDIENCE,
  }).toString();
  const callback = new URL(await followRedirects(address.href, '/callback'));
  expect(callback.searchParams.get('error')).toBe('invalid_request');
});

test('a resource that is not registered is refused', async () => {
  const as = await start();
  await expect(issueToken(as, { resource: 'https://elsewhere.example' })).rejects.toMatchObject({
    error: 'invalid_target',
  });
});

test('a rotation withdraws the old key and signs with the new one', async () => {
  const as = await start();
  const before = await issueToken(as, { bound: false });
  await as.rotateKeys();
  const after = await issueToken(as, { bound: false });
  const keys = createRemoteJWKSet(new URL(`${as.issuer}/jwks`));
  await expect(jwtVerify(before.jwt, keys)).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
  await expect(jwtVerify(after.jwt, keys)).resolves.toBeDefined();
});

test('it comes back on the same port with the same keys', async () => {
  const first = await startAuthorizationServer();
  const { jwt } = await issueToken(first, { bound: false });
  await first.close();
  const second = await start({ port: first.port, keys: first.keys });
  await expect(jwtVerify(jwt, createRemoteJWKSet(new URL(`${second.issuer}/jwks`)))).resolves.toBeDefined();
});

test('a customizer adds claims before signing', async () => {
  const as = await start({
    customizeToken: ({ payload }) => {
      payload.cnf = { kid: 'k1' };
    },
  });
  const { jwt } = await issueToken(as, { bound: false });
  expect(decodeJwt(jwt).cnf).toEqual({ kid: 'k1' });
});
