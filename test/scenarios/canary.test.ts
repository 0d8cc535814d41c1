/** No secret is ever printed: every path is driven with secrets that are known, and everything that comes out is searched. */
import { join } from 'node:path';
import { CompactEncrypt, importJWK, type JWK } from 'jose';
import { afterEach, expect, test } from 'vitest';
import { bearerToken } from '../../src/client/index.ts';
import { importJwk } from '../../src/codec/cose/key.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { openStore } from '../../src/store/open-store.ts';
import { TUBE_AUDIENCE } from '../fixtures/authorization-server.ts';
import { StaticIssuer } from '../fixtures/static-issuer.ts';
import { World } from '../fixtures/world.ts';

let world: World;
const secrets = new Map<string, string>();
const seen: string[] = [];

afterEach(() => world.close());

/** Remembers a secret, and for a JWT its parts: no half of it may show either. */
function secret(name: string, value: string): string {
  secrets.set(name, value);
  const parts = value.split('.');
  if (parts.length >= 3)
    for (const [index, part] of parts.entries())
      if (part.length > 40 && index > 0) secrets.set(`${name} part ${index}`, part);
  return value;
}

async function send(path: string, headers: Record<string, string>, body?: string): Promise<void> {
  const answer = await fetch(`${world.hub.address}${path}`, {
    method: 'POST',
    headers,
    ...(body === undefined ? {} : { body }),
  });
  seen.push(await answer.text(), JSON.stringify([...answer.headers]));
}

/** Every value under a member that names key material, however deep. */
function keyMaterial(value: unknown, found: string[] = []): string[] {
  if (typeof value !== 'object' || value === null) return found;
  for (const [name, member] of Object.entries(value)) {
    if (typeof member === 'string' && ['k', 'd', 'root_key', 'cwt'].includes(name)) found.push(member);
    else keyMaterial(member, found);
  }
  return found;
}

