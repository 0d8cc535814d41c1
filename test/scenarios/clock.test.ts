/** The built hub with a calendar that the test moves; tokens are those of a key set in a file, and wait for a device. */
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { HubStatus } from '../../src/ports/admin.ts';
import { HubFolder, type HubProcess } from '../fixtures/hub-process.ts';
import { StaticIssuer } from '../fixtures/static-issuer.ts';

const HOUR = 3_600;
const DAY = 86_400;
const AUDIENCE = 'coap://tube-1';
const CLIENT_KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' });

let folder: HubFolder;
let issuer: StaticIssuer;
let shiftFile: string;
beforeEach(async () => {
  folder = new HubFolder();
  issuer = new StaticIssuer();
  shiftFile = join(folder.path, 'shift');
  shift(0);
  issuer.writeJwks(join(folder.path, 'jwks.json'));
});
afterEach(() => folder.remove());

function shift(seconds: number): void {
  writeFileSync(shiftFile, String(seconds));
}

async function prepare(mode: 'auto' | 'system'): Promise<void> {
  // Nothing listens on port 1: the tokens wait.
  folder.configure(
    `[[issuers]]\nissuer = "${issuer.issuer}"\njwks_file = "jwks.json"\n[[lines]]\nname = "ward"\npath = "tcp://127.0.0.1:1"\n[delivery]\nwait = "100ms"\n`,
  );
  folder.reconfigure((toml) => toml.replace('trust = "system"', `trust = "${mode}"`));
  const added = await folder.command(
    ...['devices', 'add', 'tube-1', '-c', folder.config, '--line', 'ward', '--audience', AUDIENCE],
    ...['--allow', 'read=FETCH temperature', '--trust', join(folder.path, 'tube-1.json')],
  );
  expect(added).toMatchObject({ status: 0 });
}

function start(): Promise<HubProcess> {
  const hook = fileURLToPath(new URL('../fixtures/shifted-clock.mjs', import.meta.url));
  return folder.start({ NODE_OPTIONS: `--import ${hook}`, SHIFTED_CLOCK: shiftFile });
}

const token = (claims: object = {}) =>
  issuer.sign({ aud: AUDIENCE, scope: 'read', cnf: { jwk: CLIENT_KEY }, ...claims });

/** What the hub says to a token: the code of its refusal, or `taken`. */
async function say(hub: HubProcess, jwt = token()): Promise<unknown> {
  const answer = await fetch(`${hub.address}/devices/tube-1/authz-info`, {
    method: 'POST',
    headers: { authorization: `Bearer ${jwt}`, prefer: 'respond-async' },
  });
  return answer.ok ? 'taken' : ((await answer.json()) as { code: unknown }).code;
}

async function conditions(): Promise<readonly string[]> {
  const { out } = await folder.command('status', '--json', '-c', folder.config);
  return (JSON.parse(out) as HubStatus).conditions.map(({ code }) => code);
}

describe.each(['auto', 'system'] as const)('clock.trust = "%s"', (mode) => {
  test.each([
    ['ten years', 3_650 * DAY],
    ['two years', 700 * DAY],
    ['a day', DAY],
  ])('after one start with a clock that is %s ahead, tokens are taken once it is right', async (_name, ahead) => {
    await prepare(mode);
    const before = await start();
    expect(await say(before)).toBe('taken');
    await before.stop();
    shift(ahead);
    const wrong = await start();
    expect(await say(wrong)).toBe('jwt_expired');
    expect(await wrong.stop()).toBe(0);
    shift(0);
    const right = await start();
    expect(await say(right)).toBe('taken');
    expect(await conditions()).not.toContain('clock_behind_floor');
    // What was acknowledged before the clock went wrong is still there.
    const { out } = await folder.command('deliveries', 'list', '--waiting', '--json', '-c', folder.config);
    expect(JSON.parse(out)).toHaveLength(2);
  });

  test('a token that was refused as expired stays refused though the clock goes back by an hour', async () => {
    await prepare(mode);
    const hub = await start();
    const now = Math.floor(Date.now() / 1_000);
    const old = token({ iat: now - 2 * HOUR, exp: now - 60 });
    expect(await say(hub, old)).toBe('jwt_expired');
    shift(-HOUR);
    expect(await say(hub, old)).toBe('jwt_expired');
    expect(await say(hub)).toBe('clock_behind_floor');
    expect(await conditions()).toContain('clock_behind_floor');
    shift(0);
    expect(await say(hub)).toBe('taken');
  });
});

test('it stays refused after a kill in the first minutes too', async () => {
  await prepare('system');
  const now = Math.floor(Date.now() / 1_000);
  const old = token({ iat: now - 2 * HOUR, exp: now - 60 });
  const hub = await start();
  expect(await say(hub, old)).toBe('jwt_expired');
  // The first write of the floor comes 5 s after the start.
  await new Promise((resolve) => setTimeout(resolve, 6_000));
  await hub.stop('SIGKILL');
  shift(-HOUR);
  expect(await say(await start(), old)).toBe('jwt_expired');
});

test('a clock at a date of before the software is told, and right again at once', async () => {
  await prepare('system');
  shift(-50 * 365 * DAY);
  const hub = await start();
  expect(await say(hub)).toBe('clock_behind_floor');
  expect(await conditions()).toContain('clock_before_release');
  const reset = await folder.command('clock', 'reset', '-c', folder.config);
  expect(reset.out).toMatch(/The clock reads 19\d\d-\S+, before this version was built\. Set the clock\./);
  shift(0);
  expect(await say(hub)).toBe('taken');
});

describe('a server with the time', () => {
  let server: Server;
  beforeEach(async () => {
    const jwks = readFileSync(join(folder.path, 'jwks.json'));
    server = createServer((_, response) => response.setHeader('content-type', 'application/json').end(jwks));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  test('shows that the clock is ahead, and that it is right again within the run', async () => {
    await prepare('auto');
    const { port } = server.address() as AddressInfo;
    folder.reconfigure((toml) => toml.replace('jwks_file = "jwks.json"', `jwks_url = "http://127.0.0.1:${port}/jwks"`));
    shift(6 * HOUR);
    const hub = await start();
    await vi.waitFor(async () => expect(await conditions()).toContain('clock_ahead'), {
      timeout: 15_000,
      interval: 300,
    });
    shift(0);
    expect(await say(hub)).toBe('taken');
    expect(await conditions()).not.toContain('clock_ahead');
  });
});

describe('latchkey clock reset', () => {
  test('with the hub running, and at rest, is on record', async () => {
    await prepare('system');
    const hub = await start();
    shift(-HOUR);
    expect(await say(hub)).toBe('clock_behind_floor');
    const reset = await folder.command('clock', 'reset', '-c', folder.config);
    expect(reset).toMatchObject({ status: 0, out: expect.stringContaining('The time floor was ') });
    expect(await say(hub, token({ iat: Math.floor(Date.now() / 1_000) - HOUR }))).toBe('taken');
    await hub.stop();
    const atRest = await folder.command('clock', 'reset', '-c', folder.config, '--json');
    expect(atRest.status).toBe(0);
    const { before, after } = JSON.parse(atRest.out) as { before: number; after: number };
    expect(before).toBeGreaterThanOrEqual(after);
    const { out } = await folder.command('audit', 'list', '--json', '-c', folder.config);
    const records = JSON.parse(out) as { kind: string; verdict: string }[];
    expect(records.filter(({ kind }) => kind === 'clock').map(({ verdict }) => verdict)).toEqual(['reset', 'reset']);
  });
});
