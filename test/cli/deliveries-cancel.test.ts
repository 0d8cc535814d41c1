import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ListedDelivery } from '../../src/ports/admin.ts';
import { AdminStub } from '../fixtures/admin-stub.ts';
import { runLine } from '../fixtures/fake-terminal.ts';

let hub: AdminStub;

beforeEach(() => {
  hub = new AdminStub();
});

afterEach(() => hub.close());

const DELIVERY: ListedDelivery = {
  delivery: 'd1',
  state: 'cancelled',
  device: 'tube-1',
  audience: 'coap://tube-1',
  token_hash: 'q83vEjRWeJo',
  cti: '00',
  expires_at: 1_700_000_000,
  scope: 'read',
  code: 'delivery_cancelled',
  bytes: { jwt: 1, cwt: 1 },
  freshness: { keys_age: 0, clock: 'sure' },
};

const deliveries = (...args: readonly string[]) => runLine(['deliveries', ...args, '--socket', hub.socket]);

test('a delivery is cancelled with --yes, and the answer of the hub is printed with --json', async () => {
  await hub.answer(DELIVERY);
  expect((await deliveries('cancel', 'd1', '--yes')).printed).toBe('Cancelled d1, a token for tube-1.');
  expect(JSON.parse((await deliveries('cancel', 'd1', '--yes', '--json')).printed)).toEqual(DELIVERY);
  expect(hub.asked).toEqual(['POST /deliveries/d1/cancel', 'POST /deliveries/d1/cancel']);
});

test.each([
  ['y', 0, ['POST /deliveries/d1/cancel']],
  ['Yes', 0, ['POST /deliveries/d1/cancel']],
  ['', 1, []],
  ['no', 1, []],
])('the answer "%s" decides', async (answer, status, asked) => {
  await hub.answer(DELIVERY);
  const line = ['deliveries', 'cancel', 'd1', '--socket', hub.socket];
  expect((await runLine(line, {}, [answer])).status).toBe(status);
  expect(hub.asked).toEqual(asked);
});

test('without an answer, and with --json, it has to be said on the command line', async () => {
  await hub.answer(DELIVERY);
  expect((await deliveries('cancel', 'd1')).noted).toContain('--yes');
  expect((await deliveries('cancel', 'd1', '--json')).status).toBe(2);
  expect(hub.asked).toEqual([]);
});

test.each([
  [{ before: 0 }, 'The hub tries tube-1 now. See `latchkey deliveries list`.'],
  [{ before: 1, difficulty: { code: 'device_full', failures: 3 } }, 'now. 1 token goes to it before this one.'],
  [{ before: 2 }, 'now. 2 tokens go to it before this one.'],
  [{ before: 0, difficulty: { code: 'link_down', failures: 0 } }, 'tube-1 cannot be tried now:'],
])('a retry says what comes of it: %j', async (more, sentence) => {
  await hub.answer({ ...DELIVERY, state: 'queued', ...more });
  expect((await deliveries('retry', 'd1')).printed).toContain(sentence);
  expect(hub.asked).toEqual(['POST /deliveries/d1/retry']);
});
