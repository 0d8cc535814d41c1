/** A connected device and its hub: an opaque token of a real OAuth server, its proof, and what becomes of both. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { allowInsecureRequests, ClientSecretBasic, Configuration, tokenIntrospection } from 'openid-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeDpopProof } from '../../src/client/dpop-proof.ts';
import {
  AuthorizationServer,
  DpopKey,
  type DpopToken,
  openSessionKey,
  Secret,
  SessionChannel,
  systemEnvironment,
} from '../../src/client/index.ts';
import { codeText } from '../../src/codec/coap/codes.ts';
import { type Credentials, readCredentialsFile } from '../../src/codec/credentials-file.ts';
import { makeDeviceRequest, openDeviceAnswer } from '../../src/codec/device-request.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../../src/codec/iana.ts';
import { writeIntrospectionCbor, writeIntrospectionForm } from '../../src/codec/introspection-message.ts';
import { readIntrospectionCborAnswer } from '../../src/codec/introspection-reader.ts';
import { openForDevice } from '../../src/codec/session-key.ts';
import { fromBase64url, utf8 } from '../../src/core/bytes.ts';
import type { IntrospectionQuestion, PresentedProof } from '../../src/core/introspection.ts';
import type { AuditRecord } from '../../src/ports/audit.ts';
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

const READINGS = new URL('https://ekg-1.devices.example/readings');

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
  ekg = await register('ekg-1', EKG_AUDIENCE, '--bearer');
  pump = await register('pump-1', 'https://pump-1.devices.example');
  hub = await folder.start();
});

afterAll(async () => {
  await folder.remove();
  await line.close();
  if (asIsOn) await as.close();
});

async function register(id: string, audience: string, ...more: readonly string[]): Promise<Credentials> {
  const config = ['--config', folder.config];
  const added = await folder.command('devices', 'add', id, '--audience', audience, ...more, ...config);
  if (added.status !== 0) throw new Error(added.err);
  const file = join(folder.path, `${id}.json`);
  const written = await folder.command('devices', 'credentials', id, '--out', file, ...config);
  if (written.status !== 0) throw new Error(written.err);
  return readCredentialsFile(readFileSync(file, 'utf8'));
}

async function boundToken(): Promise<DpopToken> {
  const server = await AuthorizationServer.discover({
    issuer: as.issuer,
    clientId: MACHINE_CLIENT.id,
    authentication: { method: 'client_secret_basic', secret: new Secret(MACHINE_CLIENT.secret) },
  });
  const key = await DpopKey.generate();
  return (await server.clientCredentials({ scope: 'read', resource: EKG_AUDIENCE, key })) as DpopToken;
}

/** What the device asks once a client has shown it the token, with a proof for its own address. */
async function shown(token: DpopToken, changes: Partial<IntrospectionQuestion> = {}): Promise<IntrospectionQuestion> {
  const request = { token, method: 'POST', url: READINGS, nonce: 'of-the-device', environment: systemEnvironment };
  const proof = new Secret(await makeDpopProof(request));
  return {
    token: token.value,
    proof: { kind: 'dpop', proof, method: 'POST', uri: READINGS.href, nonce: 'of-the-device' },
    wantsSessionKey: false,
    clientFormat: 'jose',
    ...changes,
  };
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown> & {
    readonly latchkey?: { readonly session_key?: { readonly device: string; readonly client: string } };
  };
}

async function ask(question: IntrospectionQuestion, by = ekg, secret = by.httpSecret.expose()): Promise<Answer> {
  const answer = await fetch(`${hub.address}/introspect`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${by.device}:${secret}`).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: Buffer.from(writeIntrospectionForm(question)),
  });
  return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Answer['body'] };
}

async function records(): Promise<readonly AuditRecord[]> {
  const { out } = await folder.command('audit', 'list', '--config', folder.config, '--json');
  return JSON.parse(out) as readonly AuditRecord[];
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
        session: openSessionKey(copies?.client ?? '', { token, audience }),
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

  test('that the token is for another device', async () => {
    const { body } = await ask(await shown(await boundToken()), pump);
    expect(body).toMatchObject({ active: false, latchkey: { code: 'jwt_audience_mismatch' } });
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

/** The message in which the device asks, and how it reads what comes back. */
async function protectedQuestion(by: Credentials, question: IntrospectionQuestion) {
  const nonce = new Uint8Array(randomBytes(12));
  const payload = writeIntrospectionCbor(question);
  const message = makeDeviceRequest({ device: by.device, nonce, key: by.introspectKey, payload });
  const read = (answer: Uint8Array) =>
    readIntrospectionCborAnswer(openDeviceAnswer(answer, { device: by.device, nonce, key: by.sessionKey }));
  return { message, read };
}

test('over MQTT, with the broker in the hub, the device is told the same', async () => {
  const { port } = await hub.event('broker_listens');
  const asking = await MqttDevice.connect({
    port: Number(port),
    device: ekg.device,
    password: ekg.httpSecret.expose(),
  });
  const { message, read } = await protectedQuestion(ekg, await shown(await boundToken()));
  const { payload } = await asking.ask(message, { contentType: 'application/cose; cose-type="cose-mac0"' });
  expect(read(payload)).toMatchObject({ active: true, proof: 'dpop' });
  const { out } = await folder.command('status', '--config', folder.config);
  expect(out).toContain('MQTT broker: connected');
  expect(out).toContain('  asked about tokens,');
  await asking.close();
});

test('over CoAP a device on a line asks like the others, and one that is not on it is told nothing', async () => {
  const trust = join(folder.path, 'trust.json');
  const more = ['--line', 'ward-3', '--trust', trust, '--allow', 'read=GET ecg'];
  const onLine = await register('ekg-9', 'https://ekg-9.devices.example', ...more);
  const send = async (by: Credentials, question: IntrospectionQuestion) => {
    const { message: payload, read } = await protectedQuestion(by, question);
    const contentFormat = CONTENT_FORMAT.aceCbor;
    return {
      read,
      answer: await line.request({ method: COAP_METHOD.POST, path: ['introspect'], contentFormat, payload }),
    };
  };
  const question = await shown(await boundToken());
  const asked = await send(onLine, question);
  expect(codeText(asked.answer.code)).toBe('2.01');
  expect(asked.read(asked.answer.payload)).toMatchObject({ active: false, code: 'jwt_audience_mismatch' });
  // ekg-1 is on no line: whoever has its key does not ask here.
  expect(codeText((await send(ekg, question)).answer.code)).toBe('4.01');
});

test('the audit has every verdict', async () => {
  const all = await records();
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
  expect((await records()).at(-1)).toMatchObject({ verdict: 'refused', code: 'as_unreachable', proof: 'dpop' });
});
