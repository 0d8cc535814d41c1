import { rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { DeviceView } from '../../src/ports/admin.ts';
import { AdminStub } from '../fixtures/admin-stub.ts';
import { runLine } from '../fixtures/fake-terminal.ts';

let hub: AdminStub;

beforeEach(() => {
  hub = new AdminStub();
});

afterEach(() => hub.close());

const DEVICE: DeviceView = {
  id: 'tube-1',
  audience: 'coap://tube-1',
  line: 'ward-3',
  profile: {
    wrap: 'mac0',
    scopes: ['read', 'idle'],
    permissions: { read: [['temperature', 16]] },
    bearer: false,
    bind: 'issuer',
  },
  issuers: ['https://as.example'],
  trust_version: 1,
  added_at: 1_700_000_000,
  waiting: 2,
};

const devices = (...args: readonly string[]) => runLine(['devices', ...args, '--socket', hub.socket]);

test.each([
  ['list', [], { items: [{ ...DEVICE, waiting: 'two' }] }],
  ['list', [], DEVICE],
  ['show', ['tube-1'], { ...DEVICE, profile: [] }],
  ['show', ['tube-1'], null],
])('an answer to %s %j that is not as agreed is refused', async (name, args, body) => {
  await hub.answer(body);
  const { status, printed, noted } = await devices(name, ...args);
  expect({ status, printed }).toEqual({ status: 1, printed: '' });
  expect(noted).toContain('[client_answer_invalid]');
});

test('list is a table', async () => {
  await hub.answer({
    items: [DEVICE, { ...DEVICE, id: 'b', line: undefined, ble: { name: 'Tube 2' }, waiting: 0 }],
  });
  const { printed } = await devices('list');
  expect(printed.split('\n')).toEqual([
    'ID      LINK        WRAP  WAITING  AUDIENCE',
    'tube-1  ward-3      mac0  2        coap://tube-1',
    'b       ble Tube 2  mac0  0        coap://tube-1',
  ]);
});

test('show names issuers, permissions and every member of the profile', async () => {
  await hub.answer(DEVICE);
  const { printed } = await devices('show', 'tube-1');
  expect(printed.split('\n')).toEqual([
    'tube-1  (coap://tube-1)',
    '  line           ward-3',
    '  issuers        https://as.example',
    '  scopes         read idle',
    '    read = FETCH temperature',
    '  wrap           mac0',
    '  bind           issuer',
    '  trust          version 1, since 2023-11-14T22:13:20Z',
    '  waiting        2',
  ]);
});

test('show says of a connected device nothing that is for devices which take tokens', async () => {
  const { line: _, ...connected } = DEVICE;
  await hub.answer({
    ...connected,
    audience: 'https://tube-1',
    waiting: 0,
    profile: { ...DEVICE.profile, bearer: true },
  });
  const { printed } = await devices('show', 'tube-1');
  expect(printed.split('\n')).toEqual([
    'tube-1  (https://tube-1)',
    '  line           none: a connected device, which asks the hub itself',
    '  issuers        https://as.example',
    '  bearer         true',
    '  bind           issuer',
    '  added          2023-11-14T22:13:20Z',
  ]);
});

test('with --json they are the answers of the hub', async () => {
  await hub.answer({ items: [DEVICE] });
  expect(JSON.parse((await devices('list', '--json')).printed)).toEqual([DEVICE]);
});

/** A hub with so many devices, 100 in a page; after the given page it is gone. */
async function pagedHub(count: number, pages = Number.POSITIVE_INFINITY): Promise<void> {
  const ids = Array.from({ length: count }, (_, index) => `tube-${String(index).padStart(5, '0')}`);
  let answered = 0;
  await hub.listen((request, response) => {
    const after = new URL(request.url ?? '', 'http://hub').searchParams.get('after') ?? '';
    const page = ids.filter((id) => id > after).slice(0, 100);
    const next = page.at(-1) === ids.at(-1) ? {} : { next: page.at(-1) };
    answered += 1;
    if (answered === pages) rmSync(hub.socket);
    response.writeHead(200, { connection: 'close' });
    response.end(JSON.stringify({ items: page.map((id) => ({ ...DEVICE, id })), ...next }));
  });
}

test('list prints 10,000 devices, page by page', async () => {
  await pagedHub(10_000);
  const lines = (await devices('list')).printed.split('\n');
  expect(lines).toHaveLength(10_001);
  expect(lines.at(-1)).toMatch(/^tube-09999 {2}ward-3/);
  const json = JSON.parse((await devices('list', '--json')).printed) as readonly DeviceView[];
  expect(json).toHaveLength(10_000);
  expect(json.at(-1)?.id).toBe('tube-09999');
});

test('a list whose hub ends in the middle is an error, and does not begin anew', async () => {
  await pagedHub(1_000, 2);
  const { status, printed, noted } = await devices('list');
  expect(status).toBe(1);
  expect(noted).toContain('[admin_unreachable]');
  expect(printed.split('\n')).toHaveLength(201);
});

/** A hub with this device alone; answers what it was asked to change. */
async function hubWith(device: DeviceView): Promise<readonly string[]> {
  const changes: string[] = [];
  await hub.listen((request, response) => {
    if (request.method !== 'GET') changes.push(`${request.method} ${request.url}`);
    response.writeHead(request.method === 'GET' ? 200 : 204);
    response.end(request.method === 'GET' ? JSON.stringify(device) : undefined);
  });
  return changes;
}

test('remove asks for this device and no other, whatever its name', async () => {
  const changes = await hubWith({ ...DEVICE, id: '../tube 1', paired: false });
  expect(await devices('remove', '../tube 1')).toMatchObject({ status: 0, printed: 'Removed ../tube 1.' });
  expect(changes).toEqual(['DELETE /devices/..%2Ftube%201']);
});

test.each<[string, Partial<DeviceView>, string]>([
  ['was paired', { paired: true }, 'tube-1 was paired: it still has the keys of this hub'],
  ['may have been paired', {}, 'tube-1 may have been paired'],
])('remove of a device that %s points to unpair, and wants a yes', async (_, facts, words) => {
  const changes = await hubWith({ ...DEVICE, ...facts });
  const line = ['devices', 'remove', 'tube-1', '--socket', hub.socket];
  const refused = await runLine(line, {}, ['']);
  expect([refused.status, changes]).toEqual([1, []]);
  for (const said of [words, '`latchkey devices unpair tube-1`']) expect(refused.noted).toContain(said);
  expect((await runLine([...line, '--json'])).status).toBe(2);
  expect(changes).toEqual([]);
  expect((await runLine(line, {}, ['y'])).printed).toContain('takes no setup code until it is reset by hand');
  expect((await runLine([...line, '--json', '--yes'])).printed).toBe('');
  expect(changes).toEqual(['DELETE /devices/tube-1', 'DELETE /devices/tube-1']);
});

test('remove asks nothing about a connected device', async () => {
  const { line: _, ...connected } = DEVICE;
  const changes = await hubWith(connected);
  expect((await devices('remove', 'tube-1')).printed).toBe('Removed tube-1.');
  expect(changes).toHaveLength(1);
});

test('profiles is a table', async () => {
  const profile = { wrap: 'mac0', scopes: ['read', 'write'] };
  await hub.answer([{ name: 'tube', profile, audience: 'coap://{id}', devices: 3, differing: 1 }]);
  expect((await devices('profiles')).printed.split('\n')).toEqual([
    'PROFILE  WRAP  DEVICES  DIFFERING  AUDIENCE     SCOPES',
    'tube     mac0  3        1          coap://{id}  read write',
  ]);
});
