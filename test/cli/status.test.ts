import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { HubStatus } from '../../src/ports/admin.ts';
import { AdminStub } from '../fixtures/admin-stub.ts';
import { runLine } from '../fixtures/fake-terminal.ts';

let hub: AdminStub;

beforeEach(() => {
  hub = new AdminStub();
});

afterEach(() => hub.close());

const STATUS: HubStatus = {
  version: '0.1.0',
  uptime: 93_784,
  clock: { certainty: 'sure', floor: 1_700_000_000 },
  issuers: [
    {
      issuer: 'https://as.example',
      address: 'https://as.example/jwks',
      keys: [{ keyId: 'a', algorithms: ['ES256'] }],
      skipped: [
        { keyId: 'b', reason: 'kty' },
        { keyId: 'c', reason: 'kty' },
      ],
      age: 86_400,
      offlineLimit: 2_592_000,
      lastError: 'as_timeout',
      nextRefresh: 90,
      introspection: { state: 'ready', failures: 0, slowed: 0, endpoint: 'none', verdicts: 1, asking: 0 },
    },
    { issuer: 'urn:file', address: '/etc/jwks.json', keys: [], skipped: [], age: 0, offlineLimit: 60 },
  ],
  lines: [
    { name: 'ward-3', path: '/dev/ttyUSB0', up: true, counters: { framesSent: 10, framesBadChecksum: 0 } },
    {
      name: 'ward-4',
      path: 'tcp://10.0.0.4:4161',
      up: false,
      lastError: 'link_down',
      lastErrorDetail: 'ECONNREFUSED',
      counters: {},
    },
  ],
  radio: {
    adapter: 'hci0',
    address: 'c0:ff:ee:00:00:01',
    up: true,
    links: 1,
    room: 5,
    counters: { heard: 20, lost: 0 },
    devices: [
      {
        device: 'tube-1',
        name: 'Tube',
        up: true,
        connected: true,
        address: 'c0:ff:ee:00:00:02',
        rssi: -60,
        rivals: 1,
      },
      { device: 'tube-2', name: 'tube-2', up: false, connected: false, rivals: 0 },
    ],
  },
  devices: 1,
  deliveries: { queued: 2, delivered: 0 },
  audit: { records: 3, head: '5:J3p0', lost: 1 },
  conditions: [{ code: 'keys_too_old', subject: 'urn:file', title: 'The keys are too old', fix: 'Check the uplink.' }],
};

const ask = (...args: readonly string[]) => runLine(['status', '--socket', hub.socket, ...args]);

describe('an answer is refused', () => {
  test.each<[string, unknown, string]>([
    ['that is a list', [], 'version'],
    ['without the clock', { ...STATUS, clock: undefined }, 'clock'],
    ['with an uptime in words', { ...STATUS, uptime: 'long' }, 'uptime'],
    ['with a line of another form', { ...STATUS, lines: [{ name: 1 }] }, 'lines.0'],
    [
      'with a radio that has no devices',
      { ...STATUS, radio: { ...STATUS.radio, devices: undefined } },
      'radio.devices',
    ],
    ['with a counter in words', { ...STATUS, deliveries: { queued: 'many' } }, 'deliveries.queued'],
  ])('%s', async (_, body, member) => {
    await hub.answer(body);
    const { status, printed, noted } = await ask();
    expect({ status, printed }).toEqual({ status: 1, printed: '' });
    expect(noted).toContain('[client_answer_invalid]');
    expect(noted).toContain(Array.isArray(body) ? 'not an object' : member);
  });
});

