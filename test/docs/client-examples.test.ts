/** The examples of docs/client.md, run against the built hub, a real OAuth server and both kinds of devices. */
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { JWK } from 'oidc-provider';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { followRedirects } from '../../src/cli/demo/browser.ts';
import { type RunningConnectedDevice, startConnectedDevice } from '../../src/simulator.ts';
import { EKG_AUDIENCE, HUB_CLIENT, MACHINE_CLIENT, TUBE_AUDIENCE } from '../fixtures/authorization-server.ts';
import { decide } from '../fixtures/device-page.ts';
import { EXAMPLES, ExampleFolder } from '../fixtures/doc-examples.ts';
import { registerDevice } from '../fixtures/relay-asking.ts';
import { World } from '../fixtures/world.ts';

const SHORT_LIVED = `${TUBE_AUDIENCE}/short-lived`;
const NO_DEVICE_HAS_IT = `${TUBE_AUDIENCE}/of-no-device`;
const scopes = ['read'];
const signer = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const REFUSED = 'Remove the file refresh-token, and log in again.';

let world: World;
let ekg: RunningConnectedDevice;
let folder: ExampleFolder;
let port: number;

beforeAll(async () => {
  world = await World.open({
    as: {
      rotatesRefreshTokens: true,
      resources: {
        [TUBE_AUDIENCE]: { scopes },
        [SHORT_LIVED]: { scopes, audience: TUBE_AUDIENCE, lifetime: 3 },
        [NO_DEVICE_HAS_IT]: { scopes },
        [EKG_AUDIENCE]: { scopes, format: 'opaque' },
      },
      clients: [
        HUB_CLIENT,
        MACHINE_CLIENT,
        { id: 'ekg-signer', keys: [{ ...signer.publicKey.export({ format: 'jwk' }), kid: 'k-1', use: 'sig' } as JWK] },
        { id: 'doctors-app', redirectUris: ['http://127.0.0.1/callback'], refreshes: true },
        { id: 'ward-terminal', hasNoBrowser: true },
      ],
    },
    prepare: (path) => writeFileSync(join(path, 'secret'), HUB_CLIENT.secret),
    settings: '[delivery]\nwait = "500ms"\n[mqtt]\nembedded = true\nembedded_listen = "127.0.0.1:0"\n',
    issuers: `client_id = "${HUB_CLIENT.id}"\nclient_secret_file = "secret"\n`,
  });
  ekg = await connectedDevice();
  port = await freePort();
}, 60_000);

afterAll(async () => {
  await ekg?.close();
  await world?.close();
});

