import { inspect } from 'node:util';
import { calculateJwkThumbprint, decodeProtectedHeader, EmbeddedJWK, type JWK, jwtVerify } from 'jose';
import { expect, test } from 'vitest';
import { bearerToken, dpopToken } from '../../src/client/access-token.ts';
import { DpopKey } from '../../src/client/dpop-key.ts';
import { HubRefusal } from '../../src/client/hub-answer.ts';
import { HubClient } from '../../src/client/hub-client.ts';
import { base64url, sha256, utf8 } from '../../src/core/bytes.ts';
import { DELIVERED, drive, json, problem, type Script, scriptedHub, TOKEN_VALUE } from './scripted-hub.ts';

const HUB = 'https://hub.example';
const BEARER = bearerToken('token-value');
const QUEUED = { ...DELIVERED, state: 'queued', device_code: undefined, receipt: undefined };
const nonceAsked = (nonce: string) => () =>
  problem(401, 'proof_nonce_required', {
    'www-authenticate': 'DPoP error="use_dpop_nonce", algs="ES256"',
    'dpop-nonce': nonce,
  });

function hub(...script: Script) {
  const scripted = scriptedHub(...script);
  return { ...scripted, client: new HubClient({ url: HUB, environment: scripted.environment }) };
}

async function proofOf(headers: Headers) {
  const proof = headers.get('dpop') ?? '';
  const { payload } = await jwtVerify(proof, EmbeddedJWK, {
    typ: 'dpop+jwt',
    currentDate: new Date(1_700_000_000_000),
  });
  return { payload, header: decodeProtectedHeader(proof) };
}

test('a DPoP token goes with a proof over method, address and token', async () => {
  const { client, asked } = hub(() => json(201, DELIVERED));
  const key = await DpopKey.generate();
  await client.deliver({
    device: 'tube-1',
    audience: 'https://tube-1.devices.example',
    token: dpopToken('token-value', key),
  });
  expect(asked).toHaveLength(1);
  expect(asked[0]).toMatchObject({ method: 'POST', url: `${HUB}/devices/tube-1/authz-info` });
  const headers = asked[0]?.headers ?? new Headers();
  expect(headers.get('authorization')).toBe('DPoP token-value');
  const { payload, header } = await proofOf(headers);
  expect(payload).toMatchObject({
    htm: 'POST',
    htu: `${HUB}/devices/tube-1/authz-info`,
    iat: 1_700_000_000,
    ath: base64url(sha256('token-value')),
  });
  expect(payload.jti).toMatch(/^[\w-]{22}$/);
  expect(payload).not.toHaveProperty('nonce');
  expect(await calculateJwkThumbprint(header.jwk as JWK)).toBe(key.thumbprint);
  expect(header.jwk).not.toHaveProperty('d');
});

test('an Ed25519 key makes proofs as well', async () => {
  const { client, asked } = hub(() => json(201, DELIVERED));
  const key = await DpopKey.generate('EdDSA');
  await client.deliver({
    device: 'tube-1',
    audience: 'https://tube-1.devices.example',
    token: dpopToken('token-value', key),
  });
  const { header } = await proofOf(asked[0]?.headers ?? new Headers());
  expect(header).toMatchObject({ alg: 'EdDSA', jwk: { kty: 'OKP', crv: 'Ed25519' } });
});

test('the answer is read into a typed delivery', async () => {
  const { client } = hub(() => json(201, DELIVERED));
  expect(await client.deliver({ device: 'tube-1', audience: 'https://tube-1.devices.example', token: BEARER })).toEqual(
    {
      id: 'd-1',
      state: 'delivered',
      device: 'tube-1',
      audience: 'https://tube-1.devices.example',
      tokenHash: new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7]),
      cti: new Uint8Array(sha256(TOKEN_VALUE).subarray(0, 16)),
      expiresAt: 1_700_000_600,
      scope: 'read',
      hubCode: undefined,
      deviceCode: '2.01',
      receipt: true,
      bytes: { jwt: 700, cwt: 120 },
      freshness: { keysAge: 3, clock: 'sure' },
    },
  );
});

test.each([
  ['device', { device: 'pump-1' }],
  ['audience', { audience: 'https://pump-1.devices.example' }],
])('a hub that speaks of another %s is refused: requests would be signed for it', async (_, changes) => {
  const { client } = hub(() => json(201, { ...DELIVERED, ...changes }));
  const asked = client.deliver({ device: 'tube-1', audience: 'https://tube-1.devices.example', token: BEARER });
  await expect(asked).rejects.toMatchObject({ code: 'client_answer_invalid' });
});

