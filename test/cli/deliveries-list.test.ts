import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ListedDelivery } from '../../src/ports/admin.ts';
import { AdminStub } from '../fixtures/admin-stub.ts';
import { runLine } from '../fixtures/fake-terminal.ts';

let hub: AdminStub;

beforeEach(() => {
  hub = new AdminStub();
});

afterEach(() => hub.close());

const WAITING: ListedDelivery = {
  delivery: 'd1',
  state: 'queued',
  device: 'tube-1',
  audience: 'coap://tube-1',
  token_hash: 'q83vEjRWeJo',
  cti: '00',
  expires_at: 1_700_000_000,
  scope: 'read',
  bytes: { jwt: 1, cwt: 1 },
  freshness: { keys_age: 0, clock: 'sure' },
  difficulty: { code: 'link_down', failures: 2 },
};

const list = (...args: readonly string[]) => runLine(['deliveries', 'list', '--socket', hub.socket, ...args]);

test('says what waits and why, and what became of the rest', async () => {
  const { difficulty, ...known } = WAITING;
  await hub.answer({
    items: [
      WAITING,
      { ...known, delivery: 'd2' },
      { ...known, delivery: 'd3', state: 'delivered', device_code: '2.01', receipt: true },
      { ...known, delivery: 'd4', state: 'refused', device_code: '4.03', code: 'device_refused_token' },
      { ...known, delivery: 'd5', state: 'expired', code: 'delivery_expired' },
      { ...known, delivery: 'd6', difficulty: { code: 'link_down', failures: 0 } },
    ],
  });
  expect((await list()).printed.split('\n').map((line) => line.trimEnd())).toEqual([
    'DELIVERY  DEVICE  STATE      EXPIRES               SCOPE  WHY',
    'd1        tube-1  queued     2023-11-14T22:13:20Z  read   link_down, 2 attempts',
    'd2        tube-1  queued     2023-11-14T22:13:20Z  read',
    'd3        tube-1  delivered  2023-11-14T22:13:20Z  read   receipt checked',
    'd4        tube-1  refused    2023-11-14T22:13:20Z  read   device_refused_token, device 4.03',
    'd5        tube-1  expired    2023-11-14T22:13:20Z  read   delivery_expired',
    'd6        tube-1  queued     2023-11-14T22:13:20Z  read   link_down',
  ]);
});

test('asks for what is wanted', async () => {
  await hub.answer({ items: [] });
  expect((await list('--device', 'tube 1', '--waiting', '--limit', '7')).printed).toBe('Nothing is on its way.');
  expect(hub.asked).toEqual(['GET /deliveries?device=tube+1&waiting=true&limit=7']);
});

test('more than one answer holds come page by page, no more than are wanted', async () => {
  const asked: string[] = [];
  await hub.listen((request, response) => {
    asked.push(request.url ?? '');
    const after = Number(new URL(request.url ?? '', 'http://hub').searchParams.get('after') ?? 0);
    const items = [1, 2].map((step) => ({ ...WAITING, delivery: `d${after + step}` }));
    response.end(JSON.stringify({ items, ...(after < 2 ? { next: '2' } : {}) }));
  });
  const { printed } = await list('--limit', '4');
  expect(printed.split('\n').map((line) => line.split(' ')[0])).toEqual(['DELIVERY', 'd1', 'd2', 'd3', 'd4']);
  expect(asked).toEqual(['/deliveries?limit=4', '/deliveries?limit=2&after=2']);
  expect(JSON.parse((await list('--json')).printed).map(({ delivery }: ListedDelivery) => delivery)).toEqual([
    'd1',
    'd2',
    'd3',
    'd4',
  ]);
});

test('with --json it is the answer of the hub', async () => {
  await hub.answer({ items: [WAITING] });
  expect(JSON.parse((await list('--json')).printed)).toEqual([WAITING]);
});

test.each([['0'], ['65537'], ['all'], ['-1']])('--limit %s is refused', async (limit) => {
  expect(await list('--limit', limit)).toMatchObject({ status: 2, printed: '' });
});

test('an answer that is not as agreed is refused', async () => {
  await hub.answer({ items: [{ ...WAITING, state: 'lost' }] });
  expect((await list()).noted).toContain('[client_answer_invalid]');
});
