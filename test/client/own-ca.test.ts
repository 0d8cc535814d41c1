/** Servers whose certificate leads to an authority of the caller's own: real TLS on loopback. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { bearerToken } from '../../src/client/access-token.ts';
import { AuthorizationServer } from '../../src/client/authorization-server.ts';
import { ConnectedDevice } from '../../src/client/connected-device.ts';
import { HubClient } from '../../src/client/hub-client.ts';
import { Secret } from '../../src/core/secret.ts';
import { type FaultyServer, startFaultyServer, tlsFile } from '../fixtures/faulty-server.ts';
import { DELIVERED, TOKEN_VALUE } from './scripted-hub.ts';

const ca = tlsFile('ca.pem');
const another = tlsFile('other-ca.pem');
let server: FaultyServer | undefined;
afterEach(() => server?.close());

async function start() {
  server = await startFaultyServer({ certificate: 'server.pem' });
  return server;
}

const token = bearerToken(TOKEN_VALUE);
const TO_TUBE = { device: DELIVERED.device, audience: DELIVERED.audience, token };

async function authorizationServer(options: { readonly ca?: string }) {
  const { origin, answers } = await start();
  const metadata = { issuer: origin, token_endpoint: `${origin}/token` };
  answers.set('/.well-known/oauth-authorization-server', { body: JSON.stringify(metadata) });
  answers.set('/token', ({ body }) => ({
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ access_token: body, token_type: 'Bearer' }),
  }));
  const authentication = { method: 'client_secret_post', secret: new Secret('s') } as const;
  const as = await AuthorizationServer.discover({ issuer: origin, clientId: 'app', authentication, ...options });
  return as.clientCredentials({ scope: 'read' });
}

test('an authorization server is asked under that authority', async () => {
  const { value } = await authorizationServer({ ca });
  expect(value.expose()).toBe('scope=read&grant_type=client_credentials&client_id=app&client_secret=s');
});

test('a hub is asked under that authority', async () => {
  const { origin, answers } = await start();
  answers.set('/devices/tube-1/authz-info', { status: 201, body: JSON.stringify(DELIVERED) });
  expect(await new HubClient({ url: origin, ca }).deliver(TO_TUBE)).toMatchObject({ state: 'delivered' });
});

test('a connected device is asked under that authority', async () => {
  const { origin } = await start();
  const device = new ConnectedDevice({ url: origin, audience: 'a', ca });
  await expect(device.open('readings', token)).rejects.toMatchObject({
    code: 'client_answer_invalid',
    detail: 'status 404 without a problem document',
  });
});

test.each([
  ['the authorities of the system', {}],
  ['another authority', { ca: another }],
  ['several of which none is right', { ca: another + another }],
])('under %s it is refused, and is sent nothing', async (_, options) => {
  const refused = { code: 'client_unreachable', detail: expect.stringMatching(/UNABLE_TO_|SELF_SIGNED/) };
  await expect(authorizationServer(options)).rejects.toMatchObject(refused);
  const { origin = '' } = server ?? {};
  await expect(new HubClient({ url: origin, ...options }).deliver(TO_TUBE)).rejects.toMatchObject(refused);
  expect(server?.requests).toEqual([]);
});

test('one of several authorities is enough', async () => {
  await expect(authorizationServer({ ca: another + ca })).resolves.toBeDefined();
});

test('a connection that is kept open does not keep the program running', async () => {
  const { origin, answers } = await start();
  answers.set('/deliveries/d-1', { body: JSON.stringify(DELIVERED) });
  const source = fileURLToPath(new URL('../../dist/src/client/index.js', import.meta.url));
  const script = `import { HubClient } from ${JSON.stringify(source)};
    const { state } = await new HubClient(${JSON.stringify({ url: origin, ca })}).delivery('d-1');
    console.log(state);
    setTimeout(() => console.log('something keeps it running'), 3_000).unref();`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  // undici keeps an idle connection for 4 s.
  expect(stdout).toBe('delivered\n');
});