beforeEach(() => {
  folder = new ExampleFolder(adapted);
  folder.environment = { CLIENT_SECRET: MACHINE_CLIENT.secret };
  writeFileSync(join(folder.path, 'client.pem'), signer.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return () => folder.remove();
});

/** The EKG machine, once it is at the hub's broker. */
async function connectedDevice(): Promise<RunningConnectedDevice> {
  const credentials = await registerDevice(world.folder, 'ekg-1', EKG_AUDIENCE);
  const { port: broker } = await world.hub.event('broker_listens');
  let up: () => void = () => undefined;
  const isUp = new Promise<void>((resolve) => {
    up = resolve;
  });
  const running = await startConnectedDevice({
    broker: `mqtt://127.0.0.1:${broker}`,
    topicPrefix: 'latchkey/v1',
    credentials,
    listen: { host: '127.0.0.1', port: 0 },
    policy: { scope: 'read', takesStale: false },
    deadline: 10_000,
    onEvent: ({ event }) => {
      if (event === 'broker_up') up();
    },
  });
  await isUp;
  return running;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function adapted(source: string): string {
  return source
    .replaceAll('https://as.example', world.as.issuer)
    .replaceAll('https://hub.example', world.hub.address)
    .replaceAll('https://ekg-1.ward.example', ekg.address)
    .replaceAll('49152', String(port));
}

/** An example with one more change: what it has to stay true for. */
function changed(name: string, from: string, to: string): void {
  const source = adapted(EXAMPLES.get(name) ?? '');
  expect(source).toContain(from);
  folder.write(name, source.replace(from, to));
}

const kept = (name: string) => readFileSync(join(folder.path, name), 'utf8');
const modeOf = (name: string) => (statSync(join(folder.path, name)).mode & 0o777).toString(8);

/** The person, who goes where the program says, and back to it. */
async function logIn(line: string): Promise<void> {
  const [, address] = /^Log in at (\S+)$/.exec(line) ?? [];
  if (address !== undefined) await fetch(await followRedirects(address, '/callback'));
}

describe('while the device is away', () => {
  test('machine.ts says that its token waits', async () => {
    changed('machine.ts', 'wait: 10_000', 'wait: 0');
    const { out, status } = await folder.run('machine.ts');
    expect(out).toMatch(/^The device is away\. Its token waits at the hub: \S+$/);
    expect(status).toBe(0);
  });

  test('machine.ts tells a token that expired meanwhile from other errors', async () => {
    changed('machine.ts', 'resource: audience', `resource: '${SHORT_LIVED}'`);
    const { err, status } = await folder.run('machine.ts');
    expect(err).toMatch(/^The device was away until the token expired\.$/m);
    expect(err).toContain("hubCode: 'delivery_expired'");
    expect(status).toBe(1);
  });
});

describe('while the device is there', () => {
  beforeAll(() => world.plugIn());

  test('machine.ts prints what the device measured, and keeps its key', async () => {
    const first = await folder.run('machine.ts');
    expect(first.err).toBe('');
    expect(first.out).toMatch(/^\{ milliCelsius: \d+ \} true$/);
    expect(modeOf('client-key.json')).toBe('600');
    const key = kept('client-key.json');
    const second = await folder.run('machine.ts');
    expect(second.out).toMatch(/true$/);
    expect(kept('client-key.json')).toBe(key);
  });

  test('machine.ts fails with the code of the hub where its token is for no device', async () => {
    changed('machine.ts', 'resource: audience', `resource: '${NO_DEVICE_HAS_IT}'`);
    const { err, status } = await folder.run('machine.ts');
    expect(err).toContain("hubCode: 'jwt_audience_mismatch'");
    expect(err).not.toContain('away');
    expect(status).toBe(1);
  });

  test('machine.ts without its secret says so', async () => {
    folder.environment = {};
    expect((await folder.run('machine.ts')).err).toContain(
      'client_argument_invalid: authentication.secret: an empty Secret',
    );
  });

  test('machine.ts with a wrong secret says what the server said, and not the secret', async () => {
    folder.environment = { CLIENT_SECRET: 'wrong-secret-of-canary' };
    const { err } = await folder.run('machine.ts');
    expect(err).toContain('client_token_refused: invalid_client (401)');
    expect(err).not.toContain('canary');
  });

  test('keeper.ts delivers', async () => {
    expect(await folder.run('keeper.ts')).toEqual({ out: 'delivered', err: '', status: 0 });
  });

  test('person.ts has the person log in once, whatever is kept of it', async () => {
    const lines: string[] = [];
    const run = () =>
      folder.run('person.ts', (line) => {
        lines.push(line);
        void logIn(line);
      });
    expect((await run()).err).toBe('');
    expect(lines).toEqual([expect.stringMatching(/^Log in at /), 'delivered']);
    const [first, mode] = [kept('refresh-token'), modeOf('refresh-token')];
    expect(mode).toBe('600');
    lines.length = 0;
    expect(await run()).toEqual({ out: 'delivered', err: '', status: 0 });
    expect(lines).toEqual(['delivered']);
    // The server rotates: the next run has to have the new one.
    expect(kept('refresh-token')).not.toBe(first);
    expect((await run()).out).toBe('delivered');
    // An old one is a stolen one: the server ends the login.
    writeFileSync(join(folder.path, 'refresh-token'), first);
    const refused = await run();
    expect(refused.err).toContain(REFUSED);
    expect(refused.err).toContain("oauthError: 'invalid_grant'");
    expect(refused.err).not.toContain(first);
  });

  test('terminal.ts gets a token once the person has entered the code', async () => {
    let deciding: Promise<void> | undefined;
    const { err, out } = await folder.run('terminal.ts', (line) => {
      const [, code, address] = /^Enter (\S+) at (\S+)$/.exec(line) ?? [];
      if (address !== undefined) deciding = decide(`${address}?user_code=${code}`, 'confirm');
    });
    await deciding;
    expect(err).toBe('');
    expect(out).toMatch(/The token is good for 600 s\.$/);
  });

  test('connected.ts prints what the EKG machine answers under their key', async () => {
    expect(await folder.run('connected.ts')).toEqual({ out: '{ beatsPerMinute: 72 }', err: '', status: 0 });
  });
});

describe('their types', () => {
  const tsc = fileURLToPath(new URL('../../node_modules/.bin/tsc', import.meta.url));

  test.each([
    ['nodenext', ['--module', 'nodenext']],
    ['bundler', ['--module', 'esnext', '--moduleResolution', 'bundler']],
  ])('hold in a project of its own: %s', (_, resolution) => {
    const options = ['--noEmit', '--strict', '--target', 'es2022', '--types', 'node', '--skipLibCheck', 'false'];
    const sources = [...EXAMPLES.keys()];
    expect(() => execFileSync(tsc, [...options, ...resolution, ...sources], { cwd: folder.path })).not.toThrow();
  });

  test('are there for wrong calls too', () => {
    folder.write('machine.ts', adapted(EXAMPLES.get('machine.ts') ?? '').replace("device: 'tube-1', ", ''));
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--types', 'node'];
    expect(() => execFileSync(tsc, [...options, 'machine.ts'], { cwd: folder.path, stdio: 'pipe' })).toThrow();
  });
});

test('every example of the page is run', () => {
  expect([...EXAMPLES.keys()]).toEqual([
    'own-key.ts',
    'machine.ts',
    'keeper.ts',
    'person.ts',
    'terminal.ts',
    'connected.ts',
  ]);
  const blocks = readFileSync(new URL('../../docs/client.md', import.meta.url), 'utf8').match(/^```\w/gm) ?? [];
  expect(blocks).toHaveLength(EXAMPLES.size);
  expect(existsSync(join(folder.path, 'own-key.js'))).toBe(true);
});
