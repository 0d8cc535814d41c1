/** A resource server that verifies DPoP proofs itself, and asks the hub with openid-client as it would ask any server. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { allowInsecureRequests, ClientSecretBasic, Configuration, tokenIntrospection } from 'openid-client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AuthorizationServer, DpopKey, type DpopToken, dpopToken, Secret } from '../../src/client/index.ts';
import type { Credentials } from '../../src/codec/credentials-file.ts';
import {
  type DemoAuthorizationServer,
  EKG_AUDIENCE,
  HUB_CLIENT,
  MACHINE_CLIENT,
  startAuthorizationServer,
} from '../fixtures/authorization-server.ts';
import { HubFolder, type HubProcess } from '../fixtures/hub-process.ts';
import { askOverHttp, auditRecords, registerDevice, shown } from '../fixtures/relay-asking.ts';
import { StaticIssuer } from '../fixtures/static-issuer.ts';

const keyless = new StaticIssuer();
let as: DemoAuthorizationServer;
let folder: HubFolder;
let hub: HubProcess;
let ekg: Credentials;
let asking: Configuration;

beforeAll(async () => {
  as = await startAuthorizationServer();
  folder = new HubFolder();
  writeFileSync(join(folder.path, 'secret'), `${HUB_CLIENT.secret}\n`);
  keyless.writeJwks(join(folder.path, 'jwks.json'));
  folder.configure(`
[[issuers]]
issuer = "${as.issuer}"
client_id = "${HUB_CLIENT.id}"
client_secret_file = "secret"
[[issuers]]
issuer = "${keyless.issuer}"
jwks_file = "jwks.json"
bind = "first-presenter"
leeway = "0s"
`);
  ekg = await registerDevice(folder, 'ekg-1', EKG_AUDIENCE, '--checks-proofs', '--any-issuer');
  hub = await folder.start();
  const secret = ekg.httpSecret.expose();
  const server = { issuer: hub.address, introspection_endpoint: `${hub.address}/introspect` };
  asking = new Configuration(server, ekg.device, secret, ClientSecretBasic(secret));
  allowInsecureRequests(asking);
});

afterAll(async () => {
  await folder.remove();
  await as.close();
});

async function boundToken(): Promise<DpopToken> {
  const server = await AuthorizationServer.discover({
    issuer: as.issuer,
    clientId: MACHINE_CLIENT.id,
    authentication: { method: 'client_secret_basic', secret: new Secret(MACHINE_CLIENT.secret) },
  });
  const key = await DpopKey.generate();
  return (await server.clientCredentials({ scope: 'read', resource: EKG_AUDIENCE, key })) as DpopToken;
}

test('it hears the key of a token as any resource server does, without a proof, and the audit has who verifies it', async () => {
  const token = await boundToken();
  expect(await tokenIntrospection(asking, token.value.expose())).toMatchObject({
    active: true,
    token_type: 'DPoP',
    cnf: { jkt: token.key.thumbprint },
    latchkey: { proof: 'none' },
  });
  expect((await auditRecords(folder)).at(-1)).toMatchObject({ kind: 'relay', verdict: 'active', proof: 'device' });
});

test('it hears the key of a token that the hub bound, once it handed on the proof by which the hub binds it', async () => {
  let token = dpopToken(keyless.sign({ aud: EKG_AUDIENCE }), await DpopKey.generate());
  expect(await tokenIntrospection(asking, token.value.expose())).toEqual({ active: false });
  // A token of the second in which the hub started may be older than the start.
  await expect
    .poll(async () => {
      token = dpopToken(keyless.sign({ aud: EKG_AUDIENCE }), token.key);
      return (await askOverHttp(hub, await shown(token), ekg)).body;
    })
    .toMatchObject({ active: true, cnf: { jkt: token.key.thumbprint } });
  expect(await tokenIntrospection(asking, token.value.expose())).toMatchObject({
    active: true,
    token_type: 'DPoP',
    cnf: { jkt: token.key.thumbprint },
  });
});
