import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openAdminSocket } from '../../../drivers/http/admin.ts';
import type { HttpServer } from '../../../drivers/http/server.ts';
import { systemRandom } from '../../../drivers/system-time.ts';
import { LatchkeyError } from '../../../src/core/errors.ts';
import type { Admin, DeliveriesQuery, NewDevice, PageQuery } from '../../../src/ports/admin.ts';
import type { Pairing } from '../../../src/ports/pairing.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';

let folder: string;
let socket: string;
let added: NewDevice[];
let deliveriesAsked: DeliveriesQuery[];
let pagesAsked: PageQuery[];
const open: HttpServer[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-admin-'));
  socket = join(folder, 'admin.sock');
  added = [];
  deliveriesAsked = [];
  pagesAsked = [];
});

afterEach(async () => {
  for (const server of open.splice(0)) await server.close(100);
  rmSync(folder, { recursive: true });
});

const admin: Admin = {
  status: () => Promise.reject(new LatchkeyError('internal')),
  listDevices: async (query) => {
    pagesAsked.push(query);
    return { items: [] };
  },
  profiles: async () => [],
  issuerKeys: async (issuer) =>
    issuer === 'https://as.example/a b' ? { keys: [{ kty: 'OKP' }], age: 7 } : { keys: [] },
  showDevice: (id) => Promise.reject(new LatchkeyError('device_unknown', id)),
  addDevice: async (device) => {
    added.push(device);
    return { device: {} as never, trust: 'keys' };
  },
  removeDevice: async () => undefined,
  renameDevice: (id) => Promise.reject(new LatchkeyError('device_unknown', id)),
  identifyDevice: (id) => Promise.reject(new LatchkeyError('device_unknown', id)),
  unpairDevice: async (_, { force }) => (force ? { code: 'link_down' } : {}),
  deviceCredentials: (id) => Promise.reject(new LatchkeyError('device_unknown', id)),
  deliveries: async (query) => {
    deliveriesAsked.push(query);
    return { items: [], next: '7' };
  },
  cancelDelivery: (id) => Promise.reject(new LatchkeyError('delivery_ended', id)),
  retryDelivery: (id) => Promise.reject(new LatchkeyError('delivery_unknown', id)),
  trust: async (query) => {
    pagesAsked.push(query);
    return { items: [] };
  },
  resetClock: async () => ({ before: 2, after: 1 }),
  rotateHubKey: async () => ({ keys: { ES256: 'new' }, waiting: ['tube-1'] }),
  audit: () => Promise.reject(new LatchkeyError('internal')),
  verifyAudit: () => Promise.reject(new LatchkeyError('internal')),
  backup: async function* () {
    for (let line = 0; line < 2_000; line += 1) yield `${'x'.repeat(999)}\n`;
  },
};

const closed = () => Promise.reject(new LatchkeyError('pairing_window_closed'));
const NO_PAIRING: Pairing = {
  open: closed,
  view: closed,
  close: async () => undefined,
  identify: closed,
  pair: closed,
};

async function listen(): Promise<HttpServer> {
  const server = await openAdminSocket({
    socket,
    admin,
    pairing: NO_PAIRING,
    log: new QuietLog(),
    random: systemRandom,
  });
  open.push(server);
  return server;
}

function ask(method: string, path: string, body = ''): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: socket, method, path, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const DEVICE = { id: 'tube-1', audience: 'coap://tube-1', line: 'bench', profile: { scopes: ['read'] } };

test('a backup of any size comes whole', async () => {
  await listen();
  const { status, text } = await ask('GET', '/backup');
  expect([status, text.length]).toEqual([200, 2_000_000]);
});

