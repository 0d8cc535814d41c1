import { afterEach, describe, expect, test } from 'vitest';
import { metadataRoutes } from '../../../drivers/http/metadata.ts';
import { HttpServer } from '../../../drivers/http/server.ts';
import { systemRandom } from '../../../drivers/system-time.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';

let server: HttpServer | undefined;

afterEach(async () => {
  await server?.close(0);
  server = undefined;
});

/** A hub of these origins; without any, of those that it listens on. */
async function open(origins?: readonly string[], takesCertificates = false): Promise<number> {
  let port = 0;
  const own = () => [`http://127.0.0.1:${port}`, `http://localhost:${port}`];
  server = new HttpServer({
    routes: metadataRoutes({ origins: () => origins ?? own(), takesCertificates }),
    log: new QuietLog(),
    random: systemRandom,
    connections: { overall: 8, perNetwork: 8 },
  });
  port = await server.listen({ host: '127.0.0.1', port: 0 });
  return port;
}

const WELL_KNOWN = '/.well-known/oauth-authorization-server';

async function get(port: number, path: string, method = 'GET') {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method });
  return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Record<string, unknown> };
}

test('says what the hub is, and nothing that it is not', async () => {
  const port = await open();
  const { status, headers, body } = await get(port, WELL_KNOWN);
  expect(status).toBe(200);
  expect(headers.get('content-type')).toBe('application/json');
  expect(headers.get('cache-control')).toBe('public, max-age=3600');
  expect(body).toEqual({
    issuer: `http://127.0.0.1:${port}`,
    introspection_endpoint: `http://127.0.0.1:${port}/introspect`,
    introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    dpop_signing_alg_values_supported: ['ES256', 'EdDSA', 'Ed25519'],
    response_types_supported: [],
    grant_types_supported: [],
  });
});

test('names certificates where the hub takes them', async () => {
  const { body } = await get(await open(undefined, true), WELL_KNOWN);
  expect(body.introspection_endpoint_auth_methods_supported).toContain('self_signed_tls_client_auth');
});

describe('the issuer', () => {
  test('is the name of the hub that was asked for', async () => {
    const port = await open();
    const answer = await fetch(`http://localhost:${port}${WELL_KNOWN}`);
    expect(await answer.json()).toMatchObject({ issuer: `http://localhost:${port}` });
  });

  test('is never a name that a peer made up', async () => {
    const port = await open(['https://hub.example']);
    expect((await get(port, WELL_KNOWN)).body).toMatchObject({
      issuer: 'https://hub.example',
      introspection_endpoint: 'https://hub.example/introspect',
    });
  });
});

describe('with a path in the public address', () => {
  test.each([
    ['behind the well-known path', `${WELL_KNOWN}/ward/hub`],
    ['with a query', `${WELL_KNOWN}/ward/hub?x=1`],
    ['where a proxy took it off', WELL_KNOWN],
  ])('the metadata is there %s', async (_, path) => {
    const { status, body } = await get(await open(['https://hub.example/ward/hub']), path);
    expect(status).toBe(200);
    expect(body).toMatchObject({ issuer: 'https://hub.example/ward/hub' });
  });

  test.each(['/ward', '/ward/hub/', '/ward/hub/more', '/ward%2Fhub', '/'])('there is none at %s', async (path) => {
    expect((await get(await open(['https://hub.example/ward/hub']), WELL_KNOWN + path)).status).toBe(404);
  });
});

test('there is none of another path where the hub has no path, and no other method', async () => {
  const port = await open();
  expect((await get(port, `${WELL_KNOWN}/ward`)).status).toBe(404);
  expect((await get(port, WELL_KNOWN, 'POST')).status).toBe(405);
});
