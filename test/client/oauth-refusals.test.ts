/** What an authorization server says instead of giving a token, and what the client makes of it. */
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { bearerToken } from '../../src/client/access-token.ts';
import { DpopKey } from '../../src/client/dpop-key.ts';
import { ServerRefusal } from '../../src/client/server-refusal.ts';
import { json } from './scripted-hub.ts';
import { scriptedServer, TOKEN } from './scripted-server.ts';

const REQUEST = { scope: 'read' } as const;

async function refusal(answer: () => Response): Promise<unknown> {
  const { server } = await scriptedServer([answer]);
  return server.clientCredentials(REQUEST).catch((thrown: unknown) => thrown);
}

const html = (status: number, headers = {}) =>
  new Response('<h1>No</h1>', { status, headers: { 'content-type': 'text/html; charset=utf-8', ...headers } });

test.each([
  ['an OAuth error', json(400, { error: 'invalid_scope' }), 'invalid_scope (400)', 'invalid_scope', 400],
  [
    'an OAuth error that is called text',
    new Response('{"error":"unauthorized_client"}', { status: 403, headers: { 'content-type': 'text/plain' } }),
    'unauthorized_client (403)',
    'unauthorized_client',
    403,
  ],
  [
    'a challenge without a body',
    new Response(null, { status: 401, headers: { 'www-authenticate': 'Basic realm="as", error="invalid_client"' } }),
    'invalid_client (401)',
    'invalid_client',
    401,
  ],
  ['a page', html(403), 'status 403, text/html, without an OAuth error', undefined, 403],
  ['nothing', new Response(null, { status: 401 }), 'status 401, without an OAuth error', undefined, 401],
  [
    'an error that is no code',
    json(400, { error: 'a b\n' }),
    'status 400, application/json, without an OAuth error',
    undefined,
    400,
  ],
])('%s is a refusal with what the server said', async (_, answer, detail, oauthError, status) => {
  const error = await refusal(() => answer);
  expect(error).toBeInstanceOf(ServerRefusal);
  expect(error).toMatchObject({ code: 'client_token_refused', detail, oauthError, status });
});

test.each([
  ['503 with a time', html(503, { 'retry-after': '120' }), { status: 503, retryAfter: 120 }],
  ['429', json(429, { error: 'slow' }, { 'retry-after': '7' }), { status: 429, retryAfter: 7, oauthError: 'slow' }],
  ['500', html(500), { status: 500, retryAfter: undefined }],
])('%s is a server that cannot answer now', async (_, answer, members) => {
  expect(await refusal(() => answer)).toMatchObject({ code: 'client_server_failed', ...members });
});

test.each([
  ['a page where the token should be', html(200), 'OAUTH_RESPONSE_IS_NOT_JSON'],
  ['a redirect', html(302, { location: 'https://evil.example' }), 'OAUTH_RESPONSE_IS_NOT_CONFORM'],
  ['no such page', html(404), 'status 404: no endpoint of an authorization server'],
  ['a token of another type', json(200, { ...TOKEN, token_type: 'mac' }), 'OAUTH_UNSUPPORTED_OPERATION'],
  ['an answer without a token', json(200, { token_type: 'Bearer' }), 'OAUTH_INVALID_RESPONSE'],
  ['an answer past 64 KiB', json(200, { ...TOKEN, more: 'x'.repeat(65_536) }), 'more than 65536 bytes'],
])('%s is an answer that cannot be used', async (_, answer, detail) => {
  expect(await refusal(() => answer)).toMatchObject({ code: 'client_answer_invalid', detail });
});

test('what a server repeats of the secret prints with no error', async () => {
  const error = await refusal(() =>
    json(401, { error: 'invalid_client', error_description: 'not secret-of-canary\u0007' }),
  );
  expect((error as ServerRefusal).description).toBe('not secret-of-canary ');
  expect(inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error)).not.toContain('secret-of-canary');
});

test('a server without DPoP is told from one that refuses', async () => {
  const { server } = await scriptedServer([() => json(200, TOKEN)]);
  const asking = server.clientCredentials({ ...REQUEST, key: await DpopKey.generate() });
  await expect(asking).rejects.toMatchObject({
    code: 'client_token_refused',
    detail: expect.stringContaining('does not bind it to the key'),
  });
});

test('a nonce that the server asks for goes into the next proof, and into those that follow', async () => {
  const bound = () => json(200, { ...TOKEN, token_type: 'DPoP' });
  const { server, headers } = await scriptedServer([
    () => json(400, { error: 'use_dpop_nonce' }, { 'dpop-nonce': 'n-1' }),
    bound,
    bound,
  ]);
  const request = { ...REQUEST, key: await DpopKey.generate() };
  await server.clientCredentials(request);
  await server.clientCredentials(request);
  const nonces = headers().map((each) => {
    const [, claims = ''] = (each.get('dpop') ?? '').split('.');
    return (JSON.parse(Buffer.from(claims, 'base64url').toString()) as { readonly nonce?: string }).nonce;
  });
  expect(nonces).toEqual([undefined, 'n-1', 'n-1']);
});

test('a server that asks for a nonce again and again is refused', async () => {
  const ask = (nonce: string) => () => json(400, { error: 'use_dpop_nonce' }, { 'dpop-nonce': nonce });
  const { server } = await scriptedServer([ask('n-1'), ask('n-2')]);
  const asking = server.clientCredentials({ ...REQUEST, key: await DpopKey.generate() });
  await expect(asking).rejects.toMatchObject({ code: 'client_token_refused', oauthError: 'use_dpop_nonce' });
});

test('a revocation that is refused says why', async () => {
  const { server } = await scriptedServer([() => json(400, { error: 'unsupported_token_type' })]);
  await expect(server.revoke(bearerToken('at'))).rejects.toMatchObject({ oauthError: 'unsupported_token_type' });
});