test('no token, key, proof or setup data is in any log line, error body, answer or crash report', {
  timeout: 60_000,
}, async () => {
  const issuer = new StaticIssuer();
  world = await World.open({
    settings: '[log]\nlevel = "debug"\n[delivery]\nwait = "300ms"\n',
    device: ['--wrap', 'sign1+encrypt0', '--claims', 'full'],
    prepare: (folder) => issuer.writeJwks(join(folder, 'static.json')),
    issuers: `[[issuers]]\nissuer = "${issuer.issuer}"\njwks_file = "static.json"\n`,
  });
  for (const [index, value] of keyMaterial(JSON.parse(world.trust)).entries()) secret(`trust file key ${index}`, value);
  const path = '/devices/tube-1/authz-info';

  // While the device is away, and after it came: queued, delivered, used.
  const away = await world.token();
  secret('token of the queue', away.value.expose());
  await world.client().deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token: away, wait: 0 });
  await world.plugIn();
  const token = await world.token();
  secret('token', token.value.expose());
  const client = world.client();
  const delivery = await client.deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token });
  await client.session(delivery, token).request({ method: 'FETCH', path: ['temperature'] });
  await client
    .session(delivery, token)
    .request({ method: 'PUT', path: ['led'], payload: Buffer.from('1') })
    .catch((error: unknown) => seen.push(String(error), JSON.stringify(error)));

  // A key that the AS encrypted to the hub.
  const shared: JWK = {
    kty: 'oct',
    k: secret('cnf.jwe key', Buffer.alloc(32, 0xa7).toString('base64url')),
    alg: 'HS256',
  };
  const jwks = `${world.hub.address}/jwks?issuer=${encodeURIComponent(issuer.issuer)}`;
  const { keys } = (await (await fetch(jwks)).json()) as { keys: [JWK] };
  const jwe = await new CompactEncrypt(Buffer.from(JSON.stringify(shared)))
    .setProtectedHeader({ alg: 'ECDH-ES+A128KW', enc: 'A128GCM' })
    .encrypt(await importJWK(keys[0], 'ECDH-ES+A128KW'));
  const withKey = secret(
    'token with cnf.jwe',
    issuer.sign({ aud: TUBE_AUDIENCE, scope: 'read', cnf: { jwe: secret('jwe', jwe) } }),
  );
  const held = bearerToken(withKey, importJwk({ ...shared } as JsonObject));
  const second = await client.deliver({ device: 'tube-1', audience: TUBE_AUDIENCE, token: held });
  await client.session(second, held).request({ method: 'FETCH', path: ['temperature'] });

  // Refusals, each with something secret in the place where it hurts.
  const proof = secret(
    'proof',
    issuer.sign(
      { htm: 'POST', nonce: 'x' },
      '{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","d":"canary-private-member"}}',
    ),
  );
  secret('private member in a proof', 'canary-private-member');
  await send(path, { authorization: `DPoP ${token.value.expose()}`, dpop: proof });
  await send(path, { authorization: `DPoP ${token.value.expose()}` });
  await send(path, { authorization: `Bearer ${token.value.expose()}` });
  await send(path, {
    authorization: `Bearer ${secret('token for another', issuer.sign({ aud: 'other', scope: 'read' }))}`,
  });
  await send(path, { authorization: `Bearer ${secret('altered', `${withKey.slice(0, -6)}AAAAAA`)}` });
  await send(path, { authorization: `Bearer ${secret('expired', issuer.sign({ aud: TUBE_AUDIENCE, exp: 1 }))}` });
  await send(path, { authorization: `Bearer ${secret('not a JWT', 'canary-opaque-token-0123456789')}` });
  await send(path, { authorization: `Basic ${secret('basic', Buffer.from('canary:password').toString('base64'))}` });
  await send(path, {
    authorization: `Bearer ${secret('with a broken jwe', issuer.sign({ aud: TUBE_AUDIENCE, scope: 'read', cnf: { jwe: `${jwe.slice(0, -4)}AAAA` } }))}`,
  });
  await send(path, {
    authorization: `Bearer ${secret('two cnf members', issuer.sign({ aud: TUBE_AUDIENCE, scope: 'read', cnf: { jkt: 'canary-thumbprint', jwk: shared } }))}`,
  });
  await send(`${path}?access_token=${secret('token in the address', 'canary-in-the-query')}`, {});
  await send(`/devices/${secret('token as a path', issuer.sign({ aud: 'x' }))}/authz-info`, {});
  // Opaque tokens, also in the form of a device id, where clients and devices put them by mistake.
  for (const [index, opaque] of ['a3f1c2d4e5b60718293a4b5c6d7e8f90', 'canary-opaque.id_1', 'Zq7_Canary-2'].entries()) {
    const odd = secret(`opaque token ${index}`, opaque);
    await send(`/devices/${odd}/authz-info`, { authorization: `Bearer ${token.value.expose()}` });
    await send(`/devices/${odd}/coap/temperature`, {});
    await send(`/devices/tube-1/${odd}`, {});
    await send('/introspect', { authorization: `Basic ${Buffer.from(`${odd}:x`).toString('base64')}` }, 'token=x');
    await fetch(`${world.hub.address}/deliveries/${odd}`).then(async (answer) => seen.push(await answer.text()));
    await fetch(`${world.hub.address}/devices/${odd}`).then(async (answer) => seen.push(await answer.text()));
  }
  await send(
    '/devices/tube-1/coap/challenge',
    { 'content-type': 'application/octet-stream' },
    secret('body', 'canary-in-the-body'),
  );

  // A device that prints a token as diagnostic text.
  await diagnostics(secret('diagnostic text', issuer.sign({ aud: 'diagnostic' })));

  // A crash whose message holds a token.
  const crashed = secret('crash', issuer.sign({ aud: 'crash' }));
  seen.push(...world.hub.output);
  await world.hub.stop();
  const hub = await world.folder.start({
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(`process.on('SIGUSR2', () => { throw new Error('token ${crashed}') })`)}`,
  });
  process.kill(hub.pid, 'SIGUSR2');
  await hub.event('crash');
  seen.push(...hub.output);
  expect(await hub.stop('SIGKILL')).not.toBe(0);

  for (const args of [
    ['status'],
    ['devices', 'list'],
    ['devices', 'show', 'tube-1'],
    ['devices', 'show', 'nothing'],
    ['devices', 'list', '--json'],
    ['audit', 'list', '--limit', '1000'],
    ['audit', 'export', '--evidence'],
  ]) {
    const { out, err } = await world.folder.command(...args, '--config', world.folder.config);
    seen.push(out, err);
  }

  const store = await openStore(join(world.folder.path, 'state', 'db'));
  for (const [key, value] of await store.list('')) {
    if (!key.startsWith('hub/') && !key.startsWith('device/')) continue;
    const found = keyMaterial(JSON.parse(Buffer.from(value).toString()));
    for (const [index, value] of found.entries()) secret(`${key} ${index}`, value);
  }
  await store.close();
  const audit = await openStore(join(world.folder.path, 'state', 'audit'));
  secret('audit/key', Buffer.from((await audit.read('audit/key')) ?? []).toString('base64url'));
  await audit.close();

  const all = seen.join('\n');
  expect(secrets.size).toBeGreaterThan(30);
  expect(seen.length).toBeGreaterThan(50);
  expect(all).toContain('delivery_delivered');
  expect(all).toContain('"kind":"deliver-end"');
  expect([...secrets].filter(([, value]) => all.includes(value)).map(([name]) => name)).toEqual([]);
});

/** Writes slipmux diagnostic text (0x0A) towards the hub, as a device does that prints. */
async function diagnostics(text: string): Promise<void> {
  const { createServer } = await import('node:net');
  const server = createServer((socket) =>
    socket.write(Buffer.concat([Buffer.from([0xc0, 0x0a]), Buffer.from(`got token ${text}\n`), Buffer.from([0xc0])])),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no address');
  world.relay.plug(`tcp://127.0.0.1:${address.port}`);
  await world.until(() => world.hub.output.some((line) => line.includes('got token')));
  world.relay.plug(undefined);
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