test('it is one subject a line, in words, and what is wrong last', async () => {
  await hub.answer(STATUS);
  const { status, printed } = await ask();
  expect(status).toBe(0);
  expect(printed.split('\n')).toEqual([
    'Latchkey 0.1.0, up for 1 d 2 h',
    'Clock: sure, not before 2023-11-14T22:13:20.000Z',
    'Issuer https://as.example: 1 key (a), confirmed 1 d 0 h ago, asked again in 1 min 30 s, good for 29 d 0 h without it',
    '  keys from https://as.example/jwks',
    '  last attempt failed: The authorization server did not answer in time [as_timeout]',
    '  asked about tokens, no endpoint, 1 answer remembered',
    '  keys passed over: 2 (kty)',
    'Issuer urn:file: 0 keys',
    '  keys from /etc/jwks.json',
    'Line ward-3 (/dev/ttyUSB0): open',
    '  framesSent 10',
    'Line ward-4 (tcp://10.0.0.4:4161): not open',
    '  because: The link to the device is not open (ECONNREFUSED) [link_down]',
    'Radio hci0: on as c0:ff:ee:00:00:01, 1 of 5 links',
    '  heard 20',
    '  tube-1 (Tube): connected, -60 dBm, c0:ff:ee:00:00:02, 1 more under its name',
    '  tube-2: not heard',
    'Devices: 1',
    'Deliveries: queued 2',
    'Audit: 3 records, head 5:J3p0, 1 lost',
    '! urn:file: The keys are too old. Check the uplink. [keys_too_old]',
  ]);
});

test('it names the first keys of an issuer, and says how many more there are', async () => {
  const keys = Array.from({ length: 64 }, (_, index) => ({ keyId: `k${index}`, algorithms: ['ES256'] }));
  await hub.answer({ ...STATUS, issuers: STATUS.issuers.map((issuer) => ({ ...issuer, keys })) });
  const { printed } = await ask();
  expect(printed).toContain('64 keys (k0, k1, k2, k3, k4, k5, k6, k7 and 56 more)');
});

test('it counts one of a kind as one, and says what failed in words', async () => {
  const [issuer] = STATUS.issuers;
  if (issuer?.introspection === undefined) throw new Error('no issuer');
  const introspection = { ...issuer.introspection, failures: 1, lastError: 'as_unreachable' } as const;
  await hub.answer({
    ...STATUS,
    audit: { ...STATUS.audit, records: 1 },
    issuers: [{ ...issuer, lastError: 'as_unreachable', introspection }],
  });
  const { printed } = await ask();
  expect(printed).toContain('Audit: 1 record, head');
  expect(printed).toContain('  last attempt failed: The authorization server cannot be reached [as_unreachable]\n');
  expect(printed).toContain('1 failure in a row: The authorization server cannot be reached [as_unreachable]');
});

test('it shows a code of a hub of another version as it is', async () => {
  const [issuer] = STATUS.issuers;
  await hub.answer({ ...STATUS, issuers: [{ ...issuer, lastError: 'as_from_the_future' } as never] });
  expect((await ask()).printed).toContain('  last attempt failed: [as_from_the_future]\n');
});

test('it says so where nothing is configured and nothing is wrong', async () => {
  await hub.answer({ ...STATUS, uptime: 0.5, issuers: [], lines: [], deliveries: {}, conditions: [] });
  const { printed } = await ask();
  expect(printed).toContain('up for 0 s\n');
  expect(printed).toContain('Issuers: none configured\nLines: none configured\n');
  expect(printed).toContain('Deliveries: none\nAudit: 3 records, head 5:J3p0, 1 lost\nNothing is wrong.');
});

test('it says why there is no radio', async () => {
  const radio = { ...STATUS.radio, up: false, address: undefined, lastError: 'radio_blocked', devices: [] };
  await hub.answer({ ...STATUS, radio });
  expect((await ask()).printed).toMatch(/Radio hci0: off\n {2}because: .+ \[radio_blocked\]\n/);
});

test('with --json it is the answer of the hub', async () => {
  await hub.answer(STATUS);
  expect(JSON.parse((await ask('--json')).printed)).toEqual(STATUS);
});

test('where no hub runs it ends with status 1', async () => {
  const { status, noted } = await ask('--json');
  expect(status).toBe(1);
  expect(JSON.parse(noted)).toMatchObject({ error: { code: 'admin_unreachable' } });
});
