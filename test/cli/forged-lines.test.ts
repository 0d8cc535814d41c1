/** Names that others chose (an AS its kid, a device its advertised name, a client its scope) make no line of the hub's own. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { describeCandidate, describeObstacle } from '../../src/cli/pair-texts.ts';
import { processTerminal } from '../../src/cli/terminal.ts';
import { AdminStub } from '../fixtures/admin-stub.ts';
import { runLine } from '../fixtures/fake-terminal.ts';

let hub: AdminStub;

beforeEach(() => {
  hub = new AdminStub();
});

afterEach(async () => {
  vi.restoreAllMocks();
  await hub.close();
});

/** With every kind of line end, and what steers a terminal. */
const FORGED = 'a\nNothing is wrong.\r\u0085\u2028\u2029\u001b[2K\u202eb';
const AS_SHOWN = 'a\\u000aNothing is wrong.\\u000d\\u0085\\u2028\\u2029\\u001b[2K\\u202eb';

const STATUS = {
  version: '0.1.0',
  uptime: 1,
  clock: { certainty: 'sure', floor: 1_700_000_000 },
  issuers: [
    {
      issuer: 'https://as.example',
      address: 'https://as.example',
      keys: [{ keyId: FORGED, algorithms: ['ES256'] }],
      skipped: [{ reason: FORGED }],
      offlineLimit: 60,
    },
  ],
  lines: [{ name: 'ward-3', path: '/dev/x', up: false, lastError: 'link_down', lastErrorDetail: FORGED, counters: {} }],
  radio: {
    adapter: 'hci0',
    up: true,
    links: 0,
    room: 1,
    counters: {},
    devices: [{ device: 'tube-1', name: FORGED, up: true, connected: false, rivals: 0 }],
  },
  devices: 1,
  deliveries: {},
  audit: { records: 0, head: FORGED, lost: 0 },
  conditions: [{ code: 'clock_unsure', subject: FORGED, title: 'x', fix: 'y' }],
};
const DEVICE = {
  id: 'tube-1',
  audience: FORGED,
  name: FORGED,
  line: 'ward-3',
  profile: { wrap: 'mac0', scopes: [FORGED], permissions: { [FORGED]: [[FORGED, 16]] } },
  issuers: [FORGED],
  trust_version: 1,
  added_at: 1,
  waiting: 2,
};
const RECORD = { sequence: 1, hash: 'x', at: 1, clock: 'sure', kind: 'deliver', device: FORGED, request: FORGED };
const AUDIT = { records: [RECORD], through: 1, dropped: '0:x', head: '1:x', unreadable: 0, evidence: {} };
const DELIVERY = {
  delivery: 'd',
  state: 'refused',
  device: FORGED,
  audience: 'a',
  token_hash: 'h',
  cti: 'c',
  expires_at: 1,
  scope: FORGED,
  device_code: FORGED,
  code: FORGED,
  bytes: { jwt: 1, cwt: 1 },
  freshness: { keys_age: 1, clock: 'sure' },
};
const TRUST = { device: FORGED, state: 'refused', version: 1, held_since: 1, changes: [FORGED], device_code: FORGED };

test.each<[string, readonly string[], unknown, number]>([
  ['status', ['status'], STATUS, 12],
  ['devices list', ['devices', 'list'], { items: [DEVICE] }, 2],
  ['devices show', ['devices', 'show', 'tube-1'], DEVICE, 9],
  ['audit list', ['audit', 'list'], AUDIT, 2],
  ['deliveries list', ['deliveries', 'list'], { items: [DELIVERY] }, 2],
  ['trust status', ['trust', 'status'], { items: [TRUST] }, 2],
])('%s', async (_name, args, answer, lines) => {
  await hub.answer(answer);
  const { printed, status } = await runLine([...args, '--socket', hub.socket]);
  expect(status).toBe(0);
  expect(printed).toContain(AS_SHOWN);
  expect(printed.split(/[\n\r\u0085\u2028\u2029]/)).toHaveLength(lines);
});

test('token inspect', async () => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const jwt = `${part({ alg: 'ES256', kid: FORGED })}.${part({ iss: FORGED })}.${Buffer.alloc(64).toString('base64url')}`;
  const { printed } = await runLine(['token', 'inspect', '-'], { '-': jwt });
  expect(printed.split('\n').filter((line) => line.startsWith('Nothing'))).toEqual([]);
  expect(printed).toContain('\\u202e');
});

test('pair, whose candidates say themselves what they are called', () => {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const terminal = processTerminal();
  terminal.note(`  ${describeCandidate({ key: 'ble/x', medium: 'ble', name: FORGED })}`);
  terminal.note(
    `  ${describeObstacle({ place: `ble/${FORGED}`, code: 'link_down', title: 't', detail: FORGED, fix: 'f', lasting: true })}`,
  );
  const shown = write.mock.calls.map(([chunk]) => String(chunk)).join('');
  expect(shown.split(/[\n\r\u0085\u2028\u2029]/)).toHaveLength(3);
});

test('an error that the hub answers with', async () => {
  await hub.answer({ code: 'device_no_answer', detail: FORGED }, 504);
  const { noted } = await runLine(['devices', 'show', 'tube-1', '--socket', hub.socket]);
  expect(noted).toContain(AS_SHOWN);
  expect(noted.split('\n')).toHaveLength(1);
});