test('a bearer token goes without a proof', async () => {
  const { client, asked } = hub(() => json(201, DELIVERED));
  await client.deliver({ device: 'tube-1', audience: 'https://tube-1.devices.example', token: BEARER });
  expect(asked[0]?.headers.get('authorization')).toBe('Bearer token-value');
  expect(asked[0]?.headers.has('dpop')).toBe(false);
});

test('a path in the address of the hub is kept, and a device id is escaped', async () => {
  const { environment, asked } = scriptedHub(() => json(201, { ...DELIVERED, device: 'a/b' }));
  const client = new HubClient({ url: `${HUB}/latchkey/`, environment });
  await client.deliver({ device: 'a/b', audience: 'https://tube-1.devices.example', token: BEARER });
  expect(asked[0]?.url).toBe(`${HUB}/latchkey/devices/a%2Fb/authz-info`);
});

test('a nonce that the hub asks for goes into a second, fresh proof', async () => {
  const { client, asked } = hub(nonceAsked('n-1'), () => json(201, DELIVERED));
  await client.deliver({
    device: 'tube-1',
    audience: 'https://tube-1.devices.example',
    token: dpopToken('token-value', await DpopKey.generate()),
  });
  const [first, second] = await Promise.all(asked.map(({ headers }) => proofOf(headers)));
  expect(second?.payload.nonce).toBe('n-1');
  expect(second?.payload.jti).not.toBe(first?.payload.jti);
});

test('the newest nonce serves the next delivery', async () => {
  const { client, asked } = hub(
    () => json(201, DELIVERED, { 'dpop-nonce': 'n-2' }),
    () => json(201, DELIVERED),
  );
  const token = dpopToken('token-value', await DpopKey.generate());
  await client.deliver({ device: 'tube-1', audience: 'https://tube-1.devices.example', token });
  await client.deliver({ device: 'tube-1', audience: 'https://tube-1.devices.example', token });
  expect((await proofOf(asked[1]?.headers ?? new Headers())).payload.nonce).toBe('n-2');
});

test('a hub that asks for a nonce again is not asked a third time', async () => {
  const { client, asked } = hub(nonceAsked('n-1'), nonceAsked('n-2'));
  const delivering = client.deliver({
    device: 'tube-1',
    audience: 'https://tube-1.devices.example',
    token: dpopToken('token-value', await DpopKey.generate()),
  });
  await expect(delivering).rejects.toMatchObject({ hubCode: 'proof_nonce_required' });
  expect(asked).toHaveLength(2);
});

test('a hub that asks for a nonce and gives none is not asked again', async () => {
  const { client, asked } = hub(() =>
    problem(401, 'proof_nonce_required', { 'www-authenticate': 'DPoP error="use_dpop_nonce"' }),
  );
  const delivering = client.deliver({
    device: 'tube-1',
    audience: 'https://tube-1.devices.example',
    token: dpopToken('token-value', await DpopKey.generate()),
  });
  await expect(delivering).rejects.toMatchObject({ hubCode: 'proof_nonce_required' });
  expect(asked).toHaveLength(1);
});

test('a queued delivery is asked for, ever more slowly, until the device has it', async () => {
  const times: number[] = [];
  const { client, time, asked } = hub(
    () => json(202, QUEUED, { location: '/deliveries/d-1' }),
    ...[QUEUED, QUEUED, DELIVERED].map((body) => () => {
      times.push(time.monotonic());
      return json(200, body);
    }),
  );
  const delivery = await drive(
    time,
    client.deliver({ device: 'tube-1', audience: 'https://tube-1.devices.example', token: BEARER }),
  );
  expect(delivery.state).toBe('delivered');
  expect(asked.slice(1).map(({ method, url }) => `${method} ${url}`)).toEqual(
    Array(3).fill(`GET ${HUB}/deliveries/d-1`),
  );
  expect(asked.slice(1).map(({ headers }) => headers.get('accept'))).toEqual(
    Array(3).fill('text/event-stream, application/json;q=0.9'),
  );
  const [first = 0, second = 0, third = 0] = times;
  expect(first).toBe(0);
  expect(second).toBeGreaterThan(0);
  expect(third - second).toBeGreaterThan(second - first);
});

