/** JWTs that RFC 9068 does not know, at a hub process, with node-oidc-provider to say what they are. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AuthorizationServer, DpopKey, type DpopToken, dpopToken, Secret } from '../../src/client/index.ts';
import type { Credentials } from '../../src/codec/credentials-file.ts';
import type { JsonObject } from '../../src/core/json.ts';
import {
  type DemoAuthorizationServer,
  EKG_AUDIENCE,
  HUB_CLIENT,
  MACHINE_CLIENT,
  revokeToken,
  startAuthorizationServer,
} from '../fixtures/authorization-server.ts';
import { HubFolder, type HubProcess } from '../fixtures/hub-process.ts';
import { askOverHttp, auditRecords, registerDevice, shown } from '../fixtures/relay-asking.ts';
import { StructuredTokens } from '../fixtures/structured-tokens.ts';

let as: DemoAuthorizationServer;
let structured: StructuredTokens;
let folder: HubFolder;
let hub: HubProcess;
let ekg: Credentials;

beforeAll(async () => {
  as = await startAuthorizationServer();
  structured = await StructuredTokens.start(as);
  folder = new HubFolder();
  writeFileSync(join(folder.path, 'secret'), `${HUB_CLIENT.secret}\n`);
  folder.configure(`
[[issuers]]
issuer = "${as.issuer}"
introspection = "always"
introspection_url = "${structured.address}"
introspection_cache = "0s"
client_id = "${HUB_CLIENT.id}"
client_secret_file = "secret"
`);
  ekg = await registerDevice(folder, 'ekg-1', EKG_AUDIENCE);
  hub = await folder.start();
});

afterAll(async () => {
  await folder.remove();
  await structured.close();
  await as.close();
});

async function opaqueToken(): Promise<DpopToken> {
  const server = await AuthorizationServer.discover({
    issuer: as.issuer,
    clientId: MACHINE_CLIENT.id,
    authentication: { method: 'client_secret_basic', secret: new Secret(MACHINE_CLIENT.secret) },
  });
  const key = await DpopKey.generate();
  return (await server.clientCredentials({ scope: 'read configure', resource: EKG_AUDIENCE, key })) as DpopToken;
}

/** What the device hears of a JWT around the token. */
async function ask(token: DpopToken, claims: JsonObject = {}, header: JsonObject = {}) {
  const jwt = structured.wrap(token.value.expose(), claims, header);
  return (await askOverHttp(hub, await shown(dpopToken(jwt, token.key)), ekg)).body;
}

test('a JWT without typ, aud, scope and cnf is good by the word of the server, until that is taken back', async () => {
  const token = await opaqueToken();
  const cnf = { jkt: token.key.thumbprint };
  expect(await ask(token)).toMatchObject({
    active: true,
    iss: as.issuer,
    aud: EKG_AUDIENCE,
    scope: 'read configure',
    client_id: MACHINE_CLIENT.id,
    cnf,
    latchkey: { proof: 'dpop', freshness: { source: 'introspection' } },
  });
  await revokeToken(as, token.value.expose());
  expect(await ask(token)).toMatchObject({ active: false });
});

test('what the server signed bounds what it says', async () => {
  const token = await opaqueToken();
  expect(await ask(token, { scope: 'read list', aud: EKG_AUDIENCE })).toMatchObject({ active: true, scope: 'read' });
  expect(await ask(token, { cnf: { jkt: (await DpopKey.generate()).thumbprint } })).toMatchObject({ active: false });
});

test('a stranger, an ID token and a token for another device make the hub ask nothing', async () => {
  const token = await opaqueToken();
  const before = structured.asked;
  const [header, payload] = structured.wrap(token.value.expose()).split('.');
  const forged = dpopToken(`${header}.${payload}.${'A'.repeat(86)}`, token.key);
  expect((await askOverHttp(hub, await shown(forged), ekg)).body).toMatchObject({
    latchkey: { code: 'jwt_signature_invalid' },
  });
  expect(await ask(token, { nonce: 'n', aud: 'doctor-app' })).toMatchObject({ latchkey: { code: 'jwt_type_refused' } });
  expect(await ask(token, { aud: 'https://pump-1.devices.example' })).toMatchObject({
    latchkey: { code: 'jwt_audience_mismatch' },
  });
  expect(structured.asked).toBe(before);
  const records = await auditRecords(folder);
  expect(records.slice(-3).map(({ code }) => code)).toEqual([
    'jwt_signature_invalid',
    'jwt_type_refused',
    'jwt_audience_mismatch',
  ]);
});
