/** A setting that nothing reads would be a promise that nobody keeps. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
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
[[issuers]]
issuer = "http://127.0.0.1:1/keys"
jwks_url = "http://127.0.0.1:1/keys"
[[issuers]]
issuer = "https://static.example"
jwks_file = "jwks.json"
[[lines]]
name = "bench"
path = "tcp://127.0.0.1:1"
`;

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
  const config: Config = parseConfig(SETTINGS, { file: 'latchkey.toml', folder, environment: { HOME: folder } });
  const seen = new Set<string>();
  const hub = await startHub({ config: watched(config, '', seen), log: new QuietLog() });
  await hub.stop();
  // Read before there is a hub, to make its log.
  const run = readFileSync(new URL('../../src/cli/run.ts', import.meta.url), 'utf8');
  if (run.includes('config.log.level')) seen.add('log.level');
  expect([...new Set(settingsOf(config, ''))].filter((path) => !seen.has(path))).toEqual([]);
});
