/** A setting that nothing reads would be a promise that nobody keeps. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { startHub } from '../../src/hub.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { StaticIssuer } from '../fixtures/static-issuer.ts';

const folder = mkdtempSync(join(tmpdir(), 'latchkey-settings-'));
const tls = fileURLToPath(new URL('../fixtures/tls', import.meta.url));

afterAll(() => rmSync(folder, { recursive: true }));

/** A configuration in which everything is set that can be, by three kinds of issuers. */
const SETTINGS = `
state_dir = "state"
[http]
listen = "127.0.0.1:0"
public_url = "https://hub.example"
tls_cert_file = "${tls}/server.pem"
tls_key_file = "${tls}/server-key.pem"
[[issuers]]
issuer = "http://127.0.0.1:1/discovered"
discovery_url = "http://127.0.0.1:1/metadata"
ca_file = "${tls}/ca.pem"
dialect = "cognito"
token_types = ["none"]
scope_claims = ["scope"]
audience_claims = ["client_id"]
client_claims = ["client_id"]
required_claims = ["token_use=access"]
ignored_headers = ["zip=NONE"]
confirmation_kid = "thumbprint"
bind = "first-presenter"
shared_audience = "https://devices.example"
device_by = "scope"
scope_pattern = "{device}:{scope}"
[[issuers]]
issuer = "http://127.0.0.1:1/keys"
jwks_url = "http://127.0.0.1:1/keys"
client_id = "hub"
client_secret_file = "secret"
introspection_url = "http://127.0.0.1:1/introspect"
opaque_prefixes = ["ory_at_"]
shared_audience = "https://devices.example"
device_by = "claim"
device_claim = "device"
[[issuers]]
issuer = "https://static.example"
jwks_file = "jwks.json"
client_id = "hub"
client_auth = "tls_client_auth"
client_cert_file = "${tls}/client.pem"
client_key_file = "${tls}/client-key.pem"
introspection_url = "https://static.example/introspect"
[[issuers]]
issuer = "http://127.0.0.1:1/signed"
client_id = "hub"
client_auth = "private_key_jwt"
client_key_file = "${tls}/client-key.pem"
client_key_id = "k1"
shared_audience = "https://devices.example"
device_by = "authorization_details"
authorization_details_type = "device"
[[lines]]
name = "bench"
path = "tcp://127.0.0.1:1"
[[profiles]]
name = "tube"
allow = ["read=GET x"]
issuers = ["https://static.example"]
wrap = "sign1"
algorithm = "EdDSA"
[ble]
adapter = "/nonexistent/controller"
`;

/** Two brokers cannot be had at once. */
const BROKERS = [
  `
[mqtt]
url = "mqtts://127.0.0.1:1"
username = "@hub"
password_file = "secret"
ca_file = "${tls}/ca.pem"
cert_file = "${tls}/client.pem"
key_file = "${tls}/client-key.pem"
`,
  `
[mqtt]
embedded = true
embedded_listen = "127.0.0.1:0"
`,
];

/** The paths of all settings, list elements without their number. */
function settingsOf(value: unknown, path: string): readonly string[] {
  if (Array.isArray(value) && value.every((item) => typeof item === 'object'))
    return value.flatMap((item) => settingsOf(item, path));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [path];
  return Object.entries(value).flatMap(([name, member]) => settingsOf(member, path === '' ? name : `${path}.${name}`));
}

/** A copy that notes what is read. */
function watched<T>(value: T, path: string, seen: Set<string>): T {
  if (Array.isArray(value)) return value.map((item: unknown) => watched(item, path, seen)) as T;
  if (typeof value !== 'object' || value === null) return value;
  const copy = {};
  for (const [name, member] of Object.entries(value)) {
    const here = path === '' ? name : `${path}.${name}`;
    const inner = watched(member, here, seen);
    const get = () => {
      seen.add(here);
      return inner;
    };
    Object.defineProperty(copy, name, { enumerable: true, get });
  }
  return copy as T;
}

test('a hub reads every setting', async () => {
  new StaticIssuer().writeJwks(join(folder, 'jwks.json'));
  writeFileSync(join(folder, 'secret'), 'a secret\n');
  const seen = new Set<string>();
  const there = new Set<string>();
  for (const broker of BROKERS) {
    const config: Config = parseConfig(SETTINGS + broker, {
      file: 'latchkey.toml',
      folder,
      environment: { HOME: folder },
    });
    for (const path of settingsOf(config, '')) there.add(path);
    const hub = await startHub({ config: watched(config, '', seen), log: new QuietLog() });
    await hub.stop();
  }
  // Read before there is a hub, to make its log.
  const run = readFileSync(new URL('../../src/cli/run.ts', import.meta.url), 'utf8');
  if (run.includes('config.log.level')) seen.add('log.level');
  // Leave to do without TLS is asked for when the configuration is read.
  const rules = readFileSync(new URL('../../src/config/rules.ts', import.meta.url), 'utf8');
  if (rules.includes('mqtt.unencrypted')) seen.add('mqtt.unencrypted');
  if (rules.includes('mqtt.embedded_exposed')) seen.add('mqtt.embeddedExposed');
  expect([...there].filter((path) => !seen.has(path))).toEqual([]);
});