describe('a device is refused', () => {
  test.each<[string, string]>([
    ['that is no JSON', '{'],
    ['that is a list', '[]'],
    ['without a body', ''],
    ['without an id', JSON.stringify({ ...DEVICE, id: undefined })],
    ['whose audience is a list', JSON.stringify({ ...DEVICE, audience: ['a'] })],
    ['whose profile is a text', JSON.stringify({ ...DEVICE, profile: 'mac0' })],
    ['whose radio name is a number', JSON.stringify({ ...DEVICE, ble: { name: 7 } })],
    ['whose radio name is bare', JSON.stringify({ ...DEVICE, ble: 'tube' })],
    ['whose issuers are numbers', JSON.stringify({ ...DEVICE, issuers: [1] })],
  ])('%s', async (_, body) => {
    await listen();
    const { status, text } = await ask('POST', '/devices', body);
    expect(status).toBe(400);
    expect(JSON.parse(text)).toMatchObject({ code: 'request_invalid' });
    expect(added).toEqual([]);
  });
});

test('deliveries are asked for as wanted, a page at a time', async () => {
  await listen();
  await ask('GET', '/deliveries?device=tube-1&waiting=true&limit=5');
  const { text } = await ask('GET', '/deliveries?limit=100000&after=1024');
  await ask('GET', '/deliveries');
  expect(deliveriesAsked).toEqual([
    { device: 'tube-1', waiting: true, limit: 5, after: undefined },
    { device: undefined, waiting: false, limit: 100_000, after: '1024' },
    { device: undefined, waiting: false, limit: 1_024, after: undefined },
  ]);
  expect(JSON.parse(text)).toEqual({ items: [], next: '7' });
});

test('keys are asked for by the name of their issuer, and are none where none are held', async () => {
  await listen();
  const known = await ask('GET', `/issuers/keys?${new URLSearchParams({ issuer: 'https://as.example/a b' })}`);
  expect(JSON.parse(known.text)).toEqual({ keys: [{ kty: 'OKP' }], age: 7 });
  expect(JSON.parse((await ask('GET', '/issuers/keys')).text)).toEqual({ keys: [] });
});

test('devices and what they trust are asked for from a cursor on', async () => {
  await listen();
  await ask('GET', '/devices?after=tube-9');
  await ask('GET', '/trust');
  expect(pagesAsked).toEqual([{ after: 'tube-9' }, { after: undefined }]);
});

test('a limit that is no number is refused', async () => {
  await listen();
  expect((await ask('GET', '/deliveries?limit=all')).status).toBe(400);
  expect(deliveriesAsked).toEqual([]);
});

test('a device reaches the hub as it was asked for, and its trust file comes back', async () => {
  await listen();
  const { status, text } = await ask('POST', '/devices', JSON.stringify(DEVICE));
  expect(status).toBe(201);
  expect(JSON.parse(text)).toMatchObject({ trust: 'keys' });
  expect(added).toEqual([DEVICE]);
});

test('a device that is found by radio reaches the hub with its name', async () => {
  await listen();
  const { line: _, ...wireless } = { ...DEVICE, ble: { name: 'Tube 1' } };
  await ask('POST', '/devices', JSON.stringify(wireless));
  expect(added).toEqual([wireless]);
});

test('who may use the socket may read the detail of an error', async () => {
  await listen();
  const { status, text } = await ask('GET', '/devices/tube%2F9');
  expect(status).toBe(404);
  expect(JSON.parse(text)).toMatchObject({ code: 'device_unknown', detail: 'tube/9' });
});

describe('the socket', () => {
  test('is for its owner only', async () => {
    await listen();
    expect(statSync(socket).mode & 0o777).toBe(0o600);
  });

  test('of a hub that runs is not taken from it', async () => {
    await listen();
    await expect(listen()).rejects.toMatchObject({ code: 'store_locked' });
    expect((await ask('GET', '/devices')).status).toBe(200);
  });

  test('that a killed hub left behind is replaced', async () => {
    writeFileSync(socket, '');
    await listen();
    expect((await ask('GET', '/devices')).status).toBe(200);
  });

  test('where there is no folder is refused', async () => {
    socket = join(folder, 'nowhere', 'admin.sock');
    await expect(listen()).rejects.toMatchObject({ code: 'file_unwritable' });
  });
});
