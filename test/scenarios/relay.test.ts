import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { allowInsecureRequests, ClientSecretBasic, Configuration, tokenIntrospection } from 'openid-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  AuthorizationServer,
  DpopKey,
  type DpopToken,
  dpopToken,
  openSessionKey,
  Secret,
  SessionChannel,
} from '../../src/client/index.ts';
import { codeText } from '../../src/codec/coap/codes.ts';
import type { Credentials } from '../../src/codec/credentials-file.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../../src/codec/iana.ts';
import { openForDevice } from '../../src/codec/session-key.ts';
import { fromBase64url, utf8 } from '../../src/core/bytes.ts';
import type { IntrospectionQuestion, PresentedProof } from '../../src/core/introspection.ts';
import { AskingLine } from '../fixtures/asking-line.ts';
import {
  type DemoAuthorizationServer,
  EKG_AUDIENCE,
  HUB_CLIENT,
  issueToken,
  MACHINE_CLIENT,
  revokeToken,
  startAuthorizationServer,
} from '../fixtures/authorization-server.ts';
import { HubFolder, type HubProcess } from '../fixtures/hub-process.ts';
import { MqttDevice } from '../fixtures/mqtt-device.ts';
import {
  askOverHttp,
  askProtected,
  auditRecords,
  type HttpReply,
  MAC0_TYPE,
  registerDevice,
  shown,
} from '../fixtures/relay-asking.ts';

let as: DemoAuthorizationServer;
let asIsOn = true;
let folder: HubFolder;
let hub: HubProcess;
let line: AskingLine;
let ekg: Credentials;
let pump: Credentials;

beforeAll(async () => {
  as = await startAuthorizationServer();
  line = await AskingLine.open();
  folder = new HubFolder();
  writeFileSync(join(folder.path, 'secret'), `${HUB_CLIENT.secret}\n`);
  folder.configure(`
[mqtt]
embedded = true
embedded_listen = "127.0.0.1:0"
[[issuers]]
issuer = "${as.issuer}"
client_id = "${HUB_CLIENT.id}"
client_secret_file = "secret"
introspection_cache = "1s"
[[lines]]
name = "ward-3"
path = "${line.path}"
`);
  ekg = await registerDevice(folder, 'ekg-1', EKG_AUDIENCE, '--bearer');
  pump = await registerDevice(folder, 'pump-1', 'https://pump-1.devices.example');
  hub = await folder.start();
});

