/** A resource server that knows nothing of the hub but its address: openid-client discovers the introspection endpoint, and asks there. */
import { join } from 'node:path';
import {
  allowInsecureRequests,
  ClientSecretBasic,
  ClientSecretPost,
  type Configuration,
  customFetch,
  discovery,
  tokenIntrospection,
} from 'openid-client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Credentials } from '../../src/codec/credentials-file.ts';
import { freePort } from '../fixtures/free-port.ts';
import { HubFolder, type HubProcess } from '../fixtures/hub-process.ts';
import { registerDevice } from '../fixtures/relay-asking.ts';
import { StaticIssuer } from '../fixtures/static-issuer.ts';

const AUDIENCE = 'https://ekg-1.devices.example';
const issuer = new StaticIssuer();
let folder: HubFolder;
let hub: HubProcess;
let ekg: Credentials;

beforeAll(async () => {
  folder = new HubFolder();
  issuer.writeJwks(join(folder.path, 'jwks.json'));
  folder.configure(`[[issuers]]\nissuer = "${issuer.issuer}"\njwks_file = "jwks.json"\n`);
  ekg = await registerDevice(folder, 'ekg-1', AUDIENCE, '--bearer');
  hub = await folder.start();
});

afterAll(() => folder.remove());

async function ask(configuration: Configuration) {
  return tokenIntrospection(configuration, issuer.sign({ aud: AUDIENCE, scope: 'read' }));
}

test.each([ClientSecretBasic, ClientSecretPost])('at the address of the hub, with %o', async (method) => {
  const secret = ekg.httpSecret.expose();
  const insecure = { algorithm: 'oauth2' as const, execute: [allowInsecureRequests] };
  const found = await discovery(new URL(hub.address), ekg.device, secret, method(secret), insecure);
  expect(found.serverMetadata()).toMatchObject({
    issuer: hub.address,
    introspection_endpoint: `${hub.address}/introspect`,
  });
  expect(await ask(found)).toMatchObject({ active: true, scope: 'read', iss: issuer.issuer });
});

test('at the address of a proxy with a path, which the hub knows as its own', async () => {
  const port = await freePort();
  await hub.stop();
  folder.reconfigure((toml) =>
    toml.replace('listen = "127.0.0.1:0"', `listen = "127.0.0.1:${port}"\npublic_url = "https://proxy.example/hub"`),
  );
  hub = await folder.start();
  const asked: string[] = [];
  /** The proxy: it hands the well-known path on as it is, and takes off its own path from all others. */
  const proxy = (url: string, init: object) => {
    asked.push(url);
    return fetch(`http://127.0.0.1:${port}${new URL(url).pathname.replace(/^\/hub(?=\/)/, '')}`, init);
  };
  const secret = ekg.httpSecret.expose();
  const found = await discovery(new URL('https://proxy.example/hub'), ekg.device, secret, ClientSecretBasic(secret), {
    algorithm: 'oauth2',
    [customFetch]: proxy,
  });
  expect(found.serverMetadata().issuer).toBe('https://proxy.example/hub');
  expect(await ask(found)).toMatchObject({ active: true });
  expect(asked).toEqual([
    'https://proxy.example/.well-known/oauth-authorization-server/hub',
    'https://proxy.example/hub/introspect',
  ]);
});
