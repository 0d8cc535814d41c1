/** Tokens of a server that binds no key, and of one audience for all devices, over HTTP at the built hub. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { CompactEncrypt, importJWK, type JWK } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DpopKey, dpopToken, HubClient, HubRefusal } from '../../src/client/index.ts';
import { TUBE_AUDIENCE } from '../fixtures/authorization-server.ts';
import { askOverHttp, registerDevice, shown } from '../fixtures/relay-asking.ts';
import { StaticIssuer } from '../fixtures/static-issuer.ts';
import { World } from '../fixtures/world.ts';

const SHARED = 'https://devices.example';
const issuer = new StaticIssuer();
const bound = new StaticIssuer('https://bound.example');
let world: World;
let owner: DpopKey;
let thief: DpopKey;

beforeAll(async () => {
  const shared = `shared_audience = "${SHARED}"\ndevice_by = "scope"\nscope_pattern = "{device}:{scope}"\n`;
  world = await World.open({
    prepare: (folder) => {
      issuer.writeJwks(join(folder, 'unbound.json'));
      bound.writeJwks(join(folder, 'bound.json'));
    },
    issuers: [
      `[[issuers]]\nissuer = "${issuer.issuer}"\njwks_file = "unbound.json"\nbind = "first-presenter"\nleeway = "0s"\n${shared}`,
      `[[issuers]]\nissuer = "${bound.issuer}"\njwks_file = "bound.json"\n${shared}`,
      '[[lines]]\nname = "away"\npath = "tcp://127.0.0.1:1"\n',
    ].join(''),
  });
  for (const id of ['tube-10', 'tube']) {
    const place = ['--line', 'away', '--any-issuer', '--trust', join(world.folder.path, `${id}.json`)];
    const args = ['devices', 'add', id, '--audience', `coap://${id}`, '--allow', 'read=FETCH temperature', ...place];
    const { err, status } = await world.folder.command(...args, '--config', world.folder.config);
    if (status !== 0) throw new Error(err);
  }
  await world.plugIn();
  [owner, thief] = [await DpopKey.generate(), await DpopKey.generate('EdDSA')];
});

afterAll(() => world.close());

const pause = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000));

/** The hub has it; the device may take a moment. */
const TAKEN = /^(delivered|queued)$/;

/** What becomes of a token: the state of its delivery, or the code. */
async function present(jwt: string, key: DpopKey, device = 'tube-1'): Promise<string> {
  try {
    const audience = device === 'tube-1' ? TUBE_AUDIENCE : `coap://${device}`;
    // A device that is away is no reason to wait: the token is taken, or it is not.
    const delivery = await world.client().deliver({ device, audience, token: dpopToken(jwt, key), wait: 0 });
    return delivery.state;
  } catch (error) {
    if (error instanceof HubRefusal && error.hubCode !== undefined) return error.hubCode;
    throw error;
  }
}

/** A token of now that a hub binds which has just been started: the first ones may be older than it, by their whole seconds. */
async function fresh(claims: Record<string, unknown> = {}, key = owner): Promise<string> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const jwt = issuer.sign({ aud: TUBE_AUDIENCE, scope: 'read', ...claims });
    const answer = await present(jwt, key);
    if (answer !== 'token_binding_unknown') {
      expect(answer).toMatch(TAKEN);
      return jwt;
    }
    await pause(0.5);
  }
  throw new Error('no token was ever new enough');
}

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The same token under another signature that is good as well: ES256 allows it (SEC 1 §4.1.4). */
function bent(jwt: string): string {
  const end = jwt.lastIndexOf('.');
  const signature = Buffer.from(jwt.slice(end + 1), 'base64url');
  const s = (ORDER - BigInt(`0x${signature.subarray(32).toString('hex')}`)).toString(16).padStart(64, '0');
  const other = Buffer.concat([signature.subarray(0, 32), Buffer.from(s, 'hex')]);
  return `${jwt.slice(0, end)}.${other.toString('base64url')}`;
}

test('a token without a key opens the device for its first presenter, and for no other key', async () => {
  const jwt = await fresh();
  const token = dpopToken(jwt, owner);
  const delivery = await world.client().deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token });
  const answer = await world
    .client()
    .session(delivery, token)
    .request({ method: 'FETCH', path: ['temperature'] });
  expect(answer).toMatchObject({ verified: true });
  for (const copy of [jwt, bent(jwt)]) expect(await present(copy, thief)).toBe('token_bound_elsewhere');
  expect(await present(bent(jwt), owner)).toMatch(TAKEN);
  const asked = new URL('/devices/tube-1/authz-info', world.hub.address);
  const bare = await fetch(asked, { method: 'POST', headers: { authorization: `Bearer ${jwt}` } });
  expect([bare.status, await bare.json()]).toMatchObject([401, { code: 'proof_missing' }]);
  const records = await world.ask<unknown>('audit', 'list', '--device', 'tube-1');
  expect(JSON.stringify(records)).toContain('token_bound_elsewhere');
});