/** Events as the hub writes them, each part a chunk of its own. */
function events(parts: readonly string[], { open = false } = {}): Response {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const part of parts) controller.enqueue(utf8(part));
      if (!open) controller.close();
    },
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
}
const event = (view: unknown) => `event: delivery\ndata: ${JSON.stringify(view)}\n\n`;
const ask = (client: HubClient, wait?: number) =>
  client.deliver({
    device: 'tube-1',
    audience: 'https://tube-1.devices.example',
    token: BEARER,
    ...(wait === undefined ? {} : { wait }),
  });

test('a hub that tells of the end is not asked again', async () => {
  const told = `${event(QUEUED)}:\n\n${event(DELIVERED)}`;
  const { client, time, asked } = hub(
    () => json(202, QUEUED),
    () => events([told.slice(0, 40), told.slice(40, 41), told.slice(41)], { open: true }),
  );
  expect((await drive(time, ask(client))).state).toBe('delivered');
  expect(asked).toHaveLength(2);
  expect(time.monotonic()).toBeLessThan(1_000);
});

test('a hub that breaks off before the end is asked again', async () => {
  const { client, time, asked } = hub(
    () => json(202, QUEUED),
    () => events([event(QUEUED)]),
    () => events([event(DELIVERED)], { open: true }),
  );
  expect((await drive(time, ask(client))).state).toBe('delivered');
  expect(asked).toHaveLength(3);
});

test('an event that never ends is refused', async () => {
  const { client, time } = hub(
    () => json(202, QUEUED),
    () => events(['data: ', 'x'.repeat(70_000)], { open: true }),
  );
  await expect(drive(time, ask(client))).rejects.toMatchObject({ code: 'client_answer_invalid' });
});

test('a device that stays away leaves the delivery queued', async () => {
  const { client, time } = hub(() => json(202, QUEUED), ...Array.from({ length: 20 }, () => () => json(200, QUEUED)));
  const delivery = await drive(
    time,
    client.deliver({ device: 'tube-1', audience: 'https://tube-1.devices.example', token: BEARER, wait: 5_000 }),
  );
  expect(delivery).toMatchObject({ id: 'd-1', state: 'queued' });
  expect(time.monotonic()).toBeLessThan(6_000);
});

test('with wait 0 a queued delivery comes back at once', async () => {
  const { client, asked } = hub(() => json(202, QUEUED));
  expect(
    await client.deliver({ device: 'tube-1', audience: 'https://tube-1.devices.example', token: BEARER, wait: 0 }),
  ).toMatchObject({ state: 'queued' });
  expect(asked).toHaveLength(1);
});

test('a wait that ends within a fraction of a millisecond ends like any other', async () => {
  const { environment, time } = scriptedHub(() => json(202, QUEUED));
  const client = new HubClient({
    url: HUB,
    environment: {
      ...environment,
      // As those of Node.
      timers: { after: (milliseconds, action) => time.after(Math.trunc(milliseconds), action) },
      fetch: (input, init) =>
        init?.method === 'GET'
          ? new Promise((_, reject) => init.signal?.addEventListener('abort', () => reject(new Error('aborted'))))
          : environment.fetch(input, init),
    },
  });
  const options = { device: 'tube-1', audience: 'https://tube-1.devices.example', token: BEARER, wait: 1.4 };
  expect(await drive(time, client.deliver(options))).toMatchObject({ state: 'queued' });
});

test.each([
  ['refused', { state: 'refused', code: 'device_refused_token', device_code: '4.03' }, 'device_refused_token', '4.03'],
  ['expired', { state: 'expired', code: 'delivery_expired', device_code: undefined }, 'delivery_expired', undefined],
])('a delivery that ends %s while it waits is an error with its reason', async (_, end, hubCode, deviceCode) => {
  const { client, time } = hub(
    () => json(202, QUEUED),
    () => json(200, { ...QUEUED, ...end }),
  );
  const error = await drive(
    time,
    client.deliver({ device: 'tube-1', audience: 'https://tube-1.devices.example', token: BEARER }),
  ).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(HubRefusal);
  expect(error).toMatchObject({ code: 'client_delivery_failed', hubCode, deviceCode });
});

