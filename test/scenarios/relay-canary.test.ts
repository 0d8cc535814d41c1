/**
 * What connected devices, their clients, the broker and the authorization server share with the hub is in none of its
 * lines, not even where somebody turns on the tracing of the packages that it is made of.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { AuthorizationServer, DpopKey, type DpopToken, Secret } from '../../src/client/index.ts';
import type { Credentials } from '../../src/codec/credentials-file.ts';
import { writeIntrospectionJson } from '../../src/codec/introspection-message.ts';
import { parseStrictJsonObject } from '../../src/codec/strict-json.ts';
import { utf8 } from '../../src/core/bytes.ts';
import type { IntrospectionQuestion } from '../../src/core/introspection.ts';
import { AedesBroker } from '../fixtures/aedes-broker.ts';
import {
  type DemoAuthorizationServer,
  EKG_AUDIENCE,
  HUB_CLIENT,
  MACHINE_CLIENT,
  revokeToken,
  startAuthorizationServer,
} from '../fixtures/authorization-server.ts';
import { HubFolder } from '../fixtures/hub-process.ts';
import { MqttDevice } from '../fixtures/mqtt-device.ts';
import { askOverHttp, askProtected, MAC0_TYPE, registerDevice, shown } from '../fixtures/relay-asking.ts';

const BROKER_PASSWORD = 'canary-password-of-the-hub';

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

const secrets = new Map<string, string>();

async function tokenOf(as: DemoAuthorizationServer): Promise<DpopToken> {
  const server = await AuthorizationServer.discover({
    issuer: as.issuer,
    clientId: MACHINE_CLIENT.id,
    authentication: { method: 'client_secret_basic', secret: new Secret(MACHINE_CLIENT.secret) },
  });
  const key = await DpopKey.generate();
  const token = (await server.clientCredentials({ scope: 'read', resource: EKG_AUDIENCE, key })) as DpopToken;
  secrets.set(`token ${secrets.size}`, token.value.expose());
  return token;
}

/** With a proof of its own, which is a secret until it was used. */
async function question(token: DpopToken): Promise<IntrospectionQuestion> {
  const asked = await shown(token, { wantsSessionKey: true });
  if (asked.proof?.kind === 'dpop') secrets.set(`proof ${secrets.size}`, asked.proof.proof.expose());
  return asked;
}

function keysIn(file: string): readonly string[] {
  const credentials = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string | { readonly k?: string }>;
  return [credentials.httpSecret, credentials.introspectKey, credentials.sessionKey].map((member) =>
    typeof member === 'object' ? String(member.k) : String(member),
  );
}

async function hubAt(as: DemoAuthorizationServer, broker: AedesBroker) {
  const folder = new HubFolder();
  cleanUp.push(() => folder.remove());
  writeFileSync(join(folder.path, 'secret'), HUB_CLIENT.secret);
  writeFileSync(join(folder.path, 'password'), BROKER_PASSWORD);
  folder.configure(`[log]
level = "debug"
[mqtt]
url = "mqtt://127.0.0.1:${broker.port}"
username = "@hub"
password_file = "password"
json = true
[[issuers]]
issuer = "${as.issuer}"
client_id = "${HUB_CLIENT.id}"
client_secret_file = "secret"
`);
  const ekg: Credentials = await registerDevice(folder, 'ekg-1', EKG_AUDIENCE);
  for (const [index, key] of keysIn(join(folder.path, 'ekg-1.json')).entries()) secrets.set(`credential ${index}`, key);
  const hub = await folder.start({ DEBUG: '*' });
  return { folder, ekg, hub };
}

test('no token, proof, password or key of a relay is in any line', { timeout: 60_000 }, async () => {
  const as = await startAuthorizationServer();
  cleanUp.push(() => as.close());
  const broker = await AedesBroker.start({
    authenticate: (_, user, password, done) => done(null, user !== '@hub' || password?.toString() === BROKER_PASSWORD),
  });
  cleanUp.push(() => broker.close());
  secrets.set('password at the broker', BROKER_PASSWORD);
  secrets.set('secret at the server', HUB_CLIENT.secret);
  secrets.set('the same, encoded', encodeURIComponent(HUB_CLIENT.secret));
  const { ekg, folder, hub } = await hubAt(as, broker);
  await hub.event('broker_up');
  const token = await tokenOf(as);
  const used = await question(token);
  const answers = [
    await askOverHttp(hub, used, ekg),
    await askOverHttp(hub, used, ekg),
    await askOverHttp(hub, await question(token), ekg, 'canary-wrong-password'),
  ];
  secrets.set('wrong password', 'canary-wrong-password');
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 401]);
  const { client = '', device = '' } = answers[0]?.body.latchkey?.session_key ?? {};
  secrets.set('copy for the client', client);
  secrets.set('copy for the device', device);

  const asking = await MqttDevice.connect({ port: broker.port, device: 'ekg-1' });
  cleanUp.push(() => asking.close());
  const send = (message: Uint8Array) => asking.ask(message, { contentType: MAC0_TYPE });
  const { answer: sealed } = await askProtected(ekg, await question(token), send);
  expect(sealed.contentType).toContain('cose-encrypt0');
  const json = await asking.ask(Buffer.from(writeIntrospectionJson(await question(token))));
  expect(JSON.parse(json.payload.toString())).toMatchObject({ active: true });
  const other = await tokenOf(as);
  await revokeToken(as, other.value.expose());
  await asking.ask(Buffer.from(writeIntrospectionJson(await question(other))));
  await asking.ask(`not JSON but ${token.value.expose()}`);
  await asking.send('{}', { responseTopic: `elsewhere/${token.value.expose()}` });
  await vi.waitFor(() => expect(hub.output.join('\n')).toContain('response_topic_refused'));
  await hub.stop();
  // The reader takes no member that comes twice: one of them would hide the other.
  const lines = hub.output.map((line) => parseStrictJsonObject(utf8(line)));
  expect(lines.find(({ event }) => event === 'relay_verdict')).toMatchObject({ device: 'ekg-1', proof_kind: 'dpop' });

  const seen = [...hub.output];
  for (const args of [['status'], ['devices', 'show', 'ekg-1'], ['audit', 'list'], ['audit', 'export', '--evidence']]) {
    const { err, out } = await folder.command(...args, '--config', folder.config);
    seen.push(out, err);
  }
  const all = seen.join('\n');
  expect(secrets.size).toBeGreaterThan(14);
  expect(all).toContain('relay_verdict');
  expect(all).toContain('"kind":"relay"');
  expect([...secrets].filter(([, value]) => value === '' || all.includes(value)).map(([name]) => name)).toEqual([]);
});