test('a token that is encrypted anew is the same token: no second key gets in, and no second copy to the device', async () => {
  const answer = await fetch(`${world.hub.address}/jwks?issuer=${encodeURIComponent(issuer.issuer)}`);
  const [key] = ((await answer.json()) as { keys: [JWK] }).keys;
  const encrypted = async (jwt: string, alg: string) =>
    new CompactEncrypt(Buffer.from(jwt))
      .setProtectedHeader({ alg, enc: 'A256GCM', cty: 'JWT', kid: key.kid ?? '' })
      .encrypt(await importJWK(key, alg));
  await fresh();
  const jwt = issuer.sign({ aud: TUBE_AUDIENCE, scope: 'read' });
  const [first, second] = [await encrypted(jwt, 'ECDH-ES'), await encrypted(jwt, 'ECDH-ES+A256KW')];
  const token = dpopToken(first, owner);
  const delivery = await world.client().deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token });
  const read = await world
    .client()
    .session(delivery, token, { audience: TUBE_AUDIENCE })
    .request({ method: 'FETCH', path: ['temperature'] });
  expect(read).toMatchObject({ verified: true });
  for (const copy of [first, second, jwt, bent(jwt), await encrypted(bent(jwt), 'ECDH-ES')]) {
    expect(await present(copy, thief)).toBe('token_bound_elsewhere');
  }
  const taken = { device: 'tube-1', audience: TUBE_AUDIENCE };
  for (const copy of [second, jwt]) {
    const again = await world.client().deliver({ ...taken, token: dpopToken(copy, owner) });
    expect([again.tokenHash, again.cti]).toEqual([delivery.tokenHash, delivery.cti]);
  }
  // For a device that is away it waits once.
  const away = issuer.sign({ aud: 'coap://tube', scope: 'read' });
  const waiting = [];
  for (const copy of [await encrypted(away, 'ECDH-ES'), await encrypted(away, 'ECDH-ES'), away]) {
    const sent = { device: 'tube', audience: 'coap://tube', token: dpopToken(copy, owner), wait: 0 };
    waiting.push((await world.client().deliver(sent)).id);
  }
  expect(new Set(waiting).size).toBe(1);

  const audience = 'https://ekg-3.devices.example';
  const ekg = await registerDevice(world.folder, 'ekg-3', audience, '--any-issuer');
  const ask = async (text: string, holder: DpopKey) =>
    (await askOverHttp(world.hub, await shown(dpopToken(text, holder)), ekg)).body;
  const relayed = issuer.sign({ aud: audience, scope: 'read' });
  const copies = [await encrypted(relayed, 'ECDH-ES'), await encrypted(relayed, 'ECDH-ES'), relayed];
  expect(await ask(copies[0] ?? '', owner)).toMatchObject({ active: true, cnf: { jkt: owner.thumbprint } });
  for (const copy of copies) {
    expect(await ask(copy, thief)).toMatchObject({ active: false, latchkey: { code: 'token_bound_elsewhere' } });
    expect(await ask(copy, owner)).toMatchObject({ active: true });
  }
});

test('a stolen token belongs to the attacker who was first: that is the price', async () => {
  const jwt = await fresh({}, thief);
  expect(await present(jwt, owner)).toBe('token_bound_elsewhere');
});

test('of many that come at once one key gets in', async () => {
  await fresh();
  const jwt = issuer.sign({ aud: TUBE_AUDIENCE, scope: 'read' });
  const keys = await Promise.all(Array.from({ length: 6 }, () => DpopKey.generate()));
  const answers = await Promise.all(keys.map((key) => present(jwt, key)));
  expect(answers.filter((answer) => answer !== 'token_bound_elsewhere')).toHaveLength(1);
});