test('a refusal of the hub carries its code and the id of the request', async () => {
  const { client } = hub(() => problem(403, 'jwt_audience_mismatch'));
  await expect(
    client.deliver({ device: 'tube-1', audience: 'https://tube-1.devices.example', token: BEARER }),
  ).rejects.toMatchObject({
    code: 'client_delivery_failed',
    hubCode: 'jwt_audience_mismatch',
    status: 403,
    requestId: 'r-1',
  });
});

test('an error page of something else than the hub is refused as such', async () => {
  const { client } = hub(() => new Response('<h1>Bad Gateway</h1>', { status: 502 }));
  await expect(
    client.deliver({ device: 'tube-1', audience: 'https://tube-1.devices.example', token: BEARER }),
  ).rejects.toMatchObject({
    code: 'client_answer_invalid',
  });
});

test('a redirect is not followed', async () => {
  const { client, asked } = hub(
    () => new Response(null, { status: 302, headers: { location: 'https://evil.example' } }),
  );
  await expect(
    client.deliver({ device: 'tube-1', audience: 'https://tube-1.devices.example', token: BEARER }),
  ).rejects.toMatchObject({
    code: 'client_answer_invalid',
  });
  expect(asked[0]?.redirect).toBe('manual');
});

test.each([
  ['state', { state: 'lost' }],
  ['token_hash of another size', { token_hash: 'AAEC' }],
  ['token_hash that is no base64url', { token_hash: '!' }],
  ['cti that is no hexadecimal', { cti: 'zz' }],
  ['expires_at as text', { expires_at: 'soon' }],
  ['bytes', { bytes: null }],
  ['freshness', { freshness: undefined }],
])('a delivery with a wrong %s is refused', async (_, wrong) => {
  const { client } = hub(() => json(201, { ...DELIVERED, ...wrong }));
  await expect(
    client.deliver({ device: 'tube-1', audience: 'https://tube-1.devices.example', token: BEARER }),
  ).rejects.toMatchObject({
    code: 'client_answer_invalid',
  });
});

test('a success that is no JSON is refused', async () => {
  const { client } = hub(() => new Response('ok', { status: 201 }));
  await expect(
    client.deliver({ device: 'tube-1', audience: 'https://tube-1.devices.example', token: BEARER }),
  ).rejects.toMatchObject({
    code: 'client_answer_invalid',
  });
});

test('an answer past 64 KiB is given up', async () => {
  const { client } = hub(() => new Response('x'.repeat(65_537), { status: 201 }));
  await expect(
    client.deliver({ device: 'tube-1', audience: 'https://tube-1.devices.example', token: BEARER }),
  ).rejects.toMatchObject({
    code: 'client_answer_invalid',
  });
});

test('a hub that never answers is given up after its deadline', async () => {
  const { environment, time } = scriptedHub();
  const silent: typeof fetch = (_, init) =>
    new Promise((_resolve, reject) => {
      init?.signal?.addEventListener('abort', () => reject(new Error('aborted')));
    });
  const client = new HubClient({ url: HUB, environment: { ...environment, fetch: silent } });
  await expect(
    drive(time, client.deliver({ device: 'tube-1', audience: 'https://tube-1.devices.example', token: BEARER })),
  ).rejects.toMatchObject({
    code: 'client_unreachable',
    detail: 'https://hub.example: no answer in 30000 ms',
  });
});

test('a hub that cannot be reached is named with the reason', async () => {
  const { client } = hub(() => {
    throw new TypeError('fetch failed', { cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }) });
  });
  await expect(
    client.deliver({ device: 'tube-1', audience: 'https://tube-1.devices.example', token: BEARER }),
  ).rejects.toMatchObject({
    code: 'client_unreachable',
    detail: 'https://hub.example: ECONNREFUSED',
  });
});

test('no timer is left behind', async () => {
  const { client, time } = hub(() => json(201, DELIVERED));
  await client.deliver({ device: 'tube-1', audience: 'https://tube-1.devices.example', token: BEARER });
  expect(time.pendingTimers).toBe(0);
});

test('neither token nor key prints', async () => {
  const key = await DpopKey.generate();
  const token = dpopToken('token-value', key);
  const printed = [inspect(token, { depth: 9 }), JSON.stringify(token), `${inspect(key, { showHidden: true })}`].join();
  expect(printed).not.toContain('token-value');
  expect(printed).toContain(key.thumbprint);
  expect(printed).not.toMatch(/CryptoKey|"d"/);
});