afterAll(async () => {
  await folder.remove();
  await line.close();
  if (asIsOn) await as.close();
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

function ask(question: IntrospectionQuestion, by = ekg, secret = by.httpSecret.expose()): Promise<HttpReply> {
  return askOverHttp(hub, question, by, secret);
}

describe('over HTTP the device is told', () => {
  test('that the token is good and its holder shows it, with a key for both of them', async () => {
    const token = await boundToken();
    const { body, status } = await ask(await shown(token, { wantsSessionKey: true }));
    expect(status).toBe(200);
    expect(body).toMatchObject({
      active: true,
      iss: as.issuer,
      aud: EKG_AUDIENCE,
      scope: 'read',
      client_id: MACHINE_CLIENT.id,
      cnf: { jkt: token.key.thumbprint },
      latchkey: { proof: 'dpop', freshness: { source: 'introspection', stale: false, clock: 'sure' } },
    });
    const copies = body.latchkey?.session_key;
    const audience = EKG_AUDIENCE;
    const context = { key: ekg.sessionKey, device: ekg.device, audience };
    const [ofDevice, ofClient] = [
      new SessionChannel({
        role: 'device',
        audience,
        session: openForDevice(fromBase64url(copies?.device ?? ''), context),
      }),
      new SessionChannel({
        role: 'client',
        audience,
        session: await openSessionKey(copies?.client ?? '', { token, audience }),
      }),
    ];
    const now = Date.now() / 1_000;
    expect(ofDevice.open(ofClient.seal(utf8('start'), now), now)).toEqual(utf8('start'));
  });

  test('that a proof was used before, also by a hub that was killed meanwhile', async () => {
    const question = await shown(await boundToken());
    expect((await ask(question)).body.active).toBe(true);
    const replayed = { active: false, latchkey: { code: 'proof_replayed' } };
    expect((await ask(question)).body).toMatchObject(replayed);
    await hub.stop('SIGKILL');
    hub = await folder.start();
    expect((await ask(question)).body).toMatchObject(replayed);
  });

  test('that a proof is missing, made for another address, or by somebody else', async () => {
    const token = await boundToken();
    const question = await shown(token);
    const proven = question.proof as Extract<PresentedProof, { kind: 'dpop' }>;
    expect((await ask({ ...question, proof: undefined })).body).toEqual({ active: false });
    const elsewhere = { ...question, proof: { ...proven, uri: 'https://ekg-2.devices.example/readings' } };
    expect((await ask(elsewhere)).body.latchkey).toMatchObject({ code: 'proof_uri_mismatch' });
    const thief = { ...token, key: await DpopKey.generate() };
    expect((await ask(await shown(thief))).body.latchkey).toMatchObject({ code: 'proof_key_mismatch' });
  });

  test('of a token for another device no more than of one that nobody knows', async () => {
    const known = await ask(await shown(await boundToken()), pump);
    const madeUp = await ask(await shown(dpopToken('made-up', await DpopKey.generate())), pump);
    expect(known.body).toEqual({ active: false, latchkey: { code: 'token_inactive' } });
    expect(madeUp.body).toEqual(known.body);
    expect((await auditRecords(folder)).at(-2)).toMatchObject({
      code: 'jwt_audience_mismatch',
      source: 'introspection',
    });
  });

  test('nothing, where its credentials are wrong', async () => {
    const answer = await ask(await shown(await boundToken()), ekg, 'a guess');
    expect(answer).toMatchObject({ status: 401, body: { code: 'device_unauthenticated', error: 'invalid_client' } });
    // Who asks is no client with a proof: a nonce would be of no use to it.
    expect(answer.headers.get('dpop-nonce')).toBeNull();
  });

  test('within the cache’s lifetime that a token was revoked', async () => {
    const token = await boundToken();
    expect((await ask(await shown(token))).body.active).toBe(true);
    await revokeToken(as, token.value.expose());
    let answer = await ask(await shown(token));
    for (let turn = 0; answer.body.active === true && turn < 40; turn += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      answer = await ask(await shown(token));
    }
    expect(answer.body).toMatchObject({ active: false, latchkey: { code: 'token_inactive' } });
  });

  test('the same through a third party’s library for RFC 7662, unchanged', async () => {
    const { jwt: token } = await issueToken(as, { resource: EKG_AUDIENCE, bound: false });
    const endpoint = { issuer: hub.address, introspection_endpoint: `${hub.address}/introspect` };
    const secret = ekg.httpSecret.expose();
    const configuration = new Configuration(endpoint, ekg.device, {}, ClientSecretBasic(secret));
    allowInsecureRequests(configuration);
    expect(await tokenIntrospection(configuration, token)).toMatchObject({ active: true, aud: EKG_AUDIENCE });
    expect(await tokenIntrospection(configuration, 'made-up')).toEqual({ active: false });
  });
});

test('over MQTT, with the broker in the hub, the device is told the same', async () => {
  const { port } = await hub.event('broker_listens');
  const asking = await MqttDevice.connect({
    port: Number(port),
    device: ekg.device,
    password: ekg.httpSecret.expose(),
  });
  const send = (message: Uint8Array) => asking.ask(message, { contentType: MAC0_TYPE });
  const { read } = await askProtected(ekg, await shown(await boundToken()), send);
  expect(read()).toMatchObject({ active: true, proof: 'dpop' });
  const { out } = await folder.command('status', '--config', folder.config);
  expect(out).toContain('MQTT broker: connected');
  expect(out).toContain('  asked about tokens,');
  await asking.close();
});

test('over CoAP a device on a line asks like the others, and one that is not on it is told nothing', async () => {
  const trust = join(folder.path, 'trust.json');
  const more = ['--line', 'ward-3', '--trust', trust, '--allow', 'read=GET ecg'];
  const onLine = await registerDevice(folder, 'ekg-9', 'https://ekg-9.devices.example', ...more);
  const contentFormat = CONTENT_FORMAT.aceCbor;
  const send = (by: Credentials, question: IntrospectionQuestion) =>
    askProtected(by, question, (payload) =>
      line.request({ method: COAP_METHOD.POST, path: ['introspect'], contentFormat, payload }),
    );
  const question = await shown(await boundToken());
  const asked = await send(onLine, question);
  expect(codeText(asked.answer.code)).toBe('2.01');
  expect(asked.read()).toMatchObject({ active: false, code: 'token_inactive' });
  // ekg-1 is on no line: whoever has its key does not ask here.
  expect(codeText((await send(ekg, question)).answer.code)).toBe('4.01');
});

test('the audit has every verdict', async () => {
  const all = await auditRecords(folder);
  expect(all.every(({ kind }) => kind === 'relay')).toBe(true);
  expect(new Set(all.map(({ verdict, code }) => code ?? verdict))).toEqual(
    new Set([
      'active',
      'proof_replayed',
      'proof_missing',
      'proof_uri_mismatch',
      'proof_key_mismatch',
      'jwt_audience_mismatch',
      'token_inactive',
    ]),
  );
});

test('without the OAuth server there is no verdict, and no answer is made up', async () => {
  const token = await boundToken();
  await as.close();
  asIsOn = false;
  expect(await ask(await shown(token))).toMatchObject({ status: 503, body: { code: 'as_unreachable' } });
  expect((await auditRecords(folder)).at(-1)).toMatchObject({
    verdict: 'refused',
    code: 'as_unreachable',
    proof: 'dpop',
  });
});