test('a connected device learns that a token is bound to its first presenter, and by which key', async () => {
  const audience = 'https://ekg-1.devices.example';
  const ekg = await registerDevice(world.folder, 'ekg-1', audience, '--any-issuer');
  const ask = async (jwt: string, key: DpopKey) =>
    (await askOverHttp(world.hub, await shown(dpopToken(jwt, key)), ekg)).body;
  await fresh();
  const jwt = issuer.sign({ aud: SHARED, scope: 'ekg-1:read tube-1-read' });
  expect(await ask(jwt, owner)).toMatchObject({
    active: true,
    aud: audience,
    scope: 'read',
    cnf: { jkt: owner.thumbprint },
    latchkey: { proof: 'dpop' },
  });
  for (const copy of [jwt, bent(jwt)]) {
    expect(await ask(copy, thief)).toMatchObject({ active: false, latchkey: { code: 'token_bound_elsewhere' } });
  }
  expect(await ask(jwt, owner)).toMatchObject({ active: true });
  const forAnother = issuer.sign({ aud: SHARED, scope: 'tube-1:read' });
  expect(await ask(forAnother, owner)).toMatchObject({ active: false, latchkey: { code: 'jwt_audience_mismatch' } });
});

test('a kill, and a backup of before, let no second key in', async () => {
  const [early, file] = [await fresh(), join(world.folder.path, 'backup.jsonl')];
  const latchkey = (...args: string[]) => world.folder.command(...args, '--config', world.folder.config);
  expect(await latchkey('backup', file)).toMatchObject({ status: 0 });
  const late = await fresh();
  await world.hub.stop('SIGKILL');
  world.hub = await world.folder.start();
  for (const jwt of [early, late]) {
    expect(await present(jwt, thief)).toBe('token_bound_elsewhere');
    expect(await present(jwt, owner)).toMatch(TAKEN);
  }
  await world.hub.stop();
  for (const part of ['db', 'db.made', 'audit', 'audit.made']) {
    rmSync(join(world.folder.path, 'state', part), { recursive: true });
  }
  expect(await latchkey('restore', file)).toMatchObject({ status: 0 });
  world.hub = await world.folder.start();
  expect(await present(early, thief)).toBe('token_bound_elsewhere');
  expect(await present(late, thief)).toBe('token_binding_unknown');
  expect(await present(late, owner)).toBe('token_binding_unknown');
  // A new token helps, as the refusal says.
  await fresh();
});

test('with one audience for all devices a token reaches the one that it names', async () => {
  const sign = (scope: string) => bound.sign({ aud: [SHARED, 'account'], scope, cnf: { jkt: owner.thumbprint } });
  expect(await present(sign('openid tube-1:read'), owner)).toMatch(TAKEN);
  const other = sign('tube-10:read');
  expect(await present(other, owner)).toBe('jwt_audience_mismatch');
  expect(await present(other, owner, 'tube')).toBe('jwt_audience_mismatch');
  expect(await present(other, owner, 'tube-10')).toBe('queued');
  expect(await present(sign('tube-1:read tube-10:read'), owner)).toBe('device_ambiguous');
  expect(await present(sign('read'), owner)).toBe('device_unnamed');
  expect(await present(sign('tube-2:read'), owner)).toBe('device_unnamed');
  expect(await present(sign('tube-1:fly'), owner)).toBe('scope_empty');
});

test('both together: no key of the issuer, and one audience', async () => {
  const jwt = await fresh({ aud: SHARED, scope: 'tube-1:read' });
  expect(await present(jwt, thief)).toBe('token_bound_elsewhere');
  const several = issuer.sign({ aud: [SHARED, 'account'], scope: 'tube-1:read' });
  expect(await present(several, owner)).toBe('audience_ambiguous');
  const alsoElsewhere = issuer.sign({ aud: SHARED, scope: 'tube-1:read other-hub-device:read' });
  expect(await present(alsoElsewhere, owner)).toBe('device_ambiguous');
});

test('no device can be registered under the audience of all', async () => {
  const args = ['devices', 'add', 'ekg-2', '--audience', SHARED, '--any-issuer', '--config', world.folder.config];
  expect((await world.folder.command(...args)).err).toContain('[audience_taken]');
});

test('after a start a token of now may be as old as the leeway', async () => {
  await world.hub.stop();
  world.folder.reconfigure((toml) => toml.replace('leeway = "0s"', 'leeway = "90s"'));
  world.hub = await world.folder.start();
  const jwt = issuer.sign({ aud: TUBE_AUDIENCE, scope: 'read' });
  await expect(
    new HubClient({ url: world.hub.address }).deliver({
      device: 'tube-1',
      audience: TUBE_AUDIENCE,
      token: dpopToken(jwt, owner),
    }),
  ).rejects.toMatchObject({ hubCode: 'token_binding_unknown' });
});
